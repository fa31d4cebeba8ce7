import pytest

from avsf_det.data.importers import class_folders
from avsf_det.data.importers.export import LABEL


def made(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return {
        video.names[0]: (video.split, video.spans[0].values[LABEL][0])
        for export in class_folders.read(root)
        for video in export.videos
    }


def test_read_takes_classes_and_splits_from_folders(tmp_path):
    found = made(tmp_path, "videos/train/run fast/a.mp4", "videos/val/sit/sub/b.mp4", "videos/val/.x/c.mp4")
    assert found == {
        "videos/train/run fast/a.mp4": ("train", "run fast"),
        "videos/val/sit/sub/b.mp4": ("val", "sit"),
    }


def test_read_takes_a_class_called_train_for_a_class_beside_others(tmp_path):
    assert made(tmp_path, "train/a.mp4", "car/b.mp4") == {"train/a.mp4": ("", "train"), "car/b.mp4": ("", "car")}


@pytest.mark.parametrize("names", [("a.mp4", "b.mp4"), ("run/a.mp4",), ("train/a.mp4", "val/b.mp4")])
def test_read_of_videos_without_classes_is_nothing(tmp_path, names):
    assert made(tmp_path, *names) == {}
