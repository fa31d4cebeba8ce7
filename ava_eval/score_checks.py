"""Scores and repeated rows of a table of detections: what looks wrong whatever the ground truth is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ava_eval.matching import iou
from ava_eval.max_detections import run_starts
from ava_eval.table import Table
from ava_eval.what_if import take

NMS_IOU = 0.7  # boxes of one class and frame that overlap more are taken for the same person
MOST = 0.6  # of the videos
MOST_RIVALS = 30  # better-scored boxes that each is compared with


def _logistic(scores: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-scores))


# kind of scores -> how to map them to 0..1, and the advice
KINDS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "scores are in percent": (lambda s: s / 100, "divide them by 100"),
    "scores are not within 0 to 1": (lambda s: s / s.max(), "divide them by their maximum"),
    "scores are logarithms": (np.exp, "write exp(score)"),
    "scores are logits": (_logistic, "write 1 / (1 + exp(-score))"),
}


def kind_of(scores: np.ndarray) -> str:
    """A key of `KINDS`, or "" for scores within 0..1."""
    low, high = float(scores.min()), float(scores.max())
    if low >= 0:
        if high <= 1:
            return ""
        return "scores are in percent" if high <= 100 and np.mean(scores > 1) > 0.2 else "scores are not within 0 to 1"
    return "scores are logarithms" if high <= 0 else "scores are logits"


def kinds_by_video(found: Table) -> dict[str, list[str]]:
    """{kind, "" for 0..1: the videos whose scores are of it}.

    A video of few rows may show no score outside 0..1, so if most videos do, all count as that kind.
    """
    codes = found.videos[found.has_box]
    low, high = np.full(len(found.video_names), np.inf), np.full(len(found.video_names), -np.inf)
    np.minimum.at(low, codes, found.scores[found.has_box])
    np.maximum.at(high, codes, found.scores[found.has_box])
    present = np.isfinite(low)
    kinds: dict[str, list[str]] = {}
    for outside in (low < 0, (low >= 0) & (high > 1)):
        outside &= present
        if outside.sum() > MOST * present.sum():
            outside = present
        if outside.any():
            kind = kind_of(found.scores[found.has_box & outside[found.videos]])
            kinds[kind] = [found.video_names[code] for code in np.flatnonzero(outside)]
            present = present & ~outside
    if present.any():
        kinds[""] = [found.video_names[code] for code in np.flatnonzero(present)]
    return kinds


def to_probabilities(found: Table, kinds: dict[str, list[str]]) -> Table:
    """The table with the scores of each kind's videos within 0..1."""
    scores = found.scores.copy()
    for kind, names in kinds.items():
        if kind:
            chosen = set(names)
            rows = np.array([name in chosen for name in found.video_names], dtype=bool)[found.videos] & found.has_box
            scores[rows] = KINDS[kind][0](scores[rows])
    return replace(found, scores=scores)


def repeated(found: Table, frames: np.ndarray) -> tuple[np.ndarray, bool]:
    """(Q,) bool, rows that repeat a row of the same frame, class and box; and whether all have its score too.

    Of each set the row with the highest score is not among them.
    """
    rows = np.flatnonzero(found.has_box)
    columns = (*found.boxes[rows].T, found.actions[rows], frames[rows])
    order = np.lexsort((np.arange(len(rows)), -found.scores[rows], *columns))
    rows = rows[order]
    again = np.ones(len(rows), dtype=bool)
    again[run_starts(*(column[order] for column in columns))] = False
    places = np.flatnonzero(again)
    same_score = bool((found.scores[rows[places]] == found.scores[rows[places - 1]]).all()) if len(places) else True
    result = np.zeros(len(found), dtype=bool)
    result[rows[again]] = True
    return result, same_score


def overlapping(found: Table, frames: np.ndarray) -> np.ndarray:
    """(Q,) bool, rows that overlap a better row of their frame and class by more than NMS_IOU."""
    rows = np.flatnonzero(found.has_box)
    rows = rows[np.lexsort((-found.scores[rows], found.actions[rows], frames[rows]))]
    starts = run_starts(frames[rows], found.actions[rows])
    place = np.arange(len(rows)) - np.repeat(starts, np.diff(starts, append=len(rows)))
    worse = np.zeros(len(rows), dtype=bool)
    for distance in range(1, min(MOST_RIVALS, int(place.max(initial=0))) + 1):
        later = np.flatnonzero((place >= distance) & ~worse)
        values = iou(found.boxes[rows[later]], found.boxes[rows[later - distance]])
        worse[later[values > NMS_IOU]] = True
    result = np.zeros(len(found), dtype=bool)
    result[rows[worse]] = True
    return result


def without(found: Table, rows: np.ndarray) -> Table:
    """The table without some rows."""
    return take(found, ~rows)


def ignores_class(found: Table, frames: np.ndarray) -> bool:
    """Whether all actions of a box have one score, box for box."""
    rows = np.flatnonzero(found.has_box)
    columns = (*found.boxes[rows].T, frames[rows])
    order = np.lexsort(columns)
    starts = run_starts(*(column[order] for column in columns))
    sizes = np.diff(starts, append=len(rows))
    several = sizes >= 3
    if several.sum() < 10 or several.mean() < 0.5:
        return False
    scores = found.scores[rows[order]]
    equal = np.maximum.reduceat(scores, starts) == np.minimum.reduceat(scores, starts)
    return bool(equal[several].mean() > 0.95 and len(np.unique(scores)) > 1)
