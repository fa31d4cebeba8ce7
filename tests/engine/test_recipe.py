import logging
import shutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ava_eval.label_map import LabelMap
from avsf_det.config import load_cfg
from avsf_det.engine.checkpoint_config import checkpoint_cfg
from avsf_det.engine.evaluate import evaluate_weights
from avsf_det.engine.recipe import SIZED, size_recipe
from avsf_det.engine.train import Trainer
from avsf_det.errors import UserError
from avsf_det.models.checkpoint import load_checkpoint

QUICK = ["DEVICE", "cpu", "TRAIN.NUM_WORKERS", "0", "TRAIN.MIXED_PRECISION", "False", "TENSORBOARD.ENABLE", "False"]


@pytest.fixture
def custom(scenes, weights, tmp_path):
    """A function that makes the configuration of a run on a dataset, from the weights of a small model."""

    def make(*overrides, root=scenes, start=weights):
        words = ["DATA.ROOT", root, "OUTPUT_DIR", tmp_path / "run", "TRAIN.CHECKPOINT_FILE_PATH", start]
        return load_cfg("custom", [*map(str, words), *QUICK, *overrides])

    return make


@given(
    keyframes=st.integers(0, 10**6),
    counts=st.lists(st.integers(0, 10**6), max_size=5),
    pretrained=st.booleans(),
    share=st.integers(1, 8),
)
def test_whatever_the_size_the_values_can_be_used(keyframes, counts, pretrained, share):
    recipe = {key: value for key, (value, why) in size_recipe(keyframes, counts, pretrained, share).items()}
    assert recipe["TRAIN.BATCH_SIZE"] % share == 0 < recipe["TRAIN.BATCH_SIZE"] < 16 + share
    assert 4 <= recipe["SOLVER.MAX_EPOCH"] <= 60 and 0 < recipe["SOLVER.BASE_LR"] < 0.01
    assert 0 <= recipe["MODEL.FREEZE_AT"] <= 3 * pretrained
    assert recipe["MODEL.CLASS_BALANCE"] in ("none", "effective_number")


def test_less_to_learn_from_means_fewer_clips_a_step_more_epochs_and_more_frozen_stages():
    small, middle, large = (size_recipe(size, [size, size], pretrained=True) for size in (150, 5_000, 50_000))
    of = {key: [one[key][0] for one in (small, middle, large)] for key in small}
    assert of["TRAIN.BATCH_SIZE"] == [4, 16, 16] and of["SOLVER.MAX_EPOCH"] == [20, 4, 4]
    assert of["MODEL.FREEZE_AT"] == [3, 2, 0]
    scratch = size_recipe(150, [10, 500], pretrained=False)
    assert scratch["MODEL.FREEZE_AT"][0] == 0 and scratch["SOLVER.MAX_EPOCH"][0] == 60
    assert scratch["MODEL.CLASS_BALANCE"][0] == "effective_number"


def test_the_network_is_that_of_the_weights_and_what_is_set_stays(custom, weights, caplog):
    caplog.set_level(logging.INFO)
    cfg = Trainer(custom("SOLVER.MAX_EPOCH", "3", "DATA.TEST_CROP_SIZE", "40", "MODEL.FREEZE_AT", "1")).cfg
    theirs = checkpoint_cfg(load_checkpoint(weights), weights)
    assert cfg.RESNET == theirs.RESNET and cfg.SLOWFAST.ALPHA == theirs.SLOWFAST.ALPHA
    assert (cfg.DATA.NUM_FRAMES, cfg.DATA.AUDIO_MEL_NUM) == (theirs.DATA.NUM_FRAMES, theirs.DATA.AUDIO_MEL_NUM)
    assert (cfg.SOLVER.MAX_EPOCH, cfg.DATA.TEST_CROP_SIZE, cfg.MODEL.FREEZE_AT) == (3, 40, 1)
    assert cfg.SOLVER.WARMUP_EPOCHS == 0.3 and cfg.SOLVER.BASE_BATCH_SIZE == cfg.TRAIN.BATCH_SIZE == 4
    assert cfg.TRAIN.AUTO_KEYS == []
    assert "recipe: TRAIN.BATCH_SIZE 4: 9 keyframes" in caplog.text and "SOLVER.MAX_EPOCH" not in caplog.text
    assert f"the network and its clips are those of {weights}" in caplog.text and "from scratch" not in caplog.text


def test_a_yaml_of_ones_own_goes_over_the_recipe(tmp_path):
    (tmp_path / "mine.yaml").write_text("_BASE_: custom.yaml\nSOLVER: {MAX_EPOCH: 7}\n")
    shutil.copy("configs/custom.yaml", tmp_path)
    for folder in ("kinetics", "common"):
        shutil.copytree(f"configs/{folder}", tmp_path / folder)
    cfg = load_cfg(tmp_path / "mine.yaml", ["TRAIN.BATCH_SIZE", "2"])
    assert set(SIZED) - set(cfg.TRAIN.AUTO_KEYS) == {"SOLVER.MAX_EPOCH", "TRAIN.BATCH_SIZE"}
    assert "RESNET.DEPTH" in cfg.TRAIN.AUTO_KEYS and "RESNET" not in cfg.TRAIN.AUTO_KEYS


def test_resumed_run_keeps_its_recipe_and_refuses_a_dataset_that_grew(custom, scenes, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    root = shutil.copytree(scenes, tmp_path / "mine")
    small = custom("SOLVER.MAX_EPOCH", "1", root=root)
    first = Trainer(small)
    first.run()
    csv = root / "annotations" / "train.csv"
    rows = [line.split(",", 2) for line in csv.read_text().splitlines()]
    more = [f"{video},{float(time) + k / 50},{rest}\n" for k in range(1, 40) for video, time, rest in rows]
    before = csv.read_text()
    csv.write_text(before + "".join(more))
    with pytest.raises(UserError, match=r"learned from other data: 9 samples.*360 samples"):
        Trainer(custom("SOLVER.MAX_EPOCH", "2", root=root))
    csv.write_text(before)
    on = Trainer(custom("SOLVER.MAX_EPOCH", "2", root=root)).cfg
    assert on.TRAIN.BATCH_SIZE == first.cfg.TRAIN.BATCH_SIZE and on.RESNET == first.cfg.RESNET
    assert "keys as the run that goes on has them" in caplog.text
    saved = checkpoint_cfg(load_checkpoint(first.checkpoints.newest()), "newest")
    assert saved.TRAIN.AUTO_KEYS == [] and saved.MODEL.FREEZE_AT == 3 == on.MODEL.FREEZE_AT


def test_from_scratch_is_said(custom, tiny, caplog):
    keys = [
        word
        for key, value in zip(tiny[::2], tiny[1::2])
        if key.startswith(("RESNET", "SLOWFAST", "DATA"))
        for word in (key, value)
    ]
    cfg = Trainer(custom(*keys, start="")).cfg
    assert cfg.MODEL.FREEZE_AT == 0 and cfg.SOLVER.MAX_EPOCH == 60
    assert "training from scratch on 9 keyframes" in caplog.text and "100000 or more, so expect little" in caplog.text


def test_random_weights_are_not_frozen(tiny, tmp_path):
    with pytest.raises(UserError, match=r"MODEL.FREEZE_AT 2 would keep random weights"):
        Trainer(load_cfg(None, [*tiny, "OUTPUT_DIR", str(tmp_path), "MODEL.FREEZE_AT", "2"]))


@pytest.mark.parametrize("classes", [1, 500])
def test_classes_names_and_groups_come_from_the_label_map_alone(classes, custom, scenes, tmp_path):
    root = shutil.copytree(scenes, tmp_path / "mine")
    label_map = LabelMap.from_dict({1 + 3 * i: f"action {i}" for i in range(classes)})
    (root / "annotations" / "label_map.pbtxt").write_text(label_map.to_pbtxt())
    trainer = Trainer(custom("SOLVER.MAX_EPOCH", "1", root=root))
    path = trainer.run()
    checkpoint = load_checkpoint(path)
    assert checkpoint["model_state"]["head.projection.weight"].shape[0] == classes
    assert all(torch.isfinite(tensor).all() for tensor in checkpoint["model_state"].values())
    result = evaluate_weights(path, ["DATA.ROOT", str(root)])
    assert list(result.evaluation.ap) == list(label_map.names)


@pytest.mark.parametrize("given", [True, False])
def test_whose_boxes_were_evaluated_is_said(given, custom, scenes, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    root = shutil.copytree(scenes, tmp_path / "mine")
    if not given:
        (root / "annotations" / "val_person_boxes.csv").unlink()
    path = Trainer(custom("SOLVER.MAX_EPOCH", "1", root=root)).run()
    expected = "val_person_boxes.csv" if given else "boxes of the ground truth"
    assert expected in evaluate_weights(path, ["DATA.ROOT", str(root)]).persons and expected in caplog.text
