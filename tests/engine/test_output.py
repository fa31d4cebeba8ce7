import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.engine.output import make_output, new_stem, safe_name
from avsf_det.errors import UserError
from avsf_det.files import unfinished_path


def test_a_folder_is_made_and_left_empty(tmp_path):
    folder = make_output(tmp_path / "a" / "b", "--output")
    assert folder.is_dir() and list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named_with_its_option(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write to .*file/out \(Not a directory\); choose .* with --output"):
        make_output(tmp_path / "file" / "out", "--output")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("my film (1) é 映画", "my film (1) é 映画"),
        *((name, "video") for name in ("", ".", "..", "...", " . ")),
        (".hidden", "hidden"),
        ("../etc/passwd", "_etc_passwd"),
        ("a\\b\x00c\nd", "a_b_c_d"),
        ("take\udcff", "take_ff"),
        ("take\ud800", "take_"),
        ("evil\u202efdp", "evil_fdp"),
    ],
)
def test_safe_name_odd_names_become_plain_ones(name, expected):
    assert safe_name(name) == expected


@given(st.text(max_size=300), st.sampled_from(["", "x" * 245, "é" * 150, "\udcfe" * 90]))
def test_safe_name_any_text_is_one_visible_file_that_can_be_made(tmp_path_factory, text, more):
    name = safe_name(text + more)
    assert name and not name.startswith(".") and "/" not in name and name == safe_name(name)
    folder = tmp_path_factory.getbasetemp() / "names"
    folder.mkdir(exist_ok=True)
    path = unfinished_path(folder / f"{name}_12_classes.jsonl")
    path.touch()
    path.unlink()


def test_safe_name_long_names_that_begin_alike_stay_apart():
    assert safe_name("a" * 245 + "1") != safe_name("a" * 245 + "2")


def test_a_new_name_is_of_no_file_whatever_its_suffix(tmp_path):
    assert new_stem("cam", tmp_path).name == "cam"
    (tmp_path / "cam.csv").touch()
    (tmp_path / "cam_2.mkv").touch()
    assert new_stem("cam", tmp_path).name == "cam_3"
