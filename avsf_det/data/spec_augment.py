"""SpecAugment (Park et al. 2019, arXiv:1904.08779): stretches of time and of frequency of a sound are blanked out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from avsf_det.data.batch import Sample


@dataclass(frozen=True)
class SpecAugment:
    """Masks on the log-mel; without the paper's time warping, which would move sound against the picture.

    Attributes:
        frequency_masks: how many, and how many mel bins each covers at most.
        time_masks: how many, and how many log-mel frames each covers at most.
    """

    frequency_masks: tuple[int, int]
    time_masks: tuple[int, int]

    @classmethod
    def from_config(cls, cfg: object) -> SpecAugment | None:
        """As a configuration's DATA.SPEC_* keys say; None where there are no masks."""
        masks = tuple(cfg.DATA.SPEC_FREQUENCY_MASKS), tuple(cfg.DATA.SPEC_TIME_MASKS)
        return cls(*masks) if masks[0][0] or masks[1][0] else None

    def __call__(self, sample: Sample, generator: torch.Generator) -> Sample:
        """Mask the sound of a sample, and that of its negative elsewhere, so that masks don't tell them apart."""
        sounds = {"log_mel": sample.log_mel, "misaligned": sample.misaligned}
        return replace(sample, **{k: self.masked(v, generator) for k, v in sounds.items() if v is not None})

    def masked(self, log_mel: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """(A, M) log-mel with masks of zeros, which is the mean of normalised log-mel, at random places."""
        log_mel = log_mel.clone()
        for axis, (count, widest) in ((1, self.frequency_masks), (0, self.time_masks)):
            for _ in range(count):
                length = log_mel.shape[axis]
                width = torch.randint(min(widest, length) + 1, (), generator=generator).item()
                start = torch.randint(length - width + 1, (), generator=generator).item()
                log_mel.narrow(axis, start, width).zero_()
        return log_mel
