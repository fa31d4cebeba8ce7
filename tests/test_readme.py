"""The commands of the README and of the first page work: they are run on tiny files in place of the ones named."""

import re
import shlex
import subprocess

import pytest

import ava_eval.cli
import avsf_det.cli
from tests.pages import ROOT, commands, of

PAGES = ROOT / "README.md", ROOT / "docs" / "index.md"
SET_UP = (".", "source", "pip", "git", "cd", "conda", "mamba", "apt-get", "sudo", "uv")  # of the reader's own machine
TINY_DETECTOR = "SOLVER.MAX_ITER 2 SOLVER.IMS_PER_BATCH 1 SOLVER.STEPS () DATALOADER.NUM_WORKERS 0"


def unique(lists):
    """Each once, in the order in which they appear."""
    return [list(words) for words in dict.fromkeys(map(tuple, lists))]


COMMANDS = unique(words for page in PAGES for words in commands(page))
AVSF_DET, AVA_EVAL, MAKE = (
    unique(words for page in PAGES for words in of(page, name)) for name in ("avsf-det", "ava-eval", "make")
)


@pytest.fixture
def tiny_files(scenes, weights, tiny, tmp_path, monkeypatch):
    """What stands in for the reader's own: option -> value, and command -> overrides that are added."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AVSF_CACHE", str(tmp_path / "cache"))
    small = {"train": 1, "val": 1, "test": 1, "width": 64, "height": 48, "duration": 3, "workers": 1}
    options = small | {
        "videos": [str(scenes / "videos" / "test_0000.mp4")],
        "video": scenes / "videos" / "test_0000.mp4",
        "detections": scenes / "annotations" / "test.csv",
        "weights": str(weights),
        "dataset": scenes,
        "detector": str(scenes / "annotations" / "test_person_boxes.csv"),
        "device": "cpu",
        "rate": 1.0,
    }
    output = ["OUTPUT_DIR", str(tmp_path / "run")]
    plain = (
        "AVA.LABEL_MAP_FILE label_map.pbtxt AVA.SCORED_LABEL_MAP_FILE label_map.pbtxt AVA.GROUNDTRUTH_FILE {split}.csv"
    )
    plain += " AVA.TRAIN_PREDICT_BOX_LISTS [] AVA.TEST_PREDICT_BOX_LISTS [] TRAIN.ACCUMULATION_STEPS 1"
    start = ["TRAIN.CHECKPOINT_FILE_PATH", str(weights), *plain.split()]
    overrides = {
        "train": [*tiny, *start, "SOLVER.MAX_EPOCH", "1", "TRAIN.MIXED_PRECISION", "False", *output],
        "evaluate": ["DATA.ROOT", str(scenes), *output],
        "data_check": ["DATA.ROOT", str(scenes)],
        "detector_train": TINY_DETECTOR.split(),
    }
    return options, overrides


def test_the_readme_has_the_commands_everyone_needs():
    assert ["demo"] in MAKE and ["test"] in MAKE
    assert any(word.startswith("VIDEO=") for words in MAKE for word in words)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_is_of_a_kind_that_is_tried_here(words):
    known = {"make", "avsf-det", "ava-eval", *SET_UP}
    if words[0].startswith("python"):
        assert words[1:3] == ["-m", "ava_eval"] or (ROOT / words[1]).is_file(), f"{words[1]} is not there"
    else:
        assert words[0] in known, f"{' '.join(words)}: tell tests/test_readme.py how to try {words[0]}"


@pytest.mark.parametrize("words", MAKE, ids=" ".join)
def test_make_knows_its_targets(words):
    done = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if words[0] == "demo":  # what it runs is run, with few scenes and steps, by tests/engine/test_demo.py
        assert re.search(r"bin/avsf-det demo\b", done.stdout)


@pytest.mark.parametrize("words", AVSF_DET, ids=" ".join)
def test_avsf_det_does_what_the_readme_says(words, tiny_files, capsys):
    try:
        options = avsf_det.cli._parser().parse_args(words)
    except SystemExit as end:
        assert not end.code, f"avsf-det {' '.join(words)}: {capsys.readouterr().err}"
        return
    name = options.run.__name__
    if name in ("demo", "serve"):  # run by tests/engine/test_demo.py and tests/browser/
        return
    if name.startswith("detector"):
        pytest.importorskip("detectron2")
    stand_ins, overrides = tiny_files
    if getattr(options, "groundtruth", None):
        options.groundtruth = stand_ins["detections"]
    for option, value in stand_ins.items():
        if hasattr(options, option):
            setattr(options, option, value)
    if hasattr(options, "overrides"):
        options.overrides = [*options.overrides, *overrides.get(name, [])]
    assert not options.run(options)


@pytest.mark.parametrize("words", AVA_EVAL, ids=" ".join)
def test_ava_eval_does_what_the_readme_says(words, scenes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = scenes / "annotations"
    rows = (folder / "val.csv").read_text().splitlines()
    scored = [f"{row.rsplit(',', 1)[0]},{0.3 + 0.6 * i / len(rows)}" for i, row in enumerate(rows)]
    (tmp_path / "scored.csv").write_text("\n".join(scored) + "\n")
    stand_ins = {"-l": folder / "label_map.pbtxt", "-g": folder / "val.csv", "-d": "scored.csv"}
    stand_ins["-e"] = folder / "val_excluded_timestamps.csv"
    words = [str(stand_ins.get(option, word)) for option, word in zip(["", *words], words)]
    words = ["scored.csv" if word in ("a.csv", "b.csv") else word for word in words]
    assert ava_eval.cli.main(words) == 0


def test_the_examples_of_the_help_parse(capsys):
    for line in avsf_det.cli.EXAMPLES.splitlines():
        words = shlex.split(line.split("   ")[0])
        if words[:1] == ["avsf-det"]:
            avsf_det.cli._parser().parse_args(words[1:])
