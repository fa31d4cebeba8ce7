"""The mAP over IoU thresholds, by the height of the box, by the frequency of the class, and with oracles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ava_eval.average_precision import mean_of_known
from ava_eval.error_analysis import NEARLY
from ava_eval.persons import Persons
from ava_eval.ranking import Ranking
from ava_eval.result import Evaluation

IOUS = tuple(np.arange(50, 100, 5) / 100)  # 0.5, 0.55, ... 0.95, as COCO has them
POINTS = 101  # of a precision-recall curve in a report


@dataclass(frozen=True)
class Part:
    """A part of the ground truth.

    Attributes:
        name: of the part.
        truths: ground truths in it.
        classes: classes with ground truth in it.
        mAP: mean AP of these classes.
    """

    name: str
    truths: int
    classes: int
    mAP: float


@dataclass(frozen=True)
class Oracle:
    """What the mAP would be if the boxes, or the actions, were right.

    Attributes:
        persons: how many people the ground truth has: different boxes of a frame.
        person_recall: fraction of them that a detection overlaps enough, and no other person more.
        oracle_actions: the mAP if every action on these boxes were right.
        oracle_boxes: the mAP if these actions were on the boxes of the ground truth: each detection takes the box of
            the person that it overlaps most (by 0.1 at least; others are removed), and counts once per person and
            class.
    """

    persons: int
    person_recall: float
    oracle_actions: float
    oracle_boxes: float


def iou_sweep(result: Evaluation, ranking: Ranking) -> dict[float, float]:
    """{IoU threshold: mAP} for 0.5, 0.55 and so on to 0.95."""
    return {float(iou): ranking.mean(result.matches.true_positives(iou)) for iou in IOUS}


def precision_recall(result: Evaluation, ranking: Ranking) -> dict[str, list[tuple[float, float, float]]]:
    """{class name: recall, precision and score} at up to 101 points from the first true positive to the last."""
    hits = result.matches.true_positives(result.iou)[ranking.order]
    scores = result.matches.scores[ranking.order]
    curves = {}
    for name, start, stop, count in zip(result.ap, ranking.bounds, ranking.bounds[1:], ranking.truths.tolist()):
        places = np.flatnonzero(hits[start:stop])
        chosen = np.unique(np.linspace(0, len(places) - 1, POINTS).astype(int)) if len(places) else []
        curves[name] = [
            ((i + 1) / count, (i + 1) / (int(places[i]) + 1), float(scores[start + places[i]])) for i in chosen
        ]
    return {name: [(float(r), float(p), s) for r, p, s in points] for name, points in curves.items()}


def by_height(result: Evaluation, persons: Persons, ranking: Ranking) -> list[Part]:
    """The mAP of small, medium and large persons: thirds of the persons by the height of their boxes.

    A true positive belongs where its ground truth does, a false positive where its own box does.
    """
    matches = result.matches
    heights = persons.boxes[:, 3] - persons.boxes[:, 1]
    if not len(heights):
        return []
    edges = np.quantile(heights, [1 / 3, 2 / 3])
    of_person = np.searchsorted(edges, heights)
    of_truth = of_person[persons.of_truth]
    hits = matches.true_positives(result.iou)
    boxes = result.found.boxes[matches.rows]
    part = np.searchsorted(edges, boxes[:, 3] - boxes[:, 1])
    part_of_row = np.full(len(result.truth), -1)
    part_of_row[matches.ground_truth_rows] = of_truth
    part[hits] = part_of_row[matches.nearest[hits]]
    names = (f"small (to {edges[0]:.3g})", "medium", f"large (from {edges[1]:.3g})")
    parts = []
    for index, name in enumerate(names):
        truths = np.bincount(matches.ground_truth_classes[of_truth == index], minlength=len(result.label_map))
        mean = ranking.mean(hits, part == index, truths)
        parts.append(Part(name, int(truths.sum()), int((truths > 0).sum()), mean))
    return parts


def by_frequency(result: Evaluation, ranking: Ranking) -> list[Part]:
    """The mAP of rare and of frequent classes, by powers of ten of their ground truths."""
    aps = np.array(list(result.ap.values()))
    parts = []
    for low in (1, 10, 100, 1000, 10_000, 100_000):
        high = low * 10
        chosen = (ranking.truths >= low) & (ranking.truths < high)
        if chosen.any():
            truths = int(ranking.truths[chosen].sum())
            parts.append(Part(f"{low} to {high - 1}", truths, int(chosen.sum()), mean_of_known(aps[chosen])))
    return parts


def oracle(result: Evaluation, persons: Persons, ranking: Ranking) -> Oracle:
    """How far the boxes limit the mAP, and how far the actions do."""
    matches = result.matches
    found = persons.found(result.iou)
    reached = np.bincount(
        matches.ground_truth_classes, found[persons.of_truth].astype(float), minlength=len(result.label_map)
    )
    with np.errstate(invalid="ignore"):
        recalls = reached / ranking.truths

    on_person = np.flatnonzero(persons.ious >= NEARLY)
    classes = len(result.label_map)
    claims = persons.nearest[on_person] * classes + matches.classes[on_person]
    in_order = np.argsort(-matches.scores[on_person], kind="stable")
    _, first = np.unique(claims[in_order], return_index=True)
    chosen = in_order[first]
    keep, hits = np.zeros((2, len(matches.rows)), dtype=bool)
    keep[on_person[chosen]] = True
    true_claims = persons.of_truth * classes + matches.ground_truth_classes
    hits[on_person[chosen]] = np.isin(claims[chosen], true_claims)
    truths = np.bincount(np.unique(true_claims) % classes, minlength=classes)
    return Oracle(
        persons=len(found),
        person_recall=float(found.mean()) if len(found) else float("nan"),
        oracle_actions=mean_of_known(recalls),
        oracle_boxes=ranking.mean(hits, keep, truths),
    )
