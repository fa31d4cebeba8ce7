import math

import numpy as np
import pytest

from ava_eval.average_precision import average_precision, count_ambiguous, mean_of_known


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


def test_only_ties_of_unlike_detections_are_ambiguous():
    scores = np.array([0.9, 0.5, 0.9, 0.5, 0.1, 0.5])
    assert count_ambiguous(scores, np.array([True, True, True, False, False, False])) == 3
    assert count_ambiguous(scores, np.zeros(6, dtype=bool)) == 0
    assert count_ambiguous(np.array([]), np.array([], dtype=bool)) == 0
