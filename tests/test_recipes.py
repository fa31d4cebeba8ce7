"""Every recipe in `configs/` builds the model its name says."""

import re

import pytest
import torch

from avsf_det.config import CONFIG_FOLDER, load_cfg
from avsf_det.models.build import build_model, example_inputs
from avsf_det.models.heads import ClassificationHead, RoIHead

NAME = r"(?P<model>avslowfast|slowfast)_(?P<clip>\d+x\d+)_r(?P<depth>\d+)(?P<nl>_nl)?(?P<release>_release)?"
RECIPES = sorted(
    str(path.relative_to(CONFIG_FOLDER))
    for kind in ("kinetics", "ava")
    for path in CONFIG_FOLDER.glob(f"{kind}/*.yaml")
)
WANTED = [
    f"{kind}/{model}_{rest}.yaml"
    for kind in ("kinetics", "ava")
    for model in ("slowfast", "avslowfast")
    for rest in (
        "4x16_r50",
        "4x16_r101",
        "8x8_r50",
        "8x8_r101",
        "16x8_r101_nl",
        *(["32x2_r50"] if kind == "ava" else []),
    )
]


def test_the_papers_instantiations_are_there():
    assert set(WANTED) <= set(RECIPES)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_builds_what_its_name_says(recipe):
    cfg = load_cfg(recipe)
    name = re.fullmatch(f"(kinetics|ava)/{NAME}.yaml", recipe)
    slow_frames, stride = map(int, name["clip"].split("x"))
    if stride == 2:  # PySlowFast's way: Fast frames x their stride
        slow_frames, stride = slow_frames // cfg.SLOWFAST.ALPHA, 2 * cfg.SLOWFAST.ALPHA
    assert slow_frames * cfg.SLOWFAST.ALPHA == cfg.DATA.NUM_FRAMES
    assert stride == cfg.DATA.SAMPLING_RATE * cfg.SLOWFAST.ALPHA
    assert int(name["depth"]) == cfg.RESNET.DEPTH
    assert any(cfg.NONLOCAL.LOCATION) == bool(name["nl"])
    assert all(cfg.SLOWFAST.FS_FUSION) != bool(name["release"])

    with torch.device("meta"):
        model = build_model(cfg).eval()
        inputs = example_inputs(cfg, size=64, boxes=3)
        logits = model(**inputs)
    detects = recipe.startswith("ava")
    assert isinstance(model.head, RoIHead if detects else ClassificationHead)
    assert logits.shape == ((3, 80) if detects else (1, 400))
    assert (model.backbone.channels.audio is not None) == (name["model"] == "avslowfast")
    assert inputs["audio"] is None or inputs["audio"].shape[3] == cfg.SLOWFAST.AU_ALPHA * slow_frames
    assert not detects or model.head.spatial_scale == 1 / 16


def test_slowfast_weights_fit_the_audiovisual_model_of_the_same_name():
    for recipe in ("4x16_r50", "8x8_r101", "16x8_r101_nl"):
        with torch.device("meta"):
            visual, audiovisual = (
                build_model(load_cfg(f"ava/{m}_{recipe}")).state_dict() for m in ("slowfast", "avslowfast")
            )
        shapes = {name: tensor.shape for name, tensor in audiovisual.items()}
        assert all(shapes[name] == tensor.shape for name, tensor in visual.items() if not name.startswith("head."))
