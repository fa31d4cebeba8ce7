"""Running statistics of batch norms: made anew with fixed weights (precise BN), and kept alike over processes.

Each process's norms see its own clips (unless they synchronise), so that running statistics differ from process to
process. Instead of having every forward pass begin with the first process's buffers, as DDP does by default
(`broadcast_buffers`), each goes on with its own, and what is evaluated and written is the mean of all
(`average_buffers`): nobody's clips are lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import distributed, nn

from avsf_det.models.norms import BatchNorm3d, State

Item = TypeVar("Item")


@torch.no_grad()
def update_running_statistics(model: nn.Module, batches: Iterable[Item], forward: Callable[[Item], object]) -> int:
    """Make running statistics the mean over batches of each batch's mean and variance (fvcore `update_bn_stats`).

    A state (with or without sound) is the mean over the batches that hold clips in it; one that none holds stays as it
    is, as do frozen norms. Nothing else changes: no other buffer, no mode, no generator of torch.

    Args:
        model: the model itself, not DDP's or torch.compile's wrapper of it; it is run in training mode.
        batches: PySlowFast takes 200 (BN.NUM_BATCHES_PRECISE). Over several processes each gives its own, as many as
            the others.
        forward: runs `model` on one of them.

    Returns:
        How many batches this process gave.
    """
    norms = [norm for norm in model.modules() if isinstance(norm, BatchNorm3d) and not norm.frozen]
    states = [state for norm in norms for state in norm.states()]
    if not states:
        return 0
    done, (total, seen) = 0, [torch.zeros_like(tensor) for tensor in _flatten(states)]
    with _put_back(model), _training_by_batch(model, norms):
        for batch in batches:
            for state in states:
                state.count.zero_()
            forward(batch)
            values, counts = _flatten(states)
            total += values * _spread(counts > 0, states)
            seen += counts > 0
            done += 1
    _write_means(states, total, seen)
    for state, batches_seen in zip(states, seen):
        state.count.copy_(torch.maximum(state.count, (batches_seen > 0).long()))
    return done


@torch.no_grad()
def average_buffers(model: nn.Module) -> None:
    """Give every process the mean over processes of each buffer; each process has to call it. Alone, it does nothing.

    The mean of a norm's state is over the processes that have seen clips in it; its count of batches is the largest.

    Args:
        model: the model itself or DDP's wrapper, made with `broadcast_buffers=False`.
    """
    if not _several_processes():
        return
    norms = [norm for norm in model.modules() if isinstance(norm, BatchNorm3d)]
    states = [state for norm in norms for state in norm.states()]
    if states:
        values, counts = _flatten(states)
        _write_means(states, values * _spread(counts > 0, states), (counts > 0).long())
        distributed.all_reduce(counts, distributed.ReduceOp.MAX)
        for state, count in zip(states, counts):
            state.count.copy_(count)
    of_norms = {id(buffer) for norm in norms for buffer in norm.buffers()}
    for buffer in model.buffers():
        if id(buffer) not in of_norms and buffer.is_floating_point():
            mean = buffer.double()
            distributed.all_reduce(mean)
            buffer.copy_(mean / distributed.get_world_size())


def _flatten(states: Sequence[State]) -> tuple[torch.Tensor, torch.Tensor]:
    """Means and variances of all states in a row, float64, and their counts of batches."""
    values = torch.cat([values for state in states for values in (state.mean, state.var)])
    return values.double(), torch.stack([state.count for state in states])


def _spread(of_states: torch.Tensor, states: Sequence[State]) -> torch.Tensor:
    """From a number a state to one a value of `_flatten`."""
    sizes = [2 * len(state.mean) for state in states]
    repeats = torch.tensor(sizes, device=of_states.device)
    return of_states.repeat_interleave(repeats, output_size=sum(sizes))


def _write_means(states: Sequence[State], total: torch.Tensor, seen: torch.Tensor) -> None:
    """Set each state that anyone has seen to its mean: the sum over processes of `total` over that of `seen`."""
    if _several_processes():
        distributed.all_reduce(total)
        distributed.all_reduce(seen)
    means = (total / _spread(seen.clamp(min=1), states)).split([len(s.mean) for s in states for _ in range(2)])
    for state, mean, var, anyone in zip(states, means[::2], means[1::2], seen > 0):
        state.mean.copy_(torch.where(anyone, mean.to(state.mean.dtype), state.mean))
        state.var.copy_(torch.where(anyone, var.to(state.var.dtype), state.var))


def _several_processes() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


@contextmanager
def _put_back(model: nn.Module) -> Iterator[None]:
    """Leave buffers and torch's generators as they were."""
    before = [(buffer, buffer.clone()) for buffer in model.buffers()]
    devices = {buffer.device for buffer, _ in before if buffer.is_cuda}
    try:
        with torch.random.fork_rng(list(devices)):
            yield
    finally:
        for buffer, value in before:
            buffer.copy_(value)


@contextmanager
def _training_by_batch(model: nn.Module, norms: Sequence[nn.BatchNorm3d]) -> Iterator[None]:
    """Training mode, in which running statistics are those of the last batch."""
    modes = [(module, module.training) for module in model.modules()]
    momenta = [norm.momentum for norm in norms]
    model.train()
    for norm in norms:
        norm.momentum = 1.0
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for norm, momentum in zip(norms, momenta):
            norm.momentum = momentum
