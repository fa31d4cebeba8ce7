"""Timestamps of detections on another clock than the ground truth's: other units, another start."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ava_eval.table import Table
from ava_eval.trials import shifted

RATES = (24000 / 1001, 24, 25, 30000 / 1001, 30, 50, 60, 15, 10, 5)  # frames a second
MOST = 0.6  # share of the detections' frames that a clock must bring onto labelled ones
ENOUGH = 0.5  # share of them that are there already, from which no other clock is looked for
VIDEOS = 200  # that are looked at


def find_clock(truth: Table, found: Table) -> tuple[Table, tuple[str, str, str] | None]:
    """The detections on the ground truth's clock, and name, evidence and advice of what was wrong with theirs.

    A unit, a start or both are taken for the cause only if few frames are common without and most are with them.
    """
    pairs = _frames_by_video(truth, found)
    already = _share(pairs, 1.0, 0.0, 0) if pairs else 1.0
    if already >= ENOUGH:
        return found, None
    units = {"seconds": (1.0, 0.0), "milliseconds": (1 / 1000, 0.0), "microseconds": (1 / 1e6, 0.0)}
    units |= {f"frames, {rate:.5g} a second": (1 / rate, 0.51e6 / rate) for rate in RATES}
    before = _example(pairs)
    for from_another_start in (False, True):
        clocks = []
        for unit, (scale, tolerance) in units.items():
            for start in _starts(pairs, scale) if from_another_start else [0.0]:
                clocks.append((_share(pairs, scale, start, tolerance), unit, scale, start, tolerance))
        share, unit, scale, start, tolerance = max(clocks, key=lambda clock: clock[0])
        if share < max(MOST, 2 * already):
            continue
        moved = _snapped(shifted(found, start, scale), truth, tolerance) if tolerance else shifted(found, start, scale)
        name = "timestamps are shifted" if unit == "seconds" else f"timestamps in {unit.split(',')[0]}"
        if start and unit != "seconds":
            name += " and shifted"
        how = [] if unit == "seconds" else [f"divide them by {1 / scale:.5g}"]
        how += [f"add {start / 1e6:.6g}"] if start else []
        seen = f"{before}; taken as {unit}"
        seen += f" that begin {start / 1e6:+.6g} s later" if start else ""
        seen += f", {share:.0%} of the frames are labelled ones"
        return moved, (name, seen, f"timestamps are seconds of the film: {' and '.join(how)}")
    return found, None


def _frames_by_video(truth: Table, found: Table) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """For some videos the rising times of ground truth and detections, in microseconds, and the name."""
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
    common = [name for name in times[1] if name in times[0]][:VIDEOS]
    return [(times[0][name], times[1][name].astype(np.float64), name) for name in common]


def _nearest(labelled: np.ndarray, times: np.ndarray) -> np.ndarray:
    """For each time the labelled one that is nearest."""
    after = np.clip(np.searchsorted(labelled, times), 1, max(len(labelled) - 1, 1))
    left, right = labelled[after - 1], labelled[np.minimum(after, len(labelled) - 1)]
    return np.where(np.abs(left - times) <= np.abs(right - times), left, right)


def _share(pairs: list[tuple[np.ndarray, np.ndarray, str]], scale: float, start: float, tolerance: float) -> float:
    """How many labelled frames the detections' frames are on, on a clock, to each of these."""
    hit = total = 0
    for labelled, times, _ in pairs:
        times = times * scale + start
        nearest = _nearest(labelled, times)
        hit += len(np.unique(nearest[np.abs(nearest - times) <= max(tolerance, 0.5)]))
        total += len(times)
    return hit / total


def _starts(pairs: list[tuple[np.ndarray, np.ndarray, str]], scale: float) -> list[float]:
    """Likely starts: by first frames, and the commonest distance to a labelled frame."""
    firsts = np.array([labelled[0] - times[0] * scale for labelled, times, _ in pairs])
    near = np.concatenate([_nearest(labelled, times * scale) - times * scale for labelled, times, _ in pairs])
    every = np.concatenate([(labelled[:50, None] - times[None, :50] * scale).ravel() for labelled, times, _ in pairs])
    return [_commonest(firsts), float(np.median(firsts)), _commonest(near), _commonest(every)]


def _commonest(values: np.ndarray) -> float:
    values, counts = np.unique(np.rint(values / 1000) * 1000, return_counts=True)
    return float(values[counts.argmax()])


def _snapped(found: Table, truth: Table, tolerance: float) -> Table:
    """The table with timestamps that are a frame's length from a labelled one of their video put there."""
    code_of = {name: code for code, name in enumerate(truth.video_names)}
    codes = np.array([code_of.get(name, len(code_of)) for name in found.video_names])[found.videos]
    first = min(truth.microseconds.min(), found.microseconds.min())
    span = max(truth.microseconds.max(), found.microseconds.max()) - first + 2 * int(tolerance) + 2
    labelled = np.unique(truth.videos * span + (truth.microseconds - first))  # a stretch of its own for each video
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
    pairs = _frames_by_video(truth, found)
    for place in (0, -1):
        shifts.append(float(np.median([labelled[place] - times[place] for labelled, times, _ in pairs])))
    return [shift for shift in dict.fromkeys(shifts) if shift]


def _example(pairs: list[tuple[np.ndarray, np.ndarray, str]]) -> str:
    labelled, times, name = pairs[0]
    return (
        f"in {name!r} the detections are at {times[0] / 1e6:.6g} to {times[-1] / 1e6:.6g}, the ground truth at "
        f"{labelled[0] / 1e6:.6g} to {labelled[-1] / 1e6:.6g}"
    )
