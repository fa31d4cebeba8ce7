"""Batch norms, which behind an audio lateral keep the statistics of clips with sound apart from those without.

DropPathway trains the visual pathways in two states: with what Audio adds, and without it. In inference a clip is in
one of them, never in a mixture, so neither may its norms be. A norm that sees both states therefore treats a batch as
two batches, one a state: each is normalised by its own statistics, and each has running statistics of its own, by which
inference normalises a clip with sound, or one without. The first are the usual `running_mean` and `running_var`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Keep:
    """Which clips of a batch keep their sound.

    Attributes:
        mask: (B,) bool.
        uniform: True if all do, False if none does, None if they differ or it is not known without a look at `mask`.
        rows: where they differ in training: the indices of the clips that keep it, and of those that do not.
    """

    mask: torch.Tensor
    uniform: bool | None = None
    rows: tuple[torch.Tensor, torch.Tensor] | None = None

    @classmethod
    def all(cls, like: torch.Tensor, keep: bool = True) -> Keep:
        """Every clip of `like` (B, ...), or none of them."""
        return cls(torch.full((len(like),), keep, dtype=torch.bool, device=like.device), keep)

    @classmethod
    def known(cls, mask: torch.Tensor) -> Keep:
        """As `mask` says, which is looked at (a GPU is waited for)."""
        flags = mask.tolist()
        if all(flags) or not any(flags):
            return cls(mask, all(flags))
        kept = [i for i, flag in enumerate(flags) if flag]
        rest = [i for i, flag in enumerate(flags) if not flag]
        return cls(mask, None, (torch.tensor(kept, device=mask.device), torch.tensor(rest, device=mask.device)))


class BatchNorm3d(nn.BatchNorm3d):
    """Batch norm; `by_sound` makes it keep the two states of the module's text apart.

    Until a state has been seen in training, or where weights bring no statistics of clips without sound, it shares
    those of the other state.

    Args:
        channels: C.
        by_sound: whether what comes in may hold sound.
    """

    def __init__(self, channels: int, by_sound: bool = False) -> None:
        super().__init__(channels)
        self.by_sound = by_sound
        if by_sound:
            self.register_buffer("silent_running_mean", torch.zeros(channels))
            self.register_buffer("silent_running_var", torch.ones(channels))
            self.register_buffer("silent_num_batches_tracked", torch.tensor(0))

    def statistics(self, sound: bool = True) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Running mean (C,) and variance (C,), and the number of batches that made them, of clips with or without."""
        if sound or not self.by_sound:
            return self.running_mean, self.running_var, self.num_batches_tracked
        return self.silent_running_mean, self.silent_running_var, self.silent_num_batches_tracked

    def forward(self, x: torch.Tensor, keep: Keep | None = None) -> torch.Tensor:
        """Normalise `x` (B, C, T, H, W); `keep` None means that every clip keeps its sound."""
        if not self.by_sound:
            return super().forward(x)
        if keep is None or keep.uniform is not None:
            return self._normalise(x, keep is None or keep.uniform)
        if self.training:
            kept, rest = keep.rows
            both = torch.cat((self._normalise(x[kept], True), self._normalise(x[rest], False)))
            return both[torch.cat((kept, rest)).argsort()]
        choose = keep.mask[:, None]
        mean, var = (torch.where(choose, a, b) for a, b in zip(self.statistics(True)[:2], self.statistics(False)[:2]))
        scale = self.weight * torch.rsqrt(var + self.eps)
        shift = self.bias - mean * scale
        shape = (*scale.shape, 1, 1, 1)
        return x * scale.view(shape).to(x.dtype) + shift.view(shape).to(x.dtype)

    def _normalise(self, x: torch.Tensor, sound: bool) -> torch.Tensor:
        """All of `x` by one state's statistics."""
        mean, var, count = self.statistics(sound)
        if not self.training:
            return F.batch_norm(x, mean, var, self.weight, self.bias, eps=self.eps)
        new_mean, new_var = mean.clone(), var.clone()  # the backward pass holds these, and they are not changed again
        y = F.batch_norm(x, new_mean, new_var, self.weight, self.bias, True, self.momentum, self.eps)
        mean.copy_(new_mean)
        var.copy_(new_var)
        count += 1
        other_mean, other_var, other_count = self.statistics(not sound)
        other_mean.copy_(torch.where(other_count > 0, other_mean, mean))
        other_var.copy_(torch.where(other_count > 0, other_var, var))
        return y

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        if self.by_sound:
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                if prefix + name in state_dict:
                    state_dict.setdefault(f"{prefix}silent_{name}", state_dict[prefix + name])
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        return super().extra_repr() + (", by_sound=True" if self.by_sound else "")


def frozen_statistics(module: nn.Module) -> tuple[AbstractContextManager, AbstractContextManager]:
    """Contexts for a forward pass and for its repetition: the second one leaves running statistics as they are.

    For `torch.utils.checkpoint`, under which each batch would count twice otherwise.
    """
    return nullcontext(), _without_momentum([norm for norm in module.modules() if isinstance(norm, nn.BatchNorm3d)])


@contextmanager
def _without_momentum(norms: Sequence[nn.BatchNorm3d]) -> Iterator[None]:
    before = [(norm, norm.momentum) for norm in norms]
    counts = [(b, b.clone()) for norm in norms for name, b in norm.named_buffers() if name.endswith("tracked")]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in before:
            norm.momentum = momentum
        for count, value in counts:
            count.copy_(value)
