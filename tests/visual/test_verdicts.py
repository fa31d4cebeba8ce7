import numpy as np

from avsf_det.structures import Persons
from avsf_det.visual.palette import MISSED as YELLOW
from avsf_det.visual.palette import RIGHT as GREEN
from avsf_det.visual.palette import WRONG as RED
from avsf_det.visual.verdicts import MISSED, RIGHT, UNFOUND, WRONG, VerdictAnnotator, draw_broken_box

NAMES = ["walk", "sit"]


def drawn(person_id, **scores):
    actions = np.zeros((4, 2))
    for verdict, score in scores.items():
        actions[{"right": RIGHT, "wrong": WRONG, "missed": MISSED}[verdict], 0] = score
    person = Persons([(0.3, 0.4, 0.5, 0.9)], [1.0], [person_id], actions.reshape(1, -1))
    return VerdictAnnotator(NAMES).draw(np.full((240, 426, 3), 90, np.uint8), person)


def border(picture):
    """The colours along the left side of the box."""
    return {tuple(pixel) for pixel in picture[110:200, 128].tolist()}


def test_the_box_has_the_colour_of_the_best_verdict():
    assert border(drawn(1, right=0.9, wrong=0.8, missed=1)) == {GREEN}
    assert border(drawn(1, wrong=0.8, missed=1)) == {RED}
    assert border(drawn(1, missed=1)) == {YELLOW}


def test_what_is_below_the_threshold_gives_no_colour():
    assert not {GREEN, RED, YELLOW} & border(drawn(1, right=0.2))


def test_someone_missed_has_a_broken_outline_and_a_name_instead_of_an_id():
    assert border(drawn(UNFOUND + 1, missed=1)) == {YELLOW, (90, 90, 90)}
    person = Persons([(0.3, 0.4, 0.5, 0.9)], [1.0], [UNFOUND + 1], np.zeros((1, 8)))
    assert VerdictAnnotator(NAMES)._labels(person, 0, 12, 426)[0].badge == "missed"


def test_a_missed_action_has_no_score():
    (row,) = VerdictAnnotator(NAMES)._rows(np.eye(8)[MISSED * 2])
    assert row.score is None and row.name == "○ walk"


def test_broken_boxes_of_any_size_stay_within_their_box():
    for box in ((0, 0, 1, 1), (5, 5, 5, 5), (2, 3, 40, 30), (0, 0, 64, 48)):
        image = np.zeros((48, 64, 3), np.uint8)
        draw_broken_box(image, np.array(box, dtype=float), 2, YELLOW)
        outside = np.ones((48, 64), dtype=bool)
        outside[box[1] : box[3], box[0] : box[2]] = False
        assert not image[outside].any()
