"""Video mAP: whole action tubes found, by one definition.

The IoU of two tubes is the sum of the IoUs of their boxes over the frames that both have, divided by the number of
frames that either has; for tubes without gaps that is the temporal IoU times the mean spatial IoU, as UCF101-24, JHMDB
and MultiSports have it. Detections of a class are taken by falling score over all videos; each looks only at the ground
truth of its class and video that it overlaps most, and is a true positive if that is enough and not taken. AP is the
area under the precision envelope, at all points, as for frames; the mAP is the mean over classes with ground truth.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ava_eval.average_precision import average_precision, mean_of_known
from ava_eval.errors import InputError
from ava_eval.label_map import load_label_map
from ava_eval.result import as_json, decimals, known
from ava_eval.tube_file import Tube, read_tube_pickle, read_tubes

IOUS = (0.2, 0.5, *(i / 100 for i in range(55, 100, 5)))
SHOWN = (0.2, 0.5)


@dataclass(frozen=True)
class TubeEvaluation:
    """Video mAP.

    Attributes:
        mAP: {IoU threshold: mean AP of the classes with ground truth}, for 0.2, 0.5, 0.55 and so on to 0.95.
        ap: {class name: {IoU threshold: AP}}.
        ground_truths: {class name: tubes}.
        detections: {class name: tubes}.
        ignored: detected tubes in videos without ground truth or of classes without ground truth.
    """

    mAP: dict[float, float]
    ap: dict[str, dict[float, float]]
    ground_truths: dict[str, int]
    detections: dict[str, int]
    ignored: int

    @property
    def mAP_50_95(self) -> float:
        """The mean over the thresholds 0.5 to 0.95."""
        return float(np.mean([value for iou, value in self.mAP.items() if iou >= 0.5]))

    def to_dict(self) -> dict[str, object]:
        """For JSON: numbers at full precision, None for NaN."""
        return {
            "video_mAP": {f"{iou:.2f}": known(value) for iou, value in self.mAP.items()},
            "video_mAP_0.5_to_0.95": known(self.mAP_50_95),
            "AP": {name: {f"{iou:.2f}": known(ap) for iou, ap in aps.items()} for name, aps in self.ap.items()},
            "ground_truths": self.ground_truths,
            "detections": self.detections,
            "ignored": self.ignored,
        }

    def to_json(self) -> str:
        """`to_dict` as text."""
        return as_json(self.to_dict())

    def table(self) -> str:
        """As text: a line a class, the means last."""
        width = max(len(name) for name in [*self.ap, "mean of the classes"])
        head = "  ".join(f"AP@{iou:g}" for iou in SHOWN)
        lines = [f"{'class':<{width}}  {head}  AP@0.5:0.95  ground truths  detections"]
        for name, aps in self.ap.items():
            mean = np.mean([ap for iou, ap in aps.items() if iou >= 0.5])
            shown = "  ".join(decimals(aps[iou]) for iou in SHOWN)
            counts = f"{self.ground_truths[name]:>13}  {self.detections[name]:>10}"
            lines.append(f"{name:<{width}}  {shown}  {decimals(mean):>11}  {counts}")
        means = "  ".join(decimals(self.mAP[iou]) for iou in SHOWN)
        lines += ["", f"{'mean of the classes':<{width}}  {means}  {decimals(self.mAP_50_95):>11}"]
        if self.ignored:
            lines += ["", f"{self.ignored} detected tubes do not count: no ground truth of their class"]
        lines += ["", *(f"video-mAP@{iou:g} {self.mAP[iou]:.6f}" for iou in SHOWN)]
        return "\n".join([*lines, f"video-mAP@0.5:0.95 {self.mAP_50_95:.6f}"])


def evaluate_tubes(
    ground_truth: str | os.PathLike[str] | Sequence[Tube],
    detections: str | os.PathLike[str] | Sequence[Tube],
    label_map: object = None,
    *,
    split: int = 1,
) -> TubeEvaluation:
    """Video mAP of detected tubes.

    Args:
        ground_truth: path of a csv (see `read_tubes`) or of a .pkl (see `read_tube_pickle`), or tubes.
        detections: path of a csv, or tubes.
        label_map: names of the classes, as for `evaluate`; its classes alone count. Otherwise all do.
        split: of a .pkl.

    Raises:
        InputError: naming the file and line that cannot be read.
    """
    names = None
    if isinstance(ground_truth, (str, os.PathLike)):
        if os.fspath(ground_truth).endswith((".pkl", ".pickle")):
            ground_truth, names = read_tube_pickle(ground_truth, split)
        else:
            ground_truth = read_tubes(ground_truth)
    if isinstance(detections, (str, os.PathLike)):
        detections = read_tubes(detections)
    if label_map is not None:
        labels, _ = load_label_map(label_map)
        names = dict(zip(labels.ids, labels.names))
    if names is None:
        names = {class_id: f"class {class_id}" for class_id in sorted({tube.class_id for tube in ground_truth})}
    if not names:
        raise InputError("ground truth: no tube, expected at least one")
    truths, found = _by_class(ground_truth), _by_class(detections)
    aps = {name: _class_aps(truths[class_id], found[class_id]) for class_id, name in names.items()}
    return TubeEvaluation(
        mAP={iou: mean_of_known(np.array([ap[iou] for ap in aps.values()])) for iou in IOUS},
        ap=aps,
        ground_truths={name: len(truths[class_id]) for class_id, name in names.items()},
        detections={name: len(found[class_id]) for class_id, name in names.items()},
        ignored=sum(not (tube.class_id in names and truths[tube.class_id]) for tube in detections),
    )


def tube_iou(a: Tube, b: Tube) -> float:
    """Spatio-temporal IoU of two tubes, within 0..1."""
    common, in_a, in_b = np.intersect1d(a.frames, b.frames, assume_unique=True, return_indices=True)
    either = len(a.frames) + len(b.frames) - len(common)
    first, second = a.boxes[in_a], b.boxes[in_b]
    sides = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
    shared = np.prod(np.maximum(sides, 0), axis=1)
    areas = np.prod(first[:, 2:] - first[:, :2], axis=1) + np.prod(second[:, 2:] - second[:, :2], axis=1)
    ious = np.divide(shared, areas - shared, out=np.zeros(len(common)), where=shared > 0)
    return float(ious.sum() / either)


def _by_class(tubes: Sequence[Tube]) -> dict[int, list[Tube]]:
    result = defaultdict(list)
    for tube in tubes:
        result[tube.class_id].append(tube)
    return result


def _class_aps(truths: list[Tube], found: list[Tube]) -> dict[float, float]:
    """{IoU threshold: AP} of one class."""
    of_video = defaultdict(list)
    for index, tube in enumerate(truths):
        of_video[tube.video].append((index, tube))
    found = sorted(found, key=lambda tube: -tube.score)
    nearest, ious = np.full(len(found), -1), np.zeros(len(found))
    for i, tube in enumerate(found):
        for index, truth in of_video[tube.video]:
            iou = tube_iou(truth, tube)
            if iou > ious[i]:
                nearest[i], ious[i] = index, iou
    scores = -np.arange(len(found), dtype=np.float64)  # of equal scores, the file's order counts
    aps = {}
    for threshold in IOUS:
        hits = np.zeros(len(found), dtype=bool)
        enough = np.flatnonzero(ious >= threshold)
        hits[enough[np.unique(nearest[enough], return_index=True)[1]]] = True
        aps[threshold] = average_precision(scores, hits, len(truths))
    return aps
