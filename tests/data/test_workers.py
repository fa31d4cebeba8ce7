import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from avsf_det.data.workers import WorkerPool
from avsf_det.errors import UserError


def doubled(numbers):
    return [{"value": torch.tensor([2.0 * n]), "pid": os.getpid(), "threads": torch.get_num_threads()} for n in numbers]


def bytes_of(numbers):
    return torch.full((numbers[0],), 7, dtype=torch.uint8), torch.arange(3, dtype=torch.float64), "text"


def dies(numbers):
    os.kill(os.getpid(), signal.SIGKILL)


def stumbles(numbers):
    raise KeyError("a bug")


def describe(numbers):
    return f"film.mp4 at {numbers[0]} s"


@pytest.mark.parametrize("workers", [0, 2])
def test_results_come_in_order_from_processes_that_stay(workers):
    pool = WorkerPool(doubled, workers, describe)
    pids = set()
    for _ in range(2):
        results = [one for some in pool.map(([i, i + 1] for i in range(0, 20, 2)), ahead=6) for one in some]
        assert [one["value"].item() for one in results] == [2.0 * i for i in range(20)]
        pids |= {one["pid"] for one in results}
    assert len(pids) <= max(workers, 1) and (os.getpid() in pids) == (workers == 0)
    assert workers == 0 or {one["threads"] for one in results} == {1}


def test_no_more_is_worked_on_beforehand_than_allowed():
    asked = []
    pool = WorkerPool(doubled, 1, describe)
    results = pool.map((asked.append(i) or [i, i] for i in range(50)), ahead=6)
    for taken in range(1, 4):
        next(results)
        assert len(asked) <= taken + 3
    results.close()
    assert [one["value"].item() for some in pool.map([[5]], ahead=6) for one in some] == [10.0]


def test_tensors_of_any_kind_come_back_whole():
    for count in (0, 1, 1000):
        ((data, numbers, text),) = WorkerPool(bytes_of, 1, describe).map([[count]], 1)
        assert data.tolist() == [7] * count and numbers.tolist() == [0.0, 1.0, 2.0] and text == "text"


def test_a_process_that_dies_is_told_with_what_it_was_reading():
    with pytest.raises(UserError, match=r"while reading film\.mp4 at 3 s \(exit code -9\); memory may"):
        list(WorkerPool(dies, 1, describe).map([[3]], 1))


def test_a_bug_in_a_process_is_told_with_where_it_is():
    with pytest.raises(RuntimeError, match=r"(?s)film.mp4 at 3 s.*in stumbles.*a bug"):
        list(WorkerPool(stumbles, 1, describe).map([[3]], 1))


def test_no_process_outlives_the_one_that_started_it():
    code = (
        "import time; from avsf_det.data.workers import WorkerPool; from tests.data.test_workers import doubled\n"
        "(result,) = next(WorkerPool(doubled, 1, str).map([[1], [2]], 4))\n"
        "print(result['pid'], flush=True); time.sleep(60)"
    )
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE) as parent:
        worker = Path("/proc", parent.stdout.readline().decode().strip())
        assert worker.exists()
        parent.kill()
    deadline = time.monotonic() + 30
    while worker.exists():
        assert time.monotonic() < deadline, "a process was left behind"
        time.sleep(0.05)
