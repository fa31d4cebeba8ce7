"""Which rows of the tables count: classes of the label map, frames of the ground truth, the 50 best of a frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ava_eval.errors import InputError
from ava_eval.label_map import LabelMap
from ava_eval.max_detections import cap, run_starts
from ava_eval.protocol import OFFICIAL, Protocol
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
        ranks: (S,) int64 0 for rows of the frame that comes first, 1 for the next, and so on.
        kept: (S,) bool, those that win one.
        counted: (S,) bool, those of them whose box counts.
        ignored: what does not count, and how many rows of it there are.
        tied_at_capacity: rows left out for lack of places that score no less than one that was kept.
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
    tied_at_capacity: int


def select(
    ground_truth: Table,
    detections: Table,
    label_map: LabelMap,
    excluded: Table | None = None,
    protocol: Protocol = OFFICIAL,
) -> Selection:
    """Selects by a protocol.

    By the official one, detections count if their class is in the label map, their frame has a ground-truth row of any
    kind (also of another class, or without a box), they are among the 50 best rows of the frame, and their box has an
    area. Frames in `excluded` do not count at all.

    Raises:
        InputError: if the protocol cannot read a row.
    """
    tables = [ground_truth, detections] + ([] if excluded is None else [excluded])
    if protocol.whole_seconds:
        for table in tables:
            _check_whole_seconds(table, protocol)
    true_frames, frames, *excluded_frames = number_frames(*tables)
    counts, is_excluded = np.zeros((2, sum(map(len, tables))), dtype=bool)
    for numbers in excluded_frames:
        is_excluded[numbers] = True

    ignored = {}
    true_classes = class_indices(ground_truth.actions, label_map)
    true_rows = np.flatnonzero(ground_truth.has_box)
    true_rows = _keep(true_rows, true_classes >= 0, ignored, "ground truth of a class not in the label map")
    labelled = true_rows
    if not protocol.excluded_truth_counts:
        true_rows = _keep(true_rows, ~is_excluded[true_frames], ignored, "ground truth on an excluded frame")
    counted_frames = {"named": true_frames, "labelled": true_frames[labelled], "all": frames}
    counts[counted_frames[protocol.counts_frames]] = True

    classes = class_indices(detections.actions, label_map)
    read = np.flatnonzero(detections.has_box)
    read = _keep(read, classes >= 0, ignored, "detection of a class not in the label map")
    read = _keep(read, ~is_excluded[frames], ignored, "detection on an excluded frame")
    read = _keep(read, counts[frames], ignored, "detection on a frame without ground-truth row")
    ranks = _ranks(frames[read], true_frames[labelled] if protocol.follows == "ground truth" else frames[read])
    if (np.diff(ranks) < 0).any():
        order = np.argsort(ranks, kind="stable")
        read, ranks = read[order], ranks[order]
    kept, tied = np.ones(len(read), dtype=bool), 0
    if protocol.capacity is not None:
        kept = cap(detections, read, ranks, protocol.capacity)
        tied = _tied_at_capacity(detections.scores[read], ranks, kept)
        ignored[f"detection beyond the {protocol.capacity} best of its frame"] = int((~kept).sum())
    counted = kept & _has_area(detections, read, protocol)
    ignored["detection whose box has no area"] = int((kept & ~counted).sum())
    return Selection(true_rows, true_frames, true_classes, frames, classes, read, ranks, kept, counted, ignored, tied)


def _check_whole_seconds(table: Table, protocol: Protocol) -> None:
    fractional = table.microseconds % 1_000_000 != 0
    if fractional.any():
        row = fractional.argmax()
        raise InputError(
            f"{table.where(row)}: the timestamp is {table.microseconds[row] / 1e6:g}, but {protocol.name} knows frames "
            "by whole seconds only; evaluate by the official protocol"
        )


def _has_area(detections: Table, rows: np.ndarray, protocol: Protocol) -> np.ndarray:
    """(S,) bool, which of the rows have a box that counts.

    Raises:
        InputError: naming the first inverted box, if the protocol's evaluator would stop at it.
    """
    x1, y1, x2, y2 = detections.boxes.T  # of all rows: cheaper than to gather those that are read
    if not protocol.keeps_flat:
        return ((x1 < x2) & (y1 < y2))[rows]
    inverted = ((x1 > x2) | (y1 > y2))[rows]
    if inverted.any():
        place = detections.where(rows[inverted].min())
        raise InputError(f"{place}: x1 > x2 or y1 > y2, at which {protocol.name} stops; mend the box or leave it out")
    return np.ones(len(rows), dtype=bool)


def _tied_at_capacity(scores: np.ndarray, ranks: np.ndarray, kept: np.ndarray) -> int:
    """How many rows were left out of full frames although their score is no less than that of one that was kept."""
    if kept.all():
        return 0
    least = np.minimum.reduceat(np.where(kept, scores, np.inf), run_starts(ranks))
    return int((~kept & (scores >= least[ranks])).sum())


def _keep(rows: np.ndarray, condition: np.ndarray, ignored: dict[str, int], what: str) -> np.ndarray:
    """The rows that meet the condition; the others are counted as `what`."""
    result = rows[condition[rows]]
    ignored[what] = len(rows) - len(result)
    return result


def _ranks(frames: np.ndarray, leading: np.ndarray) -> np.ndarray:
    """(S,) int64 for `frames`: 0 for the one that comes first in `leading`, 1 for the next new one, and so on."""
    present = np.zeros(max(frames.max(initial=-1), leading.max(initial=-1)) + 1, dtype=bool)
    present[frames] = True
    leading = leading[run_starts(leading)]
    seen, first = np.unique(leading[present[leading]], return_index=True)
    rank = np.empty(len(present), dtype=np.int64)
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
