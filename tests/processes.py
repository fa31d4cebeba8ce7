"""Functions run in several processes of one gloo group."""

import multiprocessing
import tempfile
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed

SECONDS = 120


def in_processes(function, *arguments, count=2):
    """What `function(rank, *arguments)` returns in each of `count` processes.

    The function is one of a test's module, and what it returns is saved by torch.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch._dynamo", "torchvision.ops", "pytest"])  # what takes long, once
    with tempfile.TemporaryDirectory() as folder:
        processes = [
            context.Process(target=_run, args=(rank, count, folder, function, arguments)) for rank in range(count)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(SECONDS)
        hung = [process for process in processes if process.is_alive()]
        for process in hung:
            process.kill()
        assert not hung, f"{len(hung)} of {count} processes still wait for the others after {SECONDS} s"
        assert not any(process.exitcode for process in processes)
        return [torch.load(Path(folder) / f"{rank}.pt") for rank in range(count)]


def _run(rank, count, folder, function, arguments):
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    timeout = timedelta(seconds=SECONDS / 2)
    distributed.init_process_group("gloo", store, timeout, world_size=count, rank=rank)
    try:
        torch.save(function(rank, *arguments), Path(folder) / f"{rank}.pt")
        distributed.barrier()
    finally:
        distributed.destroy_process_group()
