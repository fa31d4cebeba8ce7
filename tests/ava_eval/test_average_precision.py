import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_eval.average_precision import average_precision, best_f1, count_ties, mean_of_known, possible_range, rank


@pytest.mark.parametrize(
    ("labels", "ground_truths", "expected"),
    [
        ([1, 1], 2, 1.0),
        ([0, 1], 1, 0.5),
        ([1, 0], 1, 1.0),
        ([1, 0, 1], 2, 0.5 + 0.5 * 2 / 3),
        ([0, 1, 1], 2, 2 / 3),  # the envelope lifts the first step from 1/2 to 2/3
        ([1], 4, 0.25),
        ([0, 0], 3, 0.0),
        ([], 3, 0.0),
    ],
)
def test_ap_of_rankings_worked_out_by_hand(labels, ground_truths, expected):
    scores = np.linspace(0.9, 0.1, len(labels))
    assert average_precision(scores, np.array(labels, dtype=bool), ground_truths) == pytest.approx(expected, abs=1e-15)


def test_no_ground_truth_has_no_ap():
    assert math.isnan(average_precision(np.array([0.5]), np.array([False]), 0))


def test_mean_leaves_nan_out(recwarn):
    assert mean_of_known(np.array([0.5, np.nan, 1.0])) == 0.75
    assert math.isnan(mean_of_known(np.array([np.nan])))
    assert not recwarn.list


def test_ties_are_counted_and_those_of_unlike_detections_are_ambiguous():
    scores = np.array([0.9, 0.5, 0.9, 0.5, 0.1, 0.5])
    assert count_ties(scores, np.array([True, True, True, False, False, False])) == (5, 3)
    assert count_ties(scores, np.zeros(6, dtype=bool)) == (5, 0)
    assert count_ties(np.array([]), np.array([], dtype=bool)) == (0, 0)


def test_a_stable_ranking_puts_the_later_of_equals_first():
    scores = np.tile([0.5, 0.7], 200)
    assert rank(scores).tolist() == [*range(399, 0, -2), *range(398, -1, -2)]
    assert sorted(rank(scores, "official").tolist()) == list(range(400))


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=6), st.integers(0, 3))
def test_the_possible_range_is_that_of_all_orders_of_equal_scores(rows, missed):
    scores, labels = np.array([s for s, _ in rows], dtype=float), np.array([hit for _, hit in rows])
    truths = labels.sum() + missed
    low, high = possible_range(scores, labels, truths)
    if not truths:
        assert math.isnan(low) and math.isnan(high)
        return
    orders = (np.array(order) for order in itertools.permutations(range(len(rows))))
    aps = [average_precision(scores[order], labels[order], truths) for order in orders]
    assert (low, high) == (pytest.approx(min(aps)), pytest.approx(max(aps)))


def test_the_best_f1_takes_all_detections_of_its_score():
    scores, labels = np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, True, False, False])
    assert best_f1(scores, labels, 2) == (0.8, 0.8)  # at 0.8 there are three detections: 2 * 2 / (3 + 2)
    assert all(map(math.isnan, best_f1(scores, np.zeros(4, dtype=bool), 2)))
