"""Average precision from a ranking: all points of the precision envelope (PASCAL VOC 2010 and later)."""

from __future__ import annotations

import numpy as np


def average_precision(scores: np.ndarray, true_positives: np.ndarray, ground_truths: int) -> float:
    """AP of one class, to the bit as metrics.py of activitynet's evaluator has it.

    Args:
        scores: (D,) float64, in the official order: the sort is not stable, so with ties the order given matters.
        true_positives: (D,) bool.
        ground_truths: how many there are to be found.

    Returns:
        AP within 0..1; 0 without detections, NaN without ground truth.
    """
    if not ground_truths:
        return float("nan")
    if not len(scores):
        return 0.0
    ranking = np.argsort(scores)[::-1]
    found = np.cumsum(true_positives[ranking])
    precision = np.concatenate([[0.0], found / np.arange(1, len(found) + 1), [0.0]])
    recall = np.concatenate([[0.0], found / ground_truths, [1.0]])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.flatnonzero(recall[1:] != recall[:-1]) + 1
    return float(np.sum((recall[steps] - recall[steps - 1]) * envelope[steps]))


def mean_of_known(values: np.ndarray) -> float:
    """Mean of the values that are not NaN; NaN if there are none."""
    return float("nan") if np.isnan(values).all() else float(np.nanmean(values))


def count_ambiguous(scores: np.ndarray, true_positives: np.ndarray) -> int:
    """How many of one class's D detections share their score with one of the other kind, true or false positive.

    Their order, and so the AP, is up to the sorting routine of the NumPy and processor at hand.
    """
    if not len(scores):
        return 0
    ranking = np.argsort(scores, kind="stable")
    scores, true_positives = scores[ranking], true_positives[ranking]
    starts = np.flatnonzero(np.concatenate([[True], scores[1:] != scores[:-1]]))
    sizes = np.diff(starts, append=len(scores))
    positives = np.add.reduceat(true_positives.astype(np.int64), starts)
    return int(sizes[(positives > 0) & (positives < sizes)].sum())
