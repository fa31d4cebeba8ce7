"""DropPathway: in training, the sound is dropped at random, since it overfits sooner than the picture."""

from __future__ import annotations

import torch
from torch import nn

from avsf_det.models.norms import Keep

SCOPES = ("laterals", "pathway")
REPLACEMENTS = ("zeros", "running_mean")


class DropPathway(nn.Module):
    """Draws which clips keep their sound, from torch's generator of the device; outside training all of them do.

    Args:
        rate: chance to drop; 0.8 is the default of the paper (section 3.3) and of fanyix/SlowFast.
        scope: "pathway" drops it for the laterals and for the head, as the paper words it ("the Audio pathway
            altogether"); "laterals" drops what Audio adds to Slow and keeps it for the head, as fanyix/SlowFast does.
        per_sample: one draw a clip; otherwise one for the whole batch, as fanyix/SlowFast does.
        replacement: what stands in for dropped sound, see `AudioGate`.

    Raises:
        ValueError: if the scope or the replacement is none of the choices, or the rate not within 0..1.
    """

    def __init__(
        self, rate: float = 0.8, scope: str = "pathway", per_sample: bool = False, replacement: str = "zeros"
    ) -> None:
        super().__init__()
        if scope not in SCOPES:
            raise ValueError(f"DropPathway scope: got {scope!r}, expected one of {', '.join(SCOPES)}")
        if replacement not in REPLACEMENTS:
            raise ValueError(f"DropPathway replacement: got {replacement!r}, expected one of {', '.join(REPLACEMENTS)}")
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"DropPathway rate: got {rate}, expected a chance within 0..1")
        self.rate = rate
        self.scope = scope
        self.per_sample = per_sample
        self.replacement = replacement

    def forward(self, present: Keep) -> tuple[Keep, Keep]:
        """From which clips have sound to which keep it: in the laterals, and in the head."""
        if not self.training:
            return present, present
        mask = present.mask
        draws = torch.rand(len(mask) if self.per_sample else 1, device=mask.device)
        kept = Keep.known(mask & (draws >= self.rate))
        return kept, kept if self.scope == "pathway" else present

    def extra_repr(self) -> str:
        return f"rate={self.rate}, scope={self.scope!r}, per_sample={self.per_sample}, replacement={self.replacement!r}"


class AudioGate(nn.Module):
    """Lets pass what Audio contributes at one place for the clips that keep their sound, and for the others ...

    - "zeros": exact zeros, which leave a plain SlowFast (paper section 3.3, and fanyix/SlowFast);
    - "running_mean": what Audio contributed on average, a number a channel, gathered in training from clips that keep
      their sound (the alternative that the paper reports to be equally good).

    Args:
        channels: C.
        replacement: which of the two.
        momentum: weight of the newest batch in the running mean, as batch norm's.
    """

    def __init__(self, channels: int, replacement: str = "zeros", momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.uses_mean = replacement == "running_mean"
        if self.uses_mean:
            self.register_buffer("running_mean", torch.zeros(channels))

    def forward(self, contribution: torch.Tensor, keep: Keep) -> torch.Tensor:
        """(B, C, ...) `contribution`, replaced (without gradient) in the clips of `keep` that lose their sound."""
        if self.uses_mean and self.training and keep.uniform is not False:
            self._gather(contribution.detach().float(), keep)
        if keep.uniform is True:
            return contribution
        mask = keep.mask.view(-1, *[1] * (contribution.dim() - 1))
        if not self.uses_mean:
            return contribution.masked_fill(~mask, 0.0)
        return torch.where(mask, contribution, self._mean_like(contribution))

    def absent(self, like: torch.Tensor) -> torch.Tensor | None:
        """What stands in, shaped to add to `like` (B, C, ...), where there is no sound at all; None for nothing."""
        return self._mean_like(like) if self.uses_mean else None

    def _mean_like(self, x: torch.Tensor) -> torch.Tensor:
        return self.running_mean.to(x.dtype).view(1, -1, *[1] * (x.dim() - 2))

    def _gather(self, contribution: torch.Tensor, keep: Keep) -> None:
        kept = contribution if keep.rows is None else contribution[keep.rows[0]]
        self.running_mean.lerp_(kept.movedim(1, -1).flatten(0, -2).mean(0), self.momentum)
