"""What would happen if the detections were written otherwise: on a sample, by the metric itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ava_eval.evaluation import summarise
from ava_eval.label_map import LabelMap
from ava_eval.matching import match, nearest_box
from ava_eval.protocol import OFFICIAL
from ava_eval.selection import number_frames
from ava_eval.table import Table

SAMPLE_ROWS = 150_000


def take(table: Table, rows: np.ndarray) -> Table:
    """The table of some of the rows, a mask or indices."""
    fields = ("lines", "videos", "microseconds", "has_box", "boxes", "actions", "scores")
    return replace(table, **{name: getattr(table, name)[rows] for name in fields})


def sample(truth: Table, found: Table) -> tuple[Table, Table]:
    """All rows of so many videos, spread over the list of those in both tables, that there are some SAMPLE_ROWS."""
    common = sorted(set(truth.video_names) & set(found.video_names))
    rows_of = np.bincount(found.videos, minlength=len(found.video_names))
    sizes = dict.fromkeys(common, 0)
    for name, size in zip(found.video_names, rows_of.tolist()):
        if name in sizes:
            sizes[name] += size
    common = [common[i] for i in np.random.default_rng(0).permutation(len(common))]
    chosen, total = set(), 0
    for name in common:
        if total >= SAMPLE_ROWS:
            break
        chosen.add(name)
        total += sizes[name]
    parts = []
    for table in (truth, found):
        is_chosen = np.array([name in chosen for name in table.video_names], dtype=bool)
        parts.append(take(table, is_chosen[table.videos]))
    return parts[0], parts[1]


def sample_mAP(truth: Table, found: Table, labels: LabelMap) -> float:
    """The official mAP, 0 if there is none."""
    matches = match(truth, found, labels)
    value = summarise(matches, truth, found, labels, OFFICIAL, 0.5, "stable").mAP
    return 0.0 if np.isnan(value) else value


def best_ious(truth: Table, found: Table) -> np.ndarray:
    """(Q,) for each box of the detections its highest IoU with a ground truth of its frame, whatever the class.

    Detections on frames without ground-truth boxes are left out.
    """
    true_frames, frames = number_frames(truth, found)
    x1, y1, x2, y2 = truth.boxes.T
    rows = np.flatnonzero(truth.has_box & (x1 < x2) & (y1 < y2))
    rows = rows[np.argsort(true_frames[rows], kind="stable")]
    chosen = np.flatnonzero(found.has_box & np.isin(frames, true_frames[rows]))
    boxes = found.boxes[chosen]
    _, ious, _ = nearest_box(boxes, frames[chosen], truth.boxes[rows], true_frames[rows])
    return np.where((boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3]), ious, 0.0)


Change = Callable[[Table, LabelMap], Table]


def with_boxes(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """A change of the (Q, 4) boxes."""
    return lambda table, _: replace(table, boxes=change(table.boxes))


def with_ids(change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Change:
    """A change of the (Q,) class ids, given the (K,) ids of the label map by rising number."""
    return lambda table, labels: replace(table, actions=change(table.actions, np.sort(labels.ids)))


def shifted(table: Table, microseconds: float, scale: float = 1.0) -> Table:
    """The table with its timestamps first scaled and then moved."""
    return replace(table, microseconds=np.rint(table.microseconds * scale + microseconds).astype(np.int64))


def _by_position(actions: np.ndarray, ids: np.ndarray, first: int) -> np.ndarray:
    place = actions - first
    inside = (place >= 0) & (place < len(ids))
    return np.where(inside, ids[np.clip(place, 0, len(ids) - 1)], -1)


# name of the fault -> what mends it, and how to say so
LAYOUTS = {
    "x and y swapped": (
        with_boxes(lambda b: b[:, [1, 0, 3, 2]]),
        "write the columns as x1, y1, x2, y2, not y1, x1, y2, x2",
    ),
    "boxes are x, y, width, height": (
        with_boxes(lambda b: np.hstack([b[:, :2], b[:, :2] + b[:, 2:]])),
        "write the corners: x1, y1, x1 + width, y1 + height",
    ),
    "boxes are centre, width, height": (
        with_boxes(lambda b: np.hstack([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2])),
        "write the corners: centre - size / 2, centre + size / 2",
    ),
    "corners ordered x1, x2, y1, y2": (
        with_boxes(lambda b: b[:, [0, 2, 1, 3]]),
        "write the columns as x1, y1, x2, y2",
    ),
    "y counted from the bottom": (
        with_boxes(lambda b: np.stack([b[:, 0], 1 - b[:, 3], b[:, 2], 1 - b[:, 1]], axis=1)),
        "y runs from the top of the picture downwards: write 1 - y2 and 1 - y1",
    ),
}
ID_CHANGES = {
    "class ids one too low": (with_ids(lambda a, _: a + 1), "add 1 to the class ids: AVA's begin with 1"),
    "class ids one too high": (with_ids(lambda a, _: a - 1), "take 1 from the class ids"),
    "class ids are places in the label map, from 0": (
        with_ids(lambda a, ids: _by_position(a, ids, 0)),
        "write the id of the label map that stands at that place: the ids have gaps",
    ),
    "class ids are places in the label map, from 1": (
        with_ids(lambda a, ids: _by_position(a, ids, 1)),
        "write the id of the label map that stands at that place: the ids have gaps",
    ),
}
