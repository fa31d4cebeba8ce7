"""The command `avsf-det data import`; tests/data/importers/ sees what it does."""

import re
from pathlib import Path

import pytest

from ava_eval.label_map import parse_label_map
from avsf_det.cli import main
from avsf_det.data.annotations import AvaFolder
from tests.data.importers.files import film

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
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


def test_columns_and_units_of_a_table_are_what_options_say(tmp_path, capsys):
    table = "video,when,a,b,c,d,what\nclip,1,10,10,50,90,walk\n"
    assert run(tmp_path, table) == 2
    assert "has columns video,when,a,b,c,d,what, of which too few are known" in capsys.readouterr().err
    columns = "when=time,a=x1,b=y1,c=x2,d=y2,what=action"
    assert run(tmp_path, table, "--columns", columns, "--box-units", "percent") == 0
    assert "time <- when, x1 <- a, y1 <- b, x2 <- c, y2 <- d, action <- what" in capsys.readouterr().out
    assert (tmp_path / "out" / "annotations" / "train.csv").read_text() == "clip,1,0.1,0.1,0.5,0.9,1,-1\n"


def test_columns_that_say_no_name_are_an_error(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(tmp_path, ROW, "--columns", "when")
    assert "got 'when', expected TITLE=NAME,..." in capsys.readouterr().err


def test_a_share_is_one(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(tmp_path, ROW, "--val-share", "20")
    assert "expected a number from 0 to 0.999" in capsys.readouterr().err


def test_the_format_as_the_page_shows_it_loads(tmp_path):
    blocks = dict(re.findall(r"`(?:annotations/)?([a-z_]+\.(?:csv|pbtxt))`[^`]*```\n(.*?)```", PAGE, flags=re.DOTALL))
    assert set(blocks) >= {"train.csv", "label_map.pbtxt", "train_clips.csv", "train_excluded_timestamps.csv"}
    (tmp_path / "annotations").mkdir()
    for name, text in blocks.items():
        (tmp_path / "annotations" / name).write_text(text)
    for video in ("holiday 1", "kitchen, late"):
        film(tmp_path / "videos" / f"{video}.mp4", 40)
    folder = AvaFolder(tmp_path)
    assert folder.label_map == parse_label_map(blocks["label_map.pbtxt"])
    assert [(k.video_id, k.time) for k in folder.keyframes("train")] == [("holiday 1", 1), ("kitchen, late", 2.5)]
    assert folder.exclusion_path("train")
