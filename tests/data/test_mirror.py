import torch
from hypothesis import given
from hypothesis import strategies as st

from ava_eval.label_map import read_label_map
from avsf_det.data.mirror import mirrored_boxes, mirrored_classes

WORDS = st.sampled_from(["left", "right", "Left", "RIGHT", "turn", "upright", "lefty", "_", " ", "-", "2"])


def test_classes_that_name_a_side_change_places():
    names = ["walk", "turn right", "wave_left", "turn left", "Left to Right", "wave_right", "Right to Left"]
    assert mirrored_classes(names) == (0, 3, 5, 1, 6, 2, 4)


def test_sides_within_other_words_and_without_a_counterpart_stay():
    assert mirrored_classes(["sit upright", "sit upleft", "brightleft", "brightright", "be left alone"]) == (
        0,
        1,
        2,
        3,
        4,
    )
    assert mirrored_classes(["turn left", "Turn right"]) == (0, 1)
    assert mirrored_classes([]) == ()


def test_ava_names_no_side():
    names = read_label_map("ava_v2.2_80").names
    assert mirrored_classes(names) == tuple(range(80))


@given(st.lists(st.lists(WORDS, min_size=1, max_size=4).map("".join), unique=True))
def test_mirrored_twice_every_class_is_itself(names):
    swap = mirrored_classes(names)
    assert sorted(swap) == list(range(len(names)))
    assert [swap[i] for i in swap] == list(range(len(names)))


def test_boxes_lie_on_what_they_lay_on():
    picture = torch.zeros(8, 16)
    picture[2:4, 2:6] = 1
    boxes = mirrored_boxes(torch.tensor([[2 / 16, 2 / 8, 6 / 16, 4 / 8], [0.0, 0.0, 1.0, 1.0]]))
    x1, y1, x2, y2 = (boxes[0] * torch.tensor([16, 8, 16, 8])).int().tolist()
    assert picture.flip(1)[y1:y2, x1:x2].sum() == picture.sum() == (x2 - x1) * (y2 - y1)
    assert boxes[1].tolist() == [0, 0, 1, 1]
