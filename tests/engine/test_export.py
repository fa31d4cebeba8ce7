"""Checkpoints become files that give the same scores without this package."""

import json
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from avsf_det.data.classification.clips import Head
from avsf_det.data.clip import read_clips
from avsf_det.engine import export
from avsf_det.engine.clip_predictor import ClipPredictor
from avsf_det.engine.export import export_weights
from avsf_det.engine.predictor import Predictor
from avsf_det.errors import UserError
from avsf_det.structures import Persons
from tests.pages import ROOT

BOXES = [[0.1, 0.1, 0.5, 0.9], [0.4, 0.2, 0.9, 1.0]]
ALONE = "import runpy, sys; sys.modules['avsf_det'] = None; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0])"


@pytest.fixture(scope="module")
def onnx(weights, tmp_path_factory):
    """The checkpoint as ONNX."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    return export_weights(weights, tmp_path_factory.mktemp("onnx") / "models" / "model.onnx").path


def test_the_onnx_file_scores_as_the_predictor_does(onnx, weights, video):
    from onnxruntime import InferenceSession

    predictor = Predictor.load(weights)
    heard, mute = read_clips(video, [1.0, 2.0], predictor.spec)
    clips, persons = [heard, replace(mute, log_mel=None)], [Persons(BOXES[:1], [1]), Persons(BOXES, [1, 1])]
    expected = np.concatenate([found.actions for found in predictor(clips, persons)])
    height, width = heard.frames.shape[1:3]
    boxes = [(i, *box) for i, found in enumerate(persons) for box in found.to_pixels(width, height)]
    inputs = {
        "frames": np.stack([clip.frames for clip in clips]),
        "log_mel": np.stack([heard.log_mel, np.full_like(heard.log_mel, np.nan)]),
        "audio_present": np.array([True, False]),
        "boxes": np.array(boxes, np.float32),
    }
    session = InferenceSession(str(onnx))
    np.testing.assert_allclose(session.run(["scores"], inputs)[0], expected, atol=1e-4)
    shapes = {one.name: one.shape for one in session.get_inputs()}
    assert shapes["frames"] == ["clips", 4, "height", "width", 3] and shapes["boxes"] == ["persons", 5]
    about = {key: json.loads(text) for key, text in session.get_modelmeta().custom_metadata_map.items()}
    assert [one["name"] for one in about["classes"]] == list(predictor.label_map.names)
    assert [one["id"] for one in about["classes"]] == list(predictor.label_map.ids)
    assert about["inputs"].keys() == shapes.keys() and about["clip"]["short_side"] == predictor.spec.short_side
    assert str(ROOT).encode() not in onnx.read_bytes()


@pytest.mark.parametrize("second", ["0.25", "2.0"])
def test_the_example_scores_a_film_without_this_package(onnx, weights, video, tmp_path, second):
    words = [ROOT / "docs" / "onnx_example.py", onnx, video, second, *(share for box in BOXES for share in box)]
    command = [sys.executable, "-I", "-c", ALONE, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    predictor = Predictor.load(weights)
    (found,) = predictor.score_video(video, [float(second)], [Persons(BOXES, [1, 1])])
    told = [json.loads(line)["scores"] for line in done.stdout.splitlines()]
    assert [list(scores) for scores in told] == [list(predictor.label_map.names)] * 2
    np.testing.assert_allclose([list(scores.values()) for scores in told], found.actions, atol=1e-3)


@pytest.fixture(scope="module")
def whole_clips(clip_weights):
    """A checkpoint that is asked two things of whole clips."""
    return clip_weights(Head("verb", ("take", "put")), Head("noun", ("cup", "pan", "lid")))


def test_a_model_of_whole_clips_takes_no_boxes_and_tells_its_heads(whole_clips, tmp_path):
    exported = export_weights(whole_clips, tmp_path, "torch")
    assert exported.inputs == ("frames", "log_mel", "audio_present") and exported.difference < 1e-4
    (path,) = tmp_path.iterdir()
    assert path == exported.path and path.name == f"{whole_clips.stem}.pt2"
    about = {"classes": "", "clip": ""}
    program = torch.export.load(path, extra_files=about).module()
    named = [(one["head"], one["name"]) for one in json.loads(about["classes"])]
    assert named == [("verb", "take"), ("verb", "put"), ("noun", "cup"), ("noun", "pan"), ("noun", "lid")]
    side = ClipPredictor.load(whole_clips).spec.short_side
    frames = torch.zeros(5, 4, side, side, 3, dtype=torch.uint8)
    scores = program(frames=frames, log_mel=torch.zeros(5, 32, 16), audio_present=torch.ones(5, dtype=torch.bool))
    torch.testing.assert_close(scores[:, :2].sum(dim=1), torch.ones(5))


def test_a_file_that_scores_otherwise_is_not_left_there(whole_clips, tmp_path, monkeypatch):
    graph = SimpleNamespace(save_torch=lambda path, about: path.write_text("another model"))
    monkeypatch.setattr(export.Graph, "trace", lambda *arguments: graph)
    monkeypatch.setattr(
        export, "_run_torch", lambda path, inputs: [np.zeros((len(some["frames"]), 5)) for some in inputs]
    )
    with pytest.raises(
        UserError, match=r"model.pt2: not written, for its scores differ from the model's by \d.\de-01 on"
    ):
        export_weights(whole_clips, tmp_path / "model.pt2")
    assert not list(tmp_path.iterdir())


def test_what_is_not_installed_is_named(whole_clips, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(UserError, match=r"^onnxscript is not installed, which ONNX needs; pip install "):
        export_weights(whole_clips, tmp_path)


@pytest.mark.parametrize(("name", "form"), [("model.onnx", "torch"), ("model.pt2", "onnx")])
def test_a_suffix_of_the_other_format_is_refused(whole_clips, tmp_path, name, form):
    with pytest.raises(UserError, match=rf"{name}: --format {form} has the suffix"):
        export_weights(whole_clips, tmp_path / name, form)


def test_weights_that_hold_no_numbers_are_told(whole_clips, tmp_path):
    checkpoint = torch.load(whole_clips)
    checkpoint["model_state"]["head.projection_verb.bias"].fill_(torch.nan)
    torch.save(checkpoint, tmp_path / "broken.pyth")
    with pytest.raises(UserError, match=r"broken.pyth: the model's scores are no numbers"):
        export_weights(tmp_path / "broken.pyth", tmp_path / "model.pt2")
