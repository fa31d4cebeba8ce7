import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.data.classification.clips import Head
from avsf_det.engine.clip_metrics import (
    ViewScores,
    average_precision,
    class_precisions,
    class_ranks,
    mean_average_precision,
    mean_class_accuracy,
    measures,
    pair_ranks,
)
from avsf_det.errors import UserError


def one_hot(classes, count):
    return np.eye(count)[classes]


def test_ranks_of_the_true_class():
    scores = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.4, 0.4, 0.2], [0.4, 0.4, 0.2]])
    assert class_ranks(scores, np.array([1, 2, 0, 1])).tolist() == [0, 2, 0, 1]  # of equals the first is before


def test_mean_class_accuracy_counts_each_class_once():
    classes = np.array([0, 0, 0, 0, 2])
    assert mean_class_accuracy(np.array([True, True, True, False, False]), classes) == pytest.approx((0.75 + 0) / 2)
    assert math.isnan(mean_class_accuracy(np.zeros(0, bool), np.zeros(0, int)))


def test_measures_of_one_label():
    scores = np.array([[6, 5, 4, 3, 2, 1], [6, 5, 4, 3, 2, 1], [6, 5, 4, 3, 2, 1], [1, 2, 3, 4, 5, 6]]) / 10
    found = measures([Head("action", tuple("abcdef"))], scores, one_hot([0, 4, 5, 5], 6))
    assert found == pytest.approx({"top1": 50.0, "top5": 75.0, "mean_class": 100 * (1 + 0 + 0.5) / 3})


def test_an_action_is_right_where_verb_and_noun_are():
    verbs = np.array([[0.6, 0.4], [0.6, 0.4], [0.3, 0.7]])
    nouns = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.2, 0.5, 0.3]])
    # products of the first clip: .30 .18 .12 / .20 .12 .08
    labels = np.hstack((one_hot([0, 1, 1], 2), one_hot([0, 2, 1], 3)))
    found = measures([Head("verb", ("cut", "wash")), Head("noun", ("a", "b", "c"))], np.hstack((verbs, nouns)), labels)
    assert found["verb_top1"] == pytest.approx(200 / 3) and found["noun_top1"] == 100
    assert found["action_top1"] == pytest.approx(200 / 3) and found["action_top5"] == 100
    ranks = pair_ranks(verbs[:1], np.array([1]), nouns[:1], np.array([1]))
    assert ranks.tolist() == [4]  # .12 of the pair (0, 2), which comes first, and three higher


@given(st.integers(0, 2**32 - 1))
def test_ranks_of_pairs_are_those_of_a_sorted_list(seed):
    rng = np.random.default_rng(seed)
    verbs, nouns = rng.dirichlet(np.ones(4), 70), rng.dirichlet(np.ones(5), 70)
    true = rng.integers(4, size=70), rng.integers(5, size=70)
    ranks = pair_ranks(verbs, true[0], nouns, true[1])
    for i in range(70):
        pairs = sorted(itertools.product(range(4), range(5)), key=lambda pair: -verbs[i, pair[0]] * nouns[i, pair[1]])
        assert pairs.index((true[0][i], true[1][i])) == ranks[i]
    both = (verbs.argmax(axis=1) == true[0]) & (nouns.argmax(axis=1) == true[1])
    np.testing.assert_array_equal(ranks == 0, both)


def test_average_precision_by_hand():
    # in order of score: hit, miss, hit, miss
    scores, positive = np.array([0.2, 0.9, 0.5, 0.7]), np.array([False, True, True, False])
    assert average_precision(scores, positive) == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert math.isnan(average_precision(scores, np.zeros(4, bool)))


@given(st.integers(0, 2**32 - 1))
def test_average_precision_is_the_area_under_the_steps_of_precision_and_recall(seed):
    rng = np.random.default_rng(seed)
    scores, positive = rng.permutation(30) / 30, rng.random(30) < 0.3
    positive[0] = True
    area, recall = 0.0, 0.0
    for threshold in sorted(scores, reverse=True):
        found = positive[scores >= threshold]
        now = found.sum() / positive.sum()
        area, recall = area + (now - recall) * found.mean(), now
    assert average_precision(scores, positive) == pytest.approx(area)


def test_classes_without_positives_do_not_count_and_videos_without_labels_come_last():
    labels = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0]])
    scores = np.array([[0.4, 0.9, 0.1], [0.1, 0.9, 0.8], [0.9, 0.9, 0.9]])  # the last has the highest, and no label
    assert class_precisions(scores, labels).tolist()[::2] == [1.0, 1.0]
    assert np.isnan(class_precisions(scores, labels)[1])
    assert mean_average_precision(scores, labels) == 1.0
    assert math.isnan(mean_average_precision(scores, np.zeros((3, 3))))
    head = Head("action", ("sit", "eat", "read"), multi_label=True)
    assert measures([head], scores, labels) == {"mAP": 1.0}


@pytest.mark.parametrize(("ensemble", "expected"), [("sum", [0.4, 0.4]), ("max", [0.6, 0.5])])
def test_scores_of_views(ensemble, expected):
    gathered = ViewScores(2, 2, ensemble)
    gathered.add(1, np.array([[0.2, 0.5], [0.6, 0.4]]))
    gathered.add(1, np.array([[0.4, 0.3]]))
    gathered.add(0, np.zeros((0, 2)))
    assert gathered.seen.tolist() == [False, True]
    np.testing.assert_allclose(gathered.scores(), [[0, 0], expected])


def test_an_ensemble_that_is_none():
    with pytest.raises(UserError, match="got 'median', expected sum or max"):
        ViewScores(1, 1, "median")


def test_no_clip_at_all():
    found = measures([Head("action", ("a", "b"))], np.zeros((0, 2)), np.zeros((0, 2)))
    assert all(map(math.isnan, found.values()))


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_scores_that_are_no_numbers_are_refused_not_counted_as_right(score):
    scores = np.array([[0.1, 0.9], [score, score]])
    with pytest.raises(UserError, match="scores of 1 of 2 clips, the first of which is number 1, are NaN or infinite"):
        measures([Head("action", ("a", "b"))], scores, one_hot([1, 0], 2))
