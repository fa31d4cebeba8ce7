"""PySlowFast's names, which are ours but for a few, and those of fanyix/SlowFast, the authors' AVSlowFast.

Read in PySlowFast's `slowfast/models/{stem,resnet,video_model_builder,batchnorm}_helper.py`, `utils/checkpoint.py`, and
in lists of its models' state dicts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

SUB_BATCH_NORM = re.compile(r"(bn)\.(bn|split_bn)\.(\w+)$")


def rename(name: str) -> str | None:
    """Our name of a tensor; None for what a norm of sub-batches keeps twice.

    Fast→Slow's norm is `bn` where a model never heard of sound, and a non-local block's is `norm` in later versions. A
    norm of sub-batches has its statistics in `bn.bn` and again, in parts, in `bn.split_bn`, which alone counts batches.
    """
    if doubled := SUB_BATCH_NORM.search(name):
        outer, inner, leaf = doubled.groups()
        if (leaf == "num_batches_tracked") != (inner == "split_bn"):
            return None
        name = SUB_BATCH_NORM.sub(f"{outer}.{leaf}", name)
    name = re.sub(r"(nonlocal\d+)\.norm\.", r"\1.bn.", name)
    return re.sub(r"_fuse\.bn\.", "_fuse.bn_f2s.", name)


def export(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Our tensors under the names that PySlowFast, or for a model with sound fanyix/SlowFast, has for them.

    What neither has is left out: statistics of clips without sound.
    """
    sound = any("pathway2" in name for name in state)
    return {
        name if sound else name.replace("_fuse.bn_f2s.", "_fuse.bn."): tensor
        for name, tensor in state.items()
        if re.match(r"(s\d|head)[._]", name) and "silent_" not in name
    }
