"""What is wrong with the detections that are not true positives, and what each kind of mistake costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ava_eval.persons import Persons
from ava_eval.ranking import Ranking
from ava_eval.result import Evaluation

NEARLY = 0.1  # IoU from which a box that is not good enough is a bad location: TIDE's background threshold
KINDS = {  # in the order in which they are asked for: each detection is of the first kind that fits
    "duplicate": "the right action, but a better detection has that person already",
    "wrong action": "on a labelled person who does not do this",
    "location": "near a person who does this, but the boxes overlap too little",
    "background": "near nobody who does this",
}
MISSED = "missed"


@dataclass(frozen=True)
class Mistake:
    """One kind of mistake.

    Attributes:
        kind: a key of KINDS, or MISSED.
        count: how many detections are of this kind (for MISSED: ground truths).
        confident: how many of them score enough to be kept at their class's best F1; for MISSED: how many ground
            truths no such detection finds.
        mended: the mAP if this kind alone were mended.
    """

    kind: str
    count: int
    confident: int
    mended: float


def kinds_of(result: Evaluation, persons: Persons, hits: np.ndarray) -> np.ndarray:
    """(D,) int8 index into KINDS of each detection of the match table, -1 for true positives (`hits`)."""
    matches = result.matches
    kinds = np.full(len(hits), list(KINDS).index("background"), dtype=np.int8)
    kinds[matches.ious >= NEARLY] = list(KINDS).index("location")
    kinds[persons.ious >= result.iou] = list(KINDS).index("wrong action")
    kinds[matches.ious >= result.iou] = list(KINDS).index("duplicate")
    kinds[hits] = -1
    return kinds


def count_mistakes(result: Evaluation, persons: Persons, ranking: Ranking) -> list[Mistake]:
    """Every kind of mistake.

    Mending a detection takes it away, for its person is or is not found without it; but a location is mended by giving
    the best of those near the same ground truth its box, if nothing else finds that one. Mending what is missed takes
    it out of the ground truth.
    """
    matches = result.matches
    hits = matches.true_positives(result.iou)
    kinds = kinds_of(result, persons, hits)
    thresholds = np.array([score for _, score in result.best_f1.values()])
    confident = matches.scores >= thresholds[matches.classes]
    mistakes = []
    for index, kind in enumerate(KINDS):
        of_kind = kinds == index
        mended = _well_placed(result, hits, of_kind, ranking) if kind == "location" else hits
        gain = ranking.mean(mended, ~of_kind | mended)
        mistakes.append(Mistake(kind, int(of_kind.sum()), int((of_kind & confident).sum()), gain))
    found = np.bincount(matches.classes[hits], minlength=len(result.label_map))
    missed = int(ranking.truths.sum() - found.sum())
    unsure = int(ranking.truths.sum() - (hits & confident).sum())
    return [*mistakes, Mistake(MISSED, missed, unsure, ranking.mean(hits, truths=found))]


def _well_placed(result: Evaluation, hits: np.ndarray, of_kind: np.ndarray, ranking: Ranking) -> np.ndarray:
    """(D,) bool true positives if the best detection near each ground truth that is not found were in its place."""
    nearest = result.matches.nearest
    candidates = ranking.order[of_kind[ranking.order]]
    candidates = candidates[~np.isin(nearest[candidates], nearest[hits])]
    _, first = np.unique(nearest[candidates], return_index=True)
    mended = hits.copy()
    mended[candidates[first]] = True
    return mended
