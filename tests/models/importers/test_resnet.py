"""ResNets for pictures: torchvision's own are the reference, for the names and for what they compute."""

import pickle
import re

import pytest
import torch
import torchvision

from avsf_det.models.architecture import AudioPathway
from avsf_det.models.avslowfast import AVSlowFast, initialise
from avsf_det.models.backbone import AVSlowFastBackbone
from avsf_det.models.checkpoint import load_weights
from avsf_det.models.heads import ClassificationHead
from avsf_det.models.importers import read_weights
from avsf_det.models.importers.resnet import rename_detectron2, rename_torchvision
from detectors.weights import RESNET18_IMAGENET, cached


def slowfast(depth, **changes):
    backbone = AVSlowFastBackbone(depth=depth, **changes)
    model = AVSlowFast(backbone, ClassificationHead(backbone.channels, 9))
    initialise(model)
    return model


def detectron2_name(name):
    """As Detectron2's `tools/convert-torchvision-to-d2.py` names torchvision's tensors."""
    name = re.sub(r"layer(\d)", lambda found: f"res{int(found[1]) + 1}", name) if "layer" in name else f"stem.{name}"
    name = re.sub(r"bn(\d)", r"conv\1.norm", name)
    return name.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm")


@pytest.mark.parametrize("depth", [18, 34, 50, 101])
@pytest.mark.parametrize("prefix", ["", "backbone.bottom_up."])
def test_every_tensor_of_a_resnet_has_a_place_in_slow(depth, prefix):
    with torch.device("meta"):
        theirs = getattr(torchvision.models, f"resnet{depth}")().state_dict()
        ours = slowfast(depth, fast_junctions=()).state_dict()
    slow = {name for name in ours if "pathway0" in name}
    for rename, foreign in ((rename_torchvision, lambda name: name), (rename_detectron2, detectron2_name)):
        renamed = {rename(prefix + foreign(name)): tensor for name, tensor in theirs.items() if "fc" not in name}
        assert renamed.keys() == slow
        assert all([*tensor.shape[:2], *tensor.shape[2:]] == [*ours[name].shape[:2], *ours[name].shape[3:]]
                   for name, tensor in renamed.items())  # fmt: skip
    assert rename_torchvision("fc.weight") == "fc.weight"
    assert rename_detectron2("roi_heads.box_head.fc1.weight") == "roi_heads.box_head.fc1.weight"


def test_detectron2_itself_has_those_names():
    detectron2 = pytest.importorskip("detectron2.modeling.backbone.resnet")
    stages = detectron2.ResNet.make_default_stages(18, norm="BN")
    theirs = detectron2.ResNet(detectron2.BasicStem(norm="BN"), stages).state_dict()
    ours = {rename_detectron2(name) for name in theirs}
    with torch.device("meta"):
        assert ours == {name for name in slowfast(18, fast_junctions=()).state_dict() if "pathway0" in name}


@pytest.fixture
def pictures(tmp_path):
    """torchvision's ResNet-18 with random weights and statistics, and its state dict as a file."""
    torch.manual_seed(0)
    model = torchvision.models.resnet18().eval()
    for name, tensor in model.state_dict().items():
        if "running_mean" in name:
            tensor.normal_(std=0.1)
        elif "running_var" in name or (tensor.dim() == 1 and "weight" in name):
            tensor.uniform_(0.5, 1.5)
    torch.save(model.state_dict(), tmp_path / "resnet18.pth")
    return model, tmp_path / "resnet18.pth"


def features(model, picture):
    x = model.maxpool(model.relu(model.bn1(model.conv1(picture))))
    return model.layer4(model.layer3(model.layer2(model.layer1(x))))


@torch.no_grad()
def test_a_still_clip_gives_what_the_picture_gives(pictures):
    """In the middle of the clip, where no temporal kernel reaches beyond its ends."""
    model, path = pictures
    slow = slowfast(18, alpha=1, fast_junctions=()).eval()
    report = load_weights(slow, read_weights(path).state)
    assert not report.mismatched and not report.partly and set(report.unused) == {"fc.weight", "fc.bias"}
    picture = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    clip = picture.unsqueeze(2).expand(-1, -1, 9, -1, -1)
    found = slow.backbone(clip, clip).slow
    torch.testing.assert_close(found[:, :, 4], features(model, picture), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_without_fast_the_widened_model_gives_what_the_picture_gives(pictures):
    """Fast→Slow's channels come after the picture's, and a shortcut that was none passes those on."""
    model, path = pictures
    wide = slowfast(18, alpha=1, audio=AudioPathway(depth=18, alpha=8)).eval()
    before = {name: tensor.clone() for name, tensor in wide.state_dict().items()}
    report = load_weights(wide, read_weights(path).state)
    first = [f"s{k}.pathway0_res0.{layer}.weight" for k in (2, 3, 4, 5) for layer in ("branch1", "branch2.a")]
    assert sorted(report.partly) == sorted(first)
    assert all("pathway0" not in name for name in report.initialised if "num_batches" not in name)
    for name in first:
        columns = before[name].shape[1] * 4 // 5  # a fifth comes from Fast→Slow
        own = wide.state_dict()[name]
        assert torch.equal(own[:, columns:], before[name][:, columns:])
        assert not torch.equal(own[:, :columns], before[name][:, :columns])
    for module in wide.backbone.children():
        if hasattr(module, "bn_f2s"):
            module.bn_f2s.weight.zero_()
            module.bn_f2s.bias.zero_()  # Fast is silent
    picture = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    clip = picture.unsqueeze(2).expand(-1, -1, 9, -1, -1)
    found = wide.backbone(clip, clip).slow
    torch.testing.assert_close(found[:, :, 4], features(model, picture), rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_norms_folded_into_scale_and_shift_compute_the_same(pictures, tmp_path):
    """As Caffe2's ResNets that Detectron and Detectron2 start from, such as MSRA's R-50."""
    model, _ = pictures
    blobs = {}
    for name, module in model.named_modules():
        layer = re.sub(r"layer(\d)\.", lambda found: f"res{int(found[1]) + 1}_", name).replace(".", "_")
        for theirs, ours in (("conv1", "branch2a"), ("conv2", "branch2b"), ("bn1", "branch2a"), ("bn2", "branch2b")):
            layer = layer.replace(f"_{theirs}", f"_{ours}")
        layer = layer.replace("downsample_0", "branch1").replace("downsample_1", "branch1")
        if isinstance(module, torch.nn.Conv2d):
            blobs[f"{layer}_w"] = module.weight.detach().numpy()
        elif isinstance(module, torch.nn.BatchNorm2d):
            scale = module.weight / (module.running_var + module.eps).sqrt()
            layer = "res_conv1" if name == "bn1" else layer
            blobs[f"{layer}_bn_s"] = scale.detach().numpy()
            blobs[f"{layer}_bn_b"] = (module.bias - module.running_mean * scale).detach().numpy()
    (tmp_path / "msra.pkl").write_bytes(pickle.dumps(blobs, protocol=2))
    weights = read_weights(tmp_path / "msra.pkl")
    assert weights.format == "caffe2"
    slow = slowfast(18, alpha=1, fast_junctions=()).eval()
    assert load_weights(slow, weights.state).unused == ()
    picture = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    clip = picture.unsqueeze(2).expand(-1, -1, 9, -1, -1)
    torch.testing.assert_close(slow.backbone(clip, clip).slow[:, :, 4], features(model, picture), rtol=1e-4, atol=1e-4)


def test_the_real_resnet_18_loads_if_it_is_in_the_cache():
    path = cached(RESNET18_IMAGENET) or pytest.skip("`python -m detectors.weights resnet18` fetches it")
    weights = read_weights(path)
    assert weights.format == "torchvision"
    model = slowfast(18)
    report = load_weights(model, weights.state)
    assert not report.mismatched and set(report.unused) == {"fc.weight", "fc.bias"}
    stem = model.state_dict()["s1.pathway0_stem.conv.weight"]
    torch.testing.assert_close(stem[:, :, 0], weights.state["s1.pathway0_stem.conv.weight"])
