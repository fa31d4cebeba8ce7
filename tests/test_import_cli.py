"""The command `avsf-det data import`; tests/data/importers/ sees what it does."""

from avsf_det.cli import main
from tests.data.importers.files import film

ROW = "clip,1,0.1,0.1,0.5,0.9,walk,0\n"


def run(tmp_path, text, *words):
    film(tmp_path / "videos" / "clip.mp4", 20)
    (tmp_path / "rows.csv").write_text(text)
    place = ["--videos", str(tmp_path / "videos"), "-o", str(tmp_path / "out")]
    return main(["data", "import", str(tmp_path / "rows.csv"), *place, *words])


def test_all_of_it_used_is_0(tmp_path, capsys):
    assert run(tmp_path, ROW) == 0
    out = capsys.readouterr().out
    assert "recognised: AVA csv" in out and "train: 1 videos, 1 keyframes, 1 boxes, 1 labels of 1 classes" in out


def test_something_left_out_is_1_and_named(tmp_path, capsys):
    assert run(tmp_path, ROW + "other,1,0.1,0.1,0.5,0.9,walk,0\n") == 1
    error = capsys.readouterr().err
    assert "1 left out, all named in" in error and "rows.csv:2: no video other" in error


def test_nothing_usable_is_2(tmp_path, capsys):
    assert run(tmp_path, "other,1,0.1,0.1,0.5,0.9,walk,0\n") == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: ")
    assert not (tmp_path / "out").exists()


def test_a_share_is_one(tmp_path, capsys):
    try:
        run(tmp_path, ROW, "--val-share", "20")
    except SystemExit as stop:
        assert stop.code == 2 and "expected a share from 0 to below 1" in capsys.readouterr().err
