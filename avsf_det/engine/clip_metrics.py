"""How good scores of labelled clips are: accuracy of each head and of pairs of verb and noun, mAP of many labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avsf_det.data.classification.clips import Head
from avsf_det.errors import UserError

_ROWS = 64  # clips whose pairs are ranked at once: 64 x 125 x 352 scores are 23 MB


class ViewScores:
    """The scores of clips, gathered from their views as these come.

    Args:
        num_clips: S.
        num_classes: K, of all heads.
        ensemble: "sum", of which the mean is taken, or "max", as for Charades (PySlowFast's DATA.ENSEMBLE_METHOD).

    Raises:
        UserError: if `ensemble` is something else.
    """

    def __init__(self, num_clips: int, num_classes: int, ensemble: str = "sum") -> None:
        if ensemble not in ("sum", "max"):
            raise UserError(f"ensemble of views: got {ensemble!r}, expected sum or max")
        self._scores = np.zeros((num_clips, num_classes), dtype=np.float64)
        self._counts = np.zeros(num_clips, dtype=np.int64)
        self._maximum = ensemble == "max"

    def add(self, clip: int, scores: np.ndarray) -> None:
        """Add (V, K) scores within 0..1, of views of one clip."""
        if len(scores):
            both = (self._scores[clip], *scores)
            self._scores[clip] = np.max(both, axis=0) if self._maximum else np.sum(both, axis=0)
            self._counts[clip] += len(scores)

    @property
    def seen(self) -> np.ndarray:
        """(S,) bool, the clips of which there was a view."""
        return self._counts > 0

    def scores(self) -> np.ndarray:
        """(S, K) float64: of each clip the mean or the maximum of its views; zeros where it had none."""
        return self._scores if self._maximum else self._scores / np.maximum(self._counts, 1)[:, None]


def measures(heads: Sequence[Head], scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """All that is measured of scores: accuracies in percent, mAP within 0..1 as that of boxes is.

    Args:
        heads: what was asked of each clip; K classes in all.
        scores: (S, K).
        labels: (S, K), 1 where a class holds.

    Returns:
        top1, top5 and mean_class of each head of one label, after its name where there are several; mAP of a head of
        many labels; action_top1 and action_top5 where there are a verb and a noun. NaN without any clip.

    Raises:
        UserError: if a score is NaN or infinite, which would be ranked like any other.
    """
    broken = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if len(broken):
        raise UserError(
            f"scores of {len(broken)} of {len(scores)} clips, the first of which is number {broken[0]}, are NaN or "
            "infinite; expected numbers: see that the checkpoint's weights are"
        )
    found, start, asked = {}, 0, {}
    for head in heads:
        own = slice(start, start + len(head.classes))
        start, name = own.stop, f"{head.name}_" if len(heads) > 1 else ""
        if head.multi_label:
            found[f"{name}mAP"] = mean_average_precision(scores[:, own], labels[:, own])
            continue
        classes = labels[:, own].argmax(axis=1)
        asked[head.name] = scores[:, own], classes
        ranks = class_ranks(scores[:, own], classes)
        found |= {f"{name}top1": _share(ranks < 1), f"{name}top5": _share(ranks < 5)}
        found[f"{name}mean_class"] = 100 * mean_class_accuracy(ranks < 1, classes)
    if {"verb", "noun"} <= set(asked):
        ranks = pair_ranks(*(part for head in ("verb", "noun") for part in asked[head]))
        found |= {"action_top1": _share(ranks < 1), "action_top5": _share(ranks < 5)}
    return found


def class_ranks(scores: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """(S,) int: how many of the K classes come before the true one; of equal scores the lower number is first.

    Args:
        scores: (S, K).
        classes: (S,) int, the true one of each clip.
    """
    own = np.take_along_axis(scores, classes[:, None], axis=1)
    before = np.arange(scores.shape[1]) < classes[:, None]
    return ((scores > own) | ((scores == own) & before)).sum(axis=1)


def pair_ranks(verb_scores: np.ndarray, verbs: np.ndarray, noun_scores: np.ndarray, nouns: np.ndarray) -> np.ndarray:
    """(S,) int: how many pairs of verb and noun come before the true one, by the product of their scores.

    The first pair has the first verb and the first noun, so that it is right where both are (EPIC-Kitchens' action
    top-1); its top-5 is of the products of probabilities.

    Args:
        verb_scores: (S, V), 0 or more.
        verbs: (S,) int.
        noun_scores: (S, N), 0 or more.
        nouns: (S,) int.
    """
    ranks = np.zeros(len(verbs), dtype=np.int64)
    for first in range(0, len(verbs), _ROWS):
        some = slice(first, first + _ROWS)
        products = verb_scores[some, :, None] * noun_scores[some, None, :]
        pairs = verbs[some] * noun_scores.shape[1] + nouns[some]
        ranks[some] = class_ranks(products.reshape(len(products), -1), pairs)
    return ranks


def mean_class_accuracy(right: np.ndarray, classes: np.ndarray) -> float:
    """The mean, over the classes that have clips, of the share that is right; within 0..1.

    Args:
        right: (S,) bool.
        classes: (S,) int, the true one of each clip.
    """
    counts = np.bincount(classes)
    correct = np.bincount(classes, weights=right)
    there = counts > 0
    return float((correct[there] / counts[there]).mean()) if len(classes) else float("nan")


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """The mean precision at each positive, the highest scores first and equal ones in the order given.

    Nothing is interpolated (Charades' own Charades_v1_classify.m). NaN without any positive.

    Args:
        scores: (S,).
        positive: (S,) bool.
    """
    hits = positive[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean()) if hits.any() else float("nan")


def class_precisions(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(K,) average precision of each class, NaN for those without a positive.

    A video without any label comes last in each class, as in Charades' evaluation.

    Args:
        scores: (S, K).
        labels: (S, K), 1 where a class holds.
    """
    positive = labels > 0
    scores = np.where(positive.any(axis=1, keepdims=True), scores, -np.inf)
    return np.array([average_precision(scores[:, k], positive[:, k]) for k in range(scores.shape[1])])


def mean_average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """The mean of `class_precisions` over the classes with positives, within 0..1; NaN if there are none."""
    precisions = class_precisions(scores, labels)
    there = ~np.isnan(precisions)
    return float(precisions[there].mean()) if there.any() else float("nan")


def _share(right: np.ndarray) -> float:
    return 100 * float(right.mean()) if len(right) else float("nan")
