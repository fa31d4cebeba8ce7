import numpy as np

from avsf_det.visual.label import Label, Row, label_picture

RED, BLUE = (200, 0, 0), (0, 0, 255)


def label(*rows, badge="7", name_width=100):
    return Label(badge, RED, rows, 12, name_width)


def test_the_picture_has_the_size_that_was_planned_for():
    for some in (label(), label(Row("walk", 0.5, BLUE)), label(Row("walk", 0.5, BLUE), Row("sit", 0.4, BLUE))):
        assert label_picture(some).shape == (some.height, some.width, 4)


def test_long_names_are_shortened():
    name = Row("a name that goes on and on and never ends", 0.5, BLUE)
    assert label(name).width < label(name, name_width=400).width
    assert label(name).names[0].endswith("…")


def test_the_bar_is_as_long_as_the_score_is_high():
    def painted(score):
        return (label_picture(label(Row("walk", score, BLUE)))[..., :3] == BLUE).all(axis=2).sum(axis=1).max()

    assert 0.4 < painted(0.5) / painted(1.0) < 0.6


def test_text_stands_on_a_dark_ground():
    picture = label_picture(label(Row("walk", 0.5, BLUE)))
    ground = picture[1, -2]
    assert ground[:3].max() < 40
    assert ground[3] > 128


def test_the_id_stands_on_the_persons_colour():
    assert (label_picture(label())[0, 0] == (*RED, 255)).all()


def test_no_id_and_no_action_leaves_a_bare_strip():
    picture = label_picture(label(badge=""))
    assert np.unique(picture.reshape(-1, 4), axis=0).tolist() == [[*RED, 255]]


def test_a_row_without_a_score_has_neither_number_nor_bar():
    some = label(Row("walk", None, BLUE))
    assert some.width < label(Row("walk", 0.0, BLUE)).width
    assert not (label_picture(some)[..., :3] == BLUE).all(axis=2).any()
