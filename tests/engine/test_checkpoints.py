import pytest
import torch

from avsf_det.config import load_cfg
from avsf_det.engine.checkpoints import CheckpointFolder, check_same_course
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


@pytest.mark.parametrize("key", ["TRAIN.BATCH_SIZE", "TRAIN.ACCUMULATION_STEPS"])
def test_a_run_goes_on_only_as_it_began(tmp_path, key):
    before, now = load_cfg(), load_cfg(None, [key, "3"])
    check_same_course(tmp_path, before, load_cfg(None, ["SOLVER.MAX_EPOCH", "99", "TRAIN.NUM_WORKERS", "7"]))
    with pytest.raises(UserError, match=f"{key} was .*, is now 3; choose another OUTPUT_DIR"):
        check_same_course(tmp_path, before, now)
