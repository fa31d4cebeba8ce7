"""Where in a labelled clip a view is: its moment, and its cut of the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from avsf_det.errors import UserError


@dataclass(frozen=True)
class Stretch:
    """The seconds of a video that a label is for.

    Attributes:
        start, end: seconds.
        whole: they are the whole video.
    """

    start: float
    end: float
    whole: bool

    def center(self, share: float, duration: float) -> float:
        """Seconds of the middle of a view that lasts `duration`.

        Args:
            share: 0..1, how far it is on its way from the earliest place within the stretch to the latest.
            duration: seconds. A view that is longer than the stretch has it in its middle; in a whole video, beyond
                which there is nothing, it begins with it, as in PySlowFast.
        """
        slack = self.end - self.start - duration
        before = 0.0 if self.whole else min(slack, 0.0) / 2
        return self.start + max(slack, 0.0) * share + before + duration / 2


def uniform_crop(frames: torch.Tensor, size: int, place: int) -> torch.Tensor:
    """(T, size, size, 3) of (T, H, W, 3) frames: along the longer side the start, middle or end, else the middle.

    Args:
        frames: the pictures; H and W are `size` or more.
        size: pixels.
        place: 0, 1 or 2 (PySlowFast datasets/transform.py `uniform_crop`).
    """
    height, width = frames.shape[1:3]
    top, left = math.ceil((height - size) / 2), math.ceil((width - size) / 2)
    if place != 1:
        at_end = place == 2
        if height > width:
            top = (height - size) * at_end
        else:
            left = (width - size) * at_end
    return frames[:, top : top + size, left : left + size]


def crop_places(count: int) -> tuple[int, ...]:
    """The places of `uniform_crop` of `count` cuts: of 3 all, of 1 the middle.

    Raises:
        UserError: for any other number.
    """
    if count not in (1, 3):
        raise UserError(f"TEST.NUM_SPATIAL_CROPS: got {count}, expected 1 or 3")
    return (1,) if count == 1 else (0, 1, 2)
