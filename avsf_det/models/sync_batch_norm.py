"""Batch norm by the statistics of several processes' batches, as `nn.SyncBatchNorm`, in parts and of any size.

A batch comes in parts, each normalised by its own statistics (`norms.BatchNorm3d` has clips with and without sound as
two). Whatever a process holds of a part, nothing included, it takes part in one exchange forwards and one backwards, so
that none waits for another that has nothing to say. Statistics are exchanged as count, mean and variance and combined
from these, without the cancellation of sums of squares.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

AXES = (0, 2, 3, 4)

_groups: dict[int, tuple[ProcessGroup, ProcessGroup]] = {}
"""Processes in a row -> all processes when the group was made, and the group."""


def sync_group(devices: int | None) -> ProcessGroup | None:
    """This process's group when norms are synchronised over `devices` processes in a row; None where they are not.

    The first call makes the groups, and has to come from all processes.

    Args:
        devices: 0 is all processes; None does not synchronise.

    Raises:
        ValueError: if it does not divide the number of processes.
    """
    if devices is None or devices == 1 or not distributed.is_available() or not distributed.is_initialized():
        return None
    everyone = distributed.group.WORLD
    if devices in (0, everyone.size()):
        return everyone if everyone.size() > 1 else None
    if devices not in _groups or _groups[devices][0] is not everyone:
        if everyone.size() % devices:
            raise ValueError(f"norms over {devices} processes: got {everyone.size()} processes, expected a multiple")
        _groups[devices] = everyone, distributed.new_subgroups(devices)[0]
    return _groups[devices][1]


def sync_batch_norm(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    sizes: Sequence[int],
    eps: float,
    group: ProcessGroup,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Normalise the parts of a batch, P of them, each by its statistics over the processes of `group`.

    Args:
        x: (B, C, T, H, W).
        weight, bias: (C,).
        sizes: clips of each part of `x`, one after the other; B together, and P of them in every process.
        eps: added to the variance.
        group: all of whose processes make this call.

    Returns:
        (B, C, T, H, W) as `x`; mean (P, C) and biased variance (P, C) of each part, and the values a channel that made
        them (P,), which have no gradient.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    return _SyncBatchNorm.apply(x, weight.to(dtype), bias.to(dtype), tuple(sizes), eps, group)


class _SyncBatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        sizes: tuple[int, ...],
        eps: float,
        group: ProcessGroup,
    ) -> tuple[torch.Tensor, ...]:
        mean, var, count = _combine(torch.stack([_statistics(part) for part in x.split(sizes)]), group)
        y = _join(x, [F.batch_norm(part, mean[i], var[i], weight, bias, eps=eps) for i, part in _filled(x, sizes)])
        ctx.save_for_backward(x, weight, mean, var, count)
        ctx.sizes, ctx.eps, ctx.group = sizes, eps, group
        ctx.mark_non_differentiable(mean, var, count)
        return y, mean, var, count

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor, *_: object) -> tuple[torch.Tensor | None, ...]:
        x, weight, mean, var, count = ctx.saved_tensors
        parts, dxs = _filled(x, ctx.sizes), []
        sums = mean.new_zeros(len(ctx.sizes), 2, len(weight))  # of dy times the normalised x, and of dy
        for (i, part), (_, dpart) in zip(parts, _filled(dy, ctx.sizes)):  # as if the statistics did not depend on x
            dx, sums[i, 0], sums[i, 1] = torch.ops.aten.native_batch_norm_backward(
                dpart, part, weight, mean[i], var[i], None, None, False, ctx.eps, [True, True, True]
            )
            dxs.append(dx)
        dweight, dbias = sums.sum(dim=0).to(weight.dtype)
        distributed.all_reduce(sums, group=ctx.group)
        # and they do: less weight / std * (mean of dy + normalised x * mean of dy times the normalised x)
        scale = weight * torch.rsqrt(var + ctx.eps) / count.clamp(min=1).unsqueeze(1)
        through = (sums * scale.unsqueeze(1)).to(weight.dtype)
        dxs = [dx - F.batch_norm(part, mean[i], var[i], *through[i], eps=ctx.eps) for dx, (i, part) in zip(dxs, parts)]
        return _join(x, dxs), dweight, dbias, None, None, None


def _statistics(part: torch.Tensor) -> torch.Tensor:
    """(2 C + 1,) mean, biased variance and number of the values a channel, in float32 at least."""
    channels, dtype = part.shape[1], torch.promote_types(part.dtype, torch.float32)
    if not len(part):
        return torch.zeros(2 * channels + 1, dtype=dtype, device=part.device)
    var, mean = torch.var_mean(part.to(dtype), AXES, correction=0)
    return torch.cat((mean, var, mean.new_full((1,), part.numel() / channels)))


def _combine(local: torch.Tensor, group: ProcessGroup) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean (P, C), biased variance (P, C) and number of values (P,) of the parts (P, 2 C + 1) of all processes."""
    gathered = [torch.empty_like(local) for _ in range(group.size())]
    distributed.all_gather(gathered, local, group=group)
    everyone, channels = torch.stack(gathered).double(), local.shape[1] // 2
    means, variances, counts = everyone.split((channels, channels, 1), dim=2)
    count = counts.sum(dim=0)
    shares = counts / count.clamp(min=1)
    mean = (shares * means).sum(dim=0)
    var = (shares * (variances + (means - mean).square())).sum(dim=0)
    return mean.to(local.dtype), var.to(local.dtype), count.squeeze(1).to(local.dtype)


def _filled(x: torch.Tensor, sizes: Sequence[int]) -> list[tuple[int, torch.Tensor]]:
    """The parts of `x` that hold clips, with their numbers."""
    return [(i, part) for i, part in enumerate(x.split(sizes)) if len(part)]


def _join(x: torch.Tensor, parts: list[torch.Tensor]) -> torch.Tensor:
    """`parts` in a row, which are as large as `x`."""
    return torch.cat(parts) if len(parts) > 1 else parts[0] if parts else torch.empty_like(x)
