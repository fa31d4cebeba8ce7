import numpy as np

from avsf_det.data.annotations import AvaFolder
from avsf_det.data.clip import ClipSpec
from avsf_det.data.survey import Survey


def survey(ava, **names):
    names = {"groundtruth_file": "ava_{split}_v2.2.csv", "label_map_file": "ava_v2.2_80", "frame_dir": "frames"} | names
    return Survey(AvaFolder(ava, video_start=900.0, **names), ["train", "val"], ClipSpec())


def test_each_video_is_probed_once_with_the_keyframes_of_all_splits_that_are_not_excluded(ava):
    with open(ava / "annotations" / "ava_val_v2.2.csv", "a") as file:
        file.write("cut,0910,0.1,0.1,0.5,0.9,12,3\ncut,0902,0.1,0.1,0.5,0.9,12,3\n")
    found = survey(ava, exclusion_file="ava_{split}_excluded_timestamps_v2.2.csv").videos
    assert {name: video.times.tolist() for name, video in found.items()} == {
        "cut": [902, 903, 904, 910],
        "framed": [902],
    }
    assert found["cut"].start == 900 and found["cut"].info.duration == 1801 and found["framed"].absent == 0


def test_what_cannot_be_read_is_kept_with_the_reason(ava):
    (ava / "annotations" / "ava_val_v2.2.csv").unlink()
    (ava / "videos" / "cut.mkv").write_bytes(b"no video")
    found = survey(ava)
    assert [split.name for split in found.splits] == ["train"] and "no such file" in found.unread["val"]
    video = found.videos["cut"]
    assert video.info is None and "cut.mkv: not a video" in video.error
    np.testing.assert_array_equal(video.times, [902, 903, 904])
