"""From a match table to the numbers: AP per class, mAP, and the counts."""

from __future__ import annotations

import numpy as np

from ava_eval.average_precision import (
    average_precision,
    best_f1,
    count_ties,
    mean_of_known,
    mean_over_ids,
    possible_range,
)
from ava_eval.label_map import LabelMap
from ava_eval.matching import MatchTable
from ava_eval.protocol import Protocol
from ava_eval.result import Evaluation
from ava_eval.table import Table


def summarize(
    matches: MatchTable, truth: Table, found: Table, labels: LabelMap, rules: Protocol, iou: float, ties: str
) -> Evaluation:
    """AP per class, its means and the counts, computed from the match table; without warnings."""
    true_positives = matches.true_positives(iou)
    true_counts = np.bincount(matches.ground_truth_classes, minlength=len(labels)).tolist()
    bounds = np.searchsorted(matches.classes, np.arange(len(labels) + 1))
    aps, lowest, highest = np.full((3, len(labels)), np.nan)
    tied = ambiguous = 0
    best = []
    for k, ground_truths in enumerate(true_counts):
        scores, hits = matches.scores[bounds[k] : bounds[k + 1]], true_positives[bounds[k] : bounds[k + 1]]
        best.append(best_f1(scores, hits, ground_truths))
        if not ground_truths or not (len(scores) or rules.undetected_count):
            continue
        lowest[k] = highest[k] = aps[k] = average_precision(scores, hits, ground_truths, ties)
        tied_here, ambiguous_here = count_ties(scores, hits)
        tied, ambiguous = tied + tied_here, ambiguous + ambiguous_here
        if ambiguous_here:
            lowest[k], highest[k] = possible_range(scores, hits, ground_truths)
    return Evaluation(
        mAP=mean_over_ids(aps, labels.ids),
        ap=dict(zip(labels.names, aps.tolist())),
        groups={group: mean_of_known(aps[members]) for group, members in _groups(labels, rules).items()},
        ground_truths=dict(zip(labels.names, true_counts)),
        detections=dict(zip(labels.names, np.diff(bounds).tolist())),
        best_f1=dict(zip(labels.names, best)),
        ignored={what: count for what, count in matches.ignored.items() if count},
        warnings=[],
        tied=tied,
        ambiguous=ambiguous,
        mAP_range=(mean_over_ids(lowest, labels.ids), mean_over_ids(highest, labels.ids)),
        iou=iou,
        protocol=rules,
        ties=ties,
        label_map=labels,
        matches=matches,
        truth=truth,
        found=found,
    )


def _groups(labels: LabelMap, rules: Protocol) -> dict[str, np.ndarray]:
    """{group: (K,) bool, its classes}."""
    if rules.groups_by_id:
        groups = np.array(["pose", "object", "person"])[np.searchsorted([14, 63], labels.ids)]
    else:
        groups = np.array(labels.groups)
    return {group: groups == group for group in dict.fromkeys(groups.tolist()) if group}
