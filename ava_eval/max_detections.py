"""The 50 best rows of a frame, and their order: what the heap of the official reader does."""

from __future__ import annotations

import heapq
from collections import defaultdict

import numpy as np

from ava_eval.table import Table


def run_starts(*columns: np.ndarray) -> np.ndarray:
    """Indices of the rows that differ from the row before in any of the (R,) columns; the first row is one."""
    changes = np.zeros(len(columns[0]), dtype=bool)
    changes[:1] = True
    for column in columns:
        changes[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changes)


def cap(table: Table, rows: np.ndarray, frames: np.ndarray, capacity: int) -> np.ndarray:
    """(S,) bool: which of the S `rows`, grouped by their `frames`, the official reader keeps.

    It holds the rows of a frame in a heap of `capacity`; a row enters a full heap only if its score exceeds the least,
    and takes the place of the least (score, action, y1, x1, y2, x2). So all rows above the final least score c stay.
    Of those at c, only such as come while fewer than `capacity` rows >= c have come can enter, and each higher row
    that comes later drives out the least of them.
    """
    scores = table.scores[rows]
    starts = run_starts(frames)
    sizes = np.diff(starts, append=len(rows))
    cutoff = np.full(len(starts), -np.inf)
    tied = np.zeros(len(starts), dtype=bool)
    for group in np.flatnonzero(sizes > capacity):
        start, last = starts[group], sizes[group] - capacity
        rising = np.partition(scores[start : start + sizes[group]], (last - 1, last))
        cutoff[group], tied[group] = rising[last], rising[last] == rising[last - 1]
    group_of = np.repeat(np.arange(len(starts)), sizes)
    keep = scores >= cutoff[group_of]
    contested = np.flatnonzero(keep & tied[group_of])
    if not len(contested):
        return keep

    group = group_of[contested]
    starts = run_starts(group)
    sizes = np.diff(starts, append=len(group))
    entered = np.arange(len(group)) - np.repeat(starts, sizes) < capacity
    keep[contested[~entered & (scores[contested] == cutoff[group])]] = False
    higher = np.bincount(group, scores[contested] > cutoff[group], minlength=len(cutoff)).astype(np.int64)
    at_cutoff = contested[entered & (scores[contested] == cutoff[group])]
    action, (x1, y1, x2, y2) = table.actions[rows[at_cutoff]], table.boxes[rows[at_cutoff]].T
    at_cutoff = at_cutoff[np.lexsort((at_cutoff, x2, y2, x1, y1, action, group_of[at_cutoff]))[::-1]]
    group = group_of[at_cutoff]
    starts = run_starts(group)
    rank = np.arange(len(group)) - np.repeat(starts, np.diff(starts, append=len(group)))
    keep[at_cutoff[rank >= capacity - higher[group]]] = False
    return keep


def reading_order(
    table: Table, rows: np.ndarray, frames: np.ndarray, kept: np.ndarray, wanted: np.ndarray, capacity: int | None
) -> np.ndarray:
    """(S,) int64: places of rows of the same frame in the order in which the official reader hands them on.

    That is its heap's own array, sorted stably by falling score, so it decides between equal scores only.

    Args:
        table: the table that the rows are of.
        rows: (S,) all rows that the reader puts into heaps, grouped by frame, within a frame in the file's order.
        frames: (S,) rising numbers of their frames.
        kept: (S,) bool, as `cap` says.
        wanted: the frames to look at; places in other frames are 0.
        capacity: size of a heap, None for no limit.
    """
    places = np.zeros(len(rows), dtype=np.int64)
    first, last = np.searchsorted(frames, wanted, "left"), np.searchsorted(frames, wanted, "right")
    for start, stop in zip(first.tolist(), last.tolist()):
        of_frame = rows[start:stop]
        x1, y1, x2, y2 = table.boxes[of_frame].T.tolist()
        entries = list(zip(table.scores[of_frame].tolist(), table.actions[of_frame].tolist(), y1, x1, y2, x2))
        heap: list[tuple] = []
        for entry in entries:
            if capacity is None or len(heap) < capacity:
                heapq.heappush(heap, entry)
            elif entry[0] > heap[0][0]:
                heapq.heapreplace(heap, entry)
        indices_of = defaultdict(list)  # equal entries are interchangeable: they go by the order of the file
        for index in reversed(range(start, stop)):
            if kept[index]:
                indices_of[entries[index - start]].append(index)
        for place, entry in enumerate(sorted(heap, key=lambda entry: -entry[0])):
            places[indices_of[entry].pop()] = place
    return places
