import argparse

import pytest

from avsf_det.cli import main
from avsf_det.commands.arguments import real, whole

DETECT = ["detect", "film.mp4", "--weights", "model.pyth"]
CLASSIFY = ["classify", "film.mp4", "--weights", "model.pyth"]
DRAW = ["draw", "film.mp4", "--detections", "a.csv", "-o", "out.mp4"]
IMPORT = ["data", "import", "export.zip", "--videos", "videos", "-o", "out"]
SCENES = ["data", "scenes", "--output", "out"]
BOXES = ["detector", "boxes", "--output", "boxes.csv"]
SERVE = ["serve", "--weights", "model.pyth"]
NUMERIC = [
    *[(DETECT, f"--{name}", "2000") for name in ("rate", "workers", "top-k", "clips")],
    *[(DETECT, f"--{name}", "2e7") for name in ("latency", "silence", "time-limit", "smooth")],
    *[(DETECT, f"--{name}", "7") for name in ("threshold", "score-threshold")],
    (DETECT, "--scales", "5000"),
    (SERVE, "--port", "99999"),
    (SERVE, "--rate", "1e9"),
    (CLASSIFY, "--stride", "1e-9"),
    (CLASSIFY, "--top-k", "0"),
    (CLASSIFY, "--threshold", "-0.1"),
    (DRAW, "--threshold", "1.5"),
    (DRAW, "--top-k", "-1"),
    (DRAW, "--start", "1e300"),
    (IMPORT, "--rate", "0"),
    (IMPORT, "--frame-rate", "1e-300"),
    (IMPORT, "--val-share", "1"),
    *[(SCENES, f"--{name}", "10000000") for name in ("train", "val", "test", "width", "height", "duration", "workers")],
    (SCENES, "--seed", "-1"),
    (BOXES, "--score-threshold", "2"),
    (["model", "kinetics/avslowfast_4x16_r50"], "--size", "100000"),
]


@pytest.mark.parametrize(("command", "option", "beyond"), NUMERIC)
def test_numeric_option_out_of_range_is_refused_with_its_range(capsys, command, option, beyond):
    for value in (beyond, "nan", "inf", "many", "", "9" * 5000):
        with pytest.raises(SystemExit) as exit_:
            main([*command, option, value])
        assert exit_.value.code == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert f"argument {option}: expected a " in line and " to " in line and len(line) < 250


@pytest.mark.parametrize("text", ["0.001", "1000", "2", " 5 ", "1e2"])
def test_real_within_its_range_is_its_value(text):
    assert real(0.001, 1000)(text) == float(text)


@pytest.mark.parametrize("text", ["1.0", "1_0", "0x10", "1e1", "٣", "--1"])
def test_whole_of_what_is_no_plain_integer_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected a whole number from 1 to 10"):
        whole(1, 10)(text)
