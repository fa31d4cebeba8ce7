"""Shot boundaries: hard cuts, and fades through a blank frame; flashes and dips to black are none."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from itertools import product, takewhile
from math import inf, nan
from typing import NamedTuple

import numpy as np

from avsf_det.media.source import VideoSource, open_video
from avsf_det.media.video import DecodedFrame

_SIZE = 36, 64  # height and width in pixels at which frames are compared: motion counts little, a new image much
_LEAST = 15.0  # of 255: the mean difference from one shot to the next is at least this (PySceneDetect's default)
_RATIO = 4.0  # a cut stands out from the differences around it, which a moving camera makes, by at least this
_AROUND = 4  # frames before and after that it is compared with

_UNIFORM, _SPREAD = 0.95, 16  # a blank frame has this fraction of its pixels within so many levels of their median
_DARK = 24  # rows and columns darker than this, of 255, are a letterbox
_CONTRAST = 12.0  # levels, of the standard deviation: below it a frame is too close to blank to be compared with
_SAME = 0.75  # of the contrast: frames of one scene differ by less, of different scenes by more
_FADED = 0.3  # of the highest contrast: what has less is in the middle of a fade-out
_UNRELATED = 9.0  # of the contrast: the difference to a frame that has none
_HISTORY = 2.0  # seconds: a fade-out takes at most this
_RECOVERY = 1.0  # seconds after a blank stretch within which the scene has to be back
_BRIEF = 0.25  # seconds: the image between two changes is shown for less than this in a flash
_LONG = 2.0  # seconds: a blank stretch between hard cuts that lasts longer is a shot


class Change(NamedTuple):
    """How a frame differs from those before it.

    Attributes:
        time: seconds on the clock.
        step: mean difference to the frame before, 0..255; 0 if there is none.
        leap: the same to the one before that.
        across: inf for a blank frame; for frames soon after a blank stretch the difference to the scene before it, as a
            fraction of its contrast; else NaN.
        reference: seconds; for a blank frame, that of the last frame of the scene before it; for the frame after a
            flash, that of the frame before it; else NaN.
        since: seconds of the first frame that the changes of later frames depend on.
    """

    time: float
    step: float
    leap: float
    across: float = nan
    reference: float = nan
    since: float = nan


class _Small(NamedTuple):
    """A frame as it is compared."""

    time: float
    image: np.ndarray  # (h, w, 3) int16
    contrast: float


class Changes:
    """What changes from frame to frame; frames are seen in the order of display."""

    def __init__(self) -> None:
        self._last: list[_Small] = []  # up to two frames, the newest last
        self._history: deque[_Small] = deque()  # since the last blank frame
        self._before: _Small | None = None  # of the scene before the blank stretch
        self._start = 0.0  # of the history at the beginning of the blank stretch
        self._blank_at = -inf

    def see(self, frame: DecodedFrame) -> Change:
        """Take the next frame."""
        image = frame.image(*_SIZE).astype(np.int16)
        small = _Small(frame.time, image, _contrast(image))
        differences = [_difference(image, other.image) for other in reversed(self._last)]
        step, leap = (*differences, 0.0, 0.0)[:2]
        reference = across = nan
        if _is_blank(image):
            self._enter_blank()
            self._blank_at, across = frame.time, inf
            reference = nan if self._before is None else self._before.time
        else:
            reference = self._shown_before(small) if step >= _LEAST else nan
            self._history.append(small)
            if frame.time - self._blank_at > _RECOVERY:
                self._before = None
            elif self._before is not None:
                across = _moved_difference(self._before.image, image)
            while self._history[0].time < frame.time - _HISTORY:
                self._history.popleft()
        self._last = [*self._last[-1:], small]
        waiting = self._before is not None
        oldest = self._start if waiting else self._history[0].time if self._history else inf
        return Change(frame.time, step, leap, across, reference, min(oldest, self._last[0].time))

    def _enter_blank(self) -> None:
        """Remember the scene before a blank stretch; what was shown too briefly after an earlier one is none."""
        if self._history and (self._before is None or self._history[-1].time - self._history[0].time >= _BRIEF):
            self._before, self._start = _last_of_scene(self._history), self._history[0].time
        self._history.clear()

    def _shown_before(self, small: _Small) -> float:
        """The time of the frame, within the last `_BRIEF` seconds, that is shown again; NaN if there is none."""
        recent = [other for other in self._history if other.time > small.time - _BRIEF - 1e-6][:-1]
        times = [other.time for other in recent if _difference(small.image, other.image) < _LEAST]
        return times[-1] if times else nan


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

    Hard cuts and those blended over a frame or two are found. A blank stretch (black, white or of one color), which the
    video may fade to and from, is a cut at its middle if another scene follows, and none if the same scene goes on.
    Flashes and dissolves from scene to scene are not reported.

    Args:
        changes: of all F frames, or (F, 6).
    """
    times, steps, leaps, across, references, _ = as_array(changes).T
    lasting = np.minimum(leaps, np.append(leaps[1:], np.inf))  # small where a flash of one frame comes and goes
    around = np.lib.stride_tricks.sliding_window_view(np.pad(steps, _AROUND), 2 * _AROUND + 1)
    usual = np.maximum(np.median(around, axis=1), 1.0)
    cuts = (steps == around.max(axis=1)) & (np.minimum(steps, lasting) >= np.maximum(_LEAST, _RATIO * usual))
    blank = np.isinf(across)
    for end in np.flatnonzero(~blank & ~np.isnan(references)):
        cuts &= ~((times > references[end]) & (times <= times[end]))
    for first, last in _stretches(times, blank):
        after = np.array(list(takewhile(lambda i: np.isfinite(across[i]), range(last + 1, len(times)))), dtype=int)
        if not len(after):
            continue
        same = after[across[after] < _SAME]
        begin, end = references[first] - _BRIEF, times[last + 1] + _BRIEF
        if len(same):
            shown = takewhile(lambda index: across[index] < _SAME, range(same[0], after[-1] + 1))
            begin, end = references[first] + 1e-6, times[max(shown)]
        hidden = cuts & (times >= begin) & (times <= end)
        if times[last + 1] - times[first] > _LONG and hidden.any():
            continue
        cuts &= ~hidden
        cuts[(first + last + 1) // 2] |= not len(same)
    return times[cuts].tolist()


def as_array(changes: Sequence[Change] | np.ndarray) -> np.ndarray:
    """(F, 6) float64 of F changes, which may be none."""
    return np.array(changes, dtype=np.float64).reshape(-1, len(Change._fields))


def resume_times(changes: np.ndarray) -> list[float]:
    """The times of the first frame that later changes depend on, and of the last of (F, 6) changes; [] if F is 0."""
    return [changes[-1, Change._fields.index("since")], changes[-1, 0]] if len(changes) else []


def _stretches(times: np.ndarray, blank: np.ndarray) -> list[tuple[int, int]]:
    """First and last frames of the blank stretches; what is shown briefly within one is a part of it."""
    found: list[tuple[int, int]] = []
    for index in np.flatnonzero(blank).tolist():
        if found and (index - found[-1][1] == 1 or times[index - 1] - times[found[-1][1] + 1] < _BRIEF):
            found[-1] = found[-1][0], index
        else:
            found.append((index, index))
    return found


def _is_blank(image: np.ndarray) -> bool:
    """Whether all of a frame but a letterbox and small overlays has one color."""
    rows, columns = _within_letterbox(image)
    if rows.sum() * columns.sum() >= len(rows) * len(columns) / 4:
        image = image[rows][:, columns]
    green = image[..., 1]  # alone, as it is faster and rules out most frames
    if np.count_nonzero(np.abs(green - np.median(green)) <= _SPREAD) < _UNIFORM * green.size:
        return False
    near = np.abs(image - np.median(image, axis=(0, 1))).max(axis=2) <= _SPREAD
    return bool(near.mean() >= _UNIFORM)


def _contrast(image: np.ndarray) -> float:
    rows, columns = _within_letterbox(image)
    inner = image[rows][:, columns] if rows.any() and columns.any() else image
    return float(inner[..., 1].std())


def _within_letterbox(image: np.ndarray) -> list[np.ndarray]:
    """The rows and the columns, each a bool array, that are neither dark nor at the edge of dark ones."""
    lit = image[..., 1] > _DARK
    lit |= image[..., 0] > _DARK
    lit |= image[..., 2] > _DARK
    lines = [lit.sum(axis=axis) > (1 - _UNIFORM) * lit.shape[axis] for axis in (1, 0)]
    around = [np.pad(line, 1, constant_values=True) for line in lines]
    return [line[:-2] & line[1:-1] & line[2:] for line in around]


def _last_of_scene(frames: Sequence[_Small]) -> _Small:
    """The frame of the last scene that shows it best: the last one before the fade-out, if there is one."""
    least = max(_CONTRAST, _FADED * max(frame.contrast for frame in frames))
    clear = [frame for frame in frames if frame.contrast >= least] or [frames[-1]]
    best = clear[-1]
    for frame in clear[-2::-1]:
        if _scene_difference(best.image, frame.image) >= _SAME:
            break
        if frame.contrast > 1.1 * best.contrast:
            best = frame
    return best


def _scene_difference(image: np.ndarray, other: np.ndarray) -> float:
    """Mean difference of two frames as a fraction of the first one's contrast, whatever their brightness."""
    if _difference(image, other) < _LEAST / 2:
        return 0.0
    rows, columns = _within_letterbox(image)
    if rows.any() and columns.any():
        image, other = image[rows][:, columns], other[rows][:, columns]
    image, other = image - image.mean(axis=(0, 1)), other - other.mean(axis=(0, 1))
    contrast, other_contrast = np.abs(image).mean(), np.abs(other).mean()
    if min(contrast, other_contrast) < 1:
        return _UNRELATED
    gain = np.clip(contrast / other_contrast, 0.5, 20)
    return float(np.abs(image - gain * other).mean() / contrast)


def _moved_difference(image: np.ndarray, other: np.ndarray) -> float:
    """The least `_scene_difference` of two frames that a camera which pans may have moved."""
    difference = _scene_difference(image, other)
    height, width = _SIZE
    for down, right in product((0, -2, 2), (0, -2, 2, -4, 4, -6, 6)):
        if difference < _SAME:
            break
        top, left = max(0, down), max(0, right)
        bottom, end = min(height, height + down), min(width, width + right)
        moved = other[top - down : bottom - down, left - right : end - right]
        difference = min(difference, _scene_difference(image[top:bottom, left:end], moved))
    return difference


def _difference(image: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(image - other).mean())
