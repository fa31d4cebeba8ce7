"""The persons of the ground truth, whatever they do, and which of them each detection is about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ava_eval.matching import nearest_box
from ava_eval.max_detections import run_starts
from ava_eval.result import Evaluation


@dataclass(frozen=True)
class Persons:
    """P persons: different boxes of a frame among G ground truths; and D detections.

    Attributes:
        boxes: (P, 4) x1 y1 x2 y2.
        of_truth: (G,) int64 the person that each ground truth of the match table is about.
        nearest: (D,) int64 the person that each detection overlaps most, whatever the class; -1 if none.
        ious: (D,) float64 that IoU, 0 if none.
    """

    boxes: np.ndarray
    of_truth: np.ndarray
    nearest: np.ndarray
    ious: np.ndarray

    def found(self, iou: float) -> np.ndarray:
        """(P,) bool, which of them overlap by at least `iou` with a detection that overlaps no other more."""
        result = np.zeros(len(self.boxes), dtype=bool)
        result[self.nearest[self.ious >= iou]] = True
        return result


def find_persons(result: Evaluation) -> Persons:
    """Persons of an evaluation; a person whose box is inverted or flat is never found."""
    matches = result.matches
    boxes, frames = result.truth.boxes[matches.ground_truth_rows], matches.ground_truth_frames
    order = np.lexsort((*boxes.T, frames))
    starts = run_starts(frames[order], *boxes[order].T)
    of_truth = np.empty(len(order), dtype=np.int64)
    of_truth[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
    boxes, frames = boxes[order[starts]], frames[order[starts]]
    solid = np.flatnonzero((boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3]))
    nearest, ious, _ = nearest_box(result.found.boxes[matches.rows], matches.frames, boxes[solid], frames[solid])
    return Persons(boxes, of_truth, np.append(solid, -1)[nearest], ious)
