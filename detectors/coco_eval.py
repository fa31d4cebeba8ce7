"""How good a person detector is: COCO's average precision, and recall and precision at a score."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avsf_det.structures import Persons

# The numbers of COCOeval.summarize, in its order: IoU 0.50:0.95, 0.50 and 0.75; persons of less than 32x32, less than
# 96x96 and more pixels; recall with up to 1, 10 and 100 persons a keyframe.
METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100")
BY_PIXELS = ("APs", "APm", "APl")
SHOWN_SCORES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)  # SlowFast takes persons from 0.8 on (arXiv 1812.03982, 5)


@dataclass(frozen=True)
class OperatingPoint:
    """What is left of a detector when it gives only persons from a score on, matched at IoU 0.5."""

    score: float
    recall: float
    precision: float

    @property
    def f1(self) -> float:
        """The harmonic mean of recall and precision."""
        total = self.recall + self.precision
        return 2 * self.recall * self.precision / total if total else 0.0


@dataclass(frozen=True)
class DetectorQuality:
    """How good a detector is on a set of keyframes.

    Attributes:
        metrics: `METRICS` within 0..1, or -1 where there is no such person; without BY_PIXELS where the pictures' sizes
            are not known.
        persons: how many there are.
        scores: (N,) of what was found, best first.
        right: (N,) bool, whether it is a person not found before at IoU 0.5.
    """

    metrics: dict[str, float]
    persons: int
    scores: np.ndarray
    right: np.ndarray

    def at(self, score: float) -> OperatingPoint:
        """Recall and precision of what scores at least `score`."""
        taken = int((self.scores >= score).sum())
        right = int(self.right[:taken].sum())
        return OperatingPoint(score, right / max(self.persons, 1), right / max(taken, 1))

    def best(self) -> OperatingPoint:
        """Where F1, 2 right / (taken + persons), is highest."""
        f1 = 2 * np.cumsum(self.right) / (np.arange(1, len(self.right) + 1) + self.persons)
        f1[np.diff(self.scores, append=-1) == 0] = 0  # a score is taken with all that has it
        return self.at(float(self.scores[f1.argmax()]) if len(f1) else 0.0)

    def table(self) -> str:
        """All of it, to be read."""
        lines = [f"{name:8} {value:.4f}" for name, value in self.metrics.items()]
        lines += ["", f"{'score':8} {'recall':>8} {'precision':>10} {'F1':>8}   at IoU 0.5, of {self.persons} persons"]
        for name, point in [(f"{s:g}", self.at(s)) for s in SHOWN_SCORES] + [("best F1", self.best())]:
            numbers = f"{name:8} {point.recall:8.4f} {point.precision:10.4f} {point.f1:8.4f}"
            lines.append(numbers + (f"   from {point.score:.4f} on" if name == "best F1" else ""))
        return "\n".join(lines)


def measure(
    truth: Sequence[Persons], found: Sequence[Persons], sizes: Sequence[tuple[int, int]] | None = None
) -> DetectorQuality:
    """A detector's quality by pycocotools, up to 100 persons a picture.

    Give all that it finds from a low score on, such as 0.05: persons left out cost recall.

    Args:
        truth, found: the persons of each picture that are there, and that the detector found.
        sizes: height and width of each picture in pixels; IoU does not need them.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    shapes = sizes or [(1000, 1000)] * len(truth)  # COCO takes boxes in pixels
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        coco, results = COCO(), COCO()
        images = [{"id": image, "height": h, "width": w} for image, (h, w) in enumerate(shapes)]
        categories = [{"id": 1, "name": "person"}]
        for table, persons in ((coco, truth), (results, found)):
            table.dataset = {"images": images, "annotations": _coco_boxes(persons, shapes), "categories": categories}
            table.createIndex()
        evaluation = COCOeval(coco, results, "bbox")
        if sizes is None:
            evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    metrics = dict(zip(METRICS, map(float, evaluation.stats)))
    if sizes is None:
        metrics = {name: value for name, value in metrics.items() if name not in BY_PIXELS}
    # without regard to area, at the first IoU, 0.5: the first of the areas' blocks of one entry a picture
    matched = [some for some in evaluation.evalImgs[: len(truth)] if some]
    scores = np.concatenate([some["dtScores"] for some in matched] or [np.zeros(0)])
    right = np.concatenate([some["dtMatches"][0] > 0 for some in matched] or [np.zeros(0, bool)])
    order = np.argsort(-scores, kind="stable")
    return DetectorQuality(metrics, sum(map(len, truth)), scores[order], right[order])


def _coco_boxes(persons: Sequence[Persons], sizes: Sequence[tuple[int, int]]) -> list[dict]:
    boxes = []
    for image, (on_image, (height, width)) in enumerate(zip(persons, sizes)):
        for (x1, y1, x2, y2), score in zip(on_image.to_pixels(width, height).tolist(), on_image.scores.tolist()):
            boxes.append(
                {
                    "id": len(boxes) + 1,  # COCOeval takes 0 for "not matched"
                    "image_id": image,
                    "category_id": 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                    "score": score,
                }
            )
    return boxes
