import pytest

from avsf_det.errors import UserError
from detectors.keyframes import person_keyframes

BOX = "0.1,0.1,0.5,0.9"


@pytest.fixture
def csv(tmp_path):
    return tmp_path / "truth.csv"


def test_keyframes_come_by_video_and_time_with_their_persons(csv):
    csv.write_text(f"b,0902,{BOX},1,0\na,0904,{BOX},1,0\na,0903\na,0904,0,0,1,1,1,5\n")
    keyframes = person_keyframes(csv)
    assert [(k.video_id, k.time, len(k.persons)) for k in keyframes] == [("a", 903, 0), ("a", 904, 2), ("b", 902, 1)]
    assert keyframes.counts.tolist() == [0, 2, 1]
    assert [(video, list(rows)) for video, rows in keyframes.by_video()] == [("a", [0, 1]), ("b", [2])]
    assert keyframes[-1] is not None and keyframes[-1].video_id == "b"
    with pytest.raises(IndexError):
        keyframes[3]


@pytest.mark.parametrize(
    ("rows", "persons"),
    [
        (f"v,1,{BOX},3,7\nv,1,{BOX},4,7\n", 1),
        (f"v,1,{BOX},3,7\nv,1,{BOX},4,8\n", 1),
        (f"v,1,{BOX},3,7\nv,1,0.1001,0.1,0.5,0.9,4,7\n", 2),
        (f"v,1,{BOX}\nv,1,0.5,0.1,0.9,0.9\n", 2),
    ],
    ids=["two actions", "two ids", "two boxes of one id", "no ids"],
)
def test_a_box_is_one_person_however_many_rows_it_has(csv, rows, persons):
    csv.write_text(rows)
    (keyframe,) = person_keyframes(csv)
    assert len(keyframe.persons) == persons


def test_excluded_keyframes_are_left_out(csv, tmp_path):
    csv.write_text(f"a,0902,{BOX},1,0\na,0903,{BOX},1,0\nb,0902,{BOX},1,0\n")
    excluded = tmp_path / "excluded.csv"
    excluded.write_text("a,0903\n\nb,902\nc,0904\n")
    assert [(k.video_id, k.time) for k in person_keyframes(csv, excluded=excluded)] == [("a", 902)]
    excluded.write_text("a,0902\na,0903\nb,0902\n")
    with pytest.raises(UserError, match="excludes all"):
        person_keyframes(csv, excluded=excluded)
    excluded.write_text("a\n")
    with pytest.raises(UserError, match=r"excluded\.csv.*video,timestamp"):
        person_keyframes(csv, excluded=excluded)


def test_missing_videos_are_named(csv, tmp_path, caplog):
    csv.write_text(f"a,0902,{BOX},1,0\nb,0902,{BOX},1,0\n")
    assert [k.video_id for k in person_keyframes(csv, {"b": tmp_path / "b.mp4"})] == ["b"]
    assert "1 of 2 videos are not there, such as a" in caplog.text
    with pytest.raises(UserError, match="none of the 2 videos"):
        person_keyframes(csv, {})


def test_a_split_that_is_not_there_is_reported(tmp_path):
    with pytest.raises(UserError, match=r"test\.csv"):
        person_keyframes(tmp_path / "test.csv")
