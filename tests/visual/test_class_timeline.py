import numpy as np
import pytest
from PIL import Image

from avsf_det.errors import UserError
from avsf_det.visual import palette, timeline_page
from avsf_det.visual.class_timeline import ClassBand, draw_class_timeline

STARTS = np.arange(9.0)
SCORES = np.where(STARTS[:, None] >= 5, [0.9, 0.1], [0.1, 0.9])


def drawn(path, bands, starts=STARTS, duration=10.0):
    draw_class_timeline(path, starts, starts + 2, bands, duration, title="film.mp4")
    with Image.open(path) as page:
        return np.asarray(page.convert("RGB")).astype(int)


def strip(page, row):
    y = timeline_page.HEADER + row * timeline_page.ROW + 5
    return page[y, timeline_page.AXIS_LEFT : timeline_page.AXIS_RIGHT].sum(axis=1)


@pytest.fixture
def said(monkeypatch):
    """What is written on the pages."""
    words, write = [], timeline_page.ImageDraw.ImageDraw.text

    def spy(self, place, text, *args, **kwargs):
        words.append(text)
        return write(self, place, text, *args, **kwargs)

    monkeypatch.setattr(timeline_page.ImageDraw.ImageDraw, "text", spy)
    return words


def test_a_row_is_dark_while_its_class_holds_from_the_first_window_to_the_last(tmp_path, said):
    page = drawn(tmp_path / "page.png", [ClassBand("action", ["clap", "drum"], SCORES)])
    clap, drum = strip(page, 0), strip(page, 1)
    half = len(clap) * 55 // 100  # window 5 is around second 6
    assert clap[half + 5 :].max() < clap[: half - 5].min() and drum[: half - 5].max() < drum[half + 5 :].min()
    assert {"film.mp4", "action", "clap", "drum", "no sound"} <= set(said) and "sound added" not in said
    assert "0:10.0 · 9 windows" in said


def test_before_the_first_picture_there_is_nothing(tmp_path):
    page = drawn(tmp_path / "page.png", [ClassBand("action", ["clap", "drum"], SCORES)], STARTS + 1, 11.0)
    white = 3 * 255
    row = strip(page, 0)
    edge = len(row) // 11
    assert np.median(row[: edge - 3]) == white and row[edge + 3 :].max() < white


def test_of_windows_that_share_a_column_the_highest_score_is_seen(tmp_path):
    starts = np.arange(0, 8000, 0.5)
    scores = np.zeros((len(starts), 1))
    scores[::10] = 1.0
    page = drawn(tmp_path / "page.png", [ClassBand("action", ["clap"], scores)], starts, 8002.0)
    assert (strip(page, 0) == sum(palette.score_colours(np.array(1.0)))).mean() > 0.95


def test_what_sound_added_or_took_is_marked(tmp_path, said):
    page = drawn(tmp_path / "page.png", [ClassBand("action", ["clap", "drum"], SCORES, np.full_like(SCORES, 0.5))])
    assert {"sound added", "sound took"} <= set(said)
    for colour in (palette.ADDED, palette.TOOK):
        assert (page[timeline_page.HEADER :] == colour).all(axis=2).sum() > 1000


def test_what_is_left_out_is_counted_and_nothing_at_all_is_said(tmp_path, said):
    drawn(
        tmp_path / "page.png",
        [ClassBand("verb", ["cut"], SCORES[:, :1], None, 3), ClassBand("noun", [], SCORES[:, :0])],
    )
    assert "and 3 more classes" in said and "no class reaches the threshold" in said and {"verb", "noun"} <= set(said)


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"page\.png: the timeline cannot be written"):
        drawn(tmp_path / "file" / "page.png", [])
