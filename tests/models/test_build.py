import inspect
import re

import pytest
import torch
from torch import nn
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
    ("overrides", "frozen", "sync_devices"),
    [
        ([], False, None),
        (["BN.NUM_SYNC_DEVICES", 4], False, None),
        (["BN.NORM_TYPE", "sync_batchnorm"], False, 0),
        (["BN.NORM_TYPE", "sync_batchnorm", "BN.NUM_SYNC_DEVICES", 4], False, 4),
        (["MODEL.FROZEN_BN", True], True, None),
    ],
)
def test_every_norm_is_of_the_kind_asked_for_and_its_state_of_no_kind(overrides, frozen, sync_devices):
    with torch.device("meta"):
        model, plain = build_model(config(*overrides)), build_model(config())
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    assert {(norm.frozen, norm.sync_devices) for norm in norms} == {(frozen, sync_devices)}
    assert model.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["BN.NORM_TYPE", "layernorm"], "BN.NORM_TYPE: got 'layernorm', expected batchnorm or sync_batchnorm"),
        (["BN.NUM_SYNC_DEVICES", -1], "BN.NUM_SYNC_DEVICES: got -1, expected 0 or a divisor of the 1 processes"),
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
