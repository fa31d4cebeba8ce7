import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.visual.fonts import has_shaping
from avsf_det.visual.layout import clean, clusters, runs
from avsf_det.visual.text import shorten, text_picture, text_width

INK = (255, 255, 255)


@pytest.mark.parametrize("text", ["carry/hold (an object)", "бежать", "τρέχω", "Straße, café", "$x_1$ \\a"])
def test_runs_of_simple_scripts_need_no_layout(text):
    assert runs(text) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Cafe\u0301", "Café"),
        ("ab\u202egpj.exe", "ab?gpj.exe"),
        ("a\n\t\x00b\udc80", "a???b?"),
        ("a\u00a0b\u3000c", "a b c"),
        ("\ufeffa\u200bb\u00adc\u200f", "abc"),
        ("\u0646\u0645\u06cc\u200c\u062f\u0627\u0646\u0645", "\u0646\u0645\u06cc\u200c\u062f\u0627\u0646\u0645"),
    ],
)
def test_clean_leaves_what_can_stand_on_a_line(text, expected):
    assert clean(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc", ["a", "b", "c"]),
        ("q\u0301x", ["q\u0301", "x"]),
        ("👩‍👩‍👧🇯🇵🇩🇪👍🏽", ["👩‍👩‍👧", "🇯🇵", "🇩🇪", "👍🏽"]),
        ("क्षेत्र", ["क्षे", "त्र"]),
        ("น้ำ", ["น้ำ"]),
    ],
)
def test_clusters_keep_letters_with_their_marks(text, expected):
    assert clusters(text) == expected


def test_clusters_limit_stacked_marks():
    assert len(clusters("a" + "\u0301\u0316" * 500)[0]) <= 8


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("run לרוץ now", ["run ", "לרוץ", " now"]),
        ("לרוץ run", ["run", "לרוץ "]),
        ("مرة 42 سرعة", [" سرعة", "42", "مرة "]),
        ("run לרוץ, מהר", ["run ", "לרוץ, מהר"]),
    ],
)
def test_runs_are_in_visual_order(text, expected):
    if not has_shaping():
        expected = [part[::-1] if any("\u0590" <= c <= "\u06ff" for c in part) else part for part in expected]
    assert [run.text for run in runs(text)] == expected


@pytest.mark.parametrize("text", ["يركض بسرعة", "לרוץ מהר", "q\u0301q\u0323", "مرحبا hello"])
def test_text_picture_of_marked_and_right_to_left_text_stays_within_its_width(text):
    alpha = text_picture(text, 20, INK)[..., 3]
    columns = np.flatnonzero(alpha.any(axis=0))
    assert 0.6 * text_width(text, 20) < columns[-1] - columns[0] <= text_width(text, 20)


@pytest.mark.parametrize("text", ["q\u0301" * 50, "क्षे" * 50, "👩‍👩‍👧" * 50])
def test_shorten_cuts_between_clusters(text):
    short = shorten(text, 12, 150)
    assert short.endswith("…") and short != "…"
    whole = clusters(text)
    assert clusters(short)[:-1] == whole[: len(clusters(short)) - 1]


@pytest.mark.parametrize(
    "text", ["x" * 100_000, "中" * 10_000, "a\u0301" * 50_000, "\u200d" * 10_000, "\u202e" * 10_000]
)
def test_shorten_handles_very_long_names(text):
    assert text_width(shorten(text, 12, 150), 12) <= 150


@given(st.text(max_size=30))
def test_text_picture_draws_any_text(text):
    picture = text_picture(shorten(text, 12, 120), 12, INK)
    assert picture.shape[1] <= 120 and picture.dtype == np.uint8
