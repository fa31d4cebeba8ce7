import pytest

from avsf_det.models.importers.pytorchvideo import rename


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("blocks.0.multipathway_blocks.0.conv.weight", "s1.pathway0_stem.conv.weight"),
        ("blocks.0.multipathway_blocks.1.norm.running_var", "s1.pathway1_stem.bn.running_var"),
        ("blocks.0.multipathway_fusion.conv_fast_to_slow.weight", "s1_fuse.conv_f2s.weight"),
        ("blocks.3.multipathway_fusion.norm.bias", "s4_fuse.bn_f2s.bias"),
        (
            "blocks.1.multipathway_blocks.0.res_blocks.0.branch1_conv.weight",
            "s2.pathway0_res0.branch1.weight",
        ),
        ("blocks.1.multipathway_blocks.1.res_blocks.0.branch1_norm.weight", "s2.pathway1_res0.branch1_bn.weight"),
        ("blocks.3.multipathway_blocks.0.res_blocks.22.branch2.conv_a.weight", "s4.pathway0_res22.branch2.a.weight"),
        (
            "blocks.4.multipathway_blocks.1.res_blocks.2.branch2.norm_c.num_batches_tracked",
            "s5.pathway1_res2.branch2.c_bn.num_batches_tracked",
        ),
        ("blocks.6.proj.weight", "head.projection.weight"),
        (
            "model.blocks.2.multipathway_blocks.0.res_blocks.1.branch2.conv_b.weight",
            "s3.pathway0_res1.branch2.b.weight",
        ),
        ("detection_head.proj.bias", "head.projection.bias"),
        # a Slow model alone
        ("blocks.0.conv.weight", "s1.pathway0_stem.conv.weight"),
        ("blocks.4.res_blocks.0.branch2.norm_b.weight", "s5.pathway0_res0.branch2.b_bn.weight"),
        ("blocks.5.proj.weight", "head.projection.weight"),
    ],
)
def test_names_are_understood(name, ours):
    assert rename(name) == ours


@pytest.mark.parametrize("name", ["blocks.0.multipathway_blocks.2.conv.convs.0.weight", "blocks.6.other.weight", "x"])
def test_other_names_are_kept(name):
    assert rename(name) == name
