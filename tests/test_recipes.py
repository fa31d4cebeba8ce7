"""Every recipe in `configs/` builds the model its name says."""

import math
import re

import pytest
import torch
import yaml

from avsf_det.config import CONFIG_FOLDER, get_cfg, load_cfg
from avsf_det.data.classification.folder import DATASETS
from avsf_det.data.clip import ClipSpec
from avsf_det.engine.schedule import lr_at
from avsf_det.models.build import build_model, example_inputs
from avsf_det.models.heads import ClassificationHead, RoIHead

NAME = r"(?P<model>avslowfast|slowfast)_(?P<clip>\d+x\d+)_r(?P<depth>\d+)(?P<nl>_nl)?(?P<variant>_release|_long)?"
RECIPES = sorted(
    str(path.relative_to(CONFIG_FOLDER))
    for kind in ("kinetics", "ava", "charades", "epic_kitchens", "ucf101", "hmdb51")
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
        *(["32x2_r50", "8x8_r50_long", "8x8_r101_long"] if kind == "ava" else []),
    )
]


CLASSES = {
    "kinetics": {"action": 400},
    "ava": {"action": 80},
    "charades": {"action": 157},
    "epic_kitchens": {"verb": 125, "noun": 352},
    "ucf101": {"action": 101},
    "hmdb51": {"action": 51},
}


def test_the_papers_instantiations_are_there():
    assert set(WANTED) <= set(RECIPES)
    assert {recipe.split("/")[0] for recipe in RECIPES} == set(CLASSES)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_builds_what_its_name_says(recipe):
    cfg = load_cfg(recipe)
    kind, file = recipe.split("/")
    name = re.fullmatch(f"{NAME}.yaml", file)
    slow_frames, stride = map(int, name["clip"].split("x"))
    if stride == 2:  # PySlowFast's way: Fast frames x their stride
        slow_frames, stride = slow_frames // cfg.SLOWFAST.ALPHA, 2 * cfg.SLOWFAST.ALPHA
    assert slow_frames * cfg.SLOWFAST.ALPHA == cfg.DATA.NUM_FRAMES
    assert stride == cfg.DATA.SAMPLING_RATE * cfg.SLOWFAST.ALPHA
    assert int(name["depth"]) == cfg.RESNET.DEPTH
    assert any(cfg.NONLOCAL.LOCATION) == bool(name["nl"])
    assert all(cfg.SLOWFAST.FS_FUSION) != (name["variant"] == "_release")

    with torch.device("meta"):
        model = build_model(cfg).eval()
        inputs = example_inputs(cfg, size=64, boxes=3)
        logits = model(**inputs)
    detects = kind == "ava"
    assert isinstance(model.head, RoIHead if detects else ClassificationHead)
    logits = logits if isinstance(logits, dict) else {"action": logits}
    assert {name: tuple(one.shape) for name, one in logits.items()} == {
        name: (3 if detects else 1, size) for name, size in CLASSES[kind].items()
    }
    tested = cfg.MODEL.HEAD_ACT, cfg.TEST.NUM_ENSEMBLE_VIEWS, cfg.TEST.NUM_SPATIAL_CROPS
    assert tested == ("sigmoid" if kind == "charades" else "softmax", 1 if detects else 10, 3)
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


KINETICS = {0: 0.01, 17: 0.0513786, 34: 0.0927571, 98: 0.05, 196: 0.0}
SHORT = {0: 0.000125, 2.5: 0.0500625, 5: 0.1, 9.99: 0.1, 10: 0.01, 15: 0.001, 19.99: 0.001}
LONG = {0: 0.000125, 4.9: 0.0987243, 34: 0.05, 68: 0.0}


@pytest.mark.parametrize("recipe", [recipe for recipe in RECIPES if recipe.startswith(("kinetics", "ava"))])
def test_a_recipe_trains_as_its_source_does(recipe):
    cfg = load_cfg(recipe)
    solver, data, kinetics = cfg.SOLVER, cfg.DATA, recipe.startswith("kinetics")
    clips = 32 if recipe.startswith("kinetics/avslowfast_8x8") and "release" in recipe else 64
    rates = KINETICS if kinetics else LONG if "long" in recipe else SHORT
    assert [lr_at(epoch, cfg, clips) for epoch in rates] == pytest.approx(list(rates.values()), abs=1e-7)
    got = {
        "clips": cfg.TRAIN.BATCH_SIZE,
        "epochs": solver.MAX_EPOCH,
        "optimiser": (solver.OPTIMIZING_METHOD, solver.MOMENTUM, solver.NESTEROV, solver.CLIP_GRAD_L2NORM),
        "decay": solver.WEIGHT_DECAY,
        "precise": (cfg.BN.USE_PRECISE_STATS, cfg.BN.NUM_BATCHES_PRECISE),
        "norms": (cfg.BN.NORM_TYPE, cfg.MODEL.FROZEN_BN),
        "weights": (cfg.MODEL.DROPOUT_RATE, cfg.MODEL.FC_INIT_STD, cfg.RESNET.ZERO_INIT_FINAL_BN),
        "sizes": (data.TRAIN_JITTER_SCALES, data.TRAIN_CROP_SIZE, data.TEST_CROP_SIZE, data.RANDOM_FLIP),
        "sound dropped": cfg.SLOWFAST.DROPPATHWAY_RATE,
        "synchronisation": cfg.SLOWFAST.AVS_FLAG,
    }
    synchronises = kinetics and cfg.MODEL.MODEL_NAME == "AVSlowFast"
    assert got == {
        "clips": clips,
        "epochs": list(rates)[-1] if rates != SHORT else 20,
        "optimiser": ("sgd", 0.9, True, 0.0),
        "decay": 1e-4 if kinetics else 1e-7,
        "precise": (kinetics, 400 if clips == 32 else 200),
        "norms": ("batchnorm", False),
        "weights": (0.5, 0.01, True),
        "sizes": ([256, 320], 224, 256, True),
        "sound dropped": 0.8,
        "synchronisation": [False, False, *[synchronises] * 3],
    }


FINE_TUNING = {
    "charades": ({0: 0.0001, 4: 0.0375, 40.9: 0.0375, 41: 0.00375, 48.9: 0.00375, 49: 0.000375, 56.9: 0.000375}, 16),
    "epic_kitchens": ({0: 0.001, 18.9: 0.001, 19: 0.0001, 22: 0.00001, 24.9: 0.00001}, 16),
    "ucf101": ({0: 0.001, 2: 0.0098907, 15: 0.005, 30: 0.0}, 64),
    "hmdb51": ({0: 0.001, 2: 0.0099726, 30: 0.005, 60: 0.0}, 64),
}


@pytest.mark.parametrize("kind", FINE_TUNING)
def test_fine_tuning_is_as_its_source_or_its_file_says(kind):
    rates, clips = FINE_TUNING[kind]
    found = [load_cfg(recipe) for recipe in RECIPES if recipe.startswith(kind)]
    assert {cfg.MODEL.MODEL_NAME for cfg in found} == {"SlowFast", "AVSlowFast"}
    for cfg in found:
        assert [lr_at(epoch, cfg, clips) for epoch in rates] == pytest.approx(list(rates.values()), abs=1e-7)
        got = cfg.TRAIN.BATCH_SIZE, cfg.SOLVER.MAX_EPOCH, cfg.SOLVER.OPTIMIZING_METHOD, any(cfg.SLOWFAST.AVS_FLAG)
        assert got == (clips, math.ceil(max(rates)), "sgd", False)
        assert cfg.TRAIN.DATASET in DATASETS and kind.replace("_", "") == cfg.TRAIN.DATASET


@pytest.mark.parametrize("model", ["slowfast", "avslowfast"])
def test_non_local_recipes_are_those_of_the_published_weights(model):
    for clip in ("32x2", "16x8"):
        ava = load_cfg(f"ava/{model}_{clip}_r101_nl")
        assert (ava.DETECTION.ALIGNED, ava.NONLOCAL.POOL) == (False, [2, 2, 2])
        assert ava.NONLOCAL.LOCATION == [[], [], [6, 13, 20], []]
    assert load_cfg(f"kinetics/{model}_16x8_r101_nl").NONLOCAL.POOL == [1, 2, 2]
    assert load_cfg(f"ava/{model}_8x8_r101").DATA.INV_UNIFORM_SAMPLING


def test_charades_clips_span_as_much_audio_as_video():
    spec = ClipSpec.from_config(load_cfg("charades/avslowfast_16x8_r50"), 256)
    start, end = spec.sound_span(10.0)
    assert spec.duration == pytest.approx(5.333, abs=1e-3) and end - start == pytest.approx(spec.duration)


def test_charades_and_epic_kitchens_are_learned_as_their_sources_say():
    charades, epic = load_cfg("charades/slowfast_16x8_r50"), load_cfg("epic_kitchens/slowfast_4x16_r50")
    assert (charades.DATA.NUM_FRAMES, charades.DATA.SAMPLING_RATE, charades.SLOWFAST.ALPHA) == (64, 2, 4)
    assert charades.DATA.TRAIN_JITTER_SCALES == [256, 340] and charades.DATA.INV_UNIFORM_SAMPLING
    assert (charades.SOLVER.WEIGHT_DECAY, charades.BN.NORM_TYPE) == (1e-4, "sync_batchnorm")
    assert charades.BN.USE_PRECISE_STATS and charades.SLOWFAST.FUSION_KERNEL_SZ == 7
    assert (epic.SOLVER.WEIGHT_DECAY, epic.MODEL.DROPOUT_RATE, epic.MODEL.FROZEN_BN) == (1e-6, 0.3, True)


@pytest.mark.parametrize("recipe", [*RECIPES, *(f"scenes/{p.name}" for p in (CONFIG_FOLDER / "scenes").glob("*.yaml"))])
def test_a_recipe_states_only_what_differs(recipe, tmp_path):
    path = CONFIG_FOLDER / recipe
    stated = yaml.safe_load(path.read_text())
    base = stated.pop("_BASE_", None)
    bases = tmp_path / "bases.yaml"
    bases.write_text(
        yaml.safe_dump({"_BASE_": [str(path.parent / one) for one in base]} if isinstance(base, list) else {})
    )
    cfg = load_cfg(bases) if isinstance(base, list) else load_cfg(path.parent / base) if base else get_cfg()
    same = [
        f"{group}.{key}" for group, keys in stated.items() for key, value in keys.items() if cfg[group][key] == value
    ]
    assert not same
