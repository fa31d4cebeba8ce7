import inspect
import re

import pytest
import torch
from yacs.config import CfgNode

from avsf_det.errors import UserError
from avsf_det.models import defaults
from avsf_det.models.build import build_model
from avsf_det.models.heads import ClassificationHead, RoIHead

SMALL = ["RESNET.DEPTH", 18, "RESNET.AUDIO_DEPTH", 18, "RESNET.WIDTH_PER_GROUP", 8]


def config(*overrides):
    cfg = CfgNode()
    defaults.add_model_defaults(cfg)
    cfg.DATA = CfgNode({"NUM_FRAMES": 32, "AUDIO_FRAME_NUM": 128, "TRAIN_CROP_SIZE": 224})
    cfg.merge_from_list([*SMALL, *overrides])
    return cfg


def test_the_defaults_detect_with_sound():
    model = build_model(config())
    assert isinstance(model.head, RoIHead) and model.head.spatial_scale == 1 / 16
    assert model.backbone.channels.audio == 32
    features = model.eval().backbone(torch.rand(1, 3, 1, 64, 64), torch.rand(1, 3, 8, 64, 64))
    assert features.slow.shape[3:] == (4, 4)


def test_slowfast_has_no_audio_pathway():
    assert build_model(config("MODEL.MODEL_NAME", "SlowFast")).backbone.channels.audio is None


def test_without_detection_the_whole_clip_is_classified():
    model = build_model(
        config("DETECTION.ENABLE", False, "MODEL.NUM_CLASSES", 7, "RESNET.SPATIAL_STRIDES", [1, 2, 2, 2])
    )
    assert isinstance(model.head, ClassificationHead) and model.head.pool_size == 7
    assert model(torch.rand(2, 3, 4, 32, 32), torch.rand(2, 3, 32, 32, 32)).shape == (2, 7)


def test_keys_reach_the_model():
    model = build_model(
        config(
            "SLOWFAST.FS_FUSION", [False, True, True, True],
            "SLOWFAST.AFS_FUSION", [False, False, False, True],
            "SLOWFAST.DROPPATHWAY_RATE", 0.3,
            "SLOWFAST.DROPPATHWAY_SCOPE", "pathway",
        )
    )  # fmt: skip
    state = model.state_dict()
    assert not any(name.startswith(("s1_fuse", "s3_fuse.conv_a2fs")) for name in state)
    assert "s4_fuse.conv_a2fs_1.weight" in state and "s3_fuse.conv_f2s.weight" in state
    assert (model.backbone.drop_pathway.rate, model.backbone.drop_pathway.scope) == (0.3, "pathway")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["MODEL.MODEL_NAME", "SlowSlow"], "got 'SlowSlow', expected one of AVSlowFast, SlowFast"),
        (["RESNET.DEPTH", 20], "depth: got 20"),
        (["SLOWFAST.ALPHA", 5], "NUM_FRAMES: got 32, expected a multiple of SLOWFAST.ALPHA 5"),
        (["SLOWFAST.AU_ALPHA", 16], "AU_ALPHA: got 16, expected DATA.AUDIO_FRAME_NUM 128 / Slow frames 4"),
        (["RESNET.SPATIAL_STRIDES", [1, 2, 2]], "SPATIAL_DILATIONS: got 3 and 4 numbers, expected 4 each"),
        (["DETECTION.ENABLE", False, "MODEL.HEAD_ACT", "relu"], "got 'relu', expected one of softmax, sigmoid"),
    ],
)
def test_values_that_do_not_fit_are_told_in_one_line(overrides, message):
    with pytest.raises(UserError, match=message) as caught:
        build_model(config(*overrides))
    assert "\n" not in str(caught.value)


def test_every_key_says_what_it_means():
    lines = [line for line in inspect.getsource(defaults).splitlines() if re.match(r"\s+cfg\.\w+\.\w+ = ", line)]
    assert len(lines) > 25 and all("  # " in line for line in lines)
