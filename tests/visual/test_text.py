import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.visual.text import clock, overlay, short_names, shorten, text_picture, text_size, text_width


@pytest.mark.parametrize(("width", "height"), [(320, 240), (426, 240), (204, 360), (1920, 1080), (3840, 2160)])
def test_capitals_are_tall_enough_to_read(width, height):
    alpha = text_picture("H", text_size(width, height), (255, 255, 255))[..., 3]
    tall = int((alpha.max(axis=1) > 128).sum())
    assert tall >= max(9, min(width, height) / 65)


def test_a_tall_picture_has_the_text_of_the_same_picture_turned():
    assert text_size(1080, 1920) == text_size(1920, 1080)


@given(st.text(max_size=40), st.integers(15, 200))
def test_any_text_fits_once_shortened(text, width):
    assert text_width(shorten(text, 12, width), 12) <= width


@pytest.mark.parametrize(
    ("width", "expected"), [(400, "carry/hold (an object)"), (85, "carry/hold…"), (50, "carry…"), (5, "…")]
)
def test_shortened_text_says_that_it_is(width, expected):
    assert shorten("carry/hold (an object)", 12, width) == expected


def test_what_cannot_be_shown_is_replaced():
    assert shorten("a\nb\udc80.mp4", 12, 400) == "a?b?.mp4"


def test_brackets_go_where_names_stay_different():
    names = ["talk to (e.g., self, a person, a group)", "watch (a person)", "watch (e.g., TV)", "stand", "(odd)"]
    assert short_names(names) == ["talk to", "watch (person)", "watch (TV)", "stand", "(odd)"]


@pytest.mark.parametrize(
    ("seconds", "decimals", "expected"),
    [(0, 0, "0:00"), (75.25, 0, "1:15"), (75.25, 1, "1:15.2"), (59.999999999, 0, "1:00"), (3723.4, 1, "1:02:03.4")],
)
def test_clock(seconds, decimals, expected):
    assert clock(seconds, decimals) == expected


@given(st.integers(-30, 30), st.integers(-30, 30))
def test_overlay_paints_its_place_and_nothing_else(left, top):
    image = np.zeros((20, 24, 3), dtype=np.uint8)
    overlay(image, np.full((8, 10, 4), 255, dtype=np.uint8), left, top)
    expected = np.zeros_like(image)
    expected[max(0, top) : max(0, top + 8), max(0, left) : max(0, left + 10)] = 255
    np.testing.assert_array_equal(image, expected)


def test_overlay_mixes_by_opacity():
    image = np.full((1, 1, 3), 100, dtype=np.uint8)
    overlay(image, np.array([[[200, 0, 100, 51]]], dtype=np.uint8), 0, 0)
    assert image[0, 0].tolist() == [120, 80, 100]
