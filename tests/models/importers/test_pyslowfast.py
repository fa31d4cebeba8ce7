import json
from pathlib import Path

import pytest
import torch

from avsf_det.models.importers import pyslowfast
from avsf_det.models.importers.pyslowfast import export, rename

GOLDEN = Path(__file__).parents[1] / "golden"


def public_names(name):
    return list(json.loads((GOLDEN / f"{name}.state.json").read_text()))


def test_only_the_norm_of_fast_to_slow_is_called_otherwise():
    renamed = {name: rename(name) for name in public_names("slowfast_32x2_r50_ava")}
    changed = {name: ours for name, ours in renamed.items() if name != ours}
    assert len(changed) == 4 * 5
    assert all(ours == name.replace("_fuse.bn.", "_fuse.bn_f2s.") for name, ours in changed.items())


def test_the_authors_names_are_ours():
    assert all(rename(name) == name for name in public_names("avslowfast_4x16_r50"))


def test_the_norm_of_a_non_local_block_has_two_names():
    name = "s4.pathway0_nonlocal6.norm.running_var"
    assert rename(name) == rename(name.replace("norm", "bn")) == "s4.pathway0_nonlocal6.bn.running_var"


@pytest.mark.parametrize("norm", ["s1.pathway0_stem.bn", "s2.pathway1_res0.branch1_bn", "s3.pathway0_nonlocal1.bn"])
def test_a_norm_of_sub_batches_becomes_a_plain_one(norm):
    """PySlowFast's `SubBatchNorm3d`: affine outside; statistics of the whole in `bn`, of the parts in `split_bn`."""
    names = [f"{norm}.{leaf}" for leaf in ("weight", "bias")]
    for inner in ("bn", "split_bn"):
        names += [f"{norm}.{inner}.{leaf}" for leaf in ("running_mean", "running_var", "num_batches_tracked")]
    renamed = {ours: name for name in names if (ours := rename(name))}
    assert renamed == {
        f"{norm}.weight": f"{norm}.weight",
        f"{norm}.bias": f"{norm}.bias",
        f"{norm}.running_mean": f"{norm}.bn.running_mean",
        f"{norm}.running_var": f"{norm}.bn.running_var",
        f"{norm}.num_batches_tracked": f"{norm}.split_bn.num_batches_tracked",
    }


@pytest.mark.parametrize("name", ["slowfast_32x2_r50_ava", "avslowfast_4x16_r50"])
def test_what_is_exported_has_the_public_names(name):
    ours = {rename(public): torch.zeros(0) for public in public_names(name)}
    assert list(export(ours)) == public_names(name)


def test_what_is_ours_alone_is_not_exported():
    state = {"s1.pathway2_stem.bn.running_mean": 1, "s4.pathway0_res0.branch2.a_bn.silent_running_mean": 2, "gate.x": 3}
    assert list(pyslowfast.export(state)) == ["s1.pathway2_stem.bn.running_mean"]
