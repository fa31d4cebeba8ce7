"""What a person detector is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from avsf_det.structures import Keyframe, Persons


class PersonDetector(Protocol):
    """Frames in, boxes and scores out.

    Attributes:
        identity: a short string that changes whenever the results could: model, weights, input size, thresholds.
            Boxes are cached under it.
    """

    identity: str

    def detect(self, frames: Sequence[Keyframe]) -> list[Persons]:
        """The persons of each keyframe: one `Persons` per frame, best score first."""
        ...
