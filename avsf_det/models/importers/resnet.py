"""Names of ResNets for pictures, which start the Slow pathway: torchvision's and Detectron2's.

A basic block's convolutions 1 and 2 are our `a` and `b`, a bottleneck's 1, 2 and 3 our `a`, `b` and `c`. Whatever
comes before the names (`backbone.bottom_up.`) does not matter. torchvision's: `torchvision/models/resnet.py`;
Detectron2's: `detectron2/modeling/backbone/resnet.py`.
"""

from __future__ import annotations

import re

LETTERS = {"1": "a", "2": "b", "3": "c"}
TORCHVISION = re.compile(
    r"(?:[\w.]+\.)?layer(?P<k>\d)\.(?P<i>\d+)\.(?:(?P<kind>conv|bn)(?P<n>[1-3])|downsample\.(?P<down>[01]))\.(?P<leaf>\w+)"
)
DETECTRON2 = re.compile(
    r"(?:[\w.]+\.)?res(?P<k>\d)\.(?P<i>\d+)\.(?:conv(?P<n>[1-3])|shortcut)(?P<norm>\.norm)?\.(?P<leaf>\w+)"
)


def rename_torchvision(name: str) -> str:
    """Our name of a tensor, its own where it is unknown (the classifier, `fc`)."""
    if "layer" not in name and (stem := re.fullmatch(r"(?:[\w.]+\.)?(conv|bn)1\.(\w+)", name)):
        return f"s1.pathway0_stem.{stem[1]}.{stem[2]}"
    if found := TORCHVISION.fullmatch(name):
        norm = found["kind"] == "bn" or found["down"] == "1"
        return _block(int(found["k"]) + 1, found["i"], found["n"], norm, found["leaf"])
    return name


def rename_detectron2(name: str) -> str:
    """Our name of a tensor, its own where it is unknown (a pyramid, a detector's heads)."""
    if stem := re.fullmatch(r"(?:[\w.]+\.)?stem\.conv1(\.norm)?\.(\w+)", name):
        return f"s1.pathway0_stem.{'bn' if stem[1] else 'conv'}.{stem[2]}"
    if found := DETECTRON2.fullmatch(name):
        return _block(found["k"], found["i"], found["n"], bool(found["norm"]), found["leaf"])
    return name


def _block(stage: int | str, block: str, number: str | None, norm: bool, leaf: str) -> str:
    layer = f"branch2.{LETTERS[number]}" if number else "branch1"
    return f"s{stage}.pathway0_res{block}.{layer}{'_bn' if norm else ''}.{leaf}"
