"""Who is at which place in a video at each keyframe: the detector asked, the cache kept, ids linked over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from avsf_det.errors import UserError
from avsf_det.media.video import VideoReader
from avsf_det.structures import Keyframe, Persons
from detectors import CachedDetector, GivenBoxes, PersonDetector, build_detector

BATCH = 8  # keyframes the detector is given at once
MIN_IOU = 0.2  # of a person's boxes at neighbouring keyframes


def open_detector(model: str, weights: str = "", score_threshold: float | None = None) -> PersonDetector:
    """The person detector that one word means.

    Args:
        model: `yolox`; an .onnx file of a YOLOX; a csv with boxes; or for Detectron2 a model zoo name, a .yaml file, or
            a .pth file of `avsf-det detector train`, which carries its configuration.
        weights: a file or URL, for Detectron2's zoo names and yaml files.
        score_threshold: lowest score of a person; None for the detector's own default.

    Raises:
        UserError: if it cannot be made.
    """
    options = {} if score_threshold is None else {"score_threshold": score_threshold}
    suffix = Path(model).suffix.lower()
    if model == "yolox" or suffix == ".onnx":
        return build_detector("yolox", weights=model if suffix else weights or None, **options)
    if suffix == ".csv":
        return build_detector("boxes", path=model, **options)
    if suffix in (".yaml", ".pth"):
        return build_detector("detectron2", config=model, weights=weights or None, **options)
    known = "yolox, or a file: .onnx, .csv (boxes), .yaml or .pth (Detectron2)"
    raise UserError(f"unknown detector {model!r}; expected {known}")


def find_persons(
    path: Path,
    times: Sequence[float],
    detector: PersonDetector,
    cache: Path | None = None,
    on_progress: Callable[[int], object] = lambda keyframes: None,
) -> list[Persons]:
    """The persons at each time of a video.

    Args:
        path: the video.
        times: seconds, ascending.
        detector: who looks; boxes that are given need no picture, so none is decoded for them.
        cache: folder that remembers what was found.
        on_progress: called with the number of keyframes done since the last call.
    """
    if isinstance(detector, GivenBoxes):
        on_progress(len(times))
        return detector.detect([Keyframe(path.stem, time) for time in times])
    if cache:
        detector = CachedDetector(detector, path, cache)
    found = []
    with VideoReader(path) as video:
        for start in range(0, len(times), BATCH):
            some = times[start : start + BATCH]
            images = video.frames_at(some)
            found += detector.detect([Keyframe(path.stem, t, image) for t, image in zip(some, images)])
            on_progress(len(some))
    return found


def link_persons(persons: Sequence[Persons]) -> list[Persons]:
    """Give persons ids that last: each is paired with the nearest earlier person by overlap, best pairs first.

    Args:
        persons: of ascending keyframes; persons that have ids keep theirs.
    """
    linked, previous, unused = [], Persons.none(), 0
    for found in persons:
        if len(found) == 0 or (found.ids >= 0).all():
            unused = max(unused, *(found.ids + 1), 0) if len(found) else unused
            previous = found if len(found) else previous
            linked.append(found)
            continue
        ids = np.full(len(found), -1)
        overlap = iou(previous.boxes, found.boxes)
        while overlap.size and overlap.max() >= MIN_IOU:
            row, column = np.unravel_index(overlap.argmax(), overlap.shape)
            ids[column] = previous.ids[row]
            overlap[row], overlap[:, column] = -1, -1
        for column in np.flatnonzero(ids < 0):
            ids[column], unused = unused, unused + 1
        previous = found.replace(ids=ids)
        linked.append(previous)
    return linked


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, M) intersection over union of (N, 4) and (M, 4) boxes x1 y1 x2 y2."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inner = (high - low).clip(0).prod(axis=2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(axis=1), (b[:, 2:] - b[:, :2]).prod(axis=1)
    return inner / np.maximum(area_a[:, None] + area_b[None] - inner, 1e-12)
