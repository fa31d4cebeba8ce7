import pytest

from avsf_det.errors import UserError
from detectors.keyframes import person_keyframes, pictures


def test_keyframes_have_their_persons_and_pictures(dataset):
    keyframes = person_keyframes(dataset, "train")
    assert [(keyframe.video.name, keyframe.time, len(keyframe.persons)) for keyframe in keyframes] == [
        ("a.mp4", 0.5, 1),
        ("a.mp4", 1.5, 1),
        ("b.mp4", 0.5, 1),
        ("b.mp4", 1.5, 1),
    ]
    frames = [frame for some in pictures(keyframes, at_once=1) for frame in some]
    for keyframe, frame in zip(keyframes, frames, strict=True):
        assert (frame.video_id, frame.time) == (keyframe.video.stem, keyframe.time)
        x1, y1, x2, y2 = keyframe.persons.to_pixels(96, 96).round().astype(int)[0]
        assert frame.image[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2, 0].min() > 150


def test_ground_truth_serves_where_there_are_no_person_boxes(dataset):
    (dataset / "annotations" / "train_person_boxes.csv").unlink()
    rows = "".join(f"a,1,0.1,0.1,0.5,0.9,{action},7\n" for action in (3, 4))
    (dataset / "annotations" / "train.csv").write_text(rows)
    (keyframe,) = person_keyframes(dataset, "train")
    assert len(keyframe.persons) == 1


def test_missing_videos_are_named(dataset, caplog):
    (dataset / "videos" / "a.mp4").unlink()
    assert {keyframe.video.name for keyframe in person_keyframes(dataset, "train")} == {"b.mp4"}
    assert "1 of 2 videos" in caplog.text
    (dataset / "videos" / "b.mp4").unlink()
    with pytest.raises(UserError, match="none of the 2 videos"):
        person_keyframes(dataset, "train")


def test_a_split_that_is_not_there_is_reported(dataset):
    with pytest.raises(UserError, match=r"test\.csv"):
        person_keyframes(dataset, "test")
