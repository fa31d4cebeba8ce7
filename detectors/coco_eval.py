"""How good a person detector is: COCO's average precision."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from avsf_det.structures import Persons
from detectors.keyframes import person_keyframes, pictures
from detectors.protocol import PersonDetector

# The numbers of COCOeval.summarize, in its order: IoU 0.50:0.95, 0.50 and 0.75; persons of less than 32x32, less than
# 96x96 and more pixels; recall with up to 1, 10 and 100 persons a keyframe.
METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100")


def evaluate_detector(detector: PersonDetector, dataset_root: str | Path, split: str = "val") -> dict[str, float]:
    """What a detector finds on the keyframes of a dataset's split, measured by pycocotools.

    Make the detector with a low score threshold, such as 0.05: persons left out cost recall.

    Returns:
        `METRICS` within 0..1, or -1 where there is no such person.

    Raises:
        UserError: if the dataset cannot be used.
    """
    keyframes = person_keyframes(dataset_root, split)
    truth, found, sizes = [keyframe.persons for keyframe in keyframes], [], []
    with tqdm(total=len(keyframes), desc="detect", unit="frame", disable=None) as progress:
        for frames in pictures(keyframes):
            found += detector.detect(frames)
            sizes += [frame.image.shape[:2] for frame in frames]
            progress.update(len(frames))
    return coco_ap(truth, found, sizes)


def coco_ap(truth: Sequence[Persons], found: Sequence[Persons], sizes: Sequence[tuple[int, int]]) -> dict[str, float]:
    """COCO's metrics, as `evaluate_detector` returns them.

    Args:
        truth, found: the persons of each picture that are there, and that a detector found.
        sizes: height and width of each picture in pixels.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": image, "height": h, "width": w} for image, (h, w) in enumerate(sizes)],
            "annotations": _coco_boxes(truth, sizes),
            "categories": [{"id": 1, "name": "person"}],
        }
        coco.createIndex()
        results = COCO()
        results.dataset = {**coco.dataset, "annotations": _coco_boxes(found, sizes)}
        results.createIndex()
        evaluation = COCOeval(coco, results, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(METRICS, map(float, evaluation.stats)))


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
