import logging
import resource
from itertools import pairwise

import pytest
import torch
import yaml

from avsf_det.cli import main
from avsf_det.engine.checkpoint_config import model_cfg
from avsf_det.engine.clip_predictor import ClipPredictor
from avsf_det.engine.evaluate import evaluate_weights
from avsf_det.engine.predictor import Predictor
from avsf_det.errors import UserError
from avsf_det.models.checkpoint import load_checkpoint


@pytest.fixture
def crafted(weights, tmp_path):
    """Writes the tiny model's checkpoint with other config keys, or with other text as its configuration."""

    def write(keys=None, text=None, name="crafted.pyth", **entries):
        checkpoint = load_checkpoint(weights)
        tree = yaml.safe_load(checkpoint["cfg"])
        for key, value in (keys or {}).items():
            *groups, leaf = key.split(".")
            node = tree
            for group in groups:
                node = node[group]
            node[leaf] = value
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        torch.save({**checkpoint, "cfg": yaml.safe_dump(tree) if text is None else text, **entries}, path)
        return path

    return write


FOREIGN = {
    "OUTPUT_DIR": "/elsewhere/run",
    "DEVICE": "cuda:7",
    "DATA.ROOT": "/elsewhere/data",
    "DATA.CACHE_DIR": "/elsewhere/clips",
    "DATA.PATH_PREFIX": "/etc",
    "DATA.EVAL_SPLIT": "../../evil",
    "CLIPS.ROOT": "/elsewhere/clips",
    "DETECTOR.MODEL": "https://example.org/evil.yaml",
    "DETECTOR.WEIGHTS": "https://example.org/evil.pkl",
    "DETECTOR.CACHE_DIR": "/elsewhere/persons",
    "AVA.ANNOTATION_DIR": "../secrets",
    "AVA.LABEL_MAP_FILE": "/etc/passwd",
    "AVA.GROUNDTRUTH_FILE": "C:\\secrets.csv",
    "AVA.VIDEO_DIR": "..\\videos",
    "AVA.TEST_PREDICT_BOX_LISTS": ["/etc/passwd"],
    "TRAIN.CHECKPOINT_FILE_PATH": "/elsewhere/model.pyth",
    "TRAIN.NUM_WORKERS": 1000,
    "TEST.BATCH_SIZE": 60000,
    "TENSORBOARD.ENABLE": True,
}


def test_model_cfg_takes_no_path_address_device_or_worker_count(crafted):
    path = crafted(FOREIGN)
    text = model_cfg(load_checkpoint(path), path).dump()
    for part in ("elsewhere", "example.org", "/etc", "secrets", "cuda", "evil", "60000", "NUM_WORKERS: 1000", "\\"):
        assert part not in text


def test_model_cfg_takes_what_the_model_and_its_dataset_are(crafted):
    keys = {"DATA.TEST_CROP_SIZE": 64, "TEST.SCALES": [48, 64], "DETECTOR.CLASSES": ["dog"], "DETECTOR.MODEL": "yolox"}
    keys |= {"AVA.GROUNDTRUTH_FILE": "ava_{split}_v2.2.csv", "AVA.FRAME_DIR": "sub/frames", "DATA.EVAL_SPLIT": "test"}
    path = crafted(keys)
    cfg = model_cfg(load_checkpoint(path), path)
    assert cfg.DATA.TEST_CROP_SIZE == 64 and cfg.TEST.SCALES == [48, 64] and cfg.RESNET.WIDTH_PER_GROUP < 64
    assert cfg.DETECTOR.CLASSES == ["dog"] and cfg.DETECTOR.MODEL == "yolox"
    assert (cfg.AVA.GROUNDTRUTH_FILE, cfg.AVA.FRAME_DIR) == ("ava_{split}_v2.2.csv", "sub/frames")
    assert cfg.DATA.EVAL_SPLIT == "test"


def test_evaluate_weights_writes_to_the_folder_of_the_run_the_file_is_in(crafted, scenes, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = crafted(FOREIGN, name="checkpoints/best.pyth")
    result = evaluate_weights(path, ["DATA.ROOT", str(scenes)])
    assert result.detections == tmp_path / "detections_val.csv"
    (line,) = [line for line in caplog.messages if "ignored of its configuration" in line]
    assert "DETECTOR.MODEL 'https://example.org/evil.yaml'" in line and "AVA.LABEL_MAP_FILE '/etc/passwd'" in line
    assert "OUTPUT_DIR" not in line and "DATA.ROOT" not in line


def test_evaluate_weights_without_a_dataset_asks_for_it(crafted):
    with pytest.raises(UserError, match=r"give its folder as DATA.ROOT FOLDER"):
        evaluate_weights(crafted(FOREIGN))


HUGE = {
    "wide": {"RESNET.WIDTH_PER_GROUP": 2048},
    "wider": {"RESNET.WIDTH_PER_GROUP": 100_000},
    "classes": {"MODEL.NUM_CLASSES": 10**6},
    "more classes": {"MODEL.NUM_CLASSES": 10**12},
    "frames": {"DATA.NUM_FRAMES": 10**9},
    "pixels": {"DATA.NUM_FRAMES": 1024, "DATA.TEST_CROP_SIZE": 4096},
    "crop": {"DATA.TEST_CROP_SIZE": 10**6},
    "scales": {"TEST.SCALES": [10**6]},
    "views": {"TEST.NUM_ENSEMBLE_VIEWS": 10**9},
    "span": {"DATA.SAMPLING_RATE": 1000, "DATA.NUM_FRAMES": 1024, "DATA.TARGET_FPS": 1},
    "mel": {"DATA.AUDIO_MEL_NUM": 10**9},
    "window": {"DATA.AUDIO_WIN_SZ": 1000, "DATA.AUDIO_SAMPLE_RATE": 384_000, "DATA.AUDIO_MEL_NUM": 1024},
    "convolutions": {"SLOWFAST.AU_FUSION_CONV_NUM": 10**9},
    "kernel": {"SLOWFAST.FUSION_KERNEL_SZ": 10**9 + 1},
    "many spaces": {"MODEL.LABEL_SPACES": ["a"] * 20_000, "MODEL.NUM_CLASSES_LIST": [1] * 20_000},
}


@pytest.mark.parametrize(
    ("load", "keys"),
    [
        *((Predictor.load, keys) for keys in HUGE.values()),
        (ClipPredictor.load, HUGE["wide"] | {"MODEL.NUM_CLASSES": 1}),
    ],
    ids=[*HUGE, "wide, of clips"],
)
def test_load_of_a_configuration_that_asks_for_too_much_is_refused_before_it_is_allocated(crafted, load, keys):
    path = crafted(keys, heads=[{"name": "a", "classes": ["b"], "multi_label": False}])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError) as error:
        load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18  # KiB
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


DAMAGED = {
    "text": {"RESNET.DEPTH": "fifty"},
    "depth": {"RESNET.DEPTH": 51},
    "nested": {"RESNET.SPATIAL_STRIDES": [[[[1]]]]},
    "types": {"MODEL.LABEL_SPACES": [1, {"a": 2}], "MODEL.NUM_CLASSES_LIST": ["x", None]},
    "zero": {"SLOWFAST.ALPHA": 0},
    "negative": {"SLOWFAST.BETA_INV": -8},
    "strides": {"RESNET.SPATIAL_STRIDES": [0, 0, 0, 0]},
    "short": {"RESNET.SPATIAL_STRIDES": [1]},
    "nan": {"DATA.MEAN": [float("nan")] * 3},
    "inf": {"MODEL.DROPOUT_RATE": float("inf")},
    "location": {"NONLOCAL.LOCATION": [["x"], [None], [], []]},
    "group": {"RESNET": 3},
    "bool": {"DETECTION.ENABLE": "yes"},
}
TEXTS = {
    "date": "RNG_SEED: 2020-99-99",
    "digits": "RNG_SEED: " + "9" * 5000,
    "deep": "RNG_SEED: " + "[" * 3000 + "]" * 3000,
    "deep mapping": "RNG_SEED: " + "{a: " * 3000 + "1" + "}" * 3000,
    "aliases": "a: &a {x: 1, y: 1}\n" + "".join(
        f"{new}: &{new} {{x: *{old}, y: *{old}}}\n" for old, new in pairwise("abcdefghijklmnopqrstuvwx")
    ),
    "laughs": "a: &a [1, 1]\n" + "".join(
        f"{new}: &{new} [*{old}, *{old}, *{old}]\n" for old, new in pairwise("abcdefghijklmnopqrstuvwx")
    ) + "MODEL: {LABEL_SPACES: *x}",
    "object": "RNG_SEED: !!python/object/apply:os.system ['true']",
    "tag": "RNG_SEED: !!timestamp x",
    "bool tag": "RNG_SEED: !!bool x",
    "list": "- 1",
    "unknown": "NO_SUCH_KEY: 1",
    "keys": "{1: 2, [a]: 3}",
    "null": "RESNET:",
}  # fmt: skip


@pytest.mark.parametrize("keys", DAMAGED.values(), ids=DAMAGED)
def test_load_of_a_damaged_configuration_is_one_error(crafted, keys):
    with pytest.raises(UserError) as error:
        Predictor.load(crafted(keys))
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_load_of_a_configuration_that_is_no_sound_yaml_is_one_error(crafted, text):
    with pytest.raises(UserError) as error:
        Predictor.load(crafted(text=text))
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


@pytest.mark.parametrize(
    "heads",
    [
        [{"name": "verb", "classes": "abc", "multi_label": False}],
        [{"name": "verb", "classes": [1], "multi_label": False}],
        [{"name": "verb"}],
        {"a": 1},
        "text",
    ],
)
def test_classify_with_heads_of_wrong_types_is_one_error(crafted, capsys, video, heads):
    assert main(["classify", str(video), "--weights", str(crafted({"DETECTION.ENABLE": False}, heads=heads))]) == 2
    assert "its heads are no names with classes" in capsys.readouterr().err


STATES = {
    "no names": {0: torch.zeros(3)},
    "scalars": dict.fromkeys(("head.projection.weight", "head.projection.bias"), torch.tensor(1.0)),
    "text": {"head.projection.bias": "zeros"},
    "list": [torch.zeros(3)],
}


@pytest.mark.parametrize("entry", ["label_map", "cfg", *STATES])
def test_load_of_a_checkpoint_with_an_entry_of_another_type_is_one_error(crafted, weights, entry):
    state = STATES.get(entry)
    state = load_checkpoint(weights)["model_state"] | state if isinstance(state, dict) else state
    path = crafted(**({"model_state": state} if entry in STATES else {entry: torch.ones(2, 2)}))
    with pytest.raises(UserError) as error:
        Predictor.load(path)
    assert "\n" not in str(error.value)
