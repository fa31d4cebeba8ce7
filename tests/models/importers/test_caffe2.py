import pytest

from avsf_det.models.importers.caffe2 import rename


@pytest.mark.parametrize(
    ("blob", "ours"),
    [  # as they stand in the comments of PySlowFast's converter, and as it maps them
        ("conv1_w", "s1.pathway0_stem.conv.weight"),
        ("t_conv1_w", "s1.pathway1_stem.conv.weight"),
        ("res_conv1_bn_s", "s1.pathway0_stem.bn.weight"),
        ("res_conv1_bn_b", "s1.pathway0_stem.bn.bias"),
        ("res_conv1_bn_rm", "s1.pathway0_stem.bn.running_mean"),
        ("t_res_conv1_bn_riv", "s1.pathway1_stem.bn.running_var"),
        ("res4_0_branch1_w", "s4.pathway0_res0.branch1.weight"),
        ("t_res4_0_branch1_bn_s", "s4.pathway1_res0.branch1_bn.weight"),
        ("res4_22_branch2c_w", "s4.pathway0_res22.branch2.c.weight"),
        ("res4_4_branch2c_bn_b", "s4.pathway0_res4.branch2.c_bn.bias"),
        ("t_res5_2_branch2a_bn_rm", "s5.pathway1_res2.branch2.a_bn.running_mean"),
        ("t_pool1_subsample_w", "s1_fuse.conv_f2s.weight"),
        ("t_pool1_subsample_bn_s", "s1_fuse.bn_f2s.weight"),
        ("t_res2_2_branch2c_bn_subsample_w", "s2_fuse.conv_f2s.weight"),
        ("t_res4_22_branch2c_bn_subsample_bn_riv", "s4_fuse.bn_f2s.running_var"),
        ("nonlocal_conv3_1_theta_w", "s3.pathway0_nonlocal1.conv_theta.weight"),
        ("nonlocal_conv3_1_theta_b", "s3.pathway0_nonlocal1.conv_theta.bias"),
        ("nonlocal_conv4_13_phi_w", "s4.pathway0_nonlocal13.conv_phi.weight"),
        ("nonlocal_conv4_13_g_b", "s4.pathway0_nonlocal13.conv_g.bias"),
        ("nonlocal_conv4_5_out_w", "s4.pathway0_nonlocal5.conv_out.weight"),
        ("nonlocal_conv4_5_bn_s", "s4.pathway0_nonlocal5.bn.weight"),
        ("nonlocal_conv4_5_bn_rm", "s4.pathway0_nonlocal5.bn.running_mean"),
        ("pred_w", "head.projection.weight"),
        ("pred_b", "head.projection.bias"),
    ],
)
def test_blobs_have_the_names_that_pyslowfast_gives_them(blob, ours):
    assert rename(blob) == ours


@pytest.mark.parametrize("blob", ["conv1_w_momentum", "res_conv1_bn_s_momentum", "lr", "model_iter"])
def test_what_is_the_solver_s_is_dropped(blob):
    assert rename(blob) is None


@pytest.mark.parametrize("blob", ["fc1000_w", "t_nonlocal_conv3_1_theta_w", "res2_0_branch2d_w", "res_conv1_rm", "x"])
def test_other_blobs_keep_their_names(blob):
    assert rename(blob) == blob
