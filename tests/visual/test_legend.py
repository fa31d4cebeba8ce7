import numpy as np

from avsf_det.visual.legend import draw_legend

RED, BLUE = (200, 0, 0), (0, 0, 255)


def test_each_colour_is_shown():
    strip = draw_legend([(RED, "wrong"), (BLUE, "right")], 320, 12)
    for colour in (RED, BLUE):
        assert (strip == colour).all(axis=2).sum() == 100


def test_it_takes_more_lines_where_the_picture_is_narrow():
    entries = [(RED, "a meaning"), (BLUE, "another meaning"), (RED, "a third one, which is much too long for any line")]
    wide, narrow = draw_legend(entries, 2000, 12), draw_legend(entries, 120, 12)
    assert wide.shape[1] == 2000 and narrow.shape[1] == 120 and len(narrow) == 3 * len(wide)


def test_nothing_to_say_takes_no_room():
    assert draw_legend([], 320, 12).shape == (0, 320, 3)
    assert draw_legend([], 320, 12).dtype == np.uint8
