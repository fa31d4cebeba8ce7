import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from avsf_det.data.importers.export import (
    NO_ACTION,
    Track,
    drop_no_action,
    number,
    numbers,
    picture_place,
    rotated,
    split_of,
    texts,
)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("walk 1/000012.jpg", ("walk 1", 12)),
        ("walk 1/img_12.png", ("walk 1", 12)),
        ("walk 1/walk 1_000012.jpg", ("walk 1", 12)),
        ("any/walk 1_frame_12.jpg", ("walk 1", 12)),
        ("rgb/Basketball/v_x/00001.jpg", ("rgb/Basketball/v_x", 1)),
        ("frame_000012.PNG", ("own", 12)),
        ("12.jpg", ("own", 12)),
        ("clip-0012.jpeg", ("clip", 12)),
        ("cover.jpg", None),
        ("clip.mp4", None),
    ],
)
def test_pictures_name_a_video_and_a_frame(name, place):
    assert picture_place(name, "own") == place


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("Train", "train"),
        ("ava_val_v2.2", "val"),
        ("Validation", "val"),
        ("instances_test2017", "test"),
        ("default", ""),
    ],
)
def test_splits_are_seen_in_names(text, split):
    assert split_of(text) == split


def test_a_track_is_in_the_order_of_time():
    track = Track([3, 1], [(3, 3, 3, 3), (1, 1, 1, 1)], [{"n": ("3",)}, {"n": ("1",)}], "x")
    assert track.places.tolist() == [1, 3] and track.boxes[0, 0] == 1 and track.values[0] == {"n": ("1",)}


def test_texts_of_any_value():
    assert texts(None) == texts("") == texts(["__undefined__"]) == ()
    assert texts(["a ", 3, True]) == ("a", "3", "true")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("clip_mp4-30_jpg.rf.0a1b2c3d4e5f60718293a4b5c6d7e812.jpg", ("clip.mp4", 30)),
        ("train/images/my_clip_mov-0007_png.rf.Ab3dEf0123456789.png", ("my_clip.mov", 7)),
        ("frame_0030_jpg.rf.0a1b2c3d4e5f6071.jpg", ("own", 30)),
        ("clip_99999999999999999999.jpg", None),
    ],
)
def test_picture_place_reads_roboflow_names(name, place):
    assert picture_place(name, "own") == place


@pytest.mark.parametrize(("value", "found"), [(3, 3.0), ("2.5", 2.5), (" 7 ", 7.0), (-1.5, -1.5)])
def test_number_reads_json_and_xml(value, found):
    assert number(value) == found


@pytest.mark.parametrize("value", [None, True, "", "x", "nan", "1e999", float("inf"), 10**400, 1e300, [1], {}])
def test_number_rejects_what_is_none(value):
    assert number(value) is None and numbers([1, value], 2) is None


@given(st.tuples(*[st.floats(-100, 100)] * 2), st.tuples(*[st.floats(0.1, 100)] * 2), st.floats(-720, 720, width=32))
def test_rotated_encloses_the_corners_and_keeps_the_center(corner, size, degrees):
    box = (*corner, corner[0] + size[0], corner[1] + size[1])
    x1, y1, x2, y2 = rotated(box, degrees)
    np.testing.assert_allclose((x1 + x2, y1 + y2), (box[0] + box[2], box[1] + box[3]), atol=1e-6)
    turn = np.deg2rad(degrees)
    width = size[0] * abs(np.cos(turn)) + size[1] * abs(np.sin(turn))
    height = size[0] * abs(np.sin(turn)) + size[1] * abs(np.cos(turn))
    np.testing.assert_allclose((x2 - x1, y2 - y1), (width, height), atol=1e-6)


def test_drop_no_action_removes_only_actions_and_notes_what_may_be_one():
    values, notes = [{"action": ("None", "walk"), "hat": ("none",)}, {"action": ("other",)}], []
    drop_no_action(values, {"action"}, NO_ACTION, notes)
    assert values == [{"action": ("walk",), "hat": ("none",)}, {"action": ("other",)}]
    assert notes == [
        "labels that mean no action are ignored: None (1)",
        "'other' is kept as a class; if it means no action, give --ignore other",
    ]
