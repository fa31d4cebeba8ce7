"""What a model is made of: shapes, parameters and operations of each pathway and stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from avsf_det.models.avslowfast import AVSlowFast
from avsf_det.models.pathways import PREFIX, Pathways

PATHWAYS = dict(zip(PREFIX, ("Slow", "Fast", "Audio")))
STAGES = {"s1": "conv1, pool1", "s2": "res2", "s3": "res3", "s4": "res4", "s5": "res5"}


@dataclass(frozen=True)
class Row:
    """One pathway's part of one stage.

    Attributes:
        stage: such as "res3", "after res3" for what joins the pathways, or "head".
        pathway: Slow, Fast, Audio; "joined" for what joins them.
        shape: C, T, H, W of what comes out of one clip; () if it is only trained.
        parameters: number of them.
        gflops: 10^9 multiply-adds of convolutions, linear layers and matrix products, for one clip.
    """

    stage: str
    pathway: str
    shape: tuple[int, ...]
    parameters: int
    gflops: float


def summarise(
    model: AVSlowFast, slow: torch.Tensor, fast: torch.Tensor, audio: torch.Tensor | None, boxes: torch.Tensor | None
) -> list[Row]:
    """The rows of a model for one clip; with a model and inputs on the device "meta" nothing is computed.

    Args:
        model: in evaluation mode.
        slow, fast, audio, boxes: what `AVSlowFast.forward` takes, B = 1.
    """
    shapes: dict[str, Pathways | torch.Tensor] = {}
    handles = [
        module.register_forward_hook(lambda _, __, output, name=name: shapes.update({name: output}))
        for name, module in model.backbone.named_children()
        if name.startswith("s")
    ]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(slow, fast, audio, boxes)
    for handle in handles:
        handle.remove()
    counts = {name: sum(ops.values()) / 2 / 1e9 for name, ops in counter.get_flop_counts().items()}

    rows = []
    for stage, title in STAGES.items():
        module = getattr(model.backbone, stage)
        for prefix, output in zip(PREFIX, shapes[stage]):
            parts = [name for name, _ in module.named_children() if name.startswith(prefix)]
            if parts and output is not None:
                parameters = sum(_parameters(getattr(module, part)) for part in parts)
                gflops = sum(_count(counts, f"backbone.{stage}.{part}") for part in parts)
                rows.append(Row(title, PATHWAYS[prefix], tuple(output.shape[1:]), parameters, gflops))
        fuse = getattr(model.backbone, f"{stage}_fuse", None)
        if fuse is not None and _parameters(fuse):
            shape = tuple(shapes[f"{stage}_fuse"].slow.shape[1:]) if f"{stage}_fuse" in shapes else ()
            gflops = _count(counts, f"backbone.{stage}_fuse")
            rows.append(Row(f"after {title.split(', ')[-1]}", "joined", shape, _parameters(fuse), gflops))
    for name in ("head", "clip_head"):
        if hasattr(model, name):
            rows.append(Row(name, "joined", (), _parameters(getattr(model, name)), _count(counts, name)))
    return rows


def format_summary(rows: Sequence[Row]) -> str:
    """The rows as a table, with a total for each pathway and one for all."""
    cells = [("stage", "pathway", "C x T x H x W", "parameters", "GFLOPs")]
    cells += [
        (row.stage, row.pathway, " x ".join(map(str, row.shape)) or "-", f"{row.parameters:,}", f"{row.gflops:.3f}")
        for row in rows
    ]
    totals = [("all", name, [row for row in rows if row.pathway == name]) for name in (*PATHWAYS.values(), "joined")]
    for stage, pathway, some in [*(total for total in totals if total[2]), ("all", "all", rows)]:
        parameters, gflops = sum(row.parameters for row in some), sum(row.gflops for row in some)
        cells.append((stage, pathway, "", f"{parameters:,}", f"{gflops:.2f}"))
    widths = [max(len(row[i]) for row in cells) for i in range(5)]
    lines = ["  ".join(f"{c:<{w}}" if i < 3 else f"{c:>{w}}" for i, (c, w) in enumerate(zip(r, widths))) for r in cells]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1 : 1 + len(rows)], rule, *lines[1 + len(rows) :]])


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _count(counts: dict[str, float], name: str) -> float:
    return next((count for full, count in counts.items() if full.split(".", 1)[-1] == name), 0.0)
