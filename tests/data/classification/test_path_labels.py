import json

import pytest

from avsf_det.data.classification.folder import ClipFolder


@pytest.mark.parametrize("separator", [" ", ",", ", ", ";", "\t"])
def test_paths_and_numbers_with_any_separator(held, separator):
    folder = ClipFolder(held("path_labels", separator=separator))
    clips = folder.clips("train")
    assert [(clip.video, clip.labels.argmax()) for clip in clips] == [
        ("videos/drum/a.mp4", 1),
        ("videos/clap hands/b.mp4", 0),
    ]
    assert folder.heads[0].classes == ("clap hands", "drum")  # as their folders are called


def test_a_header_is_no_bad_row(held):
    root = held("path_labels")
    (root / "val.csv").write_text("path,label\nvideos/drum/a.mp4,1\n")
    clips = ClipFolder(root).clips("val")
    assert len(clips) == 1 and not clips.bad


def test_classes_reach_to_the_highest_number_of_any_list(held):
    root = held("path_labels")
    (root / "test.csv").write_text("videos/drum/a.mp4 4\n")
    assert ClipFolder(root).heads[0].classes == tuple(f"class {i}" for i in range(5))  # one folder has two of them
    (root / "test.csv").write_text("videos/eat/d.mp4 4\n")
    assert ClipFolder(root).heads[0].classes == ("clap hands", "drum", "class 2", "class 3", "eat")


def test_names_of_a_json(held):
    root = held("path_labels")
    (root / "classnames.json").write_text(json.dumps({"applauding": 0, "drumming": 1, "eating": 2}))
    assert ClipFolder(root).heads[0].classes == ("applauding", "drumming", "eating")


def test_absolute_paths_and_those_under_a_prefix(held, tmp_path):
    root = held("path_labels")
    (root / "val.csv").write_text(f"{root}/videos/drum/a.mp4 1\n")
    assert ClipFolder(root).clips("val")[0].video == f"{root}/videos/drum/a.mp4"
    (root / "val.csv").write_text("drum/a.mp4 1\n")
    folder = ClipFolder(root, video_dir="videos")
    assert (folder.root / folder.clips("val")[0].video).is_file()
