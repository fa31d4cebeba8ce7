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
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from avsf_det.models.sync_batch_norm import sync_batch_norm, sync_group

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


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
        return cls(torch.full((like.shape[0],), keep, dtype=torch.bool, device=like.device), keep)

    @classmethod
    def known(cls, mask: torch.Tensor) -> Keep:
        """As `mask` says, which is looked at (a GPU is waited for)."""
        flags = mask.tolist()
        if all(flags) or not any(flags):
            return cls(mask, all(flags))
        kept = [i for i, flag in enumerate(flags) if flag]
        rest = [i for i, flag in enumerate(flags) if not flag]
        return cls(mask, None, (torch.tensor(kept, device=mask.device), torch.tensor(rest, device=mask.device)))


class State(NamedTuple):
    """Running statistics of one state, with or without sound: mean (C,), variance (C,), and batches that made them."""

    mean: torch.Tensor
    var: torch.Tensor
    count: torch.Tensor


class BatchNorm3d(nn.BatchNorm3d):
    """Batch norm; `by_sound` makes it keep the two states of the module's text apart.

    Until a state has been seen in training, or where weights bring no statistics of clips without sound, it shares
    those of the other state. A batch of no clips changes nothing.

    Args:
        channels: C.
        by_sound: whether what comes in may hold sound.

    Attributes:
        frozen: normalise by running statistics in training too, and leave them as they are; weight and bias learn on
            (PySlowFast `MODEL.FROZEN_BN`).
        sync_devices: in training, normalise by the statistics of this many processes' batches together, see
            `sync_batch_norm.sync_group`; None by those of this process's batch.
    """

    def __init__(self, channels: int, by_sound: bool = False) -> None:
        super().__init__(channels)
        self.by_sound = by_sound
        self.frozen = False
        self.sync_devices: int | None = None
        if by_sound:
            self.register_buffer("silent_running_mean", torch.zeros(channels))
            self.register_buffer("silent_running_var", torch.ones(channels))
            self.register_buffer("silent_num_batches_tracked", torch.tensor(0))

    def statistics(self, sound: bool = True) -> State:
        """Of clips with sound, or of those without."""
        if sound or not self.by_sound:
            return State(self.running_mean, self.running_var, self.num_batches_tracked)
        return State(self.silent_running_mean, self.silent_running_var, self.silent_num_batches_tracked)

    def states(self) -> list[State]:
        """Of clips with sound (or of all), and with `by_sound` of those without."""
        return [self.statistics(sound) for sound in ((True, False) if self.by_sound else (True,))]

    def forward(self, x: torch.Tensor, keep: Keep | None = None) -> torch.Tensor:
        """Normalise `x` (B, C, T, H, W); `keep` None means that every clip keeps its sound."""
        if not self.training or self.frozen:
            return self._by_running_statistics(x, keep)
        group = sync_group(self.sync_devices)
        if not self.by_sound:
            return self._by_batch(x, (len(x),), group)
        keep = keep or Keep.all(x)
        if keep.uniform is not None:
            return self._by_batch(x, (len(x), 0) if keep.uniform else (0, len(x)), group)
        kept, rest = keep.rows
        y = self._by_batch(torch.cat((x[kept], x[rest])), (len(kept), len(rest)), group)
        return y[torch.cat((kept, rest)).argsort()]

    def _by_batch(self, x: torch.Tensor, sizes: tuple[int, ...], group: ProcessGroup | None) -> torch.Tensor:
        """Normalise the first `sizes[0]` clips by their own statistics, and so on: a part of the batch a state."""
        if group is None:
            parts = zip(x.split(sizes), self.states())
            done = [self._normalise(part, state) for part, state in parts if len(part)]
            return torch.cat(done) if len(done) > 1 else done[0] if done else self._by_running_statistics(x)
        y, mean, var, count = sync_batch_norm(x, self.weight, self.bias, sizes, self.eps, group)
        unbiased = var * (count / (count - 1).clamp(min=1)).unsqueeze(1)
        for state, *batch, seen in zip(self.states(), mean, unbiased, count > 0):
            for running, new in zip(state[:2], batch):
                running.copy_(torch.where(seen, running.lerp(new.to(running.dtype), self.momentum), running))
            state.count.add_(seen)
            self._share(state, seen)
        return y

    def _normalise(self, x: torch.Tensor, state: State) -> torch.Tensor:
        """Normalise all of `x` by its own statistics, which join those of `state`."""
        mean, var = state.mean.clone(), state.var.clone()  # the backward pass holds these, and they do not change again
        y = F.batch_norm(x, mean, var, self.weight, self.bias, True, self.momentum, self.eps)
        state.mean.copy_(mean)
        state.var.copy_(var)
        state.count.add_(1)
        self._share(state)
        return y

    def _share(self, state: State, seen: torch.Tensor | bool = True) -> None:
        """Have a state that was never seen follow `state`, if this was `seen` now."""
        for other in self.states():
            if other.count is not state.count:
                follows = (other.count == 0) & seen
                other.mean.copy_(torch.where(follows, state.mean, other.mean))
                other.var.copy_(torch.where(follows, state.var, other.var))

    def _by_running_statistics(self, x: torch.Tensor, keep: Keep | None = None) -> torch.Tensor:
        if not self.by_sound or keep is None or keep.uniform is not None:
            mean, var, _ = self.statistics(keep is None or keep.uniform is not False)
            return F.batch_norm(x, mean, var, self.weight, self.bias, eps=self.eps)
        choose = keep.mask[:, None]
        mean, var = (torch.where(choose, a, b) for a, b in zip(self.statistics(True)[:2], self.statistics(False)[:2]))
        scale = self.weight * torch.rsqrt(var + self.eps)
        shift = self.bias - mean * scale
        shape = (*scale.shape, 1, 1, 1)
        return x * scale.view(shape).to(x.dtype) + shift.view(shape).to(x.dtype)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        if self.by_sound:
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                if prefix + name in state_dict:
                    state_dict.setdefault(f"{prefix}silent_{name}", state_dict[prefix + name])
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        return super().extra_repr() + (", by_sound=True" if self.by_sound else "")


def set_norms(model: nn.Module, frozen: bool = False, sync_devices: int | None = None) -> None:
    """Set these attributes of all of a model's `BatchNorm3d`; names and shapes of its state stay as they are."""
    for module in model.modules():
        if isinstance(module, BatchNorm3d):
            module.frozen, module.sync_devices = frozen, sync_devices


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
