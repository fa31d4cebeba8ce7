"""DropPathway: in training, the sound is dropped at random, since it overfits sooner than the picture."""

from __future__ import annotations

import torch
from torch import nn

SCOPES = ("laterals", "pathway")


class DropPathway(nn.Module):
    """Draws which clips keep their sound, from torch's generator of the device; outside training all of them do.

    Args:
        rate: chance to drop; 0.8 is the default of the paper (section 3.3) and of fanyix/SlowFast.
        scope: "laterals" drops what Audio adds to Slow and keeps it for the head, as fanyix/SlowFast does;
            "pathway" drops it for the head too, as the paper words it ("the Audio pathway altogether").
        per_sample: one draw a clip; otherwise one for the whole batch, as fanyix/SlowFast does.

    Raises:
        ValueError: if the scope is not one of the two, or the rate not within 0..1.
    """

    def __init__(self, rate: float = 0.8, scope: str = "laterals", per_sample: bool = False) -> None:
        super().__init__()
        if scope not in SCOPES:
            raise ValueError(f"DropPathway scope: got {scope!r}, expected one of {', '.join(SCOPES)}")
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"DropPathway rate: got {rate}, expected a chance within 0..1")
        self.rate = rate
        self.scope = scope
        self.per_sample = per_sample

    def forward(self, present: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """From which clips have sound to which keep it, (B,) bool each: in the laterals, and in the head."""
        if not self.training:
            return present, present
        draws = torch.rand(len(present) if self.per_sample else 1, device=present.device)
        kept = present & (draws >= self.rate)
        return kept, kept if self.scope == "pathway" else present

    def extra_repr(self) -> str:
        return f"rate={self.rate}, scope={self.scope!r}, per_sample={self.per_sample}"
