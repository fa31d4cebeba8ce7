"""The network computes what the public implementations compute, from the same weights and inputs.

The arrays in `golden/` were computed by fanyix/SlowFast and PySlowFast; `golden/*.state.json` lists their tensors.
Weights and inputs are drawn from numpy's generator seeded with the crc32 of the tensor's name.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from avsf_det.config import load_cfg
from avsf_det.models.build import build_model
from avsf_det.models.checkpoint import load_weights

GOLDEN = Path(__file__).parent / "golden"
AUDIOVISUAL, VISUAL = "avslowfast_4x16_r50", "slowfast_32x2_r50_ava"
RECIPES = {AUDIOVISUAL: "kinetics/avslowfast_4x16_r50_release", VISUAL: "ava/slowfast_32x2_r50"}
FRAMES = 32


def draw(text):
    return np.random.default_rng(zlib.crc32(text.encode()))


def noise(name, *shape):
    return torch.as_tensor(draw(f"input/{name}").standard_normal(shape).astype(np.float32))


def golden_weight(name, shape):
    """The tensor that the public implementation had under `name`."""
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return torch.tensor(100)
    if leaf == "running_var":
        values = draw(name).uniform(0.5, 1.5, shape)
    elif leaf in ("running_mean", "bias"):
        values = 0.1 * draw(name).standard_normal(shape)
    elif len(shape) == 1:
        low, high = (0.1, 0.3) if name.endswith("c_bn.weight") else (0.5, 1.5)
        values = draw(name).uniform(low, high, shape)
    else:
        fan_in = np.prod(shape[1:]) * (400 if name.endswith("projection.weight") else 1)
        values = np.sqrt(2.0 / fan_in) * draw(name).standard_normal(shape)
    return torch.as_tensor(values.astype(np.float32))


def golden_state(name):
    shapes = json.loads((GOLDEN / f"{name}.state.json").read_text())
    return {entry: golden_weight(entry, shape) for entry, shape in shapes.items()}


def golden_visual(slow_frames):
    fast = noise("fast", 2, 3, FRAMES, 128, 128)
    return fast[:, :, np.linspace(0, FRAMES - 1, slow_frames).astype(int)], fast


def make(name):
    """Our model for the weights of a golden file, from its recipe."""
    return build_model(load_cfg(RECIPES[name]))


def assert_close(got, expected):
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def record(module, store, name):
    """Keep what goes into and comes out of `module`."""
    module.register_forward_hook(lambda _, inputs, output: store.update({name: (inputs, output)}))


@torch.no_grad()
def test_avslowfast_computes_what_the_author_s_code_computes():
    expected = np.load(GOLDEN / f"{AUDIOVISUAL}.npz")
    model = make(AUDIOVISUAL).eval()
    report = load_weights(model, golden_state(AUDIOVISUAL))
    assert not report.differing

    seen = {}
    stages = ("s1", "s2", "s3", "s3_fuse", "s4", "s4_fuse", "s5")
    for stage in stages:
        record(getattr(model.backbone, stage), seen, stage)
    record(model.head.projection, seen, "projection")
    logits = model(*golden_visual(4), noise("audio", 2, 1, 1, 128, 80))

    assert_close(logits, expected["logits"].reshape(2, 400))
    assert_close(model.scores(logits), expected["probs"])
    assert_close(seen["projection"][0][0], expected["features"].reshape(2, 1, 3328))
    for stage in stages:
        for i, tensor in enumerate(seen[stage][1]):
            assert list(tensor.shape) == expected[f"{stage}.{i}.shape"].tolist()
            assert_close(tensor.flatten()[:256], expected[f"{stage}.{i}.head"])
            stats = np.array([tensor.mean(), tensor.std(), tensor.abs().max()])
            np.testing.assert_allclose(stats, expected[f"{stage}.{i}.stats"], rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_slowfast_computes_what_pyslowfast_computes():
    expected = np.load(GOLDEN / f"{VISUAL}.npz")
    model = make(VISUAL).eval()
    report = load_weights(model, golden_state(VISUAL))
    assert not report.differing

    seen = {}
    record(model.head.projection, seen, "projection")
    logits = model(*golden_visual(8), boxes=torch.as_tensor(expected["boxes"]))
    assert_close(logits, expected["logits"])
    assert_close(model.scores(logits), expected["probs"])
    assert_close(seen["projection"][0][0], expected["features"])


@pytest.mark.parametrize("name", RECIPES)
def test_names_and_shapes_are_those_of_the_public_implementations(name):
    expected = json.loads((GOLDEN / f"{name}.state.json").read_text())
    with torch.device("meta"):
        state = make(name).state_dict()
    ours = {entry: list(tensor.shape) for entry, tensor in state.items() if ".silent_" not in entry}
    assert ours == {entry.replace("_fuse.bn.", "_fuse.bn_f2s."): shape for entry, shape in expected.items()}
