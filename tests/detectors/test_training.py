import json
import multiprocessing
import os
import socket

import numpy as np
import pytest
import torch

from avsf_det import distributed
from avsf_det.errors import UserError
from avsf_det.structures import Keyframe
from detectors import training
from detectors.detectron import DetectronDetector
from detectors.keyframes import person_keyframes
from detectors.training import train_detector

pytest.importorskip("detectron2")


def weights_of(path):
    return torch.load(path, weights_only=True)["model"]


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def test_resumed_training_ends_with_the_same_weights(keyframes, tiny_config, tmp_path, monkeypatch):
    whole = weights_of(train_detector(tiny_config, keyframes, tmp_path / "whole", device="cpu"))

    save_checkpoint = training.save_checkpoint

    def save_and_stop(path, checkpoint):
        save_checkpoint(path, checkpoint)
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped, pytest.raises(KeyboardInterrupt):
        stopped.setattr(training, "save_checkpoint", save_and_stop)
        train_detector(tiny_config, keyframes, tmp_path / "halves", device="cpu")
    assert torch.load(tmp_path / "halves" / "checkpoint.pth", weights_only=True)["iteration"] == 2
    torch.manual_seed(1234)
    np.random.seed(1234)
    resumed = train_detector(tiny_config, keyframes, tmp_path / "halves", resume=True, device="cpu")
    assert_same(weights_of(resumed), whole)
    with pytest.raises(UserError, match="another configuration, seed or number"):
        train_detector(tiny_config, keyframes, tmp_path / "halves", ["SOLVER.BASE_LR", "0.1"], resume=True)


def in_two_processes(*arguments, dies_after=None):
    """Train in two processes joined by gloo; with `dies_after`, kill the first as soon as that file is written."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]

    def work(rank):
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
        os.environ["LOCAL_RANK"] = str(rank)
        save_checkpoint = training.save_checkpoint

        def save(path, checkpoint):
            save_checkpoint(path, checkpoint)
            if path.name == dies_after:
                os._exit(9)

        training.save_checkpoint = save
        with distributed.process_group(torch.device("cpu")):
            train_detector(*arguments, val=arguments[1], resume=True, device="cpu")

    processes = [multiprocessing.get_context("fork").Process(target=work, args=(rank,)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    return [process.exitcode for process in processes]


def test_two_processes_killed_and_resumed_end_with_the_same_weights(keyframes, tiny_config, tmp_path):
    assert in_two_processes(tiny_config, keyframes, tmp_path / "whole") == [0, 0]
    assert in_two_processes(tiny_config, keyframes, tmp_path / "halves", dies_after="checkpoint.pth")[0] == 9
    assert not (tmp_path / "halves" / "model_final.pth").exists()
    assert in_two_processes(tiny_config, keyframes, tmp_path / "halves") == [0, 0]
    for name in ("model_final.pth", "model_best.pth"):
        assert_same(weights_of(tmp_path / "halves" / name), weights_of(tmp_path / "whole" / name))
    texts = [(tmp_path / run / "log.jsonl").read_text() for run in ("whole", "halves")]
    logs = [[json.loads(line) for line in text.splitlines()] for text in texts]
    without_times = [[{k: v for k, v in row.items() if "seconds" not in k} for row in log] for log in logs]
    assert without_times[0] == without_times[1]


def test_batches_are_shared_equally(keyframes, tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(training.distributed, "world_size", lambda: 3)
    with pytest.raises(UserError, match="IMS_PER_BATCH is 2, expected a multiple of the 3 processes"):
        train_detector(tiny_config, keyframes, tmp_path, device="cpu")


def test_the_schedule_is_scaled_to_the_number_of_processes_and_that_is_said(keyframes, tiny_config, tmp_path, caplog):
    caplog.set_level("INFO")
    reference = ["SOLVER.REFERENCE_WORLD_SIZE", "2", "SOLVER.MAX_ITER", "2", "SOLVER.STEPS", "()"]
    train_detector(tiny_config, keyframes, tmp_path, reference, device="cpu")
    assert "1 processes instead of 2: batches of 1 (2), learning rate 0.005 (0.01), 4 batches (2)" in caplog.text
    assert json.loads((tmp_path / "log.jsonl").read_text())["iteration"] == 4


def test_what_is_measured_on_the_way_is_logged_and_the_best_kept(keyframes, tiny_config, tmp_path):
    every = ["TEST.EVAL_PERIOD", "1", "SOLVER.MAX_ITER", "3", "SOLVER.STEPS", "()"]
    train_detector(tiny_config, keyframes, tmp_path, every, val=keyframes, device="cpu")
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    measured = {row["iteration"]: row["AP50"] for row in rows if "AP50" in row}
    assert list(measured) == [1, 2, 3]
    (losses,) = (row for row in rows if "loss" in row)
    assert losses["loss"] == pytest.approx(sum(v for name, v in losses.items() if name.startswith("loss_")), rel=1e-4)
    best = DetectronDetector(tmp_path / "model_best.pth", score_threshold=0.05, device="cpu")
    files = training.PictureFiles(keyframes)
    records = training.Records(keyframes, files, range(len(keyframes)))
    found = best.detect([records.picture(number) for number in range(len(keyframes))])
    quality = training.measure([keyframe.persons for keyframe in keyframes], found)
    assert quality.metrics["AP50"] == pytest.approx(max(measured.values()), abs=1e-6)


def test_keyframes_without_persons_are_background_if_the_configuration_says_so(dataset, tiny_config, tmp_path):
    csv = dataset / "annotations" / "empty.csv"
    csv.write_text("a,0.5\na,1.5\n")
    empty = person_keyframes(csv, {"a": dataset / "videos" / "a.mp4"})
    with pytest.raises(UserError, match="none of the 2 keyframes has a person"):
        train_detector(tiny_config, empty, tmp_path, device="cpu")
    background = ["DATALOADER.FILTER_EMPTY_ANNOTATIONS", "False", "SOLVER.MAX_ITER", "1"]
    assert train_detector(tiny_config, empty, tmp_path, background, device="cpu").is_file()


def test_mixed_precision_trains(keyframes, tiny_config, tmp_path):
    mixed = ["SOLVER.AMP.ENABLED", "True", "SOLVER.MAX_ITER", "1"]
    weights = weights_of(train_detector(tiny_config, keyframes, tmp_path, mixed, device="cpu"))
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_trained_weights_detect_alone_and_with_their_config(keyframes, tiny_config, tmp_path):
    weights = train_detector(tiny_config, keyframes, tmp_path, ["SOLVER.MAX_ITER", "1"], device="cpu")
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
        (["SOLVER.MAX_ITER", "3"], r"SOLVER.STEPS \(3,\) and MAX_ITER 3: Milestone must be smaller"),
        (["SOLVER.BASE_LR", "1e30", "SOLVER.WARMUP_ITERS", "0"], "diverged.*SOLVER.BASE_LR"),
        (["MODEL.WEIGHTS", "no/such/file.pkl"], "no/such/file.pkl"),
    ],
)
def test_what_is_wrong_is_said(keyframes, tiny_config, tmp_path, overrides, message):
    with pytest.raises(UserError, match=message) as error:
        train_detector(tiny_config, keyframes, tmp_path / "out", overrides, device="cpu")
    assert "\n" not in str(error.value)


def test_an_output_folder_that_cannot_be_made_is_reported(keyframes, tiny_config, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match="cannot write"):
        train_detector(tiny_config, keyframes, tmp_path / "out", device="cpu")
