import colorsys
import math
import shutil

import numpy as np
import pytest
import torch

from avsf_det.cli import main
from avsf_det.config import load_cfg
from avsf_det.engine.checkpoints import transferable
from avsf_det.engine.train import Trainer
from avsf_det.errors import UserError
from avsf_det.media.writer import VideoWriter
from avsf_det.models.checkpoint import load_checkpoint
from avsf_det.models.importers import OURS, Weights
from avsf_det.models.load_report import part_of
from tests.data.classification.layouts import link, ucf101
from tests.engine.training import assert_same_training, killed, log
from tests.processes import command_in_two

AVS = {"SLOWFAST.AVS_FLAG": [False, False, True, True, True]}
SSL = {"TASK": "ssl", "DETECTION.ENABLE": False, "TRAIN.DATASET": "unlabelled", "TRAIN.BATCH_SIZE": 2} | AVS
SIZE, FPS, RATE = 48, 10, 16000


def words(pairs):
    return [str(word) for pair in pairs.items() for word in pair]


@pytest.fixture(scope="module")
def films(scenes, tmp_path_factory):
    """Four videos without labels to learn from, two steps an epoch, and two to look at."""
    root = tmp_path_factory.mktemp("films")
    link(
        root, sorted((scenes / "videos").iterdir()), ["a.mp4", "b/c.mp4", "b/d.mp4", "e.mp4", "val/f.mp4", "val/g.mp4"]
    )
    return root


@pytest.fixture(scope="module")
def quiet(tiny):
    return [*tiny, "TENSORBOARD.ENABLE", "False"]


@pytest.fixture
def make(quiet, films, tmp_path):
    """A function that makes a trainer without labels, whose results go to a named folder."""

    def make(output, **changes):
        pairs = {"DATA.ROOT": films, "OUTPUT_DIR": tmp_path / output} | SSL
        return Trainer(load_cfg(None, [*quiet, *words(pairs | changes.pop("keys", {}))]))

    return make


@pytest.fixture(scope="module")
def pretrained(quiet, films, tmp_path_factory):
    """A checkpoint after two epochs, each followed by a look at the two other videos."""
    pairs = {"DATA.ROOT": films, "OUTPUT_DIR": tmp_path_factory.mktemp("pretrained"), "TRAIN.EVAL_PERIOD": 1} | SSL
    return Trainer(load_cfg(None, [*quiet, *words(pairs)])).run()


def tensors(path):
    return load_checkpoint(path)["model_state"]


def test_it_tells_of_each_epoch_what_was_learned_and_keeps_the_best(pretrained):
    records = log(pretrained.parents[1])
    epochs = [record for record in records if record["kind"] == "epoch"]
    assert len(epochs) == 2 and all(0 < record["avs_loss"] < record["loss"] for record in epochs)
    judged = [record for record in records if record["kind"] == "eval"]
    shares = [f"{way}_top{k}" for way in ("picture_to_sound", "sound_to_picture") for k in (1, 5)]
    for record in judged:
        assert record["heard_clips"] == 2 and {record["rotation_top1"], record["synchrony"]} <= {0.0, 50.0, 100.0}
        assert record["retrieval"] == pytest.approx(np.mean([record[name] for name in shares]))
    best = load_checkpoint(pretrained.parent / "best.pyth")["epoch"]
    assert judged[best]["retrieval"] == max(record["retrieval"] for record in judged)


@pytest.mark.parametrize("step", range(4))
def test_killed_at_any_step_it_goes_on_to_the_same_weights(make, pretrained, monkeypatch, step):
    keys = {"TRAIN.CHECKPOINT_STEPS": 1, "TRAIN.EVAL_PERIOD": 1}
    with killed(monkeypatch, lambda trainer: trainer.step == step):
        make("run", keys=keys).run()
    torch.rand(7)
    trainer = make("run", keys=keys)
    assert trainer.step == step
    assert_same_training(trainer.run(), pretrained)


def test_two_processes_learn_the_same_with_weights_shared_out_or_not(quiet, films, tmp_path):
    found = []
    for sharded in ("False", "True"):
        pairs = {**SSL, "DATA.ROOT": films, "OUTPUT_DIR": tmp_path / sharded, "TRAIN.EVAL_PERIOD": 2}
        keys = {"SOLVER.OPTIMIZING_METHOD": "sgd", "TRAIN.SHARDED": sharded}
        command_in_two("pretrain", *quiet, *words(pairs | keys))
        found.append(tensors(tmp_path / sharded / "checkpoints" / "checkpoint_epoch_00002.pyth"))
        (judged,) = [record for record in log(tmp_path / sharded) if record["kind"] == "eval"]
        assert judged["heard_clips"] == 2
    for name, tensor in found[0].items():
        torch.testing.assert_close(found[1][name], tensor, rtol=1e-2, atol=1e-3)


def test_without_a_split_to_look_at_it_learns_all_the_same(make, scenes, tmp_path, caplog):
    link(tmp_path / "all", sorted((scenes / "videos").iterdir()), ["a.mp4", "b.mp4"])
    make("run", keys={"DATA.ROOT": tmp_path / "all", "TRAIN.EVAL_PERIOD": 1, "SOLVER.MAX_EPOCH": 1}).run()
    assert "what is learned is not judged while training" in caplog.text and "no videos of the split" in caplog.text
    assert [record["kind"] for record in log(tmp_path / "run")] == ["epoch"]


def write_film(path, halves, sound=True):
    """Two seconds of a colour and a tone, then two of another one; `halves` are numbers from 0 to 1."""
    seconds = np.arange(2 * RATE) / RATE
    tones = [0.5 * np.sin(2 * np.pi * (200 * 2 ** (5 * half)) * seconds) for half in halves]
    waveform = (np.concatenate(tones).astype(np.float32), RATE) if sound else None
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, SIZE, SIZE, FPS, sound=waveform) as writer:
        for n in range(4 * FPS):
            colour = colorsys.hsv_to_rgb(0.8 * halves[n // (2 * FPS)], 1, 1)
            writer.write(np.full((SIZE, SIZE, 3), 255 * np.array(colour), np.uint8), n / FPS)


def write_films(root, *sounds):
    """Films with sound or without, and one without to look at."""
    for number, sound in enumerate(sounds):
        write_film(root / f"{number}.mp4", (0.1, 0.9), sound)
    write_film(root / "val" / "mute.mp4", (0.1, 0.9), sound=False)


def test_of_videos_without_sound_the_turns_alone_are_learned(make, tmp_path, caplog):
    write_films(tmp_path / "films", False, False)
    make("run", keys={"DATA.ROOT": tmp_path / "films", "TRAIN.EVAL_PERIOD": 1}).run()
    for record in log(tmp_path / "run"):
        if record["kind"] == "epoch":
            assert record["avs_loss"] == 0 and record["loss"] > 0
        else:
            assert record["heard_clips"] == 0 and math.isnan(record["retrieval"])
    assert "no clip of val is heard, so that none is sought" in caplog.text


def test_the_one_video_that_has_sound_is_learned_from(make, tmp_path):
    write_films(tmp_path / "films", False, False, True, False)
    keys = {"DATA.ROOT": tmp_path / "films", "PRETRAIN.ROTATION": False, "SOLVER.MAX_EPOCH": 1}
    trainer = make("run", keys=keys | {"DATA.MIX_NEG_EPOCH": 0, "DATA.EASY_NEG_RATIO": 0.0})
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    after = tensors(trainer.run())
    assert all(tensor.isfinite().all() for tensor in after.values())
    assert not torch.equal(after["s1.pathway2_stem.conv_t.weight"], before["s1.pathway2_stem.conv_t.weight"])
    assert torch.equal(after["head.projection.bias"], before["head.projection.bias"])


def test_sounds_and_pictures_that_belong_together_come_to_find_each_other(make, tmp_path):
    halves = [(i / 5, (i + 2) % 6 / 5) for i in range(6)]
    for number, both in enumerate(halves):
        for name in (f"{number}.mp4", f"val/{number}.mp4"):
            write_film(tmp_path / "films" / name, both)
    keys = {"DATA.ROOT": tmp_path / "films", "PRETRAIN.ROTATION": False, "SLOWFAST.AVS_LOSS": "infonce"}
    keys |= {"TRAIN.BATCH_SIZE": 6, "DATA.MIX_NEG_EPOCH": 0, "DATA.EASY_NEG_RATIO": 0.0, "SOLVER.BASE_LR": 0.003}
    make("run", keys=keys | {"SOLVER.MAX_EPOCH": 40, "TRAIN.EVAL_PERIOD": 40, "TRAIN.CHECKPOINT_PERIOD": 40}).run()
    (judged,) = [record for record in log(tmp_path / "run") if record["kind"] == "eval"]
    assert judged["heard_clips"] == 6
    assert judged["synchrony"] > 80  # 50 by chance, and the others 17
    assert judged["picture_to_sound_top1"] >= 50 and judged["sound_to_picture_top1"] >= 50


def test_only_turns_can_be_learned(make, tmp_path):
    make("run", keys={"MODEL.MODEL_NAME": "SlowFast", "TRAIN.EVAL_PERIOD": 2}).run()
    (judged,) = [record for record in log(tmp_path / "run") if record["kind"] == "eval"]
    assert judged.keys() == {"kind", "step", "epoch", "rotation_top1"}


def test_a_nan_is_told_with_its_module_and_clip(make):
    trainer = make("run", keys={})
    module = trainer.model.get_submodule("backbone.s3.pathway1_res0.branch2")
    module.register_forward_hook(lambda module, inputs, output: output * math.nan)
    with pytest.raises(UserError, match=r"epoch 1, step 1: loss nan, .* module backbone.s3.pathway1_res0.* for clip"):
        trainer.run()


@pytest.fixture(scope="module")
def labelled(scenes, tmp_path_factory):
    """A dataset of two classes in the layout of UCF101."""
    root = tmp_path_factory.mktemp("ucf101")
    ucf101(root, sorted((scenes / "videos").iterdir()))
    return root


@pytest.fixture
def teach(quiet, labelled, pretrained, tmp_path):
    """A function that makes a trainer on labelled clips, which starts from what was learned without labels."""

    def teach(**keys):
        pairs = {"DATA.ROOT": labelled, "OUTPUT_DIR": tmp_path / "taught", "DETECTION.ENABLE": False}
        pairs |= {"TRAIN.CHECKPOINT_FILE_PATH": pretrained, "TRAIN.BATCH_SIZE": 2} | keys.pop("keys", {})
        return Trainer(load_cfg(None, [*quiet, *words(pairs)]))

    return teach


def test_fine_tuning_starts_from_every_tensor_but_the_last_layer(teach, pretrained):
    state, before = teach().model.state_dict(), tensors(pretrained)
    backbone = [name for name in state if not name.startswith("head.")]
    assert backbone and all(torch.equal(state[name], before[name]) for name in backbone)
    assert {part_of(name) for name in before.keys() - state.keys()} == {"synchronisation"}


def test_a_last_layer_that_told_turns_is_not_taken_for_one_of_four_classes():
    state = {"s1.pathway0_stem.conv.weight": torch.ones(1), "head.projection.bias": torch.ones(4)}
    assert transferable(Weights(OURS, state, {"heads": []})).keys() == {"s1.pathway0_stem.conv.weight"}
    for about in ({}, {"heads": [{"name": "action", "classes": list("abcd"), "multi_label": False}]}):
        assert transferable(Weights(OURS, state, about)) is state


def test_a_linear_probe_changes_the_last_layer_alone_and_sees_what_testing_sees(teach):
    trainer = teach(keys={"MODEL.DETACH_FINAL_FC": True, "BN.USE_PRECISE_STATS": True, "SOLVER.BASE_LR": 0.1})
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    (batch, *_), model = trainer.loader.epoch(0), trainer.model
    inputs = batch.slow, batch.fast, batch.audio, torch.arange(len(batch)) > 0
    in_training, in_testing = (model.train(mode).backbone(*inputs) for mode in (True, False))
    assert all(torch.equal(*both) for both in zip(in_training, in_testing))
    after = tensors(trainer.run())
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed == {"head.projection.weight", "head.projection.bias"}


def test_a_probe_of_nothing_learned_is_warned_of(teach, caplog):
    teach(keys={"MODEL.DETACH_FINAL_FC": True, "TRAIN.CHECKPOINT_FILE_PATH": ""})
    assert "features are random" in caplog.text


@pytest.mark.parametrize("command", ["classify", "detect", "eval"])
def test_what_knows_no_classes_is_refused_in_one_line(pretrained, video, tmp_path, capsys, command):
    place = [] if command == "eval" else [str(video), "--output", str(tmp_path / "out")]
    assert main([command, *place, "--weights", str(pretrained)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "learned without labels, so that it knows no classes yet; teach it some by `avsf-det train`" in line


def test_another_task_in_the_same_folder_is_refused(teach, pretrained, tmp_path):
    shutil.copytree(pretrained.parent, tmp_path / "taught" / "checkpoints")
    with pytest.raises(UserError, match=r"TASK was 'ssl', is now ''.*choose another OUTPUT_DIR"):
        teach()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"SLOWFAST.AVS_FLAG": [False] * 5, "PRETRAIN.ROTATION": False}, "nothing is learned without labels here"),
        ({"MODEL.MODEL_NAME": "SlowFast", "PRETRAIN.ROTATION": False}, "nothing is learned without labels here"),
        ({"DATA.TRAIN_CROP_SIZE": 0}, "turned clips have to be squares; set DATA.TRAIN_CROP_SIZE"),
        ({"PRETRAIN.RETRIEVAL_CLIPS": 0}, "PRETRAIN.RETRIEVAL_CLIPS: got 0, expected 1 or more"),
        ({"CLIPS.ROOT": "clips"}, "CLIPS.ROOT is of a detector's second head"),
        ({"MODEL.DETACH_FINAL_FC": True}, r"leaves synchronisation nothing to learn; set SLOWFAST.AVS_FLAG to \[False"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_learned_is_refused(make, keys, message):
    with pytest.raises(UserError, match=message) as error:
        make("run", keys=keys)
    assert "\n" not in str(error.value)
