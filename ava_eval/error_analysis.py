"""TIDE's error types: why each false positive and each missed ground truth is one, and what each type costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ava_eval.average_precision import mean_over_ids
from ava_eval.persons import Persons
from ava_eval.ranking import Ranking
from ava_eval.result import Evaluation

NEARLY = 0.1  # IoU from which a false positive is near a ground truth: TIDE's background threshold
KINDS = {  # what each type of false positive is; see `kinds_of` for which takes precedence
    "Cls": "on a person of the ground truth who does not do this",
    "Loc": "near a person who does this, but the IoU is too low",
    "Dup": "right, but a detection with a higher score has that ground truth already",
    "Bkg": "neither on a person of the ground truth nor near one who does this",
}
MISS = "Miss"
MEANING = KINDS | {MISS: "ground truth that no detection is matched to"}


@dataclass(frozen=True)
class ErrorType:
    """One of TIDE's error types.

    Attributes:
        kind: a key of MEANING.
        counts: (K,) how many detections of each class are of this type (for Miss: ground truths).
        confident: (K,) how many of them score enough to be kept at their class's best F1; for Miss: how many ground
            truths no such detection is matched to.
        fixed_aps: (K,) the AP of each class if this type alone were fixed; NaN without ground truth.
        fixed: the mAP if this type alone were fixed.
    """

    kind: str
    counts: np.ndarray
    confident: np.ndarray
    fixed_aps: np.ndarray
    fixed: float

    @property
    def count(self) -> int:
        """Of all classes."""
        return int(self.counts.sum())

    @property
    def confident_count(self) -> int:
        """Of all classes, at each class's best F1."""
        return int(self.confident.sum())


def kinds_of(result: Evaluation, persons: Persons, hits: np.ndarray) -> np.ndarray:
    """(D,) int8 index into KINDS of each detection of the match table, -1 for true positives (`hits`).

    Dup takes precedence, then Cls, then Loc; Bkg is the rest.
    """
    matches, index = result.matches, {kind: i for i, kind in enumerate(KINDS)}
    kinds = np.full(len(hits), index["Bkg"], dtype=np.int8)
    kinds[matches.ious >= NEARLY] = index["Loc"]
    kinds[persons.ious >= result.iou] = index["Cls"]
    kinds[matches.ious >= result.iou] = index["Dup"]
    kinds[hits] = -1
    return kinds


def confident_detections(result: Evaluation) -> np.ndarray:
    """(D,) bool, which detections score at least what gives their class its best F1."""
    thresholds = np.array([score for _, score in result.best_f1.values()])
    return result.matches.scores >= thresholds[result.matches.classes]


def count_errors(result: Evaluation, persons: Persons, ranking: Ranking) -> list[ErrorType]:
    """Every type of error, fixed as in TIDE.

    Fixing a false positive removes it, because its person is or is not found without it; but a Loc error is fixed by
    giving the best of those near the same ground truth its box, if nothing else is matched to that one. Fixing Miss
    removes the ground truth.
    """
    matches = result.matches
    size = len(result.label_map)
    hits = matches.true_positives(result.iou)
    kinds = kinds_of(result, persons, hits)
    confident = confident_detections(result)

    def count(rows: np.ndarray) -> np.ndarray:
        return np.bincount(matches.classes[rows], minlength=size)

    def error(kind: str, counts: np.ndarray, sure: np.ndarray, aps: np.ndarray) -> ErrorType:
        return ErrorType(kind, counts, sure, aps, mean_over_ids(aps, ranking.ids))

    errors = []
    for index, kind in enumerate(KINDS):
        of_kind = kinds == index
        fixed = _well_placed(result, hits, of_kind, ranking) if kind == "Loc" else hits
        aps = ranking.average_precisions(fixed, ~of_kind | fixed)
        errors.append(error(kind, count(of_kind), count(of_kind & confident), aps))
    found = count(hits)
    aps = ranking.average_precisions(hits, truths=found)
    return [*errors, error(MISS, ranking.truths - found, ranking.truths - count(hits & confident), aps)]


def _well_placed(result: Evaluation, hits: np.ndarray, of_kind: np.ndarray, ranking: Ranking) -> np.ndarray:
    """(D,) bool true positives if the best detection near each ground truth that is not found were in its place."""
    nearest = result.matches.nearest
    candidates = ranking.order[of_kind[ranking.order]]
    candidates = candidates[~np.isin(nearest[candidates], nearest[hits])]
    _, first = np.unique(nearest[candidates], return_index=True)
    fixed = hits.copy()
    fixed[candidates[first]] = True
    return fixed


def confusion(result: Evaluation, persons: Persons) -> np.ndarray:
    """(K, K) confident Cls errors of each class, by each class that the person does instead.

    A person who does several things counts once for each of them.
    """
    size = len(result.label_map)
    matches = result.matches
    kinds = kinds_of(result, persons, matches.true_positives(result.iou))
    wrong = np.flatnonzero((kinds == list(KINDS).index("Cls")) & confident_detections(result))
    order = np.argsort(persons.of_truth, kind="stable")
    first, last = (np.searchsorted(persons.of_truth[order], persons.nearest[wrong], side) for side in ("left", "right"))
    counts = last - first
    places = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    true_classes = matches.ground_truth_classes[order[places]].astype(np.int64)
    pairs = np.repeat(matches.classes[wrong].astype(np.int64), counts) * size + true_classes
    return np.bincount(pairs, minlength=size * size).reshape(size, size)
