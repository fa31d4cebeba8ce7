import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.data.classification.clips import Head
from avsf_det.engine.question import questions

VERBS, NOUNS = Head("verb", ("take", "put", "cut")), Head("noun", ("cup", "pan"))


def test_a_verb_and_a_noun_are_an_action_too():
    verb, noun, action = questions([VERBS, NOUNS])
    assert [verb.name, noun.name, action.name] == ["verb", "noun", "action"]
    assert [verb.answer(2), noun.answer(1), action.answer(5)] == ["cut", "pan", "cut pan"]
    (alone,) = questions([Head("action", ("a", "b"), multi_label=True)])
    assert alone.answer(0) == "a"


def test_the_best_of_a_window_come_first_and_of_equal_ones_the_lower_number():
    verb, noun, action = questions([VERBS, NOUNS])
    windows = np.array([[0.2, 0.5, 0.3, 0.4, 0.6], [0.4, 0.2, 0.4, 0.5, 0.5]])
    assert verb.best(windows, 2).tolist() == [[1, 2], [0, 2]]
    assert noun.best(windows, 5).tolist() == [[1, 0], [0, 1]]
    assert [action.answer(i) for i in action.best(windows, 2)[0]] == ["put pan", "put cup"]
    assert action.scores(windows, action.best(windows, 1))[:, 0] == pytest.approx([0.3, 0.2])


@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_pairs_are_ranked_as_if_all_were_looked_at(seed, count):
    windows = np.random.default_rng(seed).random((4, 5)).round(1)
    (*_, action) = questions([VERBS, NOUNS])
    products = (windows[:, :3, None] * windows[:, None, 3:]).reshape(4, -1)
    expected = np.argsort(-products, axis=1, kind="stable")[:, :count]
    if count >= 3:  # none that ties is beyond the best of its head
        assert action.best(windows, count).tolist() == expected.tolist()
    best = np.take_along_axis(products, expected, axis=1)
    np.testing.assert_allclose(action.scores(windows, action.best(windows, count)), best)


def test_a_video_has_the_mean_of_its_windows_or_where_several_hold_the_maximum():
    windows = np.array([[0.2, 0.5, 0.3, 0.4, 0.6], [0.4, 0.2, 0.4, 0.5, 0.5]])
    verb, _, action = questions([VERBS, NOUNS])
    np.testing.assert_allclose(verb.overall(windows), [0.3, 0.35, 0.35])
    mean = (windows[:, :3, None] * windows[:, None, 3:]).mean(axis=0)
    np.testing.assert_allclose(action.overall(windows), mean.ravel())
    (several,) = questions([Head("action", tuple("abcde"), multi_label=True)])
    np.testing.assert_allclose(several.overall(windows), [0.4, 0.5, 0.4, 0.5, 0.6])
