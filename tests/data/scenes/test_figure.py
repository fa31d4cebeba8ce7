import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avsf_det.data.scenes.activities import ACTIVITIES, POSES, Beats
from avsf_det.data.scenes.figure import Body, draw_figure

MOTIONS = sorted({activity.motion for activity in ACTIVITIES.values()})
PROPS = ("drum", "bell", "mouth", "carry", "wave")  # what is held is not the person


def draw(t=0.3, pose="stand", motion=None, seed=0, height=140.0, foot=(100.0, 180.0)):
    """The pixels that a figure changes, on grey of a level that no part of it has, and its box."""
    body = Body.draw(np.random.default_rng(seed))
    image = np.full((200, 200, 3), (1, 254, 3), np.uint8)
    beats = Beats(np.arange(-1, 12) * 0.5)
    box = draw_figure(image, body, foot, height, t, pose, motion, beats if motion else None)
    return (image != (1, 254, 3)).any(axis=2), box


def extent(mask):
    rows, columns = np.where(mask)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


@settings(deadline=None, max_examples=80)
@given(
    st.integers(0, 1000),
    st.floats(0, 5),
    st.sampled_from(["stand", "walk", "crouch"]),
    st.sampled_from([None, *(motion for motion in MOTIONS if motion not in PROPS)]),
    st.floats(60, 150),
)
def test_the_box_holds_the_figure_and_no_more(seed, t, pose, motion, height):
    mask, box = draw(t, pose, motion, seed, height)
    drawn = extent(mask)
    margin = 3 + 0.01 * height
    np.testing.assert_allclose(box, drawn, atol=margin)


@pytest.mark.parametrize("motion", PROPS)
def test_the_box_is_that_of_the_body_without_what_it_holds(motion):
    mask, box = draw(motion=motion)
    drawn = extent(mask)
    assert (drawn[:2] <= box[:2] + 4).all() and (drawn[2:] >= box[2:] - 4).all()


@pytest.mark.parametrize("t", [0.0, 0.4])
def test_poses_look_different(t):
    masks = {pose: draw(t, pose)[0] for pose in POSES}
    for one in POSES:
        for other in POSES:
            assert one == other or (masks[one] ^ masks[other]).sum() > 100


def test_motions_look_different_and_move():
    for number, one in enumerate(MOTIONS):
        assert (draw(0.1, motion=one)[0] ^ draw(0.35, motion=one)[0]).any() or one == "carry"
        for other in MOTIONS[number + 1 :]:
            assert (draw(0.2, motion=one)[0] ^ draw(0.2, motion=other)[0]).sum() > 30


def test_people_look_different():
    bodies = [Body.draw(np.random.default_rng(seed)) for seed in range(20)]
    assert len(set(bodies)) == 20 and len({body.hair_style for body in bodies}) == 4


def test_a_higher_figure_is_larger_and_stands_on_its_feet():
    (_, small), (_, large) = draw(height=80.0), draw(height=140.0)
    assert large[3] - large[1] == pytest.approx((small[3] - small[1]) * 140 / 80, rel=0.05)
    assert small[3] == pytest.approx(180, abs=4) and large[3] == pytest.approx(180, abs=4)
