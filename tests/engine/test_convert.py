import os
import pickle

import pytest
import torch

from ava_eval.label_map import LabelMap
from avsf_det.cli import main
from avsf_det.config import load_cfg
from avsf_det.data.classification.clips import Head
from avsf_det.engine.clip_predictor import ClipPredictor
from avsf_det.engine.convert import convert_weights
from avsf_det.engine.predictor import Predictor
from avsf_det.errors import UserError
from avsf_det.models.build import build_model
from avsf_det.models.checkpoint import load_checkpoint
from avsf_det.models.importers import OURS, pyslowfast, read_weights

CLASSES = 6


@pytest.fixture
def config(tiny, tmp_path):
    """A configuration file of a small audiovisual model, of other classes than the weights'."""
    path = tmp_path / "model.yaml"
    path.write_text(load_cfg(overrides=tiny).dump())
    return path


@pytest.fixture
def slowfast(tiny, tmp_path):
    """The state dict of that model without sound, and a PySlowFast checkpoint of it."""
    cfg = load_cfg(overrides=[*tiny, "MODEL.MODEL_NAME", "SlowFast", "MODEL.NUM_CLASSES", str(CLASSES)])
    state = build_model(cfg).state_dict()
    their_cfg = "MODEL:\n  ARCH: slowfast\nNUM_GPUS: 8\n"
    content = {"model_state": pyslowfast.export(state), "epoch": 19, "cfg": their_cfg, "optimizer_state": {}}
    torch.save(content, tmp_path / "theirs.pyth")
    return state, tmp_path / "theirs.pyth"


def test_a_slowfast_becomes_a_checkpoint_that_detects(slowfast, config, tmp_path):
    state, source = slowfast
    labels = LabelMap.from_dict({i: f"action {i}" for i in range(1, CLASSES + 1)})
    (tmp_path / "labels.pbtxt").write_text(labels.to_pbtxt())
    words = ["MODEL.MODEL_NAME", "SlowFast"]
    title, report = convert_weights(source, tmp_path / "out.pyth", config, words, label_map=tmp_path / "labels.pbtxt")
    assert title == "PySlowFast checkpoint" and report.differing == ()
    predictor = Predictor.load(tmp_path / "out.pyth", ["DEVICE", "cpu"])
    assert predictor.label_map == labels
    written = load_checkpoint(tmp_path / "out.pyth")["model_state"]
    torch.testing.assert_close(dict(written), dict(state), rtol=0, atol=0)


def test_a_slowfast_gets_ears_the_same_ones_each_time(slowfast, config, tmp_path):
    state, source = slowfast
    reports = [convert_weights(source, tmp_path / name, config)[1] for name in ("a.pyth", "b.pyth")]
    assert reports[0].initialised and reports[0].partly == ("head.projection.weight",)
    a, b = (read_weights(tmp_path / name) for name in ("a.pyth", "b.pyth"))
    assert a.format == OURS and a.about["epoch"] == 19
    torch.testing.assert_close(a.state, b.state, rtol=0, atol=0)
    assert torch.equal(a.state["s5.pathway0_res0.branch2.a.weight"], state["s5.pathway0_res0.branch2.a.weight"])
    assert a.state["head.projection.bias"].shape == (CLASSES,)


def test_there_and_back_changes_nothing(weights, tmp_path):
    """Ours to the authors' naming and back; then without sound, to PySlowFast's own."""
    convert_weights(weights, tmp_path / "theirs.pyth", naming="pyslowfast")
    theirs = torch.load(tmp_path / "theirs.pyth", weights_only=True)
    assert theirs.keys() == {"model_state", "epoch", "cfg"} and "s3_fuse.bn_f2s.weight" in theirs["model_state"]
    assert read_weights(tmp_path / "theirs.pyth").format == "avslowfast"
    (tmp_path / "model.yaml").write_text(theirs["cfg"])
    _, report = convert_weights(tmp_path / "theirs.pyth", tmp_path / "ours.pyth", tmp_path / "model.yaml")
    assert report.differing == ()
    back, before = (pyslowfast.export(read_weights(path).state) for path in (tmp_path / "ours.pyth", weights))
    torch.testing.assert_close(back, before, rtol=0, atol=0)
    convert_weights(weights, tmp_path / "deaf.pyth", None, ["MODEL.MODEL_NAME", "SlowFast"], naming="pyslowfast")
    deaf = torch.load(tmp_path / "deaf.pyth", weights_only=True)["model_state"]
    assert "s3_fuse.bn.weight" in deaf and not any("bn_f2s" in name or "pathway2" in name for name in deaf)


def test_bgr_weights_get_their_stems_turned(slowfast, config, tmp_path):
    state, source = slowfast
    convert_weights(source, tmp_path / "rgb.pyth", config, bgr=True)
    found = read_weights(tmp_path / "rgb.pyth").state
    for name in ("s1.pathway0_stem.conv.weight", "s1.pathway1_stem.conv.weight"):
        assert torch.equal(found[name], state[name].flip(1))


def test_a_foreign_file_needs_a_configuration(slowfast, tmp_path):
    with pytest.raises(UserError, match="does not say what model it is for; name it by --config"):
        convert_weights(slowfast[1], tmp_path / "out.pyth")


@pytest.mark.parametrize("key", ["RESNET.WIDTH_PER_GROUP", "SLOWFAST.FUSION_KERNEL_SZ"])
def test_weights_of_another_model_are_not_written(slowfast, config, tmp_path, key):
    with pytest.raises(UserError, match=key.rpartition(".")[2]):
        convert_weights(slowfast[1], tmp_path / "out.pyth", config, [key, "16" if "WIDTH" in key else "7"])
    assert not (tmp_path / "out.pyth").exists()


def test_a_label_map_of_other_classes_is_refused(slowfast, config, tmp_path):
    (tmp_path / "labels.pbtxt").write_text(LabelMap.from_dict({1: "sit"}).to_pbtxt())
    with pytest.raises(UserError, match="1 classes, but the weights are for 6"):
        convert_weights(slowfast[1], tmp_path / "out.pyth", config, label_map=tmp_path / "labels.pbtxt")


def test_a_foreign_checkpoint_is_not_taken_for_ours(slowfast):
    with pytest.raises(UserError, match=r"another program's configuration.*avsf-det convert"):
        Predictor.load(slowfast[1])


class Run:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_the_command_reports_and_refuses(slowfast, config, tmp_path, capsys):
    _, source = slowfast
    command = ["convert", str(source), str(tmp_path / "out.pyth"), "--config", str(config)]
    assert main(command) == 0
    short = capsys.readouterr().out
    assert "PySlowFast checkpoint: " in short and "no Audio in the weights" in short and len(short.splitlines()) == 2
    assert main([*command[:3], "MODEL.MODEL_NAME", "SlowFast", *command[3:], "--report"]) == 0
    assert "  s1.pathway0_stem.conv.weight  8x3x1x7x7" in capsys.readouterr().out
    source.write_bytes(pickle.dumps({"blobs": Run(tmp_path / "ran")}))
    assert main(command) == 2
    assert "holds posix.system, and opening it could run code" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()


def test_a_classifier_keeps_what_it_was_asked(clip_weights, tmp_path):
    heads = Head("verb", ("take", "put")), Head("noun", ("cup", "pan", "knife"))
    convert_weights(clip_weights(*heads), tmp_path / "out.pyth")
    assert ClipPredictor.load(tmp_path / "out.pyth").heads == heads


def test_a_label_map_renames_the_classes_of_a_classifier(clip_weights, tmp_path):
    labels = LabelMap.from_dict({1: "clap", 2: "wave"})
    (tmp_path / "labels.pbtxt").write_text(labels.to_pbtxt())
    weights = clip_weights(Head("action", ("a", "b")))
    convert_weights(weights, tmp_path / "out.pyth", label_map=tmp_path / "labels.pbtxt")
    assert ClipPredictor.load(tmp_path / "out.pyth").heads == (Head("action", ("clap", "wave")),)
