"""Several processes that work as one: started by `torchrun`, joined by torch.distributed; alone, all of it is free."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

TIMEOUT = timedelta(hours=1)  # for whoever waits for the others, who may be decoding, or computing the mAP


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the processes that `torchrun` started; without it, or inside another such block, nothing happens.

    Numbers and Python objects are exchanged by gloo, tensors of a GPU by nccl.

    Args:
        device: that this process computes on.
    """
    if "WORLD_SIZE" not in os.environ or distributed.is_initialized():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def rank() -> int:
    """This process's number."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """How many processes there are."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def is_main() -> bool:
    """Whether this is the process that writes files and talks."""
    return rank() == 0


def gather(value: Any) -> list[Any]:
    """The value that each process gives, in the order of their numbers."""
    if world_size() == 1:
        return [value]
    values = [None] * world_size()
    distributed.all_gather_object(values, value)
    return values


def from_main(value: Any) -> Any:
    """The main process's value."""
    if world_size() == 1:
        return value
    values = [value]
    distributed.broadcast_object_list(values)
    return values[0]


def add(values: Sequence[float]) -> list[float]:
    """Each number summed over all processes."""
    if world_size() == 1:
        return list(values)
    total = torch.tensor(values, dtype=torch.float64)
    distributed.all_reduce(total)
    return total.tolist()
