import heapq

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ava_eval.max_detections import cap, run_starts
from ava_eval.table import table_from_memory


def test_runs_start_where_any_column_changes():
    assert run_starts(np.array([1, 1, 2, 2]), np.array([0, 0, 0, 5])).tolist() == [0, 2, 3]
    assert run_starts(np.array([])).tolist() == []


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 2), st.integers(0, 3)), max_size=40))
def test_the_cap_keeps_what_a_heap_would_keep(rows):
    rows.sort(key=lambda row: row[0])
    table = table_from_memory([["v", f, x, 0, x + 1, 1, k, s] for f, k, x, s in rows], "x")
    frames = np.array([row[0] for row in rows], dtype=np.int64)
    kept = cap(table, np.arange(len(rows)), frames, capacity=5)
    for frame in {row[0] for row in rows}:
        heap = []
        for f, k, x, s in rows:
            entry = (s, k, 0, x, 1, x + 1)
            if f == frame and len(heap) < 5:
                heapq.heappush(heap, entry)
            elif f == frame and s > heap[0][0]:
                heapq.heapreplace(heap, entry)
        chosen = [(s, k, 0, x, 1, x + 1) for (f, k, x, s), keep in zip(rows, kept) if keep and f == frame]
        assert sorted(chosen) == sorted(heap)
