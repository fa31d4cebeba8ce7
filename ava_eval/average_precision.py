"""Average precision from a ranking: all points of the precision envelope (PASCAL VOC 2010 and later)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

TIES = ("stable", "official")


def rank(scores: np.ndarray, ties: str = "stable") -> np.ndarray:
    """(D,) int64 indices by falling score.

    Equal scores: "official" is the call of metrics.py, whose order of them is up to the NumPy and processor at hand;
    "stable" is the same call with a stable sort, so the later comes first, on every machine.
    """
    return np.argsort(scores, kind="stable" if ties == "stable" else None)[::-1]


def average_precision(
    scores: np.ndarray, true_positives: np.ndarray, ground_truths: int, ties: str = "stable"
) -> float:
    """AP of one class, to the bit as metrics.py of activitynet's evaluator has it.

    Args:
        scores: (D,) in the official order: with ties the order given matters.
        true_positives: (D,) bool.
        ground_truths: how many there are to be found.
        ties: see `rank`.

    Returns:
        AP within 0..1; 0 without detections, NaN without ground truth.
    """
    if not ground_truths:
        return float("nan")
    if not len(scores):
        return 0.0
    return average_precision_of_ranking(true_positives[rank(scores, ties)], ground_truths)


def average_precision_of_ranking(true_positives: np.ndarray, ground_truths: int) -> float:
    """AP of one class from (D,) bool true positives by falling score; there is ground truth."""
    found = np.cumsum(true_positives)
    precision = np.concatenate([[0.0], found / np.arange(1, len(found) + 1), [0.0]])
    recall = np.concatenate([[0.0], found / ground_truths, [1.0]])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.flatnonzero(recall[1:] != recall[:-1]) + 1
    return float(np.sum((recall[steps] - recall[steps - 1]) * envelope[steps]))


def possible_range(scores: np.ndarray, true_positives: np.ndarray, ground_truths: int) -> tuple[float, float]:
    """The lowest and the highest AP that some order of the equal scores gives."""
    if not ground_truths or not len(scores):
        ap = average_precision(scores, true_positives, ground_truths)
        return ap, ap
    worst = true_positives[np.lexsort((true_positives, -scores))]
    best = true_positives[np.lexsort((~true_positives, -scores))]
    return average_precision_of_ranking(worst, ground_truths), average_precision_of_ranking(best, ground_truths)


def mean_of_known(values: np.ndarray) -> float:
    """Mean of the values that are not NaN; NaN if there are none."""
    return float("nan") if np.isnan(values).all() else float(np.nanmean(values))


def mean_over_ids(aps: np.ndarray, ids: Sequence[int]) -> float:
    """The official mean of (K,) APs of the class ids: it runs over all ids up to the highest, gaps too."""
    by_id = np.full(max(ids), np.nan)
    by_id[np.array(ids) - 1] = aps
    return mean_of_known(by_id)


def count_ties(scores: np.ndarray, true_positives: np.ndarray) -> tuple[int, int]:
    """How many of one class's D detections share their score with another, and with one of the other kind.

    The order of true and false positives of equal score, and so the AP, is up to how ties are broken.
    """
    if not len(scores):
        return 0, 0
    ranking = np.argsort(scores, kind="stable")
    scores, true_positives = scores[ranking], true_positives[ranking]
    starts = np.flatnonzero(np.concatenate([[True], scores[1:] != scores[:-1]]))
    sizes = np.diff(starts, append=len(scores))
    positives = np.add.reduceat(true_positives.astype(np.int64), starts)
    return int(sizes[sizes > 1].sum()), int(sizes[(positives > 0) & (positives < sizes)].sum())


def best_f1(scores: np.ndarray, true_positives: np.ndarray, ground_truths: int) -> tuple[float, float]:
    """The highest F1 of one class, and the score from which on detections are taken for it; NaN without a hit."""
    if not true_positives.any():
        return float("nan"), float("nan")
    ranking = rank(scores)
    falling = scores[ranking]
    ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))  # a threshold takes all of equal score
    f1 = 2 * np.cumsum(true_positives[ranking])[ends] / (ends + 1 + ground_truths)
    best = f1.argmax()
    return float(f1[best]), float(falling[ends[best]])
