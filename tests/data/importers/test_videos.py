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


def test_a_folder_of_frames_within_the_video_s_own_is_that_video(tmp_path):
    for folder in ("walk/rgb", "two/rgb", "two/flow", "deep/er/clip 9/images"):
        frames(tmp_path / folder, 2)
    folder = VideoFolder(tmp_path, 30)
    for name in ("walk", "clip 9"):
        source = folder.find((name,))
        assert source.path.parent.name == folder.video_id(source.path) == name
    assert folder.find(("two/flow",)).path == tmp_path / "two" / "flow"
    with pytest.raises(UserError, match=r"two may be any of .*flow, .*rgb"):
        folder.find(("two",))
    assert VideoFolder(tmp_path / "walk" / "rgb", 30).find(("rgb",)).path == tmp_path / "walk" / "rgb"


def test_the_sound_of_a_folder_of_frames_is_the_file_of_its_name(tmp_path):
    frames(tmp_path / "frames" / "Walk 1", 2)
    frames(tmp_path / "frames" / "sit" / "rgb", 2)
    frames(tmp_path / "frames" / "mute", 2)
    root = put(tmp_path, "audio/walk 1.WAV", "audio/deep/sit.m4a", "audio/._mute.wav", "film.mp4", "film.wav")
    folder = VideoFolder(root, 30)
    assert folder.find(("Walk 1",)).sound.path == root / "audio" / "walk 1.WAV"
    assert folder.find(("sit",)).sound.path == root / "audio" / "deep" / "sit.m4a"
    assert folder.find(("mute",)).sound is folder.find(("film",)).sound is None


def test_names_that_a_table_has_changed_and_near_misses(tmp_path):
    folder = VideoFolder(put(tmp_path, "007.mp4", "8.mp4", "0008.mp4", "my clip.mp4", "kitchen_late.mkv"), 30)
    assert folder.find(("7",)).path.name == "007.mp4" and folder.find(("my_clip",)).path.name == "my clip.mp4"
    assert folder.find(("8",)).path.name == "8.mp4" and folder.find(("0008",)).path.name == "0008.mp4"
    with pytest.raises(UserError, match=r"no video kitchen_lat in .*; there is .*kitchen_late.mkv"):
        folder.find(("kitchen_lat",))
