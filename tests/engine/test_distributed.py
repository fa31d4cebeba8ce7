"""Several processes that train as one, and the real command killed: on the CPU, as a user would start them on GPUs."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from avsf_det.config import load_cfg
from avsf_det.engine.checkpoints import CheckpointFolder
from avsf_det.engine.evaluate import evaluate_weights
from avsf_det.engine.train import Trainer
from tests.engine.training import assert_same_training, log
from tests.processes import command_in_two, group_of

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
COMMAND = ["-m", "avsf_det"]


def start(*arguments, environment=None):
    """A Python process."""
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
    )


def start_two(*arguments):
    """Two processes of `avsf-det`, as torchrun starts them."""
    return [start(*COMMAND, *arguments, environment=environment) for environment in group_of(2)]


def finish(*processes, code=0):
    """Wait for processes; what they said on stdout and stderr."""
    said = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [code] * len(processes), said
    return ["".join(text) for text in zip(*said)]


def signal_after(processes, signum, folder, step):
    """Send a signal to all once a step is in the log."""
    while not any(record["step"] >= step for record in (log(folder) if (folder / "log.jsonl").is_file() else [])):
        assert all(process.poll() is None for process in processes), [p.communicate()[1] for p in processes]
        time.sleep(0.01)
    for process in processes:
        process.send_signal(signum)


@pytest.fixture(scope="module")
def arguments(tiny):
    often = ["LOG_PERIOD", "1", "TRAIN.CHECKPOINT_STEPS", "1", "TRAIN.EVAL_PERIOD", "4"]
    return [*tiny, "SOLVER.MAX_EPOCH", "4", "TENSORBOARD.ENABLE", "False", *often]


@pytest.fixture(scope="module")
def whole(arguments, tmp_path_factory):
    """The folder of a run of two processes that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    out = command_in_two("train", *arguments, "OUTPUT_DIR", folder)
    assert out.count("weights: ") == 1
    return folder


def test_two_processes_that_were_stopped_and_killed_go_on_to_the_same_weights(arguments, whole, tmp_path):
    command = ["train", *arguments, "OUTPUT_DIR", tmp_path]
    processes = start_two(*command)
    signal_after(processes, signal.SIGTERM, tmp_path, 1)
    _, err = finish(*processes, code=128 + signal.SIGTERM)
    assert err.count("stopped by SIGTERM after step") == 1
    processes = start_two(*command)
    signal_after(processes, signal.SIGKILL, tmp_path, 5)
    finish(*processes, code=-signal.SIGKILL)
    assert CheckpointFolder(tmp_path).newest().name != "checkpoint_epoch_00004.pyth"
    finish(start(*TORCHRUN, *COMMAND, *command))
    assert_same_training(CheckpointFolder(tmp_path).newest(), CheckpointFolder(whole).newest())
    assert [record["step"] for record in log(tmp_path) if record["kind"] == "train"] == list(range(1, 9))


def test_a_run_of_one_process_that_was_killed_goes_on_to_the_same_weights(arguments, tmp_path):
    command = [*COMMAND, "train", *arguments, "OUTPUT_DIR", tmp_path / "run"]
    process = start(*command)
    signal_after([process], signal.SIGKILL, tmp_path / "run", 3)
    finish(process, code=-signal.SIGKILL)
    finish(start(*command))
    whole = Trainer(load_cfg(None, [*arguments, "OUTPUT_DIR", str(tmp_path / "whole")])).run()
    assert_same_training(CheckpointFolder(tmp_path / "run").newest(), whole)


def test_two_processes_evaluate_to_the_bit_as_one(whole, scenes, tmp_path):
    weights, split = CheckpointFolder(whole).newest(), ["DATA.ROOT", str(scenes), "DATA.EVAL_SPLIT", "train"]
    out = command_in_two("eval", "--weights", weights, "OUTPUT_DIR", tmp_path / "two", *split)
    assert out.count("detections: ") == 1
    evaluate_weights(weights, ["OUTPUT_DIR", str(tmp_path / "one"), *split])
    for name in ("detections_train.csv", "evaluation_train.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_map_in_the_log_is_that_of_the_checkpoint(whole, scenes, tmp_path):
    found = evaluate_weights(CheckpointFolder(whole).newest(), ["DATA.ROOT", str(scenes), "OUTPUT_DIR", str(tmp_path)])
    assert found.evaluation.mAP == [record["mAP"] for record in log(whole) if record["kind"] == "eval"][-1]


def test_weights_that_are_shared_out_go_on_from_weights_that_were_not(arguments, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "checkpoint_epoch_00004.pyth").unlink()
    command_in_two("train", *arguments, "OUTPUT_DIR", tmp_path / "run", "TRAIN.SHARDED", "True")
    one, other = (torch.load(CheckpointFolder(f).newest(), weights_only=True) for f in (whole, tmp_path / "run"))
    assert one["optimizer_state"]["state"].keys() == other["optimizer_state"]["state"].keys()
    for name, tensor in one["model_state"].items():
        torch.testing.assert_close(other["model_state"][name], tensor, rtol=1e-3, atol=1e-4)
