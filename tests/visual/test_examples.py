from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avsf_det.visual.examples import RIGHT, WRONG, Example, draw_examples
from avsf_det.visual.palette import WHITE, person_colour

NAMES = ["stand", "talk to (e.g., self, a person, a group)", "clap"]
LEFT_OF_PANEL = 800  # pixels


def example(labels=((1, 0, 0),), scores=((0.9, 0.1, 0.1),), sound=True, size=(90, 160), frames=8):
    count = len(labels)
    boxes = np.array([(0.1 + 0.02 * i, 0.2, 0.3 + 0.02 * i, 0.9) for i in range(count)]).reshape(-1, 4)
    log_mel = np.tile(np.linspace(-1, 1, 20)[:, None], (1, 16)).astype(np.float32)
    return Example(
        frames=np.full((frames, *size, 3), 90, np.uint8),
        frame_times=(np.arange(frames) - frames // 2) / 8,
        boxes=boxes,
        labels=np.array(labels, dtype=np.float32).reshape(count, 3),
        scores=np.array(scores, dtype=np.float32).reshape(count, 3),
        log_mel=log_mel if sound else None,
        sound_span=(-0.4, 0.4),
        title="film 0902",
    )


def painted(picture, colour):
    return (picture == colour).all(axis=2)


def panel(*examples):
    """Which kinds of tags a picture's rows have."""
    shown = draw_examples(examples, NAMES)[40:, LEFT_OF_PANEL:]
    kinds = {"right": painted(shown, RIGHT), "wrong": painted(shown, WRONG), "missed": lines(painted(shown, WHITE))}
    return {kind for kind, pixels in kinds.items() if pixels.any()}


def lines(mask):
    """Where at least 20 pixels in a row are set: outlines, not letters."""
    return np.lib.stride_tricks.sliding_window_view(mask, 20, axis=1).all(axis=2)


@pytest.mark.parametrize(
    ("labels", "scores", "tags"),
    [
        ((1, 0, 0), (0.9, 0.1, 0.1), {"right"}),
        ((1, 0, 0), (0.5, 0.1, 0.1), {"right"}),
        ((0, 0, 0), (0.1, 0.9, 0.1), {"wrong"}),
        ((0, 0, 1), (0.1, 0.1, 0.2), {"missed"}),
        ((0, 0, 0), (0.1, 0.1, 0.1), set()),
        ((1, 0, 1), (0.8, 0.7, 0.2), {"right", "wrong", "missed"}),
    ],
)
def test_what_is_right_what_is_wrong_and_what_was_missed_is_told_apart(labels, scores, tags):
    assert panel(example([labels], [scores])) == tags


def test_the_middle_frame_alone_has_boxes_each_person_in_a_colour_of_its_own():
    picture = draw_examples([example([(1, 0, 0)] * 3, [(1, 0, 0)] * 3)], NAMES)[40:200]
    for person in range(3):
        columns = np.flatnonzero(painted(picture, person_colour(person)).any(axis=0))
        assert ((columns > 270) & (columns < 540) | (columns > LEFT_OF_PANEL)).all()
        assert (columns < 540).any() and (columns > LEFT_OF_PANEL).any()


def test_frames_are_in_the_order_of_time():
    frames = np.stack([np.full((90, 160, 3), 20 * n, np.uint8) for n in range(12)])
    clip = replace(example(), frames=frames, frame_times=(np.arange(12) - 6) / 8, boxes=np.zeros((0, 4)))
    picture = draw_examples([clip], NAMES)
    assert [picture[100, x, 0] for x in (140, 400, 660)] == [40, 120, 200]


def test_the_strip_shows_sound_where_it_is_in_time_and_says_where_there_is_none():
    beep = np.zeros((20, 16), dtype=np.float32)
    beep[10] = 5  # of 20 within -0.4..0.4 s: just after the keyframe
    loud, silent = (replace(example(frames=9), log_mel=mel, labels=[], scores=[]) for mel in (beep, None))
    difference = draw_examples([loud], NAMES).astype(int) - draw_examples([silent], NAMES)
    bright = np.flatnonzero((difference[180:230, :780].min(axis=2) > 150).sum(axis=0) > 20)
    middle = 12 + 780 / 2  # frame_times are -0.5..0.5 s
    assert len(bright) and middle - 5 < bright.min() and bright.max() < middle + 780 * 0.08


def test_a_quiet_clip_looks_quiet_beside_a_loud_one():
    quiet = replace(example(), log_mel=np.random.default_rng(0).normal(0, 0.1, (20, 16)))
    loud = replace(example(), log_mel=quiet.log_mel + 5)
    first, second = np.split(draw_examples([quiet, loud], NAMES)[32:, :780], 2)
    assert second.astype(int).sum() > first.astype(int).sum()


def test_each_clip_adds_a_row_and_none_is_the_legend_alone():
    heights = [len(draw_examples([example()] * count, NAMES)) for count in range(4)]
    assert heights[0] < 40 and len(set(np.diff(heights))) == 1 and heights[1] > 200


def test_the_input_is_not_painted_on_and_the_same_input_gives_the_same_pixels():
    clip = example()
    one, other = (draw_examples([clip], NAMES) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert (clip.frames == 90).all()


def test_a_crowd_takes_no_more_room_and_no_person_is_drawn_beyond_the_row():
    crowd = example(np.ones((40, 3)), np.ones((40, 3)))
    picture = draw_examples([crowd, example([], [])], NAMES)
    assert picture.shape == draw_examples([example(), example()], NAMES).shape
    second = picture[32 + (len(picture) - 32) // 2 :, LEFT_OF_PANEL:]
    assert (second == second[0, 0]).all()


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.integers(1, 200), st.integers(1, 200)),
    st.integers(2, 9),
    st.lists(st.tuples(*[st.floats(-0.5, 1.5)] * 4), max_size=3),
    st.booleans(),
)
def test_any_picture_and_any_boxes_can_be_drawn(size, frames, boxes, sound):
    clip = example(np.ones((len(boxes), 3)), np.ones((len(boxes), 3)), sound, size, frames)
    picture = draw_examples([replace(clip, boxes=np.array(boxes).reshape(-1, 4))], NAMES)
    assert picture.dtype == np.uint8 and picture.shape[1:] == (1196, 3)
