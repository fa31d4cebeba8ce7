"""Every command and piece of Python on the pages runs, a page from top to bottom, on tiny files for the reader's."""

import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import ava_eval.cli
import avsf_det.cli
import avsf_det.config
from tests import stand_ins
from tests.pages import PAGES, ROOT, blocks, commands

SET_UP = (".", "pip", "apt-get")  # of the reader's own machine
NOT_RUN = {"serve": "goes on until Ctrl-C; tests/web/ and tests/browser/ try it"}
ELSEWHERE = {"rtsp://camera.local/1": "there is no camera; the same film is served by http"}
# bfloat16 would be slower here
STEPS = "SOLVER.MAX_EPOCH 1 TRAIN.MIXED_PRECISION False TRAIN.NUM_WORKERS 0 DEVICE cpu"
TINY_DETECTOR = """
    MODEL.RESNETS.DEPTH 18 MODEL.RESNETS.RES2_OUT_CHANNELS 64 MODEL.RESNETS.NUM_GROUPS 1
    MODEL.RESNETS.WIDTH_PER_GROUP 64 MODEL.FPN.OUT_CHANNELS 16 MODEL.ROI_BOX_HEAD.FC_DIM 16
    INPUT.MIN_SIZE_TRAIN (48,64) INPUT.MIN_SIZE_TEST 64
    SOLVER.MAX_ITER 2 SOLVER.IMS_PER_BATCH 1 SOLVER.STEPS () SOLVER.REFERENCE_WORLD_SIZE 0 DATALOADER.NUM_WORKERS 0
"""


def behind_torchrun(words):
    return ["avsf-det", *words[words.index("avsf_det") + 1 :]] if words[0] == "torchrun" else words


def once(pages):
    """The commands of each page that no page before it has."""
    seen, found = set(), {}
    for page in pages:
        for words in commands(page):
            key = tuple(behind_torchrun(words))
            if key not in seen:
                seen.add(key)
                found.setdefault(page, []).append(words)
    return found


COMMANDS = once(PAGES)


@pytest.fixture(scope="session")
def zoo(tiny, tmp_path_factory):
    """A folder of other programs' weights."""
    folder = tmp_path_factory.mktemp("zoo")
    stand_ins.write_weights(folder, stand_ins.tiny_network(tiny))
    return folder


@pytest.fixture
def reader(scenes, weights, zoo, tmp_path, monkeypatch):
    """A folder with all that the pages take for granted; /data is in it."""
    stand_ins.write_files(tmp_path, scenes, weights)
    stand_ins.write_ava(tmp_path / "data" / "ava", scenes)
    stand_ins.write_clips(tmp_path / "data", scenes)
    for path in zoo.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AVSF_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize("page", COMMANDS, ids=lambda page: page.name)
def test_every_command_of_a_page_does_what_it_is_for(page, reader, tiny, serve, live_file, monkeypatch):
    network = stand_ins.tiny_network(tiny)
    for words in COMMANDS[page]:
        words = [re.sub("(^|=)/data/", rf"\1{reader}/data/", word) for word in words]
        words = [serve(live_file, seconds=0.5) if word in ELSEWHERE else word for word in words]
        told = " ".join(words)
        if words[0] == "torchrun":
            words = started_by_torchrun(words)
        if words[0] == "avsf-det":
            options = avsf_det.cli._parser().parse_args(words[1:])
            make_tiny(options, network)
            if told.startswith("torchrun") and options.run.__name__ == "train":
                options.overrides += ["TRAIN.AUTO_RESUME", "False"]  # the page means it instead of the one before it
            assert not_run(options) or not options.run(options), told
        elif words[0] == "ava-eval":
            assert ava_eval.cli.main(words[1:]) == 0, told
        elif words[0] == "make":
            done = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, f"{told}: {done.stderr}"
        elif words[0] == "python":
            knows_its_options(words)
        elif words[0] == "export":
            monkeypatch.setenv(*words[1].split("="))
        else:
            assert words[0] in SET_UP, f"{told}: tell tests/test_commands.py how to try {words[0]}"


def not_run(options):
    name = options.run.__name__
    needed = "detectron2" if name.startswith("detector") else "onnxscript" if name == "export" else None
    return name in NOT_RUN or (needed is not None and not find_spec(needed))


def started_by_torchrun(words):
    """The command that torchrun would start in each process, here in one."""
    from torch.distributed.run import get_args_parser

    options = get_args_parser().parse_args(words[1:])
    assert options.module and options.training_script == "avsf_det"
    return ["avsf-det", *options.training_script_args]


def make_tiny(options, network):
    """Small networks and steps for what would take days, and boxes instead of a detector that has to be fetched."""
    name = options.run.__name__
    if name in ("train", "pretrain", "convert") and options.config not in (
        "custom",
        "classify",
    ):  # they have that of the weights
        options.overrides = [*network, "TRAIN.BATCH_SIZE", "8", *options.overrides]
    if name in ("train", "pretrain"):
        options.overrides += STEPS.split()
    if name == "evaluate":
        options.overrides += ["OUTPUT_DIR", "runs/first"]
    if name == "classify":
        options.device = "cpu"
    if name == "detect":
        options.detector, options.device, options.rate = "boxes.csv", "cpu", 1.0
    if name == "data_import":
        options.output = Path("imported")  # my_data is there
    if name == "data_scenes":
        options.width, options.height, options.duration, options.train, options.workers = 64, 48, 3, 2, 1
        if options.layout != "unlabelled":
            options.val = options.test = 1
    if name == "detector_train":
        options.overrides = [*TINY_DETECTOR.split(), *options.overrides]


def knows_its_options(words):
    """A benchmark, which takes minutes: it starts, and has the options."""
    done = subprocess.run([sys.executable, str(ROOT / words[1]), "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {word for word in words if word.startswith("--")} <= set(re.findall(r"--[\w-]+", done.stdout))


PYTHON = [(page, text) for page in PAGES for text in blocks(page, "python")]


@pytest.mark.parametrize(("page", "text"), PYTHON, ids=[f"{page.name} {i}" for i, (page, _) in enumerate(PYTHON)])
def test_every_piece_of_python_runs(page, text, reader, tiny, monkeypatch):
    from avsf_det.models.build import build_model, example_inputs

    network, load_cfg = stand_ins.tiny_network(tiny), avsf_det.config.load_cfg
    cfg = load_cfg("ava/avslowfast_8x8_r50", network)
    monkeypatch.setattr(avsf_det.config, "load_cfg", lambda config, overrides: load_cfg(config, [*network, *overrides]))
    exec(compile(text, str(page), "exec"), {"model": build_model(cfg), **example_inputs(cfg, boxes=3)})


def test_the_first_page_has_the_commands_everyone_needs():
    words = commands(PAGES[0])
    assert ["make", "demo"] in words and ["make", "test"] in words
    assert any(word.startswith("VIDEO=") for line in words if line[0] == "make" for word in line)


def test_the_examples_of_the_help_parse():
    for line in avsf_det.cli.EXAMPLES.splitlines():
        words = shlex.split(line.split("   ")[0])
        if words[:1] == ["avsf-det"]:
            avsf_det.cli._parser().parse_args(words[1:])
