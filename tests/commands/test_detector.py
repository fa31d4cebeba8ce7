"""The commands of `avsf-det detector`; tests/engine/test_person_detector.py sees what they do."""

import pytest

from avsf_det.cli import main
from tests.pages import ROOT, commands


def test_the_page_shows_each_command():
    words = [
        words[words.index("detector") + 1] for words in commands(ROOT / "docs" / "detector.md") if "detector" in words
    ]
    assert set(words) == {"train", "eval", "boxes"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["eval"], "no dataset; give its folder as --dataset FOLDER"),
        (["eval", "DATA.ROTT", "x"], "unknown config key DATA.ROTT; did you mean DATA.ROOT"),
        (["boxes", "--output", "out.csv", "--dataset-config", "no_such"], "no config file 'no_such'"),
        (["train", "--dataset", "nowhere"], "no dataset at 'nowhere'"),
        (["train", "AVA.GROUNDTRUTH_FILE"], "overrides come in pairs"),
        (["train", "AVA.GROUNDTRUTH", "x"], "did you mean AVA.GROUNDTRUTH_FILE"),
        (["eval", "--groundtruth", "no.csv", "--detector", "boxes.csv"], "no.csv: cannot be read"),
    ],
)
def test_what_is_wrong_is_one_line(words, message, capsys):
    assert main(["detector", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line


def test_an_override_without_a_value_is_named(scenes, tmp_path, capsys):
    pytest.importorskip("detectron2")
    words = ["detector", "train", "--dataset", str(scenes), "--output", str(tmp_path), "SOLVER.MAX_ITER"]
    assert main(words) == 2
    assert "not a Detectron2 configuration" in capsys.readouterr().err


def test_overrides_of_the_dataset_and_of_the_detector_find_their_ways(scenes, tmp_path, capsys):
    pytest.importorskip("detectron2")
    words = ["detector", "train", "--output", str(tmp_path), "DATA.ROOT", str(scenes), "SOLVER.MAX_ITR", "1"]
    assert main(words) == 2
    assert "did you mean SOLVER.MAX_ITER" in capsys.readouterr().err
