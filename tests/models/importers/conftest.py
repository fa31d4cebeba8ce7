"""Other programs' names of our tensors, by rules written from their documentation and not from our importers."""

from types import SimpleNamespace

import pytest
import torch

from avsf_det.config import load_cfg
from avsf_det.models.build import build_model

LAST_BLOCK = {50: {2: 2, 3: 3, 4: 5, 5: 2}, 101: {2: 2, 3: 3, 4: 22, 5: 2}}


def pyslowfast(name, depth):
    return name.replace("bn_f2s", "bn")


def caffe2(name, depth):
    *path, leaf = name.split(".")
    if leaf == "num_batches_tracked":
        return None
    norm = path[-1].endswith("bn") or path[-1] == "bn_f2s"
    end = {"weight": "s", "bias": "b", "running_mean": "rm", "running_var": "riv"}[leaf] if norm else leaf[0]
    end = f"bn_{end}" if norm else end
    k = path[0][1]
    if path[0] == "head":
        return f"pred_{end}"
    if path[0] == "s1_fuse":
        return f"t_pool1_subsample_{end}"
    if path[0].endswith("fuse"):
        return f"t_res{k}_{LAST_BLOCK[depth][int(k)]}_branch2c_bn_subsample_{end}"
    fast = "t_" if "pathway1" in path[1] else ""
    if path[1].endswith("stem"):
        return f"{fast}res_conv1_{end}" if norm else f"{fast}conv1_{end}"
    if "nonlocal" in path[1]:
        layer = "" if norm else path[-1].removeprefix("conv_") + "_"
        return f"nonlocal_conv{k}_{path[1].partition('nonlocal')[2]}_{layer}{end}"
    branch = "branch1" if path[2].startswith("branch1") else f"branch2{path[3][0]}"
    return f"{fast}res{k}_{path[1].partition('res')[2]}_{branch}_{end}"


def pytorchvideo(name, depth):
    *path, leaf = name.split(".")
    if path[0] == "head":
        return f"blocks.6.proj.{leaf}"
    block, norm = f"blocks.{int(path[0][1]) - 1}", "bn" in path[-1]
    if path[0].endswith("fuse"):
        return f"{block}.multipathway_fusion.{'norm' if norm else 'conv_fast_to_slow'}.{leaf}"
    block += f".multipathway_blocks.{path[1][7]}"
    if path[1].endswith("stem"):
        return f"{block}.{'norm' if norm else 'conv'}.{leaf}"
    block += f".res_blocks.{path[1].partition('res')[2]}"
    kind = "norm" if norm else "conv"
    if path[2].startswith("branch1"):
        return f"{block}.branch1_{kind}.{leaf}"
    return f"{block}.branch2.{kind}_{path[3][0]}.{leaf}"


def pytorchvideo_detection(name, depth):
    foreign = pytorchvideo(name, depth)
    return foreign.replace("blocks.6", "detection_head") if "proj" in foreign else f"model.{foreign}"


NAMINGS = {
    "pyslowfast": pyslowfast,
    "caffe2": caffe2,
    "pytorchvideo": pytorchvideo,
    "pytorchvideo_detection": pytorchvideo_detection,
}


@pytest.fixture
def foreign():
    """A function that gives the tensors of one of our state dicts the names of another program."""

    def rename(naming, state, depth=50):
        named = ((NAMINGS[naming](name, depth), tensor) for name, tensor in state.items())
        return {name: tensor for name, tensor in named if name}

    return rename


@pytest.fixture(
    params=[
        "kinetics/slowfast_4x16_r50",
        "kinetics/slowfast_8x8_r50",
        "kinetics/slowfast_8x8_r101",
        "kinetics/slowfast_16x8_r101_nl",
        "ava/slowfast_32x2_r50",
        "ava/slowfast_32x2_r101_nl",
    ]
)
def architecture(request):
    """One of the published models: its depth, whether it has non-local blocks, and `build(width)`."""
    cfg = load_cfg(request.param)

    def build(width=64):
        cfg.RESNET.WIDTH_PER_GROUP = width
        return build_model(cfg)

    return SimpleNamespace(depth=cfg.RESNET.DEPTH, non_local=any(cfg.NONLOCAL.LOCATION), build=build)


@pytest.fixture
def numbered():
    """A function that fills every tensor of a state dict with a number of its own."""
    return lambda state: {
        name: torch.full_like(tensor, i).contiguous() for i, (name, tensor) in enumerate(state.items(), start=1)
    }
