"""One pass over the detections: each one's place in the ranking of its class and the ground truth it overlaps most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ava_eval.label_map import LabelMap
from ava_eval.max_detections import reading_order
from ava_eval.protocol import OFFICIAL, Protocol
from ava_eval.selection import Selection, select
from ava_eval.table import Table


@dataclass(frozen=True)
class MatchTable:
    """The D detections that count, sorted by class, then frame (as first seen), then in the order of matching.

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
        ground_truth_frames: (G,) int64 numbers of the frames.
        ignored: what does not count, and how many rows of it there are.
        tied_at_capacity: rows left out of full frames that score no less than one that was kept.
    """

    rows: np.ndarray
    classes: np.ndarray
    frames: np.ndarray
    scores: np.ndarray
    nearest: np.ndarray
    ious: np.ndarray
    ground_truth_rows: np.ndarray
    ground_truth_classes: np.ndarray
    ground_truth_frames: np.ndarray
    ignored: dict[str, int]
    tied_at_capacity: int

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


def match(
    ground_truth: Table,
    detections: Table,
    label_map: LabelMap,
    excluded: Table | None = None,
    protocol: Protocol = OFFICIAL,
) -> MatchTable:
    """Matches by a protocol; what counts is `select`'s to say."""
    selected = select(ground_truth, detections, label_map, excluded, protocol)
    frames, classes = selected.frames, selected.classes
    rows, ranks = selected.read[selected.counted], selected.ranks[selected.counted]
    scores = detections.scores[rows]
    small = ranks.astype(np.min_scalar_type(ranks.max(initial=0)))  # 16 bits are sorted digit by digit
    order = np.lexsort((-scores, small, classes[rows]) if protocol.sorts_frame else (small, classes[rows]))
    rows, ranks, scores = rows[order], ranks[order], scores[order]

    number_of_frames = 1 + max(frames.max(initial=0), selected.true_frames.max(initial=0))
    keys = classes[rows].astype(np.int64) * number_of_frames + frames[rows]
    true_keys = selected.true_classes.astype(np.int64) * number_of_frames + selected.true_frames
    nearest, ious = _match_boxes(detections, rows, keys, ground_truth, true_keys, selected, protocol)

    if protocol.order == "heap":
        ties = (keys[1:] == keys[:-1]) & (scores[1:] == scores[:-1])
        ties &= (nearest[1:] != nearest[:-1]) | (ious[1:] != ious[:-1])  # among equals, any order ranks the same
        if ties.any():
            places = np.zeros(len(detections), dtype=np.int64)
            places[selected.read] = reading_order(
                detections,
                selected.read,
                selected.ranks,
                selected.kept,
                np.unique(ranks[1:][ties]),
                protocol.capacity,
            )
            order = np.lexsort((places[rows], -scores, ranks, classes[rows]))
            rows, nearest, ious, scores = rows[order], nearest[order], ious[order], scores[order]
    return MatchTable(
        rows=rows,
        classes=classes[rows],
        frames=frames[rows],
        scores=scores.astype(protocol.precision, copy=False),
        nearest=nearest,
        ious=ious,
        ground_truth_rows=selected.true_rows,
        ground_truth_classes=selected.true_classes[selected.true_rows],
        ground_truth_frames=selected.true_frames[selected.true_rows],
        ignored=selected.ignored,
        tied_at_capacity=selected.tied_at_capacity,
    )


def _match_boxes(
    found: Table,
    rows: np.ndarray,
    keys: np.ndarray,
    truth: Table,
    true_keys: np.ndarray,
    selected: Selection,
    protocol: Protocol,
) -> tuple[np.ndarray, np.ndarray]:
    """(D,) row of the ground truth that each detection overlaps most, or -1, and their IoU, or 0.

    Args:
        found: the detections.
        rows: (D,) those that count.
        keys: (D,) a number for class and frame.
        truth: the ground truth.
        true_keys: (R,) such a number for each of its rows.
        selected: which of its rows count.
        protocol: whose way of counting.
    """
    rivals = _rivals(truth, true_keys, selected, protocol)
    boxes = _cast(found.boxes[rows], protocol)
    nearest, ious, tied = nearest_box(boxes, keys, _cast(truth.boxes[rivals], protocol), true_keys[rivals])
    nearest = np.append(rivals, -1)[nearest]
    if protocol.order == "heap" and tied.any():
        rivals = _in_reading_order(truth, rivals, true_keys, selected, np.unique(selected.frames[rows[tied]]))
        again, *_ = nearest_box(boxes[tied], keys[tied], truth.boxes[rivals], true_keys[rivals])
        nearest[tied] = rivals[again]
    return nearest, ious


def _rivals(truth: Table, keys: np.ndarray, selected: Selection, protocol: Protocol) -> np.ndarray:
    """Rows of the ground truth that can be matched, by rising key (class and frame), in order of the file or by score.

    Ground truths without area are left out: a flat one overlaps nothing, and at an inverted one the public evaluators
    stop, if anything of its class was detected in its frame.
    """
    x1, y1, x2, y2 = truth.boxes[selected.true_rows].T
    rivals = selected.true_rows[(x1 < x2) & (y1 < y2)]
    rivals = rivals[np.argsort(keys[rivals], kind="stable")]
    if protocol.sorts_frame and protocol.order == "file":
        rivals = rivals[np.lexsort((-truth.scores[rivals], keys[rivals]))]
    return rivals


def _in_reading_order(
    truth: Table, rivals: np.ndarray, keys: np.ndarray, selected: Selection, frames: np.ndarray
) -> np.ndarray:
    """The rivals by rising key, those of one key in `frames` as the official reader's heap hands them on."""
    rows = selected.true_rows[np.argsort(selected.true_frames[selected.true_rows], kind="stable")]
    places = np.zeros(len(truth), dtype=np.int64)
    all_kept = np.ones(len(rows), dtype=bool)
    places[rows] = reading_order(truth, rows, selected.true_frames[rows], all_kept, frames, None)
    return rivals[np.lexsort((places[rivals], keys[rivals]))]


def _cast(boxes: np.ndarray, protocol: Protocol) -> np.ndarray:
    with np.errstate(over="ignore"):
        return boxes.astype(protocol.precision, copy=False)


def nearest_box(
    boxes: np.ndarray, keys: np.ndarray, rivals: np.ndarray, rival_keys: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(D,) for each box the rival of its key that it overlaps most, or -1; the IoU, or 0; and whether it has an equal.

    Of equals the first is taken.

    Args:
        boxes: (D, 4) x1 y1 x2 y2.
        keys: (D,) whole numbers.
        rivals: (P, 4).
        rival_keys: (P,) rising.
    """
    first = np.searchsorted(rival_keys, keys, "left")
    count = np.searchsorted(rival_keys, keys, "right") - first
    nearest, best, tied = np.full(len(keys), -1), np.zeros(len(keys)), np.zeros(len(keys), dtype=bool)
    candidates = np.flatnonzero(count)
    for turn in range(count.max(initial=0)):  # the rivals of a key one after the other: few have many
        candidates = candidates[count[candidates] > turn]
        rival = first[candidates] + turn
        ious = iou(boxes[candidates], rivals[rival])
        better = ious > best[candidates]
        tied[candidates[better]] = False
        tied[candidates[(ious == best[candidates]) & (ious > 0)]] = True
        best[candidates[better]] = ious[better]
        nearest[candidates[better]] = rival[better]
    return nearest, best, tied


def iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(P,) float64 intersection over union of P pairs of boxes x1 y1 x2 y2, to the bit as np_box_ops.py has it.

    There, sides of intersections are float64 whatever the boxes are, but areas and their sums are not.
    """
    x1, y1, x2, y2 = boxes.T
    u1, v1, u2, v2 = others.T
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        heights = (np.minimum(y2, v2) - np.maximum(y1, v1)).astype(np.float64, copy=False)
        widths = (np.minimum(x2, u2) - np.maximum(x1, u1)).astype(np.float64, copy=False)
        intersections = np.maximum(0.0, heights) * np.maximum(0.0, widths)
        return intersections / ((y2 - y1) * (x2 - x1) + (v2 - v1) * (u2 - u1) - intersections)
