import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ava_eval.label_map import LabelMap
from ava_eval.matching import iou, match
from ava_eval.table import table_from_memory

LABELS = LabelMap((1, 2), ("stand", "sit"))
box = st.tuples(*[st.floats(0, 1)] * 2, *[st.floats(0.01, 1)] * 2).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))


@given(box, box)
def test_iou_is_symmetric_within_0_and_1_and_1_for_the_same_box(a, b):
    forth, back, same = iou(np.array([a, b, a]), np.array([b, a, a]))
    assert forth == back
    assert 0 <= forth <= 1 + 1e-12
    assert abs(same - 1) < 1e-12


def test_the_table_is_sorted_by_class_frame_and_falling_score_and_names_rows():
    truth = table_from_memory([["v", 5, 0, 0, 1, 1, 1], ["v", 4, 0, 0, 1, 1, 2], ["v", 4, 0, 0, 1, 0.8, 2]], "truth")
    found = table_from_memory(
        [
            ["v", 5, 0, 0, 1, 1, 1, 0.2],
            ["v", 4, 0, 0, 1, 0.8, 2, 0.9],
            ["v", 4, 2, 2, 3, 3, 1, 0.3],
            ["v", 5, 0, 0, 1, 0.5, 1, 0.8],
        ],
        "found",
    )
    matches = match(truth, found, LABELS)
    assert matches.rows.tolist() == [3, 0, 2, 1]
    assert matches.classes.tolist() == [0, 0, 0, 1]
    assert matches.scores.tolist() == [0.8, 0.2, 0.3, 0.9]
    assert matches.nearest.tolist() == [0, 0, -1, 2]
    assert matches.ious.tolist() == [0.5, 1, 0, 1]
    assert matches.ground_truth_rows.tolist() == [0, 1, 2]
    assert matches.ground_truth_classes.tolist() == [0, 1, 1]


def test_one_table_serves_every_threshold():
    truth = table_from_memory([["v", 1, 0, 0, 1, 1, 1]], "truth")
    found = table_from_memory([["v", 1, 0, 0, 1, 0.6, 1, 0.9], ["v", 1, 0, 0, 1, 0.9, 1, 0.8]], "found")
    matches = match(truth, found, LABELS)
    assert matches.true_positives(0.5).tolist() == [True, False]
    assert matches.true_positives(0.7).tolist() == [False, True]
    assert matches.true_positives(0.95).tolist() == [False, False]
