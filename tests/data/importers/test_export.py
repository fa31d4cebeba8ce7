import pytest

from avsf_det.data.importers.export import Track, picture_place, split_of, texts


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
