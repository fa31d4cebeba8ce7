import pytest

from ava_eval.label_map import LabelMap
from avsf_det.data.importers.actions import Classes, actions_in, choose_attributes
from avsf_det.errors import UserError

PERSON = {"label": ("person",)}


@pytest.mark.parametrize(
    ("values", "wanted", "chosen"),
    [
        ([{"label": ("walk",)}, {"label": ("sit",)}], "", ["label"]),
        ([PERSON | {"Action": ("walk",), "mood": ("glad",)}], "", ["Action"]),
        ([PERSON | {"pose": ("walk",), "occluded": ("false",), "track_id": ("x",), "age": ("30",)}], "", ["pose"]),
        ([PERSON | {"walks": ("true",), "talks": ("false",)}], "", ["walks", "talks"]),
        ([PERSON], "", ["label"]),
        ([PERSON | {"pose": ("walk",), "mood": ("glad",)}], "mood", ["mood"]),
        ([PERSON | {"pose": ("walk",), "mood": ("glad",)}], "pose, mood", ["pose", "mood"]),
        ([PERSON | {"action": ("walk",)}], "label", ["label"]),
        ([{"label": ("walk",), "quality": ("good",)}, {"label": ("sit",), "quality": ("poor",)}], "", ["label"]),
    ],
)
def test_the_action_is_found(values, wanted, chosen):
    assert choose_attributes(values, wanted) == chosen


@pytest.mark.parametrize(
    ("values", "wanted", "message"),
    [
        ([PERSON | {"pose": ("walk",), "mood": ("glad",)}], "", "not clear which of mood, pose or the label"),
        ([{"label": ("person",), "pose": ("walk",)}, {"label": ("dog",)}], "", "say --actions ATTRIBUTE"),
        ([PERSON | {"pose": ("walk",)}], "poze", "did you mean pose"),
    ],
)
def test_what_is_not_clear_is_asked(values, wanted, message):
    with pytest.raises(UserError, match=message):
        choose_attributes(values, wanted)


def test_tick_boxes_stand_for_their_names():
    values = {"walks": ("true",), "talks": ("false",), "pose": ("sit", "lean")}
    assert actions_in(values, ["walks", "talks", "pose"]) == ["walks", "sit", "lean"]


def test_names_are_numbered_in_alphabetical_order():
    classes = Classes(["walk", "sit", "walk", "odd\nname"])
    assert classes.label_map == LabelMap((1, 2, 3), ("odd name", "sit", "walk"))
    assert [classes.find(text) for text in ("walk", "SIT", "odd\nname", "run")] == [3, 2, 1, None]


def test_numbers_stay_and_nought_moves_all_by_one():
    assert Classes(["12", "7.0", "x"]).label_map == LabelMap((7, 12), ("class 7", "class 12"))
    classes = Classes(["0", "1", "-1"])
    assert classes.label_map.ids == (1, 2) and classes.find("0") == 1 and classes.find("-1") is None


def test_a_label_map_is_kept_to():
    classes = Classes(["anything"], LabelMap((4, 9), ("Walk", "sit")))
    found = [classes.find(text) for text in ("walk", "0009", "4.0", "run", "1")]
    assert found == [4, 9, 4, None, None]
