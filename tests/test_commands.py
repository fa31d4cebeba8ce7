"""Every command, and every piece of Python, of the README and of docs/ works: run on tiny files in place of its own."""

import json
import re
import shlex
import subprocess

import pytest

import ava_eval.cli
import avsf_det.cli
from tests.pages import PAGES, ROOT, commands, of, python

SET_UP = (".", "source", "export", "pip", "git")  # of the reader's own machine
ELSEWHERE = {  # what is tried by tests of its own, as a whole
    "demo": "tests/engine/test_demo.py",
    "serve": "tests/web, tests/browser",  # it has no end
}
PLAIN = {  # the names of the scenes' files, for commands about AVA's
    "AVA.LABEL_MAP_FILE": "label_map.pbtxt",
    "AVA.SCORED_LABEL_MAP_FILE": "label_map.pbtxt",
    "AVA.GROUNDTRUTH_FILE": "{split}.csv",
    "AVA.EXCLUSION_FILE": "{split}_excluded_timestamps.csv",
    "AVA.TRAIN_PREDICT_BOX_LISTS": [],
    "AVA.TEST_PREDICT_BOX_LISTS": [],
}
SMALL_DETECTOR = {
    "SOLVER.MAX_ITER": 2,
    "SOLVER.STEPS": (),
    "SOLVER.IMS_PER_BATCH": 1,
    "SOLVER.REFERENCE_WORLD_SIZE": 0,
    "SOLVER.AMP.ENABLED": False,
    "DATALOADER.NUM_WORKERS": 0,
    "MODEL.DEVICE": "cpu",
    "MODEL.WEIGHTS": "",
    "MODEL.RESNETS.DEPTH": 18,
    "MODEL.RESNETS.RES2_OUT_CHANNELS": 64,
    "MODEL.RESNETS.NUM_GROUPS": 1,
    "MODEL.RESNETS.WIDTH_PER_GROUP": 64,
    "INPUT.MIN_SIZE_TRAIN_SAMPLING": "choice",
    "INPUT.MIN_SIZE_TRAIN": (48,),
    "INPUT.MIN_SIZE_TEST": 48,
}
TUBES = "film,1,0.1,0.1,0.5,0.9,1,a,0.9\nfilm,2,0.1,0.1,0.5,0.9,1,a,0.8\n"


def unique(lists):
    """Each once, in the order in which they appear."""
    return [list(words) for words in dict.fromkeys(map(tuple, lists))]


def unique_of(program):
    return unique(words for page in PAGES for words in of(page, program))


@pytest.fixture(scope="module")
def stand_ins(scenes, weights, tmp_path_factory):
    """What stands in for the reader's own: option -> value."""
    folder, annotations = tmp_path_factory.mktemp("stand_ins"), scenes / "annotations"
    (folder / "thresholds.json").write_text(json.dumps({"stand": 0.5}))
    videos = folder / "videos"
    videos.mkdir()
    (videos / "film.mp4").symlink_to(scenes / "videos" / "test_0000.mp4")
    (folder / "export.csv").write_text("film,1,0.1,0.1,0.5,0.9,talk\nfilm,2,0.1,0.1,0.5,0.9,talk\n")
    boxes = (annotations / "test_person_boxes.csv").read_text()
    (folder / "boxes.csv").write_text(boxes + boxes.replace("test_0000,", "127.0.0.1_test_0000,"))  # as a stream
    small = {"train": 1, "val": 1, "test": 1, "width": 64, "height": 48, "duration": 3, "workers": 1}
    return (
        small
        | {
            "video": scenes / "videos" / "test_0000.mp4",
            "detections": annotations / "test.csv",
            "groundtruth": annotations / "test.csv",
            "excluded": annotations / "val_excluded_timestamps.csv",
            "weights": str(weights),
            "source": weights,
            "label_map": str(annotations / "label_map.pbtxt"),
            "thresholds": folder / "thresholds.json",
            "dataset": scenes,
            "export": folder / "export.csv",
            "detector": str(folder / "boxes.csv"),
            "device": "cpu",
            "rate": 1.0,
        }
        | {"folder": folder}
    )


@pytest.fixture
def overrides(scenes, weights, tiny, tmp_path):
    """Command -> KEY VALUE pairs that are added."""
    data, output = {"DATA.ROOT": scenes}, {"OUTPUT_DIR": tmp_path / "run"}
    kind = ["MODEL.MODEL_NAME", "AVSlowFast", "SLOWFAST.FUSION_KERNEL_SZ", "5"]
    short = {"TRAIN.MIXED_PRECISION": False, "SOLVER.MAX_EPOCH": 1, "TRAIN.ACCUMULATION_STEPS": 1}
    start = {"TRAIN.CHECKPOINT_FILE_PATH": weights}
    return {
        "train": [*tiny, *kind, *pairs(PLAIN | short | start | output)],
        "evaluate": pairs(data | output),
        "data_check": pairs(data | PLAIN),
        "convert": [*tiny, *kind],
        "detector_train": pairs(SMALL_DETECTOR | PLAIN),
        "detector_eval": pairs(PLAIN),
        "detector_boxes": pairs(PLAIN),
    }


def pairs(keys):
    """KEY VALUE ... as on the command line."""
    return [str(word) for pair in keys.items() for word in pair]


@pytest.mark.parametrize("words", unique_of("avsf-det"), ids=" ".join)
def test_avsf_det_does_what_is_said(words, stand_ins, overrides, live_file, serve, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AVSF_CACHE", str(tmp_path / "cache"))
    options = parsed(words, capsys)
    if options is None or options.run.__name__ in ELSEWHERE:
        return
    name = options.run.__name__
    if name.startswith("detector"):
        pytest.importorskip("detectron2")
    for option, value in stand_ins.items():
        if getattr(options, option, None):
            setattr(options, option, value)
    if name == "detect":
        streams = any("://" in video for video in options.videos)
        options.videos = [serve(live_file, seconds=0.5) if streams else str(stand_ins["video"])]
    if name == "data_import":
        options.videos = stand_ins["folder"] / "videos"
    if name == "detector_boxes":
        options.output = "boxes_{split}.csv"
    if hasattr(options, "overrides"):
        options.overrides = [word for word in options.overrides if word != "..."] + overrides.get(name, [])
    assert not options.run(options)


def parsed(words, capsys):
    """The options; None where the command only tells something, as --help does."""
    try:
        return avsf_det.cli._parser().parse_args(words)
    except SystemExit as end:
        assert not end.code, f"avsf-det {' '.join(words)}: {capsys.readouterr().err}"
        return None


@pytest.mark.parametrize("words", unique_of("ava-eval"), ids=" ".join)
def test_ava_eval_does_what_is_said(words, scored, scenes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = scenes / "annotations"
    files = {"-l": folder / "label_map.pbtxt", "-g": folder / "val.csv", "-d": scored}
    files["-e"] = folder / "val_excluded_timestamps.csv"
    if words[0] == "tubes":
        (tmp_path / "tubes.csv").write_text(TUBES)
        files["-g"] = files["-d"] = tmp_path / "tubes.csv"
    words = [str(files.get(option, word)) for option, word in zip(["", *words], words)]
    words = [str(scored) if word.endswith(".csv") and "/" not in word else word for word in words]
    assert ava_eval.cli.main(words) == 0


@pytest.fixture(scope="module")
def scored(scenes, tmp_path_factory):
    """Detections: the ground truth of a split, with scores."""
    rows = (scenes / "annotations" / "val.csv").read_text().splitlines()
    path = tmp_path_factory.mktemp("scored") / "scored.csv"
    path.write_text("".join(f"{row.rsplit(',', 1)[0]},{0.3 + 0.6 * i / len(rows)}\n" for i, row in enumerate(rows)))
    return path


@pytest.mark.parametrize("words", unique_of("make"), ids=" ".join)
def test_make_knows_its_targets(words):
    done = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", unique(words for page in PAGES for words in commands(page)), ids=" ".join)
def test_every_command_is_of_a_kind_that_is_tried_here(words):
    if words[0].startswith("python"):
        assert (ROOT / words[1]).is_file(), f"{words[1]} is not there"
    else:
        known = {"make", "avsf-det", "ava-eval", *SET_UP}
        assert words[0] in known, f"{' '.join(words)}: tell tests/test_commands.py how to try {words[0]}"


def test_the_readme_has_the_commands_everyone_needs():
    made = of(PAGES[0], "make")
    assert ["demo"] in made and ["test"] in made
    assert any(word.startswith("VIDEO=") for words in made for word in words)


@pytest.mark.parametrize(("page", "code"), [(page.name, code) for page in PAGES for code in python(page)])
def test_python_does_what_is_said(page, code, scenes, scored, weights, tmp_path, capsys):
    from avsf_det.config import load_cfg
    from avsf_det.models.build import build_model, example_inputs
    from avsf_det.models.checkpoint import load_checkpoint

    (tmp_path / "tiny.yaml").write_text(load_checkpoint(weights)["cfg"])
    cfg = load_cfg(tmp_path / "tiny.yaml")
    folder = scenes / "annotations"
    files = {
        "ava/avslowfast_8x8_r50": tmp_path / "tiny.yaml",
        "SLOWFAST_8x8_R50.pkl": weights,
        "model.pyth": weights,
        "val.csv": folder / "val.csv",
        "excluded.csv": folder / "val_excluded_timestamps.csv",
        "detections.csv": scored,
        "ava_v2.2": folder / "label_map.pbtxt",
    }
    for name, path in files.items():
        code = code.replace(f'"{name}"', repr(str(path)))
    exec(code, {"model": build_model(cfg), **example_inputs(cfg)})


def test_the_examples_of_the_help_parse(capsys):
    for line in avsf_det.cli.EXAMPLES.splitlines():
        words = shlex.split(re.split(r" {3,}", line.strip())[0])
        if words[:1] == ["avsf-det"]:
            assert parsed(words[1:], capsys)


def test_a_recipe_or_key_that_is_not_there_would_be_noticed(capsys):
    with pytest.raises(AssertionError, match="unrecognized"):
        parsed(["detect", "a.mp4", "--weights", "w", "--no-such"], capsys)
