import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from avsf_det.models.architecture import AudioPathway
from avsf_det.models.backbone import AVSlowFastBackbone
from avsf_det.models.pathways import (
    AudioStem,
    BasicTransform,
    FewFilters,
    Pathways,
    ResBlock,
    Stage,
    VisualStem,
)


def test_stems():
    assert VisualStem(8, temporal_kernel=5)(torch.rand(1, 3, 4, 32, 48)).shape == (1, 8, 4, 8, 12)
    assert AudioStem(4)(torch.rand(1, 1, 1, 20, 10)).shape == (1, 4, 1, 20, 10)


@settings(max_examples=30, deadline=None)
@given(
    filters=st.integers(1, 20),
    frames=st.integers(1, 24),
    kernel=st.sampled_from([1, 3, 5]),
    bias=st.booleans(),
    stride=st.integers(1, 2),
)
def test_few_filters_sum_what_a_convolution_sums(filters, frames, kernel, bias, stride):
    ours = FewFilters(3, filters, (kernel, 3, 3), (1, stride, stride), (kernel // 2, 1, 1), bias=bias)
    x, gradients = torch.rand(2, 3, frames, 6, 5), []
    for way in (nn.Conv3d.forward, FewFilters.forward):
        ours.zero_grad()
        y = way(ours, x)
        y.square().sum().backward()
        gradients.append([y.detach(), *(parameter.grad.clone() for parameter in ours.parameters())])
    for expected, found in zip(*gradients):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_few_filters_in_mixed_precision():
    ours, x = FewFilters(3, 4, (5, 3, 3), padding=(2, 1, 1)), torch.rand(1, 3, 8, 6, 5)
    with torch.autocast("cpu"):
        y = ours(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), nn.Conv3d.forward(ours, x), rtol=0.01, atol=0.01)


def test_a_block_that_changes_nothing_has_no_shortcut_convolution():
    def block(in_channels, stride):
        return ResBlock(BasicTransform(in_channels, 8, 1, stride, 1), in_channels, 8, stride)

    assert not hasattr(block(8, 1), "branch1")
    assert hasattr(block(4, 1), "branch1") and hasattr(block(8, 2), "branch1")


def test_a_block_whose_branch_is_zero_is_its_shortcut():
    block = ResBlock(BasicTransform(4, 4, 3, 1, 2), 4, 4, 1)
    torch.nn.init.zeros_(block.branch2.last_bn.weight)
    x = torch.rand(1, 4, 3, 5, 5)
    assert torch.equal(block(x), x)


def test_a_stage_runs_only_the_pathways_that_are_there():
    def block():
        return ResBlock(BasicTransform(2, 2, 1, 1, 1), 2, 2, 1)

    stage = Stage(Pathways([block()], [block(), block()], [block()]))
    assert {name for name, _ in stage.named_children()} == {
        "pathway0_res0",
        "pathway1_res0",
        "pathway1_res1",
        "pathway2_res0",
    }
    x = torch.rand(1, 2, 2, 3, 3)
    assert stage(Pathways(x, x)).audio is None
    assert stage(Pathways(x, x, x)).audio.shape == x.shape


@pytest.mark.parametrize(
    ("block", "names"),
    [
        ("tf_bottleneck_transform_v1", {"t", "t_bn", "f", "f_bn", "out", "out_bn"}),
        ("tf_bottleneck_transform_v2", {"a", "a_bn", "b_t", "b_t_bn", "b_f", "b_f_bn", "c", "c_bn"}),
    ],
)
def test_time_frequency_blocks_are_in_the_first_two_audio_stages(block, names):
    backbone = AVSlowFastBackbone(width=8, audio=AudioPathway(block=block))
    for stage, expected in (("s2", names), ("s3", names), ("s4", {"a", "a_bn", "b", "b_bn", "c", "c_bn"})):
        branch = getattr(backbone, stage).pathway2_res1.branch2
        assert {name for name, _ in branch.named_children()} - {"relu"} == expected
