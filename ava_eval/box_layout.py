"""How the boxes of the detections are written: the order of their columns, and their unit, per video."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from ava_eval.matching import iou
from ava_eval.max_detections import run_starts
from ava_eval.selection import number_frames
from ava_eval.table import Table

AS_WRITTEN = "x1, y1, x2, y2"
ENOUGH = 8  # different boxes from which a video is evidence by itself
LEAST = 0.4  # mean IoU of boxes that are read right
LEAD = 0.05  # mean IoU by which a unit must beat the unit as written
FEW_GAIN, FEW_IOU, FEW_VIDEOS = 0.3, 0.55, 0.15  # and for videos of few boxes, which count only together
SAME_SCALE = 0.04  # relative


@dataclass(frozen=True)
class Layout:
    """One way to write four numbers.

    Attributes:
        corners: (N, 4) as written -> (N, 4) x1, y1, x2, y2.
        advice: what to write instead.
        flips: axes (0 for x, 1 for y) that are counted from the far side of the image.
    """

    corners: Callable[[np.ndarray], np.ndarray]
    advice: str
    flips: tuple[int, ...] = ()


def _center(order: list[int]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda b: np.hstack([b[:, order[:2]] - b[:, order[2:]] / 2, b[:, order[:2]] + b[:, order[2:]] / 2])


def _size(order: list[int]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda b: np.hstack([b[:, order[:2]], b[:, order[:2]] + b[:, order[2:]]])


LAYOUTS = {
    AS_WRITTEN: Layout(lambda b: b, ""),
    "x and y swapped": Layout(lambda b: b[:, [1, 0, 3, 2]], "write the columns as x1, y1, x2, y2, not y1, x1, y2, x2"),
    "boxes are x, y, width, height": Layout(_size([0, 1, 2, 3]), "write the corners: x, y, x + width, y + height"),
    "boxes are center, width, height": Layout(
        _center([0, 1, 2, 3]), "write the corners: center - size / 2, center + size / 2"
    ),
    "boxes are y, x, height, width": Layout(_size([1, 0, 3, 2]), "write the corners: x, y, x + width, y + height"),
    "boxes are center y, center x, height, width": Layout(
        _center([1, 0, 3, 2]), "write the corners, x first: center - size / 2, center + size / 2"
    ),
    "corners ordered x1, x2, y1, y2": Layout(lambda b: b[:, [0, 2, 1, 3]], "write the columns as x1, y1, x2, y2"),
    "corners ordered y1, y2, x1, x2": Layout(lambda b: b[:, [2, 0, 3, 1]], "write the columns as x1, y1, x2, y2"),
    "opposite corners in the wrong order": Layout(
        lambda b: np.hstack([np.minimum(b[:, :2], b[:, 2:]), np.maximum(b[:, :2], b[:, 2:])]),
        "write the smaller x and y first: x1 < x2 and y1 < y2",
    ),
    "y counted from the bottom": Layout(
        lambda b: b, "y runs downwards from the top of the image: write 1 - y2 and 1 - y1", (1,)
    ),
    "x counted from the right": Layout(
        lambda b: b, "x runs from the left of the image (mirrored frames?): write 1 - x2 and 1 - x1", (0,)
    ),
}


@dataclass(frozen=True)
class Reading:
    """How to read the boxes of a video: the layout, and how many of its units make one of the ground truth's."""

    layout: str = AS_WRITTEN
    scale: tuple[float, float] = (1.0, 1.0)


@dataclass
class BoxFix:
    """Which videos are read differently than they are written.

    Attributes:
        readings: {video: how to read it}.
        base: mean IoU of detections and ground truth as written.
        fixed: the same with `readings`.
        suspicious: remarks on what cannot be claimed.
    """

    readings: dict[str, Reading] = field(default_factory=dict)
    base: float = 0.0
    fixed: float = 0.0
    suspicious: list[str] = field(default_factory=list)

    def rescaled(self, found: Table, videos: Iterable[str]) -> Table:
        """The detections with the boxes of these videos in the ground truth's unit, in the columns as written."""
        scales = np.ones((len(found.video_names), 4))
        for code, name in enumerate(found.video_names):
            if name in self.readings and name in set(videos):
                reading = self.readings[name]
                # a column as written is of the axis whose corners it moves
                is_x = LAYOUTS[reading.layout].corners(np.eye(4))[:, [0, 2]].any(axis=1)
                scales[code] = np.where(is_x, *reading.scale)
        return replace(found, boxes=found.boxes / scales[found.videos])

    def rearranged(self, found: Table, name: str) -> Table:
        """The detections with the boxes of the videos of that layout as x1, y1, x2, y2."""
        codes = [
            code
            for code, video in enumerate(found.video_names)
            if video in self.readings and self.readings[video].layout == name
        ]
        rows = np.isin(found.videos, codes)
        boxes = found.boxes.copy()
        boxes[rows] = _flipped(LAYOUTS[name].corners(boxes[rows]), LAYOUTS[name].flips)
        return replace(found, boxes=boxes)


class _Pairs:
    """Different boxes of detections and of people in the ground truth, and all pairs of the same frame."""

    def __init__(self, truth: Table, found: Table) -> None:
        true_frames, frames = number_frames(truth, found)
        self.true_boxes, true_frames, _ = _different(truth, truth.has_box, true_frames)
        self.boxes, frames, self.videos = _different(found, found.has_box & np.isin(frames, true_frames), frames)
        first, last = (np.searchsorted(true_frames, frames, side) for side in ("left", "right"))
        counts = last - first
        self.left = np.repeat(np.arange(len(frames)), counts)
        self.right = np.arange(len(self.left)) - np.repeat(np.cumsum(counts) - counts, counts) + first[self.left]
        self.starts = np.cumsum(counts) - counts
        self.by_truth = np.argsort(self.right, kind="stable")
        self.truth_starts = run_starts(self.right[self.by_truth]) if len(self.right) else np.zeros(0, int)
        self.pair_videos = self.videos[self.left]

    def ious(self, corners: np.ndarray) -> np.ndarray:
        """(P,) IoU of each pair; 0 for inverted boxes."""
        first, second = corners[self.left], self.true_boxes[self.right]
        values = iou(first, second)
        solid = (first[:, 0] < first[:, 2]) & (first[:, 1] < first[:, 3])
        return np.where(solid & np.isfinite(values), values, 0.0)

    def fit(self, corners: np.ndarray, videos: int) -> tuple[np.ndarray, np.ndarray]:
        """(videos, 4) mean IoU of the best pairs, of detections and ground truth alike; and how many boxes each has."""
        if not len(self.left):
            return np.zeros(videos), np.zeros(videos)
        ious = self.ious(corners)
        best = np.maximum.reduceat(ious, self.starts)
        true_best = np.maximum.reduceat(ious[self.by_truth], self.truth_starts)
        true_videos = self.pair_videos[self.by_truth][self.truth_starts]
        means = []
        for values, of in ((best, self.videos), (true_best, true_videos)):
            counts = np.bincount(of, minlength=videos)
            means.append(np.bincount(of, values, minlength=videos) / np.maximum(counts, 1))
        return (means[0] + means[1]) / 2, np.bincount(self.videos, minlength=videos).astype(float)

    def scale(self, corners: np.ndarray, flips: tuple[int, ...], pairs: np.ndarray) -> tuple[float, float]:
        """The commonest ratio, per axis, of the detections' coordinates to those of the ground truth."""
        scales = []
        left, right = corners[self.left[pairs]], self.true_boxes[self.right[pairs]]
        for axis in (0, 1):
            true_low, true_high = right[:, axis], right[:, axis + 2]
            if axis in flips:
                true_low, true_high = 1 - true_high, 1 - true_low
            low, high = left[:, axis], left[:, axis + 2]
            with np.errstate(all="ignore"):
                ratios = np.log(
                    np.concatenate([high / true_high, (high - low) / (true_high - true_low), low / true_low])
                )
            scales.append(_mode(ratios[np.isfinite(ratios)]))
        return scales[0], scales[1]


def _different(table: Table, rows: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The different finite boxes of the rows, by rising frame; their frames and videos."""
    rows = np.flatnonzero(rows & np.isfinite(table.boxes).all(axis=1))
    rows = rows[np.lexsort((*table.boxes[rows].T, frames[rows]))]
    rows = rows[run_starts(frames[rows], *table.boxes[rows].T)]
    return table.boxes[rows], frames[rows], table.videos[rows]


def _mode(logs: np.ndarray) -> float:
    """exp of where (R,) logarithms are densest; 1 if there are none."""
    if not len(logs):
        return 1.0
    logs = np.sort(logs)
    counts = np.searchsorted(logs, logs + SAME_SCALE) - np.arange(len(logs))
    start = counts.argmax()
    return float(np.exp(np.median(logs[start : start + counts[start]])))


def _gain(boxes: float) -> float:
    """Mean IoU by which a layout must beat the boxes as written: more where there are fewer boxes."""
    return 0.05 + 0.5 / max(boxes, 1) ** 0.5


def _lead(boxes: float) -> float:
    """The same, by which it must beat every other layout."""
    return 0.02 + 0.25 / max(boxes, 1) ** 0.5


def find_box_fix(truth: Table, found: Table) -> BoxFix:
    """The layout and unit of each video's boxes, where another than the written one fits clearly best.

    A layout is chosen only if its mean IoU with the ground truth beats the boxes as written and every other layout.
    """
    pairs = _Pairs(truth, found)
    result = BoxFix()
    if not len(pairs.left):
        return result
    videos = len(found.video_names)
    base, counts = pairs.fit(pairs.boxes, videos)
    weights = counts / counts.sum()
    result.base = result.fixed = float(base @ weights)
    fits, scales, corners_of = _try_all(pairs, videos, counts)
    names = list(fits)
    table = np.stack([fits[name] for name in names])
    pooled = table @ weights
    chosen = np.full(videos, -1)
    winner = int(pooled.argmax())
    rivals = [pooled[i] for i in range(len(names)) if not _same(corners_of, names[winner], names[i], pairs, None)]
    if pooled[winner] > max(result.base + _gain(counts.sum()), LEAST):
        if pooled[winner] > max(rivals, default=0.0) + _lead(counts.sum()):
            chosen[table[winner] > base - 0.1] = winner
        else:
            second = max((i for i in range(len(names)) if i != winner), key=lambda i: pooled[i])
            result.suspicious.append(
                f"the boxes overlap those of the ground truth by {result.base:.3f} (mean IoU); read as "
                f"{names[winner]!r} by {pooled[winner]:.3f}, as {names[second]!r} by {pooled[second]:.3f}: too close "
                "to call"
            )
    _choose_per_video(chosen, table, names, base, counts, pairs, corners_of)
    for video in np.flatnonzero(chosen >= 0):
        name = names[chosen[video]]
        result.readings[found.video_names[video]] = Reading(name, scales[name][video])
    picked = np.where(chosen >= 0, table[chosen, np.arange(videos)], base)
    result.fixed = float(picked @ weights)
    return result


def _try_all(
    pairs: _Pairs, videos: int, counts: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, list[tuple[float, float]]], dict[str, np.ndarray]]:
    """For each layout: the fit per video, the scale per video, and the corners."""
    fits, scales, corners_of = {}, {}, {}
    everything = np.arange(len(pairs.left))
    reach, true_reach = np.zeros(videos), np.abs(pairs.true_boxes).max(initial=1e-9)
    np.maximum.at(reach, pairs.videos, np.abs(pairs.boxes).max(axis=1))
    other_unit = (reach > 2 * true_reach) | (reach < true_reach / 10)  # or a scale of its own would fit anything
    order = np.argsort(pairs.pair_videos, kind="stable")
    bounds = np.searchsorted(pairs.pair_videos[order], np.arange(videos + 1))
    rows_of = [order[bounds[v] : bounds[v + 1]] if other_unit[v] else order[:0] for v in range(videos)]
    for name, layout in LAYOUTS.items():
        corners = layout.corners(pairs.boxes)
        common = pairs.scale(corners, layout.flips, everything)
        candidates = [[(1.0, 1.0)] * videos, [common] * videos]
        candidates.append([pairs.scale(corners, layout.flips, rows) if len(rows) else common for rows in rows_of])
        best = None
        for i, candidate in enumerate(candidates):
            usable = np.array([not _is_one([scale]) and (name == AS_WRITTEN or _is_unit(scale)) for scale in candidate])
            if i and not usable.any():
                continue
            scaled = _flipped(corners / np.tile(np.array(candidate)[pairs.videos], 2), layout.flips)
            fit, _ = pairs.fit(scaled, videos)
            if best is None:
                best, best_scales, best_corners = fit, list(candidate), scaled
                continue
            better = fit > best + np.where(counts >= ENOUGH, LEAD, 4 * LEAD)
            better &= usable
            best = np.where(better, fit, best)
            best_scales = [candidate[v] if better[v] else best_scales[v] for v in range(videos)]
            best_corners = np.where(better[pairs.videos][:, None], scaled, best_corners)
        fits[name], scales[name], corners_of[name] = best, best_scales, best_corners
    return fits, scales, corners_of


def _flipped(corners: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The boxes, within 0..1, with x (0) or y (1) counted from the other side."""
    corners = corners.copy()
    for axis in axes:
        corners[:, [axis, axis + 2]] = 1 - corners[:, [axis + 2, axis]]
    return corners


def _is_one(scales: list[tuple[float, float]]) -> bool:
    return bool((np.abs(np.log(np.array(scales))) < 0.1).all())


def _is_unit(scale: tuple[float, float]) -> bool:
    """Whether it is that of another unit, such as pixels. A layout with any other scale would fit too much."""
    return min(scale) > 5 or max(scale) < 0.2


def _same(corners_of: dict[str, np.ndarray], name: str, other: str, pairs: _Pairs, video: int | None) -> bool:
    """Whether both layouts give nearly the same boxes."""
    if name == other:
        return True
    first, second = corners_of[name], corners_of[other]
    if video is not None:
        first, second = first[pairs.videos == video], second[pairs.videos == video]
    return bool(np.allclose(first, second, rtol=1e-3, atol=1e-4))


def _choose_per_video(
    chosen: np.ndarray,
    table: np.ndarray,
    names: list[str],
    base: np.ndarray,
    counts: np.ndarray,
    pairs: _Pairs,
    corners_of: dict[str, np.ndarray],
) -> None:
    """Sets `chosen` for videos whose own boxes, or those of many videos of few boxes, clearly fit one layout."""
    videos = np.arange(len(base))
    now = np.where(chosen >= 0, table[chosen, videos], base)
    best = table.argmax(axis=0)
    few: dict[int, list[int]] = {}
    for video in np.flatnonzero(counts):
        layout = best[video]
        value = table[layout, video]
        if layout == chosen[video] or value < now[video] + _gain(counts[video]):
            continue
        if counts[video] < ENOUGH:
            if value > now[video] + FEW_GAIN and value > FEW_IOU:
                few.setdefault(int(layout), []).append(video)
            continue
        rivals = [
            table[i, video] for i in range(len(names)) if not _same(corners_of, names[layout], names[i], pairs, video)
        ]
        if value > max(rivals, default=0.0) + _lead(counts[video]) and value > LEAST:
            chosen[video] = layout
    small = int(((counts > 0) & (counts < ENOUGH)).sum())
    for layout, members in few.items():
        others = max((len(m) for other, m in few.items() if other != layout), default=0)
        if len(members) >= max(3, FEW_VIDEOS * small) and len(members) >= 3 * others:
            chosen[members] = layout


def unit_names(fix: BoxFix, found: Table) -> dict[str, list[str]]:
    """{name of the problem: the videos whose unit is not the ground truth's}; sets the scale of percent to 100."""
    reach = np.zeros(len(found.video_names))
    np.maximum.at(reach, found.videos, np.where(np.isfinite(found.boxes), np.abs(found.boxes), 0).max(axis=1))
    other = {name: reading for name, reading in fix.readings.items() if not _is_one([reading.scale])}
    reach_of = dict(zip(found.video_names, reach.tolist()))
    are_all_small = max((reach_of[name] for name in other), default=0) < 101
    names: dict[str, list[str]] = {}
    for video, reading in other.items():
        low, high = min(reading.scale), max(reading.scale)
        if low > 5 and reach_of[video] < 101 and (are_all_small or (low > 90 and high < 110)):
            fix.readings[video] = replace(reading, scale=(100.0, 100.0))
            name = "boxes of the detections are in percent"
        elif low > 5:
            name = "boxes of the detections are in pixels"
        elif high < 0.2:
            are_percent = low > 0.009 and high < 0.011
            name = f"boxes of the ground truth are in {'percent' if are_percent else 'pixels'}"
        else:
            name = "boxes of another image size"
        names.setdefault(name, []).append(video)
    return names
