import numpy as np
import pytest

from avsf_det.visual.palette import GREY, WHITE, group_colours, ink_on, mix, person_colour, score_colours


def test_a_dozen_persons_have_a_dozen_colours():
    assert len({person_colour(person_id) for person_id in range(12)}) == 12


def test_unknown_persons_are_grey():
    assert person_colour(-1) == GREY


def test_classes_of_a_group_share_a_colour_that_other_groups_do_not_have():
    pose, touch, talk, walk = group_colours(["pose", "object", "person", "pose"], 4)
    assert pose == walk
    assert len({pose, touch, talk}) == 3


def test_without_groups_there_is_one_colour():
    assert len(set(group_colours(None, 3))) == 1


def test_higher_scores_are_darker():
    luma = score_colours(np.linspace(0, 1, 20)).astype(int).sum(axis=1)
    assert (np.diff(luma) < 0).all()


@pytest.mark.parametrize("person_id", range(14))
def test_ids_read_well_on_their_colour(person_id):
    colour = person_colour(person_id)
    assert _contrast(colour, ink_on(colour)) >= 3.0  # what WCAG 2.1, 1.4.11 asks of a graphic that carries meaning


def test_mix_ends_at_either_colour():
    assert mix((10, 20, 30), WHITE, 0) == (10, 20, 30)
    assert mix((10, 20, 30), WHITE, 1) == WHITE


def _contrast(one, other):
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(colour) / 255]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
