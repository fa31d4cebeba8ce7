from pathlib import Path

import pytest

from avsf_det.data.importers.videos import VideoFolder
from avsf_det.errors import UserError
from tests.data.importers.files import frames


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("my clip", "my clip.mp4"),
        ("My Clip.MP4", "my clip.mp4"),
        (" my%20clip.mp4", "my clip.mp4"),
        ("/home/someone/videos/my clip.avi", "my clip.mp4"),
        ("C:\\videos\\my clip.mp4", "my clip.mp4"),
        ("v1.2, take (3)", "sub/v1.2, take (3).mkv"),
        ("a/same.mp4", "a/same.mp4"),
        ("a/same", "a/same.mp4"),
    ],
)
def test_a_video_is_found_by_what_exports_call_it(tmp_path, name, file):
    root = put(tmp_path, "my clip.mp4", "sub/v1.2, take (3).mkv", "a/same.mp4", "b/same.mp4", "notes.txt")
    assert VideoFolder(root, 30).find((name,)).path == root / file


def test_the_first_name_that_means_one_counts(tmp_path):
    folder = VideoFolder(put(tmp_path, "x.mp4", "y.mp4"), 30)
    assert folder.find(("no", "y", "x")).path.name == "y.mp4"


def test_one_name_for_two_videos_or_none_is_an_error(tmp_path):
    folder = VideoFolder(put(tmp_path, "a/same.mp4", "b/same.mp4"), 30)
    with pytest.raises(UserError, match="same may be any of"):
        folder.find(("same",))
    with pytest.raises(UserError, match="no video other or another in"):
        folder.find(("other", "another"))
    assert {folder.video_id(tmp_path / part / "same.mp4") for part in "ab"} == {"a_same", "b_same"}


def test_folders_of_frames_are_videos_where_there_is_no_file(tmp_path):
    frames(tmp_path / "walk 1", 2)
    frames(tmp_path / "sit", 2)
    folder = VideoFolder(put(tmp_path, "sit.mp4"), 12.5)
    walk = folder.find(("walk 1",))
    assert walk.path.is_dir() and walk.fps == 12.5 and folder.video_id(walk.path) == "walk 1"
    assert folder.find(("sit",)).path.is_file()


def test_a_folder_without_videos_or_no_folder_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no video in this folder"):
        VideoFolder(tmp_path, 30)
    with pytest.raises(UserError, match="no such folder"):
        VideoFolder(Path("nowhere"), 30)
