import numpy as np
import pytest
import torch

from avsf_det.errors import UserError
from avsf_det.structures import Keyframe
from detectors import training
from detectors.detectron import DetectronDetector
from detectors.training import TrainingStream, train_detector

pytest.importorskip("detectron2")


def weights_of(path):
    return torch.load(path, weights_only=True)["model"]


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def test_resumed_training_ends_with_the_same_weights(dataset, tiny_config, tmp_path, monkeypatch):
    whole = weights_of(train_detector(tiny_config, dataset, tmp_path / "whole", device="cpu"))

    save_checkpoint = training.save_checkpoint

    def save_and_stop(path, checkpoint):
        save_checkpoint(path, checkpoint)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "save_checkpoint", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        train_detector(tiny_config, dataset, tmp_path / "halves", device="cpu")
    monkeypatch.undo()
    assert torch.load(tmp_path / "halves" / "checkpoint.pth", weights_only=True)["iteration"] == 2
    torch.manual_seed(1234)
    np.random.seed(1234)
    resumed = train_detector(tiny_config, dataset, tmp_path / "halves", resume=True, device="cpu")
    assert_same(weights_of(resumed), whole)
    with pytest.raises(UserError, match="another configuration or seed"):
        train_detector(tiny_config, dataset, tmp_path / "halves", ["SOLVER.BASE_LR", "0.1"], resume=True)


def test_trained_weights_detect_alone_and_with_their_config(dataset, tiny_config, tmp_path):
    weights = train_detector(tiny_config, dataset, tmp_path, ["SOLVER.MAX_ITER", "1"], device="cpu")
    alone = DetectronDetector(weights, score_threshold=0.0, device="cpu")
    with_config = DetectronDetector(tmp_path / "config.yaml", weights, score_threshold=0.0, device="cpu")
    assert alone.identity == with_config.identity
    assert alone.identity != DetectronDetector(weights, score_threshold=0.5, device="cpu").identity

    rng = np.random.default_rng(0)
    frames = [Keyframe("v", time, rng.integers(0, 255, (72, 96, 3), dtype=np.uint8)) for time in range(3)]
    found = alone.detect(frames)
    assert len(found) == 3 and alone.detect([]) == []
    for persons, same in zip(found, with_config.detect(frames)):
        assert len(persons) and (np.diff(persons.scores) <= 0).all()
        assert ((persons.boxes >= 0) & (persons.boxes <= 1)).all()
        np.testing.assert_array_equal(persons.boxes, same.boxes)


@pytest.mark.parametrize(
    "overrides, message",
    [
        (["SOLVER.BASE_L", "1"], "did you mean SOLVER.BASE_LR"),
        (["SOLVER.MAX_ITER", "many"], "MAX_ITER"),
        (["SOLVER.BASE_LR", "1e30", "SOLVER.WARMUP_ITERS", "0"], "diverged.*SOLVER.BASE_LR"),
        (["MODEL.WEIGHTS", "no/such/file.pkl"], "no/such/file.pkl"),
    ],
)
def test_what_is_wrong_is_said(dataset, tiny_config, tmp_path, overrides, message):
    with pytest.raises(UserError, match=message) as error:
        train_detector(tiny_config, dataset, tmp_path / "out", overrides, device="cpu")
    assert "\n" not in str(error.value)


def test_an_output_folder_that_cannot_be_made_is_reported(dataset, tiny_config, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match="cannot write"):
        train_detector(tiny_config, dataset, tmp_path / "out", device="cpu")


def test_stream_depends_on_seed_and_position_alone():
    records = list(range(7))

    def draw(record):
        return record, np.random.uniform()

    stream, other = TrainingStream(records, draw, 0), TrainingStream(records, draw, 1)
    forwards = [stream[position] for position in range(21)]
    assert [TrainingStream(records, draw, 0)[position] for position in range(20, -1, -1)] == forwards[::-1]
    assert [other[position] for position in range(21)] != forwards
    epochs = [[record for record, _ in forwards[start : start + 7]] for start in (0, 7, 14)]
    assert all(sorted(epoch) == records for epoch in epochs)
    assert epochs[0] != epochs[1]
    assert len({number for _, number in forwards}) == 21
