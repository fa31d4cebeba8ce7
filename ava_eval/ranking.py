"""The detections of every class by falling score: sorted once, for all that is computed from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ava_eval.average_precision import average_precision_of_ranking, mean_over_ids, rank
from ava_eval.result import Evaluation


@dataclass(frozen=True)
class Ranking:
    """D detections of K classes.

    Attributes:
        order: (D,) int64 rows of the match table: class after class, each by falling score.
        bounds: (K + 1,) int64 where the classes begin and end in `order`.
        truths: (K,) int64 ground truths a class.
        ids: (K,) class ids.
        undetected_count: whether a class with ground truth but no detection has AP 0, or none.
    """

    order: np.ndarray
    bounds: np.ndarray
    truths: np.ndarray
    ids: tuple[int, ...]
    undetected_count: bool

    @classmethod
    def of(cls, result: Evaluation) -> Ranking:
        """The ranking of an evaluation."""
        slices = result.class_slices()
        order = [part.start + rank(result.matches.scores[part], result.ties) for part in slices]
        return cls(
            np.concatenate(order),
            np.array([0, *(part.stop for part in slices)]),
            np.array(list(result.ground_truths.values())),
            result.label_map.ids,
            result.protocol.undetected_count,
        )

    def average_precisions(
        self, hits: np.ndarray, keep: np.ndarray | None = None, truths: np.ndarray | None = None
    ) -> np.ndarray:
        """(K,) AP, NaN without ground truth.

        Args:
            hits: (D,) bool in the order of the match table, which detections are true positives.
            keep: (D,) bool, the detections that count; all by default.
            truths: (K,) ground truths a class, if not `self.truths`.
        """
        truths = self.truths if truths is None else truths
        hits = hits[self.order]
        keep = np.ones(len(hits), dtype=bool) if keep is None else keep[self.order]
        aps = np.full(len(truths), np.nan)
        for k, (start, stop, count) in enumerate(zip(self.bounds, self.bounds[1:], truths)):
            kept = hits[start:stop][keep[start:stop]]
            if count and (stop > start or self.undetected_count):
                aps[k] = average_precision_of_ranking(kept, count) if len(kept) else 0.0
        return aps

    def mean(self, hits: np.ndarray, keep: np.ndarray | None = None, truths: np.ndarray | None = None) -> float:
        """Mean of `average_precisions` over the classes that have one."""
        return mean_over_ids(self.average_precisions(hits, keep, truths), self.ids)
