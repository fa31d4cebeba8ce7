"""Shots: where a film is cut, the picture is suddenly another, and so are the people in it."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from avsf_det.media.source import VideoSource, open_video

_SIZE = 36, 64  # height and width in pixels at which frames are compared: motion counts little, a new picture much
_LEAST = 15.0  # of 255: the mean difference from one shot to the next is at least this (PySceneDetect's default)
_RATIO = 4.0  # a cut stands out from the differences around it, which a moving camera makes, by at least this
_AROUND = 4  # frames before and after that it is compared with


def find_cuts(
    path: VideoSource | str | os.PathLike[str], on_progress: Callable[[float], object] = lambda seconds: None
) -> list[float]:
    """The times at which a new shot begins, in seconds on the clock, ascending; the first shot is not listed.

    Hard cuts and those blended over a frame or two are found; a flash of one frame is none; dissolves and fades are
    passed over.

    Args:
        path: the video.
        on_progress: called with the seconds looked at since the last call.

    Raises:
        UserError: if the file cannot be read.
    """
    times, to_last, to_last_but_one = [], [], []
    with open_video(path, size=_SIZE) as video:
        last = last_but_one = None
        for time, image in video.frames():
            on_progress(time - times[-1] if times else time)
            image = image.astype(np.int16)
            times.append(time)
            to_last.append(_difference(image, last))
            to_last_but_one.append(_difference(image, last_but_one))
            last, last_but_one = image, last
    steps = np.array(to_last)
    lasting = np.minimum(to_last_but_one, np.append(to_last_but_one[1:], np.inf))  # small where a flash comes and goes
    around = np.lib.stride_tricks.sliding_window_view(np.pad(steps, _AROUND), 2 * _AROUND + 1)
    usual = np.maximum(np.median(around, axis=1), 1.0)
    cuts = (steps == around.max(axis=1)) & (np.minimum(steps, lasting) >= np.maximum(_LEAST, _RATIO * usual))
    return [times[i] for i in np.flatnonzero(cuts)]


def _difference(image: np.ndarray, other: np.ndarray | None) -> float:
    """Mean absolute difference of two pictures, 0..255; 0 if there is no other."""
    return 0.0 if other is None else float(np.abs(image - other).mean())
