import pytest

from avsf_det.config import load_cfg
from tests.conftest import TINY
from tests.data.classification.layouts import LAYOUTS


@pytest.fixture(scope="session")
def labelled(scenes, tmp_path_factory):
    """A function that makes a dataset of labelled clips, once, and returns its folder; read it, never write to it."""
    made = {}

    def make(layout):
        if layout not in made:
            made[layout] = tmp_path_factory.mktemp(layout)
            LAYOUTS[layout](made[layout], sorted((scenes / "videos").glob("*.mp4")))
        return made[layout]

    return make


@pytest.fixture(scope="session")
def clip_cfg(labelled):
    """A function that makes the configuration of one epoch on such a dataset; an OUTPUT_DIR has to be added."""

    def make(layout, *overrides):
        keys = {
            **TINY,
            "DATA.ROOT": labelled(layout),
            "DETECTION.ENABLE": False,
            "RESNET.SPATIAL_STRIDES": [1, 2, 2, 2],
            "RESNET.SPATIAL_DILATIONS": [1, 1, 1, 1],
            "TRAIN.BATCH_SIZE": 1,
            "SOLVER.MAX_EPOCH": 1,
            "TENSORBOARD.ENABLE": False,
        }
        return load_cfg(None, [*(str(word) for pair in keys.items() for word in pair), *map(str, overrides)])

    return make


@pytest.fixture(scope="session")
def trained(clip_cfg, tmp_path_factory):
    """A function that trains such a model on a dataset, once, and returns the checkpoint."""
    from avsf_det.engine.train import Trainer

    made = {}

    def make(layout):
        if layout not in made:
            folder = tmp_path_factory.mktemp(f"run_{layout}")
            made[layout] = Trainer(clip_cfg(layout, "OUTPUT_DIR", folder, "TRAIN.EVAL_PERIOD", 1)).run()
        return made[layout]

    return make
