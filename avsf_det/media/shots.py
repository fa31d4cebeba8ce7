"""Shots: where a film is cut, the picture is suddenly another, and so are the people in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from avsf_det.media.source import VideoSource, open_video
from avsf_det.media.video import DecodedFrame

_SIZE = 36, 64  # height and width in pixels at which frames are compared: motion counts little, a new picture much
_LEAST = 15.0  # of 255: the mean difference from one shot to the next is at least this (PySceneDetect's default)
_RATIO = 4.0  # a cut stands out from the differences around it, which a moving camera makes, by at least this
_AROUND = 4  # frames before and after that it is compared with


class Change(NamedTuple):
    """How another a frame is than those before it.

    Attributes:
        time: seconds on the clock.
        step: mean difference to the frame before, 0..255; 0 if there is none.
        leap: the same to the one before that.
    """

    time: float
    step: float
    leap: float


class Changes:
    """What changes from frame to frame; frames are seen in the order of display."""

    def __init__(self) -> None:
        self._last = self._last_but_one = None

    def see(self, frame: DecodedFrame) -> Change:
        """Look at the next frame."""
        image = frame.image(*_SIZE).astype(np.int16)
        change = Change(frame.time, _difference(image, self._last), _difference(image, self._last_but_one))
        self._last, self._last_but_one = image, self._last
        return change


def find_cuts(path: VideoSource | str | os.PathLike[str]) -> list[float]:
    """The times at which a new shot begins, as `cuts_of` finds them.

    Raises:
        UserError: if the file cannot be read.
    """
    changes = Changes()
    with open_video(path) as video:
        return cuts_of([changes.see(frame) for frame in video.decoded()])


def cuts_of(changes: Sequence[Change] | np.ndarray) -> list[float]:
    """The times at which a new shot begins, in seconds on the clock, ascending; the first shot is not listed.

    Hard cuts and those blended over a frame or two are found; a flash of one frame is none; dissolves and fades are
    passed over.

    Args:
        changes: of all F frames, or (F, 3).
    """
    times, steps, leaps = np.array(changes, dtype=np.float64).reshape(-1, 3).T
    lasting = np.minimum(leaps, np.append(leaps[1:], np.inf))  # small where a flash comes and goes
    around = np.lib.stride_tricks.sliding_window_view(np.pad(steps, _AROUND), 2 * _AROUND + 1)
    usual = np.maximum(np.median(around, axis=1), 1.0)
    cuts = (steps == around.max(axis=1)) & (np.minimum(steps, lasting) >= np.maximum(_LEAST, _RATIO * usual))
    return times[cuts].tolist()


def _difference(image: np.ndarray, other: np.ndarray | None) -> float:
    return 0.0 if other is None else float(np.abs(image - other).mean())
