import pytest

from avsf_det.engine.output import make_output, new_stem, result_stem
from avsf_det.errors import UserError


def test_a_folder_is_made_and_left_empty(tmp_path):
    folder = make_output(tmp_path / "a" / "b", "--output")
    assert folder.is_dir() and list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named_with_its_option(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write to .*file/out \(Not a directory\); choose .* with --output"):
        make_output(tmp_path / "file" / "out", "--output")


def test_results_replace_neither_inputs_nor_each_other(tmp_path):
    names, taken = [], {tmp_path / "a.mp4"}
    for path in (tmp_path / "a.mp4", tmp_path / "x" / "a.mp4", tmp_path / "y" / "a.mkv", tmp_path / "b.mkv"):
        stem = result_stem(path, tmp_path, taken)
        taken.add(tmp_path / f"{stem.name}.mp4")
        names.append(stem.name)
    assert names == ["a_2", "a_3", "a_4", "b"]


def test_a_new_name_is_of_no_file_whatever_its_suffix(tmp_path):
    assert new_stem("cam", tmp_path).name == "cam"
    (tmp_path / "cam.csv").touch()
    (tmp_path / "cam_2.mkv").touch()
    assert new_stem("cam", tmp_path).name == "cam_3"
