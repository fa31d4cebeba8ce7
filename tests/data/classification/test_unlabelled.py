import os

import pytest

from avsf_det.data.classification.check import ClipSurvey, check_clips
from avsf_det.data.classification.folder import ClipFolder
from avsf_det.data.finding import ERROR, FACT
from avsf_det.errors import UserError
from tests.data.classification.layouts import unlabelled


@pytest.fixture
def folder(tmp_path, scenes):
    """A folder of videos without annotations."""
    unlabelled(tmp_path / "films", sorted((scenes / "videos").glob("*.mp4")))
    return tmp_path / "films"


def videos(folder, split, **options):
    return [clip.video for clip in ClipFolder(folder, "unlabelled", **options).clips(split)]


def test_all_videos_but_those_of_other_splits_are_trained_on(folder):
    assert videos(folder, "train") == ["one.mp4", "b/two.mp4"]
    assert videos(folder, "val") == ["Val/three.mp4"]


def test_a_split_with_a_folder_is_that(folder):
    (folder / "b").rename(folder / "train")
    assert videos(folder, "train") == ["train/two.mp4"]
    (folder / "Val").rename(folder / "holdout")
    assert videos(folder, "holdout") == ["holdout/three.mp4"]
    with pytest.raises(UserError, match="no videos of the split 'val'; expected them in a folder val"):
        videos(folder, "val")


def test_nothing_is_asked_of_a_clip_which_is_the_whole_video(folder):
    clips = ClipFolder(folder, "unlabelled").clips("train")
    assert clips.heads == () and clips.num_classes == 0
    assert clips.class_counts().shape == (0,) and clips.head_slices() == [] and clips.class_names == []
    assert all(clip.labels.shape == (0,) and clip.start == 0 and clip.end is None for clip in clips)
    assert clips.place(0) == str(folder)


def test_it_is_so_only_if_it_is_said(folder):
    with pytest.raises(UserError, match=r"no annotation files of any of kinetics,.* path_label;"):
        ClipFolder(folder)


def test_a_folder_without_videos_and_videos_elsewhere(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no videos in .*empty; set DATA\.PATH_PREFIX"):
        ClipFolder(tmp_path / "empty", "unlabelled")
    assert len(videos(tmp_path / "empty", "train", video_dir=str(folder))) == 2


def test_names_that_are_no_utf8(folder):
    name = os.fsdecode(b"caf\xe9.mp4")
    (folder / "one.mp4").rename(folder / name)
    assert videos(folder, "train") == [name, "b/two.mp4"]


def findings(folder):
    found = check_clips(ClipSurvey(ClipFolder(folder, "unlabelled"), ("train", "val")))
    return {level: "\n".join(f.text() for f in found if f.level == level) for level in (FACT, ERROR)}


def test_what_a_folder_of_videos_holds(folder):
    found = findings(folder)
    assert "train (films): 2 clips of 2 videos, without labels" in found[FACT]
    assert "val (Val): 1 clips of 1 videos, without labels" in found[FACT]
    assert "3 of 4.0 to 4.0 s" in found[FACT] and "classes" not in found[FACT] and found[ERROR] == ""


def test_what_is_wrong_with_the_videos(folder):
    (folder / "one.mp4").unlink()
    (folder / "one.mp4").write_bytes(b"no video")
    (folder / "Val" / "three.mp4").unlink()
    (folder / "Val" / "three.mp4").symlink_to(os.path.realpath(folder / "b" / "two.mp4"))
    found = findings(folder)[ERROR]
    assert "1 of 3 cannot be read" in found and "Val/three.mp4 is b/two.mp4" in found


def test_no_validation_split_is_no_fault(folder):
    (folder / "Val" / "three.mp4").unlink()
    (folder / "Val").rmdir()
    found = findings(folder)
    assert found[ERROR] == "" and "val: no videos; none are needed" in found[FACT]
