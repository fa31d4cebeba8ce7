import pytest
import torch

from avsf_det.config import load_cfg
from avsf_det.engine.checkpoints import CheckpointFolder, check_resume_compatible, check_same_content
from avsf_det.errors import UserError


def checkpoint(number):
    return {"model_state": {"weight": torch.tensor([float(number)])}}


def names(folder):
    return sorted(path.name for path in folder.folder.iterdir())


def test_the_newest_is_told_by_epoch_and_step(tmp_path):
    folder = CheckpointFolder(tmp_path)
    assert folder.newest() is None and folder.load_newest() is None
    folder.save(checkpoint(1), epochs=1)
    assert folder.newest().name == "checkpoint_epoch_00001.pyth"
    folder.save(checkpoint(2), epochs=1, steps=5)
    folder.save(checkpoint(3), epochs=1, steps=12)
    path, found = folder.load_newest()
    assert path.name == "checkpoint_epoch_00002_step_000012.pyth" and found["model_state"]["weight"] == 3
    assert names(folder) == ["checkpoint_epoch_00001.pyth", path.name]
    folder.save(checkpoint(4), epochs=2)
    assert names(folder) == ["checkpoint_epoch_00001.pyth", "checkpoint_epoch_00002.pyth"]


@pytest.mark.parametrize(("keep", "left"), [(0, [1, 2, 3, 4]), (1, [4]), (2, [3, 4])])
def test_of_epochs_as_many_stay_as_asked_for_and_the_best_always(tmp_path, keep, left):
    folder = CheckpointFolder(tmp_path, keep)
    folder.folder.mkdir()
    folder.best.touch()
    for epoch in range(1, 5):
        folder.save(checkpoint(epoch), epoch)
        folder.save(checkpoint(epoch), epoch, steps=3)
        assert f"checkpoint_epoch_{epoch:05d}.pyth" in names(folder)
    folder.save(checkpoint(0), 4, steps=4)
    assert names(folder)[1:-1] == [f"checkpoint_epoch_{epoch:05d}.pyth" for epoch in left]
    assert names(folder)[0] == "best.pyth" and names(folder)[-1] == "checkpoint_epoch_00005_step_000004.pyth"


def test_what_cannot_be_read_is_passed_over_and_named(tmp_path, caplog):
    folder = CheckpointFolder(tmp_path)
    folder.save(checkpoint(1), 1)
    folder.save(checkpoint(2), 2).write_bytes(b"cut off")
    path, _ = folder.load_newest()
    assert path.name == "checkpoint_epoch_00001.pyth" and "checkpoint_epoch_00002.pyth" in caplog.text
    path.write_bytes(b"")
    with pytest.raises(UserError, match=r"none of the 2 checkpoints in .* can be read; begin anew with TRAIN.AUTO_RES"):
        folder.load_newest()


STATE = dict.fromkeys(("epoch", "epoch_step", "optimizer_state", "scaler_state", "processes"), 0)
CONTENT = {"samples": 3, "sha256": "abc"}


def check(path, overrides, state=STATE):
    check_resume_compatible(state, path, load_cfg(), load_cfg(None, overrides))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("TRAIN.BATCH_SIZE", "3"),
        ("TRAIN.ACCUMULATION_STEPS", "3"),
        ("RNG_SEED", "3"),
        ("SOLVER.OPTIMIZING_METHOD", "adamw"),
        ("RESNET.SPATIAL_DILATIONS", "[1, 1, 1, 4]"),
        ("SLOWFAST.ALPHA", "4"),
        ("DETECTION.ALIGNED", "False"),
        ("DATA.CLIPS_PER_READ", "2"),
    ],
)
def test_check_resume_compatible_with_a_fixed_key_changed_raises(tmp_path, key, value):
    with pytest.raises(UserError, match=f"{key} was .*, is now .*; a run cannot resume with that"):
        check(tmp_path, [key, value])


def test_check_resume_compatible_logs_the_keys_that_changed(tmp_path, caplog):
    caplog.set_level("INFO")
    check(tmp_path, ["OUTPUT_DIR", "elsewhere"])
    assert not caplog.text
    check(tmp_path, ["SOLVER.BASE_LR", "0.05", "SLOWFAST.AVS_WEIGHT", "2.0", "MODEL.FREEZE_AT", "1"])
    told = "MODEL.FREEZE_AT 0 -> 1, SLOWFAST.AVS_WEIGHT 1.0 -> 2.0, SOLVER.BASE_LR 0.1 -> 0.05"
    assert f"resuming with changed keys: {told}\n" in caplog.text


def test_check_same_content_with_other_samples_raises(tmp_path):
    with pytest.raises(UserError, match="learned from other data: 3 samples, sha256 abc then, 2 samples"):
        check_same_content({"content": CONTENT}, tmp_path, {"samples": 2, "sha256": "abc"}, "/data")
    check_same_content({"content": CONTENT}, tmp_path, dict(CONTENT), "/data")
    check_same_content({}, tmp_path, CONTENT, "/data")  # written before samples were recorded


def test_check_resume_compatible_without_training_state_raises(tmp_path):
    with pytest.raises(UserError, match="holds no optimizer_state, so that training cannot resume"):
        check(tmp_path, [], state={"epoch": 0, "epoch_step": 0})
