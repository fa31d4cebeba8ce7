"""A dataset of tiny scenes and a model trained on it for a few steps, made once for all tests."""

import pytest

TINY = {
    "RESNET.DEPTH": 18,
    "RESNET.AUDIO_DEPTH": 18,
    "RESNET.WIDTH_PER_GROUP": 8,
    "SLOWFAST.ALPHA": 2,
    "SLOWFAST.BETA_INV": 4,
    "SLOWFAST.AU_ALPHA": 16,
    "SLOWFAST.AU_FUSION_CONV_CHANNEL_DIM": 8,
    "DATA.NUM_FRAMES": 4,
    "DATA.SAMPLING_RATE": 8,
    "DATA.TRAIN_JITTER_SCALES": [48, 56],
    "DATA.TRAIN_CROP_SIZE": 48,
    "DATA.TEST_CROP_SIZE": 48,
    "DATA.AUDIO_FRAME_NUM": 32,
    "DATA.AUDIO_MEL_NUM": 16,
    "SOLVER.OPTIMIZING_METHOD": "adamw",
    "SOLVER.BASE_LR": 0.01,
    "SOLVER.BASE_BATCH_SIZE": 4,
    "SOLVER.MAX_EPOCH": 2,
    "SOLVER.WARMUP_EPOCHS": 1.0,
    "TRAIN.BATCH_SIZE": 4,
    "TRAIN.NUM_WORKERS": 0,
    "DEVICE": "cpu",
}


@pytest.fixture(scope="session")
def scenes_spec():
    """Five videos of 128x96 pixels and 4 seconds."""
    from avsf_det.data.scenes.generator import ScenesSpec

    return ScenesSpec({"train": 3, "val": 1, "test": 1}, width=128, height=96, duration=4, seed=1)


@pytest.fixture(scope="session")
def scenes(scenes_spec, tmp_path_factory):
    """The folder of a dataset of tiny scenes; read it, never write to it."""
    from avsf_det.data.scenes.generator import generate

    root = tmp_path_factory.mktemp("scenes")
    generate(root, scenes_spec, workers=1)
    return root


@pytest.fixture(scope="session")
def tiny(scenes):
    """KEY VALUE ... of a small audiovisual model on those scenes; an OUTPUT_DIR has to be added."""
    return [str(word) for pair in {**TINY, "DATA.ROOT": scenes}.items() for word in pair]


@pytest.fixture(scope="session")
def weights(tiny, tmp_path_factory):
    """A checkpoint of that model after two epochs."""
    from avsf_det.config import load_cfg
    from avsf_det.engine.train import Trainer

    return Trainer(load_cfg(overrides=[*tiny, "OUTPUT_DIR", str(tmp_path_factory.mktemp("run"))])).run()
