"""Score hypothetical fixes: the metric on a sample of the files, as a whole and per video."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ava_eval.label_map import LabelMap
from ava_eval.matching import match
from ava_eval.protocol import OFFICIAL
from ava_eval.result import Evaluation
from ava_eval.summary import summarize
from ava_eval.table import Table

SAMPLE_ROWS = 150_000
ENOUGH_LABELS = 30  # ground truths that a video needs for an mAP of its own to mean something
MAX_VIDEOS = 200  # that get an mAP of their own

Change = Callable[[Table, LabelMap], Table]


def take(table: Table, rows: np.ndarray) -> Table:
    """The table of some of the rows, a mask or indices."""
    fields = ("lines", "videos", "microseconds", "has_box", "boxes", "actions", "scores")
    return replace(table, **{name: getattr(table, name)[rows] for name in fields})


def sample(truth: Table, found: Table) -> tuple[Table, Table]:
    """All rows of a random choice of the common videos, about SAMPLE_ROWS detections in total."""
    common = sorted(set(truth.video_names) & set(found.video_names))
    sizes = dict.fromkeys(common, 0)
    for name, size in zip(found.video_names, np.bincount(found.videos, minlength=len(found.video_names)).tolist()):
        if name in sizes:
            sizes[name] += size
    chosen, total = set(), 0
    for index in np.random.default_rng(0).permutation(len(common)):
        if total >= SAMPLE_ROWS:
            break
        chosen.add(common[index])
        total += sizes[common[index]]
    return of_videos(truth, chosen), of_videos(found, chosen)


def of_videos(table: Table, names: set[str]) -> Table:
    """The rows of some of the videos."""
    return take(table, np.array([name in names for name in table.video_names], dtype=bool)[table.videos])


def evaluate_tables(truth: Table, found: Table, labels: LabelMap) -> Evaluation:
    """The official evaluation, without warnings."""
    return summarize(match(truth, found, labels), truth, found, labels, OFFICIAL, 0.5, "stable")


def sample_mAP(truth: Table, found: Table, labels: LabelMap) -> float:
    """The official mAP, 0 if there is none."""
    value = evaluate_tables(truth, found, labels).mAP
    return 0.0 if np.isnan(value) else value


def video_mAPs(truth: Table, found: Table, labels: LabelMap, names: list[str]) -> np.ndarray:
    """(V,) the mAP of each video by itself."""
    return np.array([sample_mAP(of_videos(truth, {name}), of_videos(found, {name}), labels) for name in names])


def videos_with_labels(truth: Table, found: Table) -> list[str]:
    """The common videos with enough ground truth for an mAP of their own, MAX_VIDEOS at most."""
    counts = np.bincount(truth.videos[truth.has_box], minlength=len(truth.video_names))
    known = set(found.video_names)
    names = [name for name, count in zip(truth.video_names, counts) if count >= ENOUGH_LABELS and name in known]
    return names[:MAX_VIDEOS]


def only_in(names: set[str], before: Table, after: Table) -> Table:
    """`after` for the rows of the named videos, `before` for the others; both have the same rows."""
    rows = np.array([name in names for name in before.video_names], dtype=bool)[before.videos]
    return replace(
        before,
        microseconds=np.where(rows, after.microseconds, before.microseconds),
        boxes=np.where(rows[:, None], after.boxes, before.boxes),
        actions=np.where(rows, after.actions, before.actions),
        scores=np.where(rows, after.scores, before.scores),
    )


def shifted(table: Table, microseconds: float, scale: float = 1.0) -> Table:
    """The table with its timestamps scaled, then moved."""
    return replace(table, microseconds=np.rint(table.microseconds * scale + microseconds).astype(np.int64))


def _with_ids(change: Callable[[np.ndarray, LabelMap], np.ndarray]) -> Change:
    return lambda table, labels: replace(table, actions=change(table.actions, labels))


def _at(actions: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The id at each position, -1 outside."""
    return np.where((actions >= 0) & (actions < len(ids)), ids[np.clip(actions, 0, len(ids) - 1)], -1)


def _alphabetical(labels: LabelMap) -> np.ndarray:
    return np.array([class_id for _, class_id in sorted(zip(labels.names, labels.ids))])


# name of the problem -> its fix, and the advice
ID_CHANGES: dict[str, tuple[Change, str]] = {
    "class ids one too low": (_with_ids(lambda a, _: a + 1), "add 1 to the class ids (AVA's begin with 1)"),
    "class ids one too high": (_with_ids(lambda a, _: a - 1), "subtract 1 from the class ids"),
    "class ids are positions in the label map, from 0": (
        _with_ids(lambda a, labels: _at(a, np.sort(labels.ids))),
        "write the label map's id at that position: the ids have gaps",
    ),
    "class ids are positions in the label map, from 1": (
        _with_ids(lambda a, labels: _at(a - 1, np.sort(labels.ids))),
        "write the label map's id at that position: the ids have gaps",
    ),
    "class ids are positions in alphabetical order, from 0": (
        _with_ids(lambda a, labels: _at(a, _alphabetical(labels))),
        "write the label map's id of the class with that name",
    ),
    "class ids are positions in alphabetical order, from 1": (
        _with_ids(lambda a, labels: _at(a - 1, _alphabetical(labels))),
        "write the label map's id of the class with that name",
    ),
}
