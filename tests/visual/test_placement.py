import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from avsf_det.visual.placement import level_of, place

WIDTH, HEIGHT = 640, 360
LEVELS = np.array([(120, 60), (120, 20), (16, 20)])
COSTS = (0.0, 2.5, 8.0)


@st.composite
def boxes_in_picture(draw, most):
    rows = []
    for _ in range(draw(st.integers(1, most))):
        x1, y1 = draw(st.integers(0, WIDTH - 40)), draw(st.integers(0, HEIGHT - 40))
        rows.append((x1, y1, draw(st.integers(x1 + 40, WIDTH)), draw(st.integers(y1 + 40, HEIGHT))))
    return np.array(rows, dtype=float)


def run(boxes, previous=None):
    sizes = np.repeat(LEVELS[None], len(boxes), axis=0)
    previous = [-1] * len(boxes) if previous is None else previous
    corners, choices = place(boxes, sizes, COSTS, (WIDTH, HEIGHT), 2, 24 * 12**2, previous)
    return np.concatenate((corners, corners + LEVELS[[level_of(choice) for choice in choices]]), axis=1), choices


def overlaps(some, other):
    return min(some[2], other[2]) > max(some[0], other[0]) and min(some[3], other[3]) > max(some[1], other[1])


@given(boxes_in_picture(12))
def test_labels_are_inside_the_picture(boxes):
    labels, _ = run(boxes)
    assert (labels >= 0).all()
    assert (labels[:, [0, 2]] <= WIDTH).all()
    assert (labels[:, [1, 3]] <= HEIGHT).all()


@settings(max_examples=300)
@given(boxes_in_picture(5))
def test_labels_do_not_overlap_where_there_is_room(boxes):
    labels, _ = run(boxes)
    for row, some in enumerate(labels):
        assert not any(overlaps(some, other) for other in labels[row + 1 :])


@given(boxes_in_picture(8))
def test_labels_touch_their_box(boxes):
    labels, _ = run(boxes)
    for label, box in zip(labels, boxes):
        assert overlaps(label, box + np.array((-4, -4, 4, 4)))


@given(boxes_in_picture(8))
def test_a_still_picture_has_still_labels(boxes):
    _, first = run(boxes)
    labels, second = run(boxes, first)
    again, third = run(boxes, second)
    np.testing.assert_array_equal(second, third)
    np.testing.assert_array_equal(labels, again)


def test_a_lone_person_is_labelled_in_full_above_the_box():
    labels, _ = run(np.array([(200.0, 150.0, 300.0, 340.0)]))
    assert labels.tolist() == [[200, 88, 320, 148]]


def test_at_the_upper_edge_the_label_leaves_the_face_free():
    box = np.array([(200.0, 0.0, 300.0, 200.0)])
    labels, _ = run(box)
    assert not overlaps(labels[0], (220, 0, 280, 66))


def test_a_small_person_is_not_hidden_by_the_label_of_another():
    boxes = np.array([(300.0, 100.0, 340.0, 180.0), (310.0, 190.0, 400.0, 350.0)])
    labels, _ = run(boxes)
    assert not overlaps(labels[1], boxes[0])


def test_a_crowd_gets_shorter_labels_rather_than_labels_over_each_other():
    boxes = np.array([(x, y, x + 40.0, y + 60.0) for x in range(0, 600, 50) for y in (0, 100, 200, 300)])
    labels, choices = run(boxes)
    assert max(level_of(choice) for choice in choices) > 0
    pairs = sum(overlaps(some, other) for row, some in enumerate(labels) for other in labels[row + 1 :])
    assert pairs == 0


def test_a_label_stays_where_it_was_unless_it_must_move():
    floor = np.array([(200.0, 0.0, 300.0, 200.0)])  # reaches up to the edge: the label goes below
    labels, below = run(floor)
    assert labels[0, 1] == 202
    room_above = floor + np.array((0, 80, 0, 80))
    assert run(room_above)[0][0, 1] == 18
    assert run(room_above, below)[0][0, 1] == 282
