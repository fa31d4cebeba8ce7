"""Work done in several processes that share it, forked from one in which what takes long is imported."""

import contextlib
import io
import multiprocessing
import os
import socket
import tempfile
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed

from avsf_det.cli import main

SECONDS = 120


def in_processes(function, *arguments, count=2):
    """What `function(rank, *arguments)` returns in each of `count` processes of one gloo group.

    The function is one of a test's module, and what it returns is saved by torch.
    """
    return _results(_run_in_group, count, function, arguments)


def command_in_two(*arguments):
    """What `avsf-det` prints in two processes such as torchrun starts."""
    return "".join(_results(_run_command, 2, group_of(2), list(map(str, arguments))))


def group_of(count):
    """The variables by which torchrun tells each of its `count` processes who it is."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        group = {"WORLD_SIZE": str(count), "MASTER_ADDR": "localhost", "MASTER_PORT": str(free.getsockname()[1])}
    return [{**group, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def _results(target, count, *arguments):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch._dynamo", "avsf_det.engine.train", "pytest"])
    with tempfile.TemporaryDirectory() as folder:
        processes = [context.Process(target=target, args=(rank, count, folder, *arguments)) for rank in range(count)]
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


def _run_in_group(rank, count, folder, function, arguments):
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    timeout = timedelta(seconds=SECONDS / 2)
    distributed.init_process_group("gloo", store, timeout, world_size=count, rank=rank)
    try:
        torch.save(function(rank, *arguments), Path(folder) / f"{rank}.pt")
        distributed.barrier()
    finally:
        distributed.destroy_process_group()


def _run_command(rank, count, folder, group, arguments):
    torch.set_num_threads(1)
    os.environ |= group[rank]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main(arguments) == 0
    torch.save(printed.getvalue(), Path(folder) / f"{rank}.pt")
