import logging

import pytest
import torch

import avsf_det
from avsf_det.config import load_cfg
from avsf_det.errors import UserError
from avsf_det.models.build import example_inputs

SMALL = ["RESNET.DEPTH", 18, "RESNET.AUDIO_DEPTH", 18, "RESNET.WIDTH_PER_GROUP", 8]


@torch.no_grad()
def test_a_name_is_enough_for_a_detector():
    model = avsf_det.load_model("ava/avslowfast_4x16_r50", overrides=SMALL)
    assert not model.training
    inputs = example_inputs(load_cfg("ava/avslowfast_4x16_r50"), size=64, clips=2, boxes=3)
    logits = model(inputs["slow"], inputs["fast"], inputs["audio"], inputs["boxes"])
    assert logits.shape == (3, 80)
    assert torch.equal(model.scores(logits), logits.sigmoid())
    assert model(inputs["slow"], inputs["fast"], boxes=inputs["boxes"]).shape == (3, 80)


@torch.no_grad()
def test_a_classifier_scores_whole_clips():
    model = avsf_det.load_model("kinetics/slowfast_4x16_r50", overrides=SMALL)
    inputs = example_inputs(load_cfg("kinetics/slowfast_4x16_r50"), size=64, clips=2)
    logits = model(inputs["slow"], inputs["fast"])
    assert logits.shape == (2, 400)
    assert model.scores(logits).sum(dim=1).tolist() == pytest.approx([1.0, 1.0])


def test_without_weights_the_seed_says_what_the_model_is():
    state = torch.get_rng_state()
    one, same = (avsf_det.load_model("ava/slowfast_4x16_r50", overrides=SMALL).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    other = avsf_det.load_model("ava/slowfast_4x16_r50", overrides=[*SMALL, "RNG_SEED", 1]).state_dict()
    assert not torch.equal(one["s1.pathway0_stem.conv.weight"], other["s1.pathway0_stem.conv.weight"])
    assert torch.equal(torch.get_rng_state(), state)


def test_weights_are_loaded_and_reported(tmp_path, caplog):
    source = avsf_det.load_model("ava/slowfast_4x16_r50", overrides=[*SMALL, "RNG_SEED", 7])
    torch.save({"model_state": source.state_dict(), "epoch": 3}, tmp_path / "slowfast.pyth")
    with caplog.at_level(logging.INFO):
        model = avsf_det.load_model("ava/avslowfast_4x16_r50", tmp_path / "slowfast.pyth", SMALL)
    name = "s5.pathway0_res1.branch2.b.weight"
    assert torch.equal(model.state_dict()[name], source.state_dict()[name])
    assert "PySlowFast checkpoint" in caplog.text and "no Audio in the weights" in caplog.text


def test_load_model_with_another_head_warns(tmp_path, caplog):
    source = avsf_det.load_model("kinetics/slowfast_4x16_r50", overrides=[*SMALL, "MODEL.NUM_CLASSES", 7])
    torch.save({"model_state": source.state_dict()}, tmp_path / "seven.pyth")
    avsf_det.load_model("kinetics/slowfast_4x16_r50", tmp_path / "seven.pyth", SMALL)
    (record,) = caplog.records
    assert record.levelname == "WARNING" and "7 classes in the weights, 400 in the model" in record.getMessage()
    caplog.clear()
    same = [*SMALL, "MODEL.NUM_CLASSES", 7]
    avsf_det.load_model("kinetics/slowfast_4x16_r50", tmp_path / "seven.pyth", same)
    assert not caplog.records


def test_load_model_of_a_checkpoint_alone_takes_its_configuration(weights):
    model = avsf_det.load_model(weights)
    state = torch.load(weights, weights_only=True)["model_state"]
    assert not model.training and all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    with pytest.raises(UserError, match="weights of another model than the configured one"):
        avsf_det.load_model(weights, overrides=["MODEL.MODEL_NAME", "SlowFast"])


def test_load_model_of_a_file_without_configuration_raises(tmp_path):
    torch.save({"model_state": {"weight": torch.zeros(1)}}, tmp_path / "bare.pyth")
    with pytest.raises(UserError, match="carries no configuration"):
        avsf_det.load_model(tmp_path / "bare.pyth")


@pytest.mark.parametrize(
    ("config", "weights", "message"),
    [
        ("ava/avslowfast_4x17_r50", None, "did you mean one of ava/avslowfast_4x16_r50.yaml"),
        ("ava/avslowfast_4x16_r50", "none.pyth", "No such file"),
    ],
)
def test_what_is_wrong_is_told(config, weights, message):
    with pytest.raises(UserError, match=message):
        avsf_det.load_model(config, weights, SMALL)
