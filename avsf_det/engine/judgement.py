"""Which detected actions are right, which are wrong and which are missed, as ava_eval matches them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ava_eval.label_map import LabelMap
from ava_eval.matching import iou, match
from ava_eval.protocol import OFFICIAL
from ava_eval.table import Table, table_from_memory
from avsf_det.data.action_rows import ActionRows
from avsf_det.structures import Persons
from avsf_det.visual.verdicts import MISSED, RIGHT, UNFOUND, UNJUDGED, WRONG

IOU = 0.5  # AVA's: from this overlap on a detection is of a labelled person
_PROTOCOL = replace(OFFICIAL, capacity=None)  # every row gets a verdict, not the 50 best of a keyframe


@dataclass(frozen=True)
class Judgement:
    """A verdict on each row.

    Attributes:
        verdicts: (D,) int64 of the detections: UNJUDGED, RIGHT or WRONG. Rows below the threshold, without an action
            or on keyframes that are not labelled are not judged.
        missed: (G,) bool of the ground truth: no right detection is of this row.
    """

    verdicts: np.ndarray
    missed: np.ndarray

    def summary(self) -> str:
        """Counts, precision and recall in one line."""
        right, wrong = (int((self.verdicts == verdict).sum()) for verdict in (RIGHT, WRONG))
        missed = int(self.missed.sum())
        precision = f"{right / (right + wrong):.3f}" if right + wrong else "-"
        recall = f"{right / (right + missed):.3f}" if right + missed else "-"
        return f"{right} right, {wrong} wrong, {missed} missed: precision {precision}, recall {recall} at IoU {IOU:g}"


def judge(detections: ActionRows, truth: ActionRows, threshold: float) -> Judgement:
    """Match each class by itself: the best-scored detection of a labelled box is right, further ones are wrong.

    Args:
        detections: the D rows found.
        truth: the G rows labelled, of the same label map.
        threshold: the score from which a detection counts.
    """
    label_map = truth.label_map
    counted = np.flatnonzero((detections.scores >= threshold) & (detections.classes >= 0))
    labelled = np.flatnonzero(truth.classes >= 0)
    empty = np.setdiff1d(truth.keyframes, truth.times[labelled])
    matches = match(
        _table(truth, labelled, label_map, empty), _table(detections, counted, label_map), label_map, protocol=_PROTOCOL
    )
    hits = matches.true_positives(IOU)
    verdicts = np.full(len(detections), UNJUDGED)
    verdicts[counted[matches.rows]] = np.where(hits, RIGHT, WRONG)
    missed = np.zeros(len(truth), dtype=bool)
    missed[labelled] = True
    missed[labelled[matches.nearest[hits]]] = False
    return Judgement(verdicts, missed)


def _table(rows: ActionRows, chosen: np.ndarray, label_map: LabelMap, empty: Sequence[float] = ()) -> Table:
    """ava_eval's table of the chosen rows, and of keyframes where nobody is."""
    ids = np.array(label_map.ids)[rows.classes[chosen]]
    numbers = np.column_stack((rows.times[chosen], rows.boxes[chosen], ids, rows.scores[chosen]))
    nobody = [("", time, *[None] * 6) for time in empty]
    return table_from_memory([("", *row) for row in numbers.tolist()] + nobody, str(rows.path))


def unfound(truth: ActionRows, missed: np.ndarray, found: Persons, time: float) -> tuple[Persons, np.ndarray]:
    """Whom a keyframe's detections missed altogether, and what they missed of those whom they found.

    Args:
        truth: the G rows labelled.
        missed: (G,) bool, those missed.
        found: the N persons detected at the keyframe.
        time: the keyframe's, on the csv's clock.

    Returns:
        The persons that no detected box overlaps by `IOU`, actions (M, K) being 1 where missed; and (N, K) bool, the
        actions missed of each person found.
    """
    count = len(truth.label_map)
    attached = np.zeros((len(found), count), dtype=bool)
    lost: dict[tuple, np.ndarray] = {}
    for row in np.flatnonzero(missed & (truth.times == time)):
        box = truth.boxes[row]
        overlaps = iou(found.boxes.astype(np.float64), np.tile(box, (len(found), 1)))
        if overlaps.max(initial=0.0) >= IOU:
            attached[overlaps.argmax(), truth.classes[row]] = True
        else:
            key = (*box, int(truth.persons[row]))
            lost.setdefault(key, np.zeros(count))[truth.classes[row]] = 1.0
    boxes = np.array([key[:4] for key in lost]).reshape(-1, 4)
    ids = np.array([UNFOUND + (key[4] if key[4] >= 0 else place) for place, key in enumerate(lost)], dtype=np.int64)
    return Persons(boxes, np.ones(len(lost)), ids, np.array(list(lost.values())).reshape(-1, count)), attached


def with_verdicts(found: Persons, lost: Persons, attached: np.ndarray, verdicts: np.ndarray) -> Persons:
    """Persons as `VerdictAnnotator` draws them.

    Args:
        found: N persons detected, with actions (N, K).
        lost: M persons nobody detected, with actions (M, K).
        attached: (N, K) bool, missed actions of those found.
        verdicts: (N, K) of their detected actions.
    """
    count = found.actions.shape[1]
    actions = np.zeros((len(found) + len(lost), 4 * count), dtype=np.float32)
    for verdict in (UNJUDGED, RIGHT, WRONG):
        actions[: len(found), verdict * count :][:, :count] = np.where(verdicts == verdict, found.actions, 0)
    actions[: len(found), MISSED * count :] = attached
    actions[len(found) :, MISSED * count :] = lost.actions
    return Persons(
        np.concatenate((found.boxes, lost.boxes)),
        np.concatenate((found.scores, lost.scores)),
        np.concatenate((found.ids, lost.ids)),
        actions,
    )
