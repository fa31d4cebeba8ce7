"""One pass over the detections: each one's place in the ranking of its class and the ground truth it overlaps most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ava_eval.capacity import FRAME_CAPACITY, reading_order, run_starts
from ava_eval.label_map import LabelMap
from ava_eval.selection import Selection, select
from ava_eval.table import Table


@dataclass(frozen=True)
class MatchTable:
    """The D detections that count, sorted by class, then frame (as first seen in the file), then falling score.

    It holds no threshold: everything that is reported at any IoU follows from it.

    Attributes:
        rows: (D,) int64 rows of the detection table.
        classes: (D,) int16 positions in the label map.
        frames: (D,) int64 numbers of the frames.
        scores: (D,) float64.
        nearest: (D,) int64 row of the ground-truth table, of the same class and frame, with the highest IoU; -1 if
            none overlaps.
        ious: (D,) float64 that IoU, 0 if none overlaps.
        ground_truth_rows: (G,) int64 rows of the ground-truth table that count.
        ground_truth_classes: (G,) int16 positions in the label map.
        ignored: what does not count, and how many rows of it there are.
    """

    rows: np.ndarray
    classes: np.ndarray
    frames: np.ndarray
    scores: np.ndarray
    nearest: np.ndarray
    ious: np.ndarray
    ground_truth_rows: np.ndarray
    ground_truth_classes: np.ndarray
    ignored: dict[str, int]

    def true_positives(self, iou: float) -> np.ndarray:
        """(D,) bool: the first detection of each ground truth among those whose IoU with it is at least `iou`.

        A detection is compared with its nearest ground truth alone: if that is taken, it is a false positive even
        where a second one overlaps enough.
        """
        hits = np.flatnonzero(self.ious >= iou)
        _, first = np.unique(self.nearest[hits], return_index=True)
        result = np.zeros(len(self.rows), dtype=bool)
        result[hits[first]] = True
        return result


def match(ground_truth: Table, detections: Table, label_map: LabelMap, excluded: Table | None = None) -> MatchTable:
    """Matches by the official protocol; what counts is `select`'s to say."""
    selected = select(ground_truth, detections, label_map, excluded)
    frames, classes, scores = selected.frames, selected.classes, detections.scores
    rows, ranks = selected.read[selected.counted], selected.ranks[selected.counted]
    order = np.lexsort((-scores[rows], ranks, classes[rows]))
    rows, ranks = rows[order], ranks[order]

    number_of_frames = 1 + max(frames.max(initial=0), selected.true_frames.max(initial=0))
    keys = classes[rows].astype(np.int64) * number_of_frames + frames[rows]
    true_keys = selected.true_classes.astype(np.int64) * number_of_frames + selected.true_frames
    nearest, ious = _nearest(detections.boxes[rows], keys, ground_truth, true_keys, selected)

    ties = (keys[1:] == keys[:-1]) & (scores[rows[1:]] == scores[rows[:-1]])
    ties &= (nearest[1:] != nearest[:-1]) | (ious[1:] != ious[:-1])  # among equals, any order gives the same ranking
    if ties.any():
        places = np.zeros(len(detections), dtype=np.int64)
        places[selected.read] = reading_order(
            detections, selected.read, selected.ranks, selected.kept, np.unique(ranks[1:][ties]), FRAME_CAPACITY
        )
        order = np.lexsort((places[rows], -scores[rows], ranks, classes[rows]))
        rows, nearest, ious = rows[order], nearest[order], ious[order]
    return MatchTable(
        rows=rows,
        classes=classes[rows],
        frames=frames[rows],
        scores=scores[rows],
        nearest=nearest,
        ious=ious,
        ground_truth_rows=selected.true_rows,
        ground_truth_classes=selected.true_classes[selected.true_rows],
        ignored=selected.ignored,
    )


def _nearest(
    boxes: np.ndarray, keys: np.ndarray, truth: Table, true_keys: np.ndarray, selected: Selection
) -> tuple[np.ndarray, np.ndarray]:
    """For each detection the row of the ground truth that it overlaps most, or -1, and their IoU, or 0.

    Of equal IoUs the ground truth that the official reader hands on first counts. Ground truths without area are left
    out: a flat one overlaps nothing, and at an inverted one the official code stops.

    Args:
        boxes: (D, 4) of the detections.
        keys: (D,) a number for class and frame.
        truth: the ground-truth table of R rows.
        true_keys: (R,) a number for class and frame.
        selected: which of its rows count, and their frames.
    """
    true_rows, frames = selected.true_rows, selected.true_frames
    x1, y1, x2, y2 = truth.boxes[true_rows].T
    rivals = true_rows[(x1 < x2) & (y1 < y2)]
    rivals = rivals[np.argsort(true_keys[rivals], kind="stable")]
    first = np.searchsorted(true_keys[rivals], keys, "left")
    count = np.searchsorted(true_keys[rivals], keys, "right") - first
    detection = np.repeat(np.arange(len(keys)), count)
    rival = rivals[np.arange(len(detection)) - np.repeat(np.cumsum(count) - count - first, count)]
    ious = iou(boxes[detection], truth.boxes[rival])

    nearest, best = np.full(len(keys), -1), np.zeros(len(keys))
    np.maximum.at(best, detection, ious)
    is_best = (ious > 0) & (ious == best[detection])
    detection, rival = detection[is_best], rival[is_best]
    ties = np.diff(detection) == 0
    if ties.any():
        rows = true_rows[np.argsort(frames[true_rows], kind="stable")]
        tied_frames = np.unique(frames[rival[1:][ties]])
        places = np.zeros(len(truth), dtype=np.int64)
        places[rows] = reading_order(truth, rows, frames[rows], np.ones(len(rows), dtype=bool), tied_frames, None)
        order = np.lexsort((places[rival], detection))
        detection, rival = detection[order], rival[order]
    starts = run_starts(detection)
    nearest[detection[starts]] = rival[starts]
    return nearest, best


def iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(P,) float64 intersection over union of P pairs of boxes x1 y1 x2 y2, to the bit as np_box_ops.py has it."""
    x1, y1, x2, y2 = boxes.T
    u1, v1, u2, v2 = others.T
    with np.errstate(over="ignore", invalid="ignore"):
        heights = np.maximum(0.0, np.minimum(y2, v2) - np.maximum(y1, v1))
        widths = np.maximum(0.0, np.minimum(x2, u2) - np.maximum(x1, u1))
        intersections = heights * widths
        return intersections / ((y2 - y1) * (x2 - x1) + (v2 - v1) * (u2 - u1) - intersections)
