import logging
import math
import shutil

import pytest
import torch

from avsf_det.config import load_cfg
from avsf_det.engine.checkpoint_config import checkpoint_cfg
from avsf_det.engine.classification_task import ClassificationTask
from avsf_det.engine.train import Trainer
from avsf_det.errors import UserError
from avsf_det.models.build import build_model
from avsf_det.models.checkpoint import load_checkpoint
from tests.data.classification.layouts import LAYOUTS
from tests.engine.training import assert_same_training, killed, log

QUICK = ["DEVICE", "cpu", "TRAIN.NUM_WORKERS", "0", "TRAIN.MIXED_PRECISION", "False", "TENSORBOARD.ENABLE", "False"]
MEASURES = {
    "epic_55": {f"{head}_{kind}" for head in ("verb", "noun") for kind in ("top1", "top5", "mean_class")}
    | {"action_top1", "action_top5"},
    "charades": {"mAP"},
    "kinetics": {"top1", "top5", "mean_class"},
}


@pytest.fixture
def make(clip_cfg, tmp_path):
    """A function that makes a trainer on a layout, whose results go to a named folder."""

    def make(layout, output, *overrides):
        return Trainer(clip_cfg(layout, "OUTPUT_DIR", tmp_path / output, *overrides))

    return make


@pytest.mark.parametrize("layout", MEASURES)
def test_what_is_learned_is_judged_logged_and_kept_with_its_classes(layout, trained):
    path = trained(layout)
    records = log(path.parents[1])
    (judged,) = (record for record in records if record["kind"] == "eval")
    assert MEASURES[layout] == judged.keys() - {"kind", "step", "epoch"}
    assert all(0 <= judged[name] <= 100 for name in MEASURES[layout])
    (epoch,) = (record for record in records if record["kind"] == "epoch")
    assert epoch["loss"] > 0 and epoch["failed"] == 0
    assert (path.parents[1] / "predictions_val.csv").is_file() and (path.parent / "best.pyth").is_file()
    heads = load_checkpoint(path)["heads"]
    assert [head["name"] for head in heads] == (["verb", "noun"] if layout == "epic_55" else ["action"])
    assert [head["multi_label"] for head in heads] == ([True] if layout == "charades" else [False] * len(heads))
    state = load_checkpoint(path)["model_state"]
    for head in heads:
        layer = f"head.projection_{head['name']}" if len(heads) > 1 else "head.projection"
        assert len(state[f"{layer}.bias"]) == len(head["classes"])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_model_has_the_heads_of_the_dataset_and_learns_from_all_clips(layout, clip_cfg, tmp_path):
    cfg = clip_cfg(layout, "MODEL.NUM_CLASSES", 7, "OUTPUT_DIR", tmp_path)
    task = ClassificationTask(cfg)
    loader = task.prepare(None)
    (batch, *_) = loader.epoch(0)
    heads = task.folder.heads
    classes = sum(len(head.classes) for head in heads)
    assert (cfg.MODEL.NUM_CLASSES, batch.labels.shape[1]) == (classes, classes)
    spaces = ["verb", "noun"] if layout.startswith("epic") else []
    assert spaces == cfg.MODEL.LABEL_SPACES
    several = layout.startswith("charades") or layout == "imported"
    activation = "sigmoid" if several else "softmax"
    assert activation == cfg.MODEL.HEAD_ACT
    model = build_model(cfg)
    loss = task.criterion()(model(batch.slow, batch.fast, batch.audio, None, batch.audio_present), batch.labels)
    assert loss.isfinite() and loss > 0
    assert len(loader) == len(task.folder.clips("train")) == len(loader.samples)


def test_more_classes_balance_by_the_labels_of_the_training_clips(clip_cfg, tmp_path):
    cfg = clip_cfg("kinetics", "MODEL.CLASS_BALANCE", "effective_number", "OUTPUT_DIR", tmp_path)
    task = ClassificationTask(cfg)
    task.prepare(None)
    weights = task.criterion().losses["action"].class_weights
    names = [name for head in task.folder.heads for name in head.classes]
    assert weights[names.index("clapping")] > weights[names.index("playing drums")]  # one clip, and two


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_same_seed_gives_the_same_weights_whoever_loads(workers, make, trained):
    assert_same_training(make("kinetics", "again", "TRAIN.NUM_WORKERS", workers).run(), trained("kinetics"))


@pytest.mark.parametrize("step", [0, 2])
def test_training_that_was_killed_goes_on_to_the_same_weights(step, make, trained, monkeypatch):
    overrides = ["TRAIN.CHECKPOINT_STEPS", "1", "TRAIN.EVAL_PERIOD", "1"]
    with killed(monkeypatch, lambda trainer: trainer.step == step):
        make("kinetics", "run", *overrides).run()
    torch.rand(7)
    trainer = make("kinetics", "run", *overrides)
    assert trainer.step == step
    assert_same_training(trainer.run(), trained("kinetics"))


def test_a_nan_stops_with_the_module_and_the_clip(make):
    trainer = make("hmdb51", "run")
    name = "backbone.s3.pathway0_res0.branch2.a"
    trainer.model.get_submodule(name).register_forward_hook(lambda module, inputs, output: output * math.nan)
    with pytest.raises(UserError, match=rf"epoch 1, step 1: loss nan.*module {name} for clip \w+/\w+_of_.*\.avi at "):
        trainer.run()


def test_going_on_with_other_classes_is_refused_and_the_first_that_differs_is_named(make, trained, labelled, tmp_path):
    shutil.copytree(trained("hmdb51").parent, tmp_path / "run" / "checkpoints")
    root = shutil.copytree(labelled("hmdb51"), tmp_path / "other", symlinks=True)
    for path in root.glob("*/wave_test_split*.txt"):
        path.rename(path.with_name(path.name.replace("wave", "yawn")))
    (root / "wave").rename(root / "yawn")
    with pytest.raises(UserError, match=r"class 1 of action is 'wave' there and 'yawn' in it"):
        make("hmdb51", "run", "DATA.ROOT", root)


@pytest.mark.parametrize(("share", "clips"), [(0.4, 2), (0.5, 2), (0.6, 3)])
def test_a_share_of_the_labels_is_learned_from(share, clips, make):
    trainer = make("kinetics", "run", "DATA.TRAIN_SHARE", share)  # two clips of one class and one of the other
    assert len(trainer.loader.samples) == clips


@pytest.mark.parametrize("share", ["0.0", "-0.1", "1.5"])
def test_another_share_is_refused(share, make):
    with pytest.raises(UserError, match=r"DATA.TRAIN_SHARE: got .*, expected a number above 0 and up to 1"):
        make("kinetics", "run", "DATA.TRAIN_SHARE", share)


def test_a_detector_starts_from_a_model_of_whole_clips_by_one_flag(trained, scenes, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    start = trained("kinetics")
    words = ["DATA.ROOT", scenes, "OUTPUT_DIR", tmp_path, "TRAIN.CHECKPOINT_FILE_PATH", start, *QUICK]
    trainer = Trainer(load_cfg("custom", list(map(str, words))))
    assert trainer.cfg.RESNET.SPATIAL_STRIDES == [1, 2, 2, 1] and trainer.cfg.RESNET.SPATIAL_DILATIONS == [1, 1, 1, 2]
    assert trainer.cfg.RESNET.DEPTH == 18 and trainer.cfg.DATA.NUM_FRAMES == 4
    theirs, ours = load_checkpoint(start)["model_state"], trainer.model.state_dict()
    backbone = [name for name in ours if not name.startswith("head.")]
    assert {name for name in theirs if not name.startswith("head.")} == set(backbone)
    assert all(torch.equal(ours[name], theirs[name]) for name in backbone)
    said = f"{len(backbone)} tensors loaded, 2 of another shape; 3 classes in the weights, 14 in the model: "
    assert f"{said}head.projection starts as initialised" in caplog.text


def test_a_model_of_whole_clips_starts_from_a_detector(weights, labelled, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    words = ["DATA.ROOT", labelled("epic_100"), "OUTPUT_DIR", tmp_path, "TRAIN.CHECKPOINT_FILE_PATH", weights, *QUICK]
    trainer = Trainer(load_cfg("classify", list(map(str, words))))
    assert trainer.cfg.RESNET.SPATIAL_STRIDES == [1, 2, 2, 2] and trainer.cfg.RESNET.WIDTH_PER_GROUP == 8
    theirs, ours = load_checkpoint(weights)["model_state"], trainer.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours if not name.startswith("head."))
    assert f"the network and its clips are those of {weights}" in caplog.text
    assert "recipe: MODEL.FREEZE_AT 3: from weights, 1 clips" in caplog.text


def test_the_size_of_a_run_follows_from_the_clips_that_are_learned_from(trained, labelled, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    start = trained("kinetics")
    words = ["DATA.ROOT", labelled("kinetics"), "OUTPUT_DIR", tmp_path, "TRAIN.CHECKPOINT_FILE_PATH", start, *QUICK]
    words += ["DATA.TRAIN_SHARE", "0.5", "SOLVER.MAX_EPOCH", "1", "TRAIN.EVAL_PERIOD", "0"]
    trainer = Trainer(load_cfg("classify", list(map(str, words))))
    assert trainer.cfg.TRAIN.BATCH_SIZE == 2 and "recipe: TRAIN.BATCH_SIZE 2: 2 clips" in caplog.text
    assert trainer.cfg.TRAIN.AUTO_KEYS == []
    path = trainer.run()
    on = Trainer(load_cfg("classify", [*map(str, words), "SOLVER.MAX_EPOCH", "2"]))
    assert on.epoch == 1 and "keys as the run that goes on has them" in caplog.text
    assert on.cfg.SOLVER.BASE_LR == checkpoint_cfg(load_checkpoint(path), path).SOLVER.BASE_LR == 0.0005


@pytest.mark.parametrize(
    ("layout", "split", "expected"),
    [("ucf101", "val", False), ("hmdb51", "test", False), ("ucf101", "train", True), ("kinetics", "val", True)],
)
def test_selects_best_is_false_where_the_split_is_the_test_list(clip_cfg, layout, split, expected):
    assert ClassificationTask(clip_cfg(layout, "DATA.EVAL_SPLIT", split)).selects_best is expected


def test_training_on_one_fold_keeps_no_best_weights(clip_cfg, tmp_path, caplog):
    caplog.set_level("INFO")
    weights = Trainer(clip_cfg("ucf101", "OUTPUT_DIR", tmp_path, "TRAIN.EVAL_PERIOD", 1)).run()
    assert [path.name for path in weights.parent.iterdir()] == ["checkpoint_epoch_00001.pyth"]
    assert "DATA.EVAL_SPLIT val is the test list" in caplog.text
    assert [record["kind"] for record in log(tmp_path)].count("eval") == 1
