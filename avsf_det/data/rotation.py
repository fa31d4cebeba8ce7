"""Clips turned by quarter turns: telling by how many is learned without labels (arXiv 1803.07728, 1811.11387)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from avsf_det.data.batch import Sample
from avsf_det.data.transforms import TrainTransform

TURNS = ("upright", "turned by 90 degrees", "turned by 180 degrees", "turned by 270 degrees")
"""The classes; counter-clockwise."""


def rotated(sample: Sample, turns: int) -> Sample:
    """A clip turned by quarter turns, all frames alike, whose one label that is; its sound stays.

    Args:
        sample: a clip without boxes.
        turns: 0 to 3.
    """
    labels = torch.eye(len(TURNS))[None, turns]
    return replace(sample, frames=torch.rot90(sample.frames, turns, dims=(1, 2)), labels=labels)


@dataclass(frozen=True)
class RandomRotation:
    """Any of the four turns after a transform, all equally likely.

    Attributes:
        transform: what comes before; its clips are squares.
    """

    transform: TrainTransform

    def __call__(self, sample: Sample, generator: torch.Generator) -> Sample:
        """As `TrainTransform`; the labels (1, 4) are the turn's."""
        sample = self.transform(sample, generator)
        return rotated(sample, int(torch.randint(len(TURNS), (), generator=generator)))
