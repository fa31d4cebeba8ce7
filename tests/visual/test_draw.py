import numpy as np
import pytest

from avsf_det.structures import Persons
from avsf_det.visual.draw import Annotator
from avsf_det.visual.palette import person_colour

NAMES = ["walk", "touch (an object)", "talk to (e.g., self, a person, a group)", "sit"]
GROUPS = ["pose", "object", "person", "pose"]


def picture(width=426, height=240):
    return np.full((height, width, 3), 90, dtype=np.uint8)


def persons(*ids, action=0.9):
    boxes = [(0.05 + 0.3 * n, 0.4, 0.2 + 0.3 * n, 0.95) for n in range(len(ids))]
    return Persons(boxes, np.ones(len(ids)), ids, np.full((len(ids), 4), action))


def changed(image, people):
    return (Annotator(NAMES, GROUPS).draw(image, people) != image).any(axis=2)


def test_nobody_leaves_the_picture_as_it_is():
    np.testing.assert_array_equal(Annotator(NAMES).draw(picture(), Persons.none()), picture())


def test_the_input_is_not_painted_on():
    image = picture()
    Annotator(NAMES).draw(image, persons(1))
    np.testing.assert_array_equal(image, picture())


def test_same_input_same_pixels():
    one, other = (Annotator(NAMES, GROUPS).draw(picture(), persons(1, 2, 3)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_the_order_of_persons_does_not_matter():
    people = persons(1, 2, 3)
    one, other = (Annotator(NAMES).draw(picture(), some) for some in (people, people[::-1]))
    np.testing.assert_array_equal(one, other)


def test_an_id_keeps_its_colour():
    annotator = Annotator(NAMES)
    for people in (persons(4), persons(9, 4), persons(4, 5, 6)):
        image = annotator.draw(picture(), people)
        x1, _, _, y2 = people.to_pixels(426, 240)[list(people.ids).index(4)].round().astype(int)
        assert tuple(image[y2 - 1, x1]) == person_colour(4)


def test_only_actions_from_the_threshold_on_are_shown():
    assert changed(picture(), persons(1, action=0.31)).sum() > changed(picture(), persons(1, action=0.29)).sum()


def test_each_action_may_have_a_threshold_of_its_own():
    def drawn(scores, threshold):
        people = Persons([[0.3, 0.3, 0.6, 0.9]], [1], [1], [scores])
        return Annotator(NAMES, GROUPS, 1, threshold).draw(picture(), people)

    of_those_that_reach_theirs = drawn([0.9, 0.4, 0.6, 0], (0.95, 0.3, 0.5, 0.5))
    np.testing.assert_array_equal(of_those_that_reach_theirs, drawn([0, 0, 0.6, 0], 0.3))


def test_no_more_than_top_k_actions_are_shown():
    tall = [(Annotator(NAMES, top_k=k).draw(picture(), persons(1)) != picture()).sum() for k in (1, 2, 3)]
    assert tall == sorted(set(tall))


def test_persons_without_action_scores_get_their_id():
    people = Persons([(0.3, 0.4, 0.5, 0.9)], [1.0], [1])
    assert changed(picture(), people)[:90].any()


@pytest.mark.parametrize("size", [(426, 240), (640, 360), (360, 640), (1920, 1080)])
def test_what_is_drawn_grows_with_the_picture(size):
    share = changed(picture(*size), persons(1)).mean()
    assert 0.01 < share < 0.25


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (0, 0, 0.01, 0.01), (0.99, 0.99, 1, 1), (0.5, 0.5, 0.5, 0.5)])
@pytest.mark.parametrize("size", [(16, 16), (426, 240)])
def test_boxes_at_the_edge_and_pictures_smaller_than_a_label(box, size):
    people = Persons([box], [1.0], [3], np.ones((1, 4)))
    assert Annotator(NAMES).draw(picture(*size), people).shape == (size[1], size[0], 3)


def test_labels_do_not_jump_while_persons_move_slowly():
    annotator, tops = Annotator(NAMES, GROUPS), []
    for step in range(40):
        people = Persons([(0.3, 0.45 - 0.002 * step, 0.5, 0.9)], [1.0], [1], np.full((1, 4), 0.9))
        rows = (annotator.draw(picture(), people) != picture()).any(axis=(1, 2))
        tops.append(rows.argmax())
    assert np.abs(np.diff(tops)).max() <= 2
