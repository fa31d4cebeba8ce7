import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.structures import Persons
from avsf_det.visual.interpolation import interpolate

TIMES = [1.0, 2.0, 4.0]


def someone(x, *ids, action=0.5):
    return Persons([(x, 0.2, x + 0.1, 0.8)] * len(ids), [0.9] * len(ids), ids, [[action]] * len(ids))


def test_someone_in_both_keyframes_moves_linearly():
    found = interpolate(TIMES[:2], [someone(0.2, 5), someone(0.6, 5)], 1.25)
    np.testing.assert_allclose(found.boxes, [(0.3, 0.2, 0.4, 0.8)], atol=1e-6)


def test_actions_are_those_of_the_nearest_keyframe():
    keyframes = [someone(0.2, 5, action=0.1), someone(0.6, 5, action=0.9)]
    assert interpolate(TIMES[:2], keyframes, 1.4).actions[0, 0] == np.float32(0.1)
    assert interpolate(TIMES[:2], keyframes, 1.6).actions[0, 0] == np.float32(0.9)


@pytest.mark.parametrize(("t", "ids"), [(1.4, [5]), (1.6, []), (2.9, []), (3.1, [6]), (4.9, [6]), (5.1, [])])
def test_someone_in_one_keyframe_is_shown_for_half_the_interval(t, ids):
    keyframes = [someone(0.2, 5), Persons.none(), someone(0.6, 6)]
    assert interpolate(TIMES, keyframes, t).ids.tolist() == ids


@pytest.mark.parametrize(("t", "count"), [(0.4, 0), (0.6, 1)])
def test_before_the_first_keyframe(t, count):
    assert len(interpolate(TIMES, [someone(0.2, 5)] * 3, t)) == count


def test_persons_without_an_id_do_not_move():
    found = interpolate(TIMES[:2], [someone(0.2, -1), someone(0.6, -1)], 1.25)
    np.testing.assert_allclose(found.boxes[0, 0], 0.2)


def test_no_keyframe_and_a_single_one():
    assert len(interpolate([], [], 3.0)) == 0
    assert interpolate([1.0], [someone(0.2, 5)], 30.0).ids.tolist() == [5]


@given(st.floats(1, 4))
def test_at_and_between_keyframes_boxes_stay_between_theirs(t):
    keyframes = [someone(0.1, 5), someone(0.5, 5), someone(0.3, 5)]
    x = interpolate(TIMES, keyframes, t).boxes[0, 0]
    np.testing.assert_allclose(x, np.interp(t, TIMES, (0.1, 0.5, 0.3)), atol=1e-6)


@pytest.mark.parametrize(("t", "ids"), [(1.0, [5]), (1.19, [5]), (1.2, [6]), (1.9, [6]), (2.1, [6])])
def test_before_a_cut_the_first_keyframe_is_shown_and_then_the_second(t, ids):
    found = interpolate(TIMES[:2], [someone(0.2, 5), someone(0.6, 6)], t, cuts=[1.2])
    assert found.ids.tolist() == ids


def test_nobody_moves_over_a_cut():
    found = interpolate(TIMES[:2], [someone(0.2, 5), someone(0.6, 5)], 1.4, cuts=[1.5])
    np.testing.assert_allclose(found.boxes[0, 0], 0.2)


@pytest.mark.parametrize("t", [0.8, 1.4, 2.2])
def test_a_shot_without_a_keyframe_shows_nobody(t):
    assert len(interpolate(TIMES[:2], [someone(0.2, 5)] * 2, t, cuts=[0.9, 1.3, 1.5, 2.1])) == 0
