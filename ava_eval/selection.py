"""Which rows of the tables count: classes of the label map, frames of the ground truth, the 50 best of a frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ava_eval.capacity import FRAME_CAPACITY, cap, run_starts
from ava_eval.label_map import LabelMap
from ava_eval.table import Table


@dataclass(frozen=True)
class Selection:
    """What counts of R ground-truth and Q detection rows.

    Attributes:
        true_rows: (G,) int64 rows of the ground truth that count.
        true_frames: (R,) int64 numbers of all their frames.
        true_classes: (R,) int16 positions in the label map, -1 for other classes.
        frames: (Q,) int64 numbers of the frames of all detections; equal numbers are equal frames in both tables.
        classes: (Q,) int16 positions in the label map, -1 for other classes.
        read: (S,) int64 rows of the detections that compete for a place in their frame, grouped by frame.
        ranks: (S,) int64 0 for rows of the frame that the file names first, 1 for the next, and so on.
        kept: (S,) bool, those that win one.
        counted: (S,) bool, those of them whose box has an area.
        ignored: what does not count, and how many rows of it there are.
    """

    true_rows: np.ndarray
    true_frames: np.ndarray
    true_classes: np.ndarray
    frames: np.ndarray
    classes: np.ndarray
    read: np.ndarray
    ranks: np.ndarray
    kept: np.ndarray
    counted: np.ndarray
    ignored: dict[str, int]


def select(ground_truth: Table, detections: Table, label_map: LabelMap, excluded: Table | None = None) -> Selection:
    """Selects by the official protocol.

    Detections count if their class is in the label map, their frame has a ground-truth row of any kind (also of
    another class, or without a box), they are among the 50 best rows of the frame, and their box has an area. Frames
    in `excluded` do not count at all.
    """
    tables = [ground_truth, detections] + ([] if excluded is None else [excluded])
    true_frames, frames, *excluded_frames = number_frames(*tables)
    has_truth, is_excluded = np.zeros((2, sum(map(len, tables))), dtype=bool)
    has_truth[true_frames] = True
    for numbers in excluded_frames:
        is_excluded[numbers] = True

    ignored = {}
    true_classes = class_indices(ground_truth.actions, label_map)
    true_rows = np.flatnonzero(ground_truth.has_box)
    true_rows = _keep(true_rows, true_classes >= 0, ignored, "ground truth of a class not in the label map")
    true_rows = _keep(true_rows, ~is_excluded[true_frames], ignored, "ground truth on an excluded frame")

    classes = class_indices(detections.actions, label_map)
    read = np.flatnonzero(detections.has_box)
    read = _keep(read, classes >= 0, ignored, "detection of a class not in the label map")
    read = _keep(read, ~is_excluded[frames], ignored, "detection on an excluded frame")
    read = _keep(read, has_truth[frames], ignored, "detection on a frame without ground-truth row")
    ranks = _first_seen(frames[read])
    if (np.diff(ranks) < 0).any():
        order = np.argsort(ranks, kind="stable")
        read, ranks = read[order], ranks[order]
    kept = cap(detections, read, ranks)
    ignored[f"detection beyond the {FRAME_CAPACITY} best of its frame"] = int((~kept).sum())
    x1, y1, x2, y2 = detections.boxes[read].T
    counted = kept & (x1 < x2) & (y1 < y2)
    ignored["detection whose box has no area"] = int((kept & ~counted).sum())
    return Selection(true_rows, true_frames, true_classes, frames, classes, read, ranks, kept, counted, ignored)


def _keep(rows: np.ndarray, condition: np.ndarray, ignored: dict[str, int], what: str) -> np.ndarray:
    """The rows that meet the condition; the others are counted as `what`."""
    result = rows[condition[rows]]
    ignored[what] = len(rows) - len(result)
    return result


def _first_seen(frames: np.ndarray) -> np.ndarray:
    """(S,) int64: 0 for rows of the frame that comes first, 1 for the next new one, and so on."""
    starts = run_starts(frames)
    seen, first = np.unique(frames[starts], return_index=True)
    rank = np.empty(frames.max(initial=-1) + 1, dtype=np.int64)
    rank[seen[np.argsort(first)]] = np.arange(len(seen))
    return rank[frames]


def number_frames(*tables: Table) -> list[np.ndarray]:
    """For each table (R,) int64 frame numbers from 0: the same for the same video and microsecond in all tables."""
    names = {name: code for code, name in enumerate(dict.fromkeys(n for table in tables for n in table.video_names))}
    videos, times, lengths = [], [], []
    for table in tables:  # rows of a frame are nearly always neighbours, so only the first of a run is looked up
        starts = run_starts(table.videos, table.microseconds)
        code_of = np.array([names[name] for name in table.video_names], dtype=np.int64)
        videos.append(code_of[table.videos[starts]])
        times.append(table.microseconds[starts])
        lengths.append(np.diff(starts, append=len(table)))
    _, time_rank = np.unique(np.concatenate(times), return_inverse=True)
    keys = np.concatenate(videos) * (len(time_rank) + 1) + time_rank
    _, numbers = np.unique(keys, return_inverse=True)
    per_table = np.split(numbers, np.cumsum([len(length) for length in lengths])[:-1])
    return [np.repeat(number, length) for number, length in zip(per_table, lengths)]


def class_indices(actions: np.ndarray, label_map: LabelMap) -> np.ndarray:
    """(R,) int16 positions in the label map, -1 for ids that are not in it."""
    position_of = np.full(max(label_map.ids) + 1, -1, dtype=np.int16)
    position_of[list(label_map.ids)] = np.arange(len(label_map))
    return np.where(actions < len(position_of), position_of[np.clip(actions, 0, len(position_of) - 1)], -1)
