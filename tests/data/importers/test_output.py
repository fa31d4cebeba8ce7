import csv

import pytest

from avsf_det.data.importers.dataset import ImportOptions, import_export
from avsf_det.data.importers.output import write_dataset
from avsf_det.errors import UserError
from tests.data.importers.files import film, frames

BOX = "0.1,0.1,0.5,0.9"


@pytest.fixture
def imported(tmp_path):
    film(tmp_path / "in" / "a, b (1).mp4", 20)
    film(tmp_path / "in" / "plain.mkv", 20)
    rows = tmp_path / "rows.csv"
    rows.write_text(f'"a, b (1)",1,{BOX},walk,0\nplain,1,{BOX},walk,0\n')
    return import_export(rows, tmp_path / "in", ImportOptions(split="train"))


def test_videos_are_linked_and_listed_and_stay_where_they_are(imported, tmp_path):
    write_dataset(imported, tmp_path / "out")
    link = tmp_path / "out" / "videos" / "a, b (1).mp4"
    assert link.is_symlink() and link.resolve() == (tmp_path / "in" / "a, b (1).mp4").resolve()
    with open(tmp_path / "out" / "videos.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["video"] for row in table] == ["a, b (1)", "plain"]
    assert table[1]["file"] == "videos/plain.mkv" and table[1]["sound"] == "0"
    assert float(table[1]["fps"]) == 10 and float(table[1]["duration"]) == pytest.approx(2, abs=0.01)


def test_copies_replace_links_and_links_replace_copies(imported, tmp_path):
    for copy in (False, True, True, False):
        write_dataset(imported, tmp_path / "out", copy)
        file = tmp_path / "out" / "videos" / "plain.mkv"
        assert file.is_symlink() != copy
        assert file.read_bytes() == (tmp_path / "in" / "plain.mkv").read_bytes()


def test_folders_of_frames_are_copied_too(tmp_path):
    frames(tmp_path / "in" / "walk", 20)
    (tmp_path / "rows.csv").write_text(f"walk,0.5,{BOX},walk,0\n")
    imported = import_export(tmp_path / "rows.csv", tmp_path / "in", ImportOptions())
    for _ in range(2):
        write_dataset(imported, tmp_path / "out", copy=True)
    assert len(list((tmp_path / "out" / "frames" / "walk").iterdir())) == 20
    assert not (tmp_path / "out" / "frames" / "walk").is_symlink()


def test_a_second_import_leaves_nothing_of_the_first(imported, tmp_path):
    write_dataset(imported, tmp_path / "out")
    for video in imported.videos:
        video.split = "val"
    write_dataset(imported, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out" / "annotations").iterdir()} == {"val.csv", "label_map.pbtxt"}


def test_videos_that_are_in_the_dataset_already_stay(tmp_path):
    film(tmp_path / "out" / "videos" / "plain.mkv", 20)
    (tmp_path / "rows.csv").write_text(f"plain,1,{BOX},walk,0\n")
    imported = import_export(tmp_path / "rows.csv", tmp_path / "out" / "videos", ImportOptions())
    write_dataset(imported, tmp_path / "out")
    assert not (tmp_path / "out" / "videos" / "plain.mkv").is_symlink()


def test_annotations_made_by_hand_are_not_written_over(imported, tmp_path):
    (tmp_path / "out" / "annotations").mkdir(parents=True)
    (tmp_path / "out" / "annotations" / "train.csv").write_text("by hand")
    with pytest.raises(UserError, match="annotations that are not of an import"):
        write_dataset(imported, tmp_path / "out")
    assert (tmp_path / "out" / "annotations" / "train.csv").read_text() == "by hand"
