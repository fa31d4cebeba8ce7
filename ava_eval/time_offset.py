"""Timestamps of detections on another clock than the ground truth's: other units, rates, starts or rounding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ava_eval.table import Table
from ava_eval.what_if import of_videos

RATES = (24000 / 1001, 24, 25, 30000 / 1001, 30, 50, 60000 / 1001, 60, 15, 12.5, 12, 10, 8, 5)  # frames per second
_R = (23.976, 24, 25, 29.97, 30, 50, 60)
WRONG_RATES = sorted({a / b for a in _R for b in _R} - {1.0})
MOST = 0.6  # fraction of the detections' frames that a clock must bring onto labelled ones
ENOUGH = 0.5  # fraction that is there already, from which no other clock is looked for
NEARLY_BEST = 0.05  # clocks whose fraction is that close to the best are compared by how well the boxes fit
MAX_VIDEOS = 400
ROUNDS = 3  # different clocks in one file


@dataclass(frozen=True)
class Clock:
    """What is wrong with the timestamps of some videos.

    Attributes:
        name: of the problem.
        evidence: what was seen.
        advice: what to change.
        videos: that are on this clock.
        is_certain: whether so many frames agree that no chance explains it.
        scale: factor of the timestamps.
        start: {video: microseconds to add afterwards}.
        tolerance: distance in microseconds within which a timestamp moves to the labelled one.
    """

    name: str
    evidence: str
    advice: str
    videos: frozenset[str]
    is_certain: bool
    scale: float
    start: dict[str, float]
    tolerance: float

    def apply(self, found: Table, truth: Table) -> Table:
        """The detections with the timestamps of these videos on the ground truth's clock."""
        start = np.array([self.start.get(name, 0.0) for name in found.video_names])[found.videos]
        rows = np.array([name in self.videos for name in found.video_names], dtype=bool)[found.videos]
        moved = np.rint(found.microseconds * self.scale + start).astype(np.int64)
        moved = _snapped(replace(found, microseconds=moved), truth, self.tolerance)
        return replace(found, microseconds=np.where(rows, moved.microseconds, found.microseconds))


@dataclass(frozen=True)
class _Guess:
    fraction: float
    unit: str
    scale: float
    start: dict[str, float]
    tolerance: float
    chance: float


Times = list[tuple[np.ndarray, np.ndarray, str]]


def find_clocks(truth: Table, found: Table, quality: Callable[[Table], float]) -> list[Clock]:
    """The clocks of the videos whose detections are off the labelled frames.

    Args:
        truth: the ground truth.
        found: the detections.
        quality: of a table of detections, the higher the better; decides between clocks that fit as many frames.
    """
    clocks: list[Clock] = []
    pairs = [pair for pair in _times_by_video(truth, found) if _agreement(pair) < ENOUGH]
    for _ in range(ROUNDS):
        if not pairs:
            break
        already = _fraction(pairs, 1.0, {}, 0)
        guess = _best(pairs, already, lambda candidate, pairs=pairs: quality(_table(candidate, pairs, found, truth)))
        if guess is None:
            break
        fits = [pair for pair in pairs if _fraction([pair], guess.scale, guess.start, guess.tolerance) >= MOST]
        if not fits:
            break
        clocks.append(_clock(guess, fits))
        names = clocks[-1].videos
        pairs = [pair for pair in pairs if pair[2] not in names]
    return clocks


def _table(guess: _Guess, pairs: Times, found: Table, truth: Table) -> Table:
    names = frozenset(name for *_, name in pairs)
    clock = Clock("", "", "", names, False, guess.scale, guess.start, guess.tolerance)
    return clock.apply(of_videos(found, set(names)), truth)


def _best(pairs: Times, already: float, quality: Callable[[_Guess], float]) -> _Guess | None:
    """The clock that brings most frames onto labelled ones; the simplest kind of change that does is taken."""
    gaps = np.concatenate([np.diff(labelled) for labelled, *_ in pairs])
    gap = float(np.median(gaps)) if len(gaps) else 1e6
    units = {
        "seconds": (1.0, 0.0),
        "milliseconds": (1e-3, 0.0),
        "milliseconds, rounded": (1e-3, 1001.0),
        "microseconds": (1e-6, 0.0),
        "nanoseconds": (1e-9, 0.0),
    }
    frames = {f"frames, {rate:.5g} per second": (1 / rate, 0.51e6 / rate) for rate in RATES}
    rates = {f"seconds at {ratio:.4g} times the speed": (1 / ratio, 20e3) for ratio in WRONG_RATES}
    coarser, finer = _roundings(pairs)
    for kinds, starts in (
        (units | frames, "none"),
        (coarser, "rounding"),
        (units | frames, "common"),
        (rates, "none"),
        (finer, "none"),
        ({"seconds": (1.0, 0.0)} | frames, "own"),
    ):
        if not kinds:
            continue
        guesses = []
        for unit, (scale, tolerance) in kinds.items():
            for start in _starts(pairs, scale, starts, tolerance):
                fraction = _fraction(pairs, scale, start, tolerance)
                chance = min(1.0, 2 * tolerance / gap)
                guesses.append(_Guess(fraction, unit, scale, start, tolerance, chance))
        if max((guess.fraction for guess in guesses), default=0.0) < max(MOST, 2 * already):
            continue
        top = max(guess.fraction - guess.chance / 10 for guess in guesses)
        near = [guess for guess in guesses if guess.fraction - guess.chance / 10 >= top - NEARLY_BEST]
        near = [guess for guess in near if guess.fraction >= max(MOST, 2 * already)]
        if near:
            return near[0] if len(near) == 1 else max(near[:12], key=quality)
    return None


def _roundings(pairs: Times) -> tuple[dict[str, tuple[float, float]], dict[str, tuple[float, float]]]:
    """The roundings that would explain the timestamps: of the detections, and of the ground truth."""
    labelled = np.concatenate([labelled for labelled, *_ in pairs])
    times = np.concatenate([times for _, times, _ in pairs])
    coarser, finer = {}, {}
    for digits in (3, 2, 1, 0):
        step = 10.0 ** (6 - digits)
        are_whole = [bool((values % step == 0).all()) for values in (times, labelled)]
        if are_whole == [True, False]:
            coarser[f"seconds rounded to {digits} decimals"] = (1.0, step / 2 + 1)
        elif are_whole == [False, True]:
            finer[f"seconds that the ground truth has rounded to {digits} decimals"] = (1.0, step / 2)
    return coarser, finer


def _clock(guess: _Guess, pairs: Times) -> Clock:
    unit, scale, starts = guess.unit, guess.scale, {name: guess.start.get(name, 0.0) for *_, name in pairs}
    values = sorted(set(starts.values()))
    kind = unit.split(",")[0]
    if kind == "seconds":
        name = "timestamps are shifted"
    elif "rounded" in kind:
        name = "timestamps are rounded"
    elif "speed" in kind:
        name = "timestamps at another frame rate"
    else:
        name = f"timestamps in {kind}" + (" and shifted" if any(values) else "")
    steps = [] if scale == 1 else [f"divide them by {1 / scale:.6g}"]
    if "rounded" in kind:
        values = [0.0]
    if len(values) == 1 and values[0]:
        steps.append(f"add {values[0] / 1e6:.6g}")
    elif len(values) > 1:
        steps.append("add " + _listed([f"{start / 1e6:.6g} in {video!r}" for video, start in starts.items()]))
    if guess.tolerance and "frames" not in kind:
        steps.append("write all decimals that the ground truth has")
    labelled, times, example = pairs[0]
    seen = (
        f"in {example!r} the detections are at {times[0] / 1e6:.9g} to {times[-1] / 1e6:.9g}, the ground truth at "
        f"{labelled[0] / 1e6:.9g} to {labelled[-1] / 1e6:.9g}; taken as {unit}"
    )
    if len(values) == 1 and values[0]:
        seen += f" that begin {values[0] / 1e6:+.6g} s later"
    fraction = _fraction(pairs, scale, guess.start, guess.tolerance)
    seen += f", {fraction:.0%} of the frames are labelled ones"
    frames = sum(len(times) for _, times, _ in pairs)
    certain = fraction > 0.9 and guess.chance < 0.2 and frames >= 10 and scale != 1
    videos = frozenset(name for *_, name in pairs)
    advice = f"timestamps are seconds of the video: {' and '.join(steps)}"
    return Clock(name, seen, advice, videos, certain, scale, starts, guess.tolerance)


def _listed(texts: list[str], most: int = 4) -> str:
    rest = len(texts) - most
    return ", ".join(texts[:most]) + (f" and so on ({rest} more)" if rest > 0 else "")


def _times_by_video(truth: Table, found: Table) -> Times:
    """For the common videos the rising times of ground truth and detections, in microseconds, and the name."""
    times = []
    for table in (truth, found):
        order = np.lexsort((table.microseconds, table.videos))
        bounds = np.searchsorted(table.videos[order], np.arange(len(table.video_names) + 1))
        times.append(
            {
                name: np.unique(table.microseconds[order[first:last]])
                for name, first, last in zip(table.video_names, bounds, bounds[1:])
                if last > first
            }
        )
    common = [name for name in times[1] if name in times[0]][:MAX_VIDEOS]
    return [(times[0][name], times[1][name].astype(np.float64), name) for name in common]


def _agreement(pair: tuple[np.ndarray, np.ndarray, str]) -> float:
    """The fraction of the detections' frames that are labelled, or of the labelled that have detections."""
    labelled, times, _ = pair
    shared = len(np.intersect1d(labelled, times))
    return max(shared / len(labelled), shared / len(times))


def _nearest(labelled: np.ndarray, times: np.ndarray) -> np.ndarray:
    """For each time the labelled one that is nearest."""
    after = np.clip(np.searchsorted(labelled, times), 1, max(len(labelled) - 1, 1))
    left, right = labelled[after - 1], labelled[np.minimum(after, len(labelled) - 1)]
    return np.where(np.abs(left - times) <= np.abs(right - times), left, right)


def _fraction(pairs: Times, scale: float, start: dict[str, float], tolerance: float) -> float:
    """How many of the detections' frames are labelled frames on a clock, each labelled frame counted once."""
    hit = total = 0
    for labelled, times, name in pairs:
        times = times * scale + start.get(name, 0.0)
        nearest = _nearest(labelled, times)
        hit += len(np.unique(nearest[np.abs(nearest - times) <= max(tolerance, 0.5)]))
        total += len(times)
    return hit / total


def _starts(pairs: Times, scale: float, kind: str, tolerance: float) -> list[dict[str, float]]:
    """Likely starts: none; common to all videos; or each video's own, by its first frame or most frequent distance."""
    if kind == "none":
        return [{}]
    names = [name for *_, name in pairs]
    if kind == "rounding":
        return [{}, dict.fromkeys(names, tolerance)]  # rounded, or cut off: half a step too early
    if kind == "own":
        if sum(len(times) for _, times, _ in pairs) < 4 * len(pairs):
            return []  # a start of its own fits any video of one frame
        firsts = {name: float(labelled[0] - times[0] * scale) for labelled, times, name in pairs}
        usual = {name: _commonest(_distances(labelled, times * scale)) for labelled, times, name in pairs}
        return [firsts, usual]
    firsts = np.array([labelled[0] - times[0] * scale for labelled, times, _ in pairs])
    near = np.concatenate([_nearest(labelled, times * scale) - times * scale for labelled, times, _ in pairs])
    every = np.concatenate([_distances(labelled, times * scale) for labelled, times, _ in pairs])
    values = [_commonest(firsts), float(np.median(firsts)), _commonest(near), _commonest(every)]
    return [dict.fromkeys(names, value) for value in dict.fromkeys(values)]


def _distances(labelled: np.ndarray, times: np.ndarray) -> np.ndarray:
    return (labelled[:50, None] - times[None, :50]).ravel()


def _commonest(values: np.ndarray) -> float:
    values, counts = np.unique(np.rint(values / 1000) * 1000, return_counts=True)
    return float(values[counts.argmax()])


def _snapped(found: Table, truth: Table, tolerance: float) -> Table:
    """The table with timestamps within `tolerance` of a labelled one of their video moved to it."""
    if not tolerance:
        return found
    code_of = {name: code for code, name in enumerate(truth.video_names)}
    codes = np.array([code_of.get(name, len(code_of)) for name in found.video_names])[found.videos]
    first = min(truth.microseconds.min(), found.microseconds.min())
    span = max(truth.microseconds.max(), found.microseconds.max()) - first + 2 * int(tolerance) + 2
    labelled = np.unique(truth.videos * span + (truth.microseconds - first))  # each video has a range of its own
    times = codes * span + (found.microseconds - first)
    moves = _nearest(labelled, times) - times
    return replace(found, microseconds=found.microseconds + np.where(np.abs(moves) <= tolerance, moves, 0))


def likely_shifts(truth: Table, found: Table) -> list[float]:
    """Shifts in microseconds worth trying where most frames are labelled ones: some steps, and by first or last frame.

    They are what would have to be added to the times of the detections.
    """
    gaps = np.diff(np.unique(truth.microseconds))
    step = float(np.median(gaps)) if len(gaps) else 1e6
    shifts = [steps * step for steps in (-1, 1, -2, 2, -3, 3)]
    pairs = _times_by_video(truth, found)
    for place in (0, -1):
        differences = [labelled[place] - times[place] for labelled, times, _ in pairs]
        if differences:
            shifts += [float(np.median(differences)), _commonest(np.array(differences, dtype=float))]
    return [shift for shift in dict.fromkeys(shifts) if shift]
