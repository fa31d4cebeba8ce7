"""PyTorchVideo's names: `create_slowfast` and `create_resnet`, for clips and with a RoI head.

Read in its `models/{slowfast,resnet,stem,head,net}.py`. Block 0 is conv1, blocks 1 to 4 are res2 to res5; a Slow model
alone has no pathways in its names. The linear layer is the last block's, or for detection `detection_head`'s.
"""

from __future__ import annotations

import re

BLOCK = re.compile(
    r"(?:[\w.]+\.)?blocks\.(?P<k>\d+)\.(?:multipathway_blocks\.(?P<p>\d+)\.)?(?P<layer>.+)\.(?P<leaf>\w+)"
)
HEAD = re.compile(r"(?:[\w.]+\.)?(?:blocks\.\d+|detection_head)\.proj\.(weight|bias)")
LAYERS = tuple(
    (re.compile(layer), name)
    for layer, name in (
        (r"conv", r"s{k}.pathway{p}_stem.conv"),
        (r"norm", r"s{k}.pathway{p}_stem.bn"),
        (r"res_blocks\.(\d+)\.branch1_conv", r"s{k}.pathway{p}_res\1.branch1"),
        (r"res_blocks\.(\d+)\.branch1_norm", r"s{k}.pathway{p}_res\1.branch1_bn"),
        (r"res_blocks\.(\d+)\.branch2\.conv_([a-c])", r"s{k}.pathway{p}_res\1.branch2.\2"),
        (r"res_blocks\.(\d+)\.branch2\.norm_([a-c])", r"s{k}.pathway{p}_res\1.branch2.\2_bn"),
        (r"multipathway_fusion\.conv_fast_to_slow", r"s{k}_fuse.conv_f2s"),
        (r"multipathway_fusion\.norm", r"s{k}_fuse.bn_f2s"),
    )
)


def rename(name: str) -> str:
    """Our name of a tensor, its own where it is unknown."""
    if head := HEAD.fullmatch(name):
        return f"head.projection.{head[1]}"
    if block := BLOCK.fullmatch(name):
        for pattern, template in LAYERS:
            if layer := pattern.fullmatch(block["layer"]):
                ours = layer.expand(template).format(k=int(block["k"]) + 1, p=block["p"] or 0)
                return f"{ours}.{block['leaf']}"
    return name
