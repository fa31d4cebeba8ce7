import json

import numpy as np
import pytest

from avsf_det.engine.log import TrainingLog, read_log

STEP = {"loss": 2.0, "lr": 0.1, "grad_norm": 1.0, "data_seconds": 1.0, "compute_seconds": 3.0, "clips": 4, "failed": 0}
SKIPPED = {"data_seconds": 1.0, "compute_seconds": 1.0, "clips": 3, "failed": 1}


def test_means_are_over_steps_that_learned_and_counts_over_all(tmp_path):
    log = TrainingLog(tmp_path, steps_per_epoch=4, period=2, tensorboard=False)
    log.add(1, STEP)
    log.add(2, SKIPPED)
    log.add(3, {**STEP, "loss": 4.0})
    assert log.failed_of() == (1, 12)
    log.record("epoch", 3)
    assert log.failed_of() == (0, 0)
    first, epoch = read_log(tmp_path / "log.jsonl")
    assert (first["kind"], first["step"], first["epoch"]) == ("train", 2, 0.5)
    assert (first["loss"], first["compute_seconds"], first["failed"], first["skipped"]) == (2.0, 2.0, 1, 1)
    assert (epoch["kind"], epoch["loss"], epoch["skipped"]) == ("epoch", 3.0, 1)


def test_a_log_goes_on_where_the_checkpoint_was(tmp_path):
    log = TrainingLog(tmp_path, steps_per_epoch=2, period=2, tensorboard=False)
    for step in (1, 2, 3):
        log.add(step, {**STEP, "loss": float(step)})
    log.write("eval", 2, {"mAP": 0.25})
    state = log.state()
    log.add(4, STEP)
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write('{"kind": "train", "ste')
    log = TrainingLog(tmp_path, steps_per_epoch=2, step=3, meters=state, period=2, tensorboard=False)
    assert [record["step"] for record in read_log(tmp_path / "log.jsonl")] == [2, 2]
    assert log.evaluated(2) and not log.evaluated(3) and log.best("mAP") == 0.25
    log.add(4, {**STEP, "loss": 5.0})
    *_, last = read_log(tmp_path / "log.jsonl")
    assert (last["step"], last["loss"]) == (4, 4.0)  # the mean of steps 3 and 4


def test_what_is_no_record_is_passed_over(tmp_path):
    (tmp_path / "log.jsonl").write_bytes(b'[1]\n{"step": 1}\nnot json\n\xff\n{"kind": "eval", "step": 1, "epoch": 1}\n')
    assert [record["kind"] for record in read_log(tmp_path / "log.jsonl")] == ["eval"]
    assert not list(read_log(tmp_path / "none.jsonl"))


def test_tensorboard_has_the_same_curves_and_pictures(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    log = TrainingLog(tmp_path, steps_per_epoch=2, period=1)
    log.add(1, STEP)
    log.write("eval", 1, {"mAP": 0.5})
    log.picture("examples", 1, np.full((6, 8, 3), 200, dtype=np.uint8))
    log.picture("examples", 2, None)
    log.close()
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    (loss,), (found,) = events.Scalars("train/loss"), events.Scalars("eval/mAP")
    assert (loss.step, loss.value, found.value) == (1, 2.0, 0.5)
    assert [(image.step, image.width, image.height) for image in events.Images("examples")] == [(1, 8, 6)]


def test_curves_are_drawn_of_what_is_recorded(tmp_path):
    log = TrainingLog(tmp_path, steps_per_epoch=2, period=1, tensorboard=False)
    for step in (1, 2):
        log.add(step, STEP)
    log.draw_curves(tmp_path / "curves.png", "mAP")
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert all(json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines())


def test_an_evaluation_that_gave_no_number_is_not_the_best(tmp_path):
    log = TrainingLog(tmp_path, steps_per_epoch=1, step=0, meters=None, period=1, tensorboard=False)
    assert log.best("retrieval") < 0
    for step, value in enumerate((float("nan"), 0.0, 2.0, float("nan")), 1):
        log.write("eval", step, {"retrieval": value})
    assert log.best("retrieval") == 2.0
