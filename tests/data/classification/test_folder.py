import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avsf_det.data.classification.folder import DATASETS, ClipFolder
from avsf_det.errors import UserError

KINDS = {
    "kinetics": "Kinetics",
    "path_labels": "PathLabels",
    "charades": "Charades",
    "charades_frames": "CharadesFrames",
    "epic_55": "EpicKitchens",
    "epic_100": "EpicKitchens",
    "ucf101": "UCF101",
    "hmdb51": "HMDB51",
    "imported": "Imported",
}


@pytest.mark.parametrize("layout", KINDS)
def test_a_folder_is_known_by_its_files_and_both_splits_are_read(held, layout):
    folder = ClipFolder(held(layout))
    assert type(folder.layout).__name__ == KINDS[layout]
    for split in ("train", "val"):
        clips = folder.clips(split)
        assert len(clips) and not clips.bad
        assert clips.heads == folder.heads
        assert all((folder.root / clip.video).is_file() for clip in clips)


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_without_the_named_dataset_says_so(name, tmp_path):
    with pytest.raises(UserError, match=f"no annotation files of {name}"):
        ClipFolder(tmp_path, name)


def test_an_unknown_dataset_names_the_known_ones(tmp_path):
    with pytest.raises(UserError, match=r"got 'ssv2', expected one of kinetics,.*hmdb51"):
        ClipFolder(tmp_path, "ssv2")
    with pytest.raises(UserError, match=r"no such folder; set DATA\.ROOT"):
        ClipFolder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("layout", "split"), [("kinetics", "test"), ("path_labels", "test"), ("epic_55", "test"), ("imported", "test")]
)
def test_a_split_without_file_is_named(held, layout, split):
    with pytest.raises(UserError, match=f"split 'test'|no annotations/{split}_clips.csv"):
        ClipFolder(held(layout)).clips(split)


@pytest.mark.parametrize("layout", ["kinetics", "path_labels", "charades_frames"])
def test_without_a_validation_split_the_test_split_is_it(held, layout):
    root = held(layout)
    path = ClipFolder(root).layout.path("val")
    path.rename(path.with_name("test.csv"))
    assert ClipFolder(root).layout.path("val").name == "test.csv"
    assert len(ClipFolder(root).clips("val")) == 1


def test_missing_videos_are_named_counted_and_left_out(held, caplog):
    root = held("kinetics")
    with caplog.at_level(logging.WARNING):
        clips = ClipFolder(root).clips("val")
    assert len(clips) == 1
    assert list(clips.missing) == [f"{root}/annotations/validate.csv:3: gone_000000_000010"]
    assert "1 clips have no video" in caplog.text and "validate.csv:3" in caplog.text


def test_bad_rows_are_named_counted_and_left_out(held, caplog):
    root = held("path_labels")
    with open(root / "train.csv", "a") as file:
        file.write("videos/drum/a.mp4 drum\nalone\n")
    clips = ClipFolder(root).clips("train")
    assert len(clips) == 2
    assert [row.split(": ")[0] for row in clips.bad] == [f"{root}/train.csv:3", f"{root}/train.csv:4"]
    assert "2 bad rows left out" in caplog.text


def test_nothing_left_is_an_error(held):
    root = held("kinetics")
    for video in (root / "val").iterdir():
        video.unlink()
    with pytest.raises(UserError, match="no clip of any video"):
        ClipFolder(root).clips("val")


def test_videos_may_lie_elsewhere(held, tmp_path):
    root = held("hmdb51")
    (tmp_path / "elsewhere").mkdir()
    for name in ("brush_hair", "wave"):
        (root / name).rename(tmp_path / "elsewhere" / name)
    assert len(ClipFolder(root, "hmdb51", str(tmp_path / "elsewhere")).clips("train")) == 2


@pytest.mark.parametrize("layout", KINDS)
def test_whatever_follows_in_a_file_is_read_or_refused_in_words(held, layout):
    root = held(layout)
    path = ClipFolder(root).layout.path("train")
    path = min(path.iterdir()) if path.is_dir() else path
    before = path.read_bytes()

    @settings(max_examples=50)
    @given(st.text() | st.text(alphabet='0123456789:.,;" \n\t²c-'))
    def check(text):
        path.write_bytes(before + text.encode("utf-8", "replace"))
        try:
            clips = ClipFolder(root).layout.clips("train")
        except UserError as error:
            assert str(root) in str(error)
        else:
            assert all(len(clip.labels) == clips.num_classes for clip in clips)

    check()


def test_columns_of_all_layouts_are_within_their_classes(held):
    for layout in KINDS:
        clips = ClipFolder(held(layout)).clips("train")
        for clip in clips:
            per_head = [clip.labels[columns].sum() for columns in clips.head_slices()]
            assert all(n == 1 or head.multi_label for n, head in zip(per_head, clips.heads))
        assert np.sum(clips.class_counts()) >= len(clips) - 1  # one video of Charades has no label
