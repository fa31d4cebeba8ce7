"""Who is at which place in a video at each keyframe: the detector asked, the cache kept, ids linked over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import numpy as np

from avsf_det.errors import UserError
from avsf_det.media.source import VideoSource, as_source, open_video
from avsf_det.structures import Keyframe, Persons
from detectors import CachedDetector, GivenBoxes, PersonDetector, build_detector

BATCH = 8  # keyframes the detector is given at once
MIN_IOU = 0.2  # of a person's boxes at two keyframes
# People who moved far are found by boxes made larger, in turn by these shares of their size on each side: cascaded
# buffered IoU (arXiv 2211.14317). With these, people who walk past keep their ids at two keyframes a second.
BUFFERS = (0.0, 0.3, 0.5)
MEMORY = 3.0  # seconds for which a track survives without detections: longer than a dip to black of 1.5 s
REACH = 3.0  # standard deviations of a Gaussian beyond which nothing counts


def open_detector(
    model: str, weights: str = "", score_threshold: float | None = None, classes: Sequence[str] = ("person",)
) -> PersonDetector:
    """The person detector that one word means.

    Args:
        model: `yolox`; an .onnx file of a YOLOX; a csv with boxes; or for Detectron2 a model zoo name, a .yaml file, or
            a .pth file of `avsf-det detector train`, which carries its configuration.
        weights: a file or URL, for Detectron2's zoo names and yaml files.
        score_threshold: lowest score of a person; None for the detector's own default.
        classes: who is looked for, by COCO's names; boxes of a csv are taken whoever they are of.

    Raises:
        UserError: if it cannot be made.
    """
    options = {} if score_threshold is None else {"score_threshold": score_threshold}
    looked_for = options | {"classes": classes}
    suffix = Path(model).suffix.lower()
    if model == "yolox" or suffix == ".onnx":
        return build_detector("yolox", weights=model if suffix else weights or None, **looked_for)
    if suffix == ".csv":
        return build_detector("boxes", path=model, **options)
    if suffix in (".yaml", ".pth"):
        return build_detector("detectron2", config=model, weights=weights or None, **looked_for)
    known = "yolox, or a file: .onnx, .csv (boxes), .yaml or .pth (Detectron2)"
    raise UserError(f"unknown detector {model!r}; expected {known}")


def find_persons(
    path: Path | VideoSource,
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
    stem = as_source(path).stem
    if isinstance(detector, GivenBoxes):
        on_progress(len(times))
        return detector.detect([Keyframe(stem, time) for time in times])
    found = []
    with open_video(path) as video:
        if cache:
            detector = CachedDetector(detector, path, cache)
        for start in range(0, len(times), BATCH):
            some = times[start : start + BATCH]
            images = video.frames_at(some)
            found += detector.detect([Keyframe(stem, t, image) for t, image in zip(some, images)])
            on_progress(len(some))
    return found


def link_persons(persons: Sequence[Persons], times: Sequence[float], cuts: Sequence[float] = ()) -> list[Persons]:
    """Give persons ids that last; see `PersonLinker`.

    Args:
        persons: of each keyframe; persons that have ids keep theirs.
        times: seconds of the keyframes, ascending.
        cuts: seconds at which new shots begin; nobody is taken for someone of another shot.
    """
    linker = PersonLinker()
    shots = (max((cut for cut in cuts if cut <= time), default=0.0) for time in times)
    return [linker.link(found, time, shot) for found, time, shot in zip(persons, times, shots)]


class PersonLinker:
    """Pairs each person by overlap with someone seen lately, best pairs first; keyframes come one after the other."""

    def __init__(self) -> None:
        self._boxes, self._ids, self._seen = np.zeros((0, 4)), np.zeros(0, dtype=np.int64), np.zeros(0)
        self._unused = 0

    def link(self, found: Persons, time: float, shot: float = 0.0) -> Persons:
        """The persons of the next keyframe with ids; those that have one keep it.

        Args:
            found: the persons.
            time: seconds, later than at the call before.
            shot: second at which the shot begins; nobody is taken for someone seen before it.
        """
        recent = self._seen >= max(shot, time - MEMORY)
        known = self._boxes[recent], self._ids[recent], self._seen[recent]
        self._unused = max((self._unused, *(found.ids + 1)))
        found = found.replace(ids=_matched_ids(*known, found, self._unused))
        self._unused = max((self._unused, *(found.ids + 1)))
        absent = recent & ~np.isin(self._ids, found.ids)
        self._boxes = np.concatenate((self._boxes[absent], found.boxes))
        self._ids = np.concatenate((self._ids[absent], found.ids))
        self._seen = np.append(self._seen[absent], np.full(len(found), time))
        return found


def smooth_actions(persons: Sequence[Persons], times: Sequence[float], sigma: float) -> list[Persons]:
    """The persons with scores averaged over the keyframes at which each is seen, weighted by a Gaussian of time.

    A mean of scores within 0..1 is within 0..1. Persons without an id keep their scores.

    Args:
        persons: of each keyframe.
        times: seconds of the keyframes, ascending.
        sigma: the Gaussian's standard deviation in seconds; keyframes beyond `REACH` of them do not count.
    """
    smooth = [np.hstack((found.actions, found.silent)) for found in persons]
    scored = [scores.copy() for scores in smooth]
    for places in _tracks(persons).values():
        seconds = np.array([times[keyframe] for keyframe, _ in places])
        scores = np.stack([scored[keyframe][row] for keyframe, row in places])
        starts = np.searchsorted(seconds, seconds - REACH * sigma - 1e-6)
        ends = np.searchsorted(seconds, seconds + REACH * sigma + 1e-6, side="right")
        for (keyframe, row), time, start, end in zip(places, seconds, starts, ends):
            weights = np.exp(-np.square((seconds[start:end] - time) / sigma) / 2)
            smooth[keyframe][row] = weights @ scores[start:end] / weights.sum()
    return [
        found.replace(actions=scores[:, : found.actions.shape[1]], silent=scores[:, found.actions.shape[1] :])
        for found, scores in zip(persons, smooth)
    ]


def _tracks(persons: Sequence[Persons]) -> dict[int, list[tuple[int, int]]]:
    """{person id: keyframe and row of each of the person's boxes, by time}."""
    tracks: dict[int, list[tuple[int, int]]] = {}
    for keyframe, found in enumerate(persons):
        for row, person_id in enumerate(found.ids.tolist()):
            if person_id >= 0:
                tracks.setdefault(person_id, []).append((keyframe, row))
    return tracks


def _matched_ids(known: np.ndarray, known_ids: np.ndarray, seen: np.ndarray, found: Persons, unused: int) -> np.ndarray:
    """(N,) ids of N persons: their own, else those of the (M, 4) known boxes that fit best, else new ones.

    Those seen last come first, as in DeepSORT's matching cascade (arXiv 1703.07402, section 2.3).
    """
    ids = found.ids.copy()
    for buffer, time in product(BUFFERS, np.unique(seen)[::-1]):
        rows = np.flatnonzero((seen == time) & ~np.isin(known_ids, ids))
        overlap = iou(_enlarged(known[rows], buffer), _enlarged(found.boxes, buffer))
        overlap[:, ids >= 0] = -1
        while overlap.size and overlap.max() >= MIN_IOU:
            row, column = np.unravel_index(overlap.argmax(), overlap.shape)
            ids[column] = known_ids[rows[row]]
            overlap[row] = overlap[:, column] = -1
    new = ids < 0
    ids[new] = unused + np.arange(new.sum())
    return ids


def _enlarged(boxes: np.ndarray, share: float) -> np.ndarray:
    """(N, 4) boxes with a share of their width and height added on each side."""
    margin = share * (boxes[:, 2:] - boxes[:, :2])
    return np.hstack((boxes[:, :2] - margin, boxes[:, 2:] + margin))


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, M) intersection over union of (N, 4) and (M, 4) boxes x1 y1 x2 y2."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inner = (high - low).clip(0).prod(axis=2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(axis=1), (b[:, 2:] - b[:, :2]).prod(axis=1)
    return inner / np.maximum(area_a[:, None] + area_b[None] - inner, 1e-12)
