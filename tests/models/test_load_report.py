import re

import pytest
import torch

from avsf_det.models.checkpoint import load_weights
from avsf_det.models.load_report import LoadReport, likely_difference, part_of


@pytest.fixture
def report(make_model):
    """Of visual weights of nine classes and another Fast→Slow kernel, put into an audiovisual model."""
    visual = make_model(sound=False, fusion_kernel=7)
    visual.head.projection = torch.nn.Linear(visual.head.projection.in_features, 9)
    return load_weights(make_model(), visual.state_dict() | {"extra.weight": torch.zeros(2)})


def test_a_line_for_the_log_says_how_many_and_what_matters(report):
    line = str(report)
    assert "\n" not in line
    assert line.startswith(f"{len(report.loaded)} tensors loaded, {len(report.initialised)} initialised, 6 of another")
    assert "SLOWFAST.FS_FUSION, FUSION_KERNEL_SZ or FUSION_CONV_CHANNEL_RATIO probably differs" in line
    assert "s1_fuse.conv_f2s.weight is 8x4x5x1x1 in the model, 8x4x7x1x1 in the weights" in line
    assert "9 classes in the weights, 5 in the model" in line and "no Audio in the weights" in line


def test_the_table_has_every_tensor_with_its_shapes(report):
    table = report.table()
    for group in ("loaded", "partly", "initialised", "mismatched", "unused"):
        for name in getattr(report, group):
            module, _, leaf = name.rpartition(".")
            if not leaf.endswith("num_batches_tracked"):
                assert re.search(rf"^  {re.escape(module)}\.(\{{.*)?{leaf}", table, re.MULTILINE), name
    assert "  s1_fuse.conv_f2s.weight  8x4x5x1x1 in the model, 8x4x7x1x1 in the weights\n" in table
    assert "  head.projection.bias  5 in the model, 9 in the weights\n" in table
    assert "  extra.weight  2\n" in table
    assert "  s1.pathway0_stem.bn.{weight,bias,running_mean,running_var}  8\n" in table
    assert (
        table.index("of another shape, left")
        < table.index("not in the weights, left")
        < table.index("in the weights only")
    )


def test_where_all_is_loaded_that_is_all_it_says(make_model):
    model = make_model()
    report = load_weights(model, model.state_dict())
    assert str(report) == f"{len(model.state_dict())} tensors loaded" and report.differing == report.misfits == ()


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("s1.pathway0_stem.conv.weight", "Slow"),
        ("s4.pathway1_res0.branch1.weight", "Fast"),
        ("s3_fuse.conv_f2s.weight", "Fast"),
        ("s3_fuse.bn_f2s.bias", "Fast"),
        ("s3_fuse.conv_a2fs_0.weight", "Audio"),
        ("s2.pathway2_res0.branch2.t.weight", "Audio"),
        ("s3_fuse.avs.ref_fc.bias", "synchronisation"),
        ("s5_fuse.conv_f2s.weight", "synchronisation"),
        ("s4.pathway0_nonlocal6.conv_g.weight", "non-local"),
        ("s4.pathway0_res0.branch2.a_bn.silent_running_mean", None),
        ("head.projection.weight", None),
        ("fc.weight", None),
    ],
)
def test_tensors_belong_to_parts(name, part):
    assert part_of(name) == part


@pytest.mark.parametrize(
    ("group", "name", "key"),
    [
        ("mismatched", "s4.pathway0_res9.branch2.a.weight", "RESNET.NUM_BLOCK_TEMP_KERNEL"),
        ("initialised", "s4.pathway0_res9.branch2.a.weight", "RESNET.DEPTH"),
        ("mismatched", "s2_fuse.conv_f2s.weight", "FUSION_KERNEL_SZ"),
        ("unused", "s4.pathway0_nonlocal6.bn.weight", "NONLOCAL.LOCATION"),
        ("unused", "s2.pathway2_res0.branch2.b_t.weight", "RESNET.AUDIO_TRANS_FUNC"),
        ("mismatched", "s3_fuse.conv_a2fs_0.weight", "SLOWFAST.AFS_FUSION"),
    ],
)
def test_what_probably_differs_follows_from_what_does_not_fit(group, name, key):
    groups = dict.fromkeys(("loaded", "partly", "initialised", "mismatched", "unused"), ()) | {group: (name,)}
    shapes = {name: torch.Size([1])}
    assert key in likely_difference(LoadReport(**groups, own_shapes=shapes, their_shapes=shapes))


def test_a_part_on_one_side_only_is_no_fault_of_the_configuration(make_model):
    report = load_weights(make_model(), make_model(sound=False).state_dict())
    assert likely_difference(report) == "compare the configs" and "probably" not in str(report)
