"""What `torchrun` starts: two processes on the CPU, as a user would start them on two GPUs."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from avsf_det.config import load_cfg
from avsf_det.engine.checkpoints import CheckpointFolder
from avsf_det.engine.evaluate import evaluate_weights
from avsf_det.engine.train import Trainer
from tests.engine.test_train import assert_same_training, log

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
COMMAND = ["-m", "avsf_det"]


def start(*arguments, processes=2):
    """`avsf-det` under torchrun."""
    command = [*(TORCHRUN if processes == 2 else [sys.executable]), *COMMAND, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )


def finish(process, code=0):
    out, err = process.communicate(timeout=240)
    assert process.returncode == code, err
    return out, err


def kill_after(process, folder, step):
    """Kill all processes, as a machine that dies does, once a step is in the log."""
    wait_for(process, folder, step)
    family, parents = {process.pid}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    for pid in family:
        os.kill(pid, signal.SIGKILL)
    process.communicate()


def wait_for(process, folder, step):
    while not any(record["step"] >= step for record in (log(folder) if (folder / "log.jsonl").is_file() else [])):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)


@pytest.fixture(scope="module")
def arguments(tiny):
    often = ["LOG_PERIOD", "1", "TRAIN.CHECKPOINT_STEPS", "1", "TRAIN.EVAL_PERIOD", "4"]
    return [*tiny, "SOLVER.MAX_EPOCH", "4", "TENSORBOARD.ENABLE", "False", *often]


@pytest.fixture(scope="module")
def whole(arguments, tmp_path_factory):
    """The folder of a run of two processes that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    out, _ = finish(start("train", *arguments, "OUTPUT_DIR", folder))
    assert out.count("weights: ") == 1
    return folder


def test_two_processes_that_were_stopped_and_killed_go_on_to_the_same_weights(arguments, whole, tmp_path):
    command = ["train", *arguments, "OUTPUT_DIR", tmp_path]
    process = start(*command)
    wait_for(process, tmp_path, 1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=240)
    assert process.returncode != 0 and err.count("stopped by SIGTERM after step") == 1, err
    kill_after(start(*command), tmp_path, 5)
    assert CheckpointFolder(tmp_path).newest().name != "checkpoint_epoch_00004.pyth"
    finish(start(*command))
    assert_same_training(CheckpointFolder(tmp_path).newest(), CheckpointFolder(whole).newest())
    assert [record["step"] for record in log(tmp_path) if record["kind"] == "train"] == list(range(1, 9))


def test_a_run_of_one_process_that_was_killed_goes_on_to_the_same_weights(arguments, tmp_path):
    """The same with `kill -9` of the real command, and nothing simulated."""
    process = start("train", *arguments, "OUTPUT_DIR", tmp_path / "run", processes=1)
    kill_after(process, tmp_path / "run", 3)
    finish(start("train", *arguments, "OUTPUT_DIR", tmp_path / "run", processes=1))
    whole = Trainer(load_cfg(None, [*arguments, "OUTPUT_DIR", str(tmp_path / "whole")])).run()
    assert_same_training(CheckpointFolder(tmp_path / "run").newest(), whole)


def test_two_processes_evaluate_to_the_bit_as_one(whole, tmp_path):
    weights, split = CheckpointFolder(whole).newest(), ["DATA.EVAL_SPLIT", "train"]
    out, _ = finish(start("eval", "--weights", weights, "OUTPUT_DIR", tmp_path / "two", *split))
    assert out.count("detections: ") == 1
    evaluate_weights(weights, ["OUTPUT_DIR", str(tmp_path / "one"), *split])
    for name in ("detections_train.csv", "evaluation_train.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_map_in_the_log_is_that_of_the_checkpoint(whole, tmp_path):
    found = evaluate_weights(CheckpointFolder(whole).newest(), ["OUTPUT_DIR", str(tmp_path)])
    assert found.evaluation.mAP == [record["mAP"] for record in log(whole) if record["kind"] == "eval"][-1]


def test_weights_that_are_shared_out_go_on_from_weights_that_were_not(arguments, whole, tmp_path):
    command = ["train", *arguments, "OUTPUT_DIR", tmp_path]
    kill_after(start(*command), tmp_path, 3)
    finish(start(*command, "TRAIN.SHARDED", "True"))
    one, other = (torch.load(CheckpointFolder(f).newest(), weights_only=True) for f in (whole, tmp_path))
    assert one["optimizer_state"]["state"].keys() == other["optimizer_state"]["state"].keys()
    for name, tensor in one["model_state"].items():
        torch.testing.assert_close(other["model_state"][name], tensor, rtol=1e-2, atol=1e-3)
