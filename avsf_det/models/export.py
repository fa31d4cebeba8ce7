"""What leaves as a file that other programs run: a clip's bytes, log-mel and boxes in, scores out, as one graph."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from avsf_det.models.avslowfast import AVSlowFast
from avsf_det.models.inference import fold_norms
from avsf_det.models.non_local import NonLocal


class ClipScorer(nn.Module):
    """All that lies between a clip at the network's size and scores: normalisation, Slow and Fast, network, activation.

    Batch norms are folded, but for those that have other statistics for clips without sound: these choose clip by clip.

    Args:
        model: left as it is.
        scale, shift: (3,) float32; a channel's value in 0..255 is multiplied by the one and the other is added.
        slow: (T/alpha,) int64, the frames of the Slow pathway among the T of the Fast one.
    """

    def __init__(self, model: AVSlowFast, scale: torch.Tensor, shift: torch.Tensor, slow: torch.Tensor) -> None:
        super().__init__()
        self.backbone = fold_norms(copy.deepcopy(model.backbone), sound=None)
        self.head = copy.deepcopy(model.head)
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)
        self.register_buffer("slow", slow)
        self.eval().requires_grad_(False)

    def forward(
        self,
        frames: torch.Tensor,
        log_mel: torch.Tensor | None = None,
        audio_present: torch.Tensor | None = None,
        boxes: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Scores within 0..1: (N, K) of the boxes, or (B, K) of the clips, those of several label spaces in turn.

        Args:
            frames: (B, T, H, W, 3) uint8 RGB.
            log_mel: (B, A, M) float32, normalised; None for a model that does not listen.
            audio_present: (B,) bool, which clips have sound; the log-mel of the others is not looked at.
            boxes: (N, 5) float32, index of the clip, then x1 y1 x2 y2 in pixels; None for a model of whole clips.
        """
        fast = torch.addcmul(self.shift, frames.float(), self.scale).permute(0, 4, 1, 2, 3)
        audio = None if log_mel is None else log_mel[:, None, None]
        logits = self.head(self.backbone(fast[:, :, self.slow], fast, audio, audio_present), boxes)
        if isinstance(logits, dict):
            return torch.cat([self.head.activation(one) for one in logits.values()], dim=1)
        return self.head.activation(logits)

    def smallest_picture(self) -> int:
        """Pixels of H and W below which a feature map would be a single cell, which is another graph."""
        pools = [module.pool for module in self.modules() if isinstance(module, NonLocal)]
        pooled = max((max(getattr(pool, "kernel_size", (1,))) for pool in pools), default=1)
        return round(2 / self.head.spatial_scale) * pooled


@dataclass(frozen=True)
class Graph:
    """A scorer as a graph, for any B and N; with boxes for any H and W from `ClipScorer.smallest_picture` on.

    Attributes:
        program: the graph.
        sizes: for each input its dimensions that may vary, by index.
    """

    program: ExportedProgram
    sizes: Mapping[str, Mapping[int, Dim]]

    @classmethod
    def trace(cls, scorer: ClipScorer, example: Mapping[str, torch.Tensor]) -> Graph:
        """The graph of a scorer.

        Args:
            scorer: the module.
            example: its arguments by name, of two clips and two boxes or more.
        """
        clips = Dim("clips")
        sizes = {name: {0: clips} for name in example}
        if "boxes" in example:
            smallest = scorer.smallest_picture()
            sizes["frames"] |= {2: Dim("height", min=smallest), 3: Dim("width", min=smallest)}
            sizes["boxes"] = {0: Dim("persons")}
        program = torch.export.export(scorer, (), dict(example), dynamic_shapes=sizes, strict=False)
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # would tell whoever gets the file how this machine's folders are called
        return cls(program, sizes)

    def save_torch(self, path: Path, about: Mapping[str, str]) -> None:
        """Write it as torch.export does, with texts that describe it as extra files."""
        torch.export.save(self.program, path, extra_files=dict(about))

    def save_onnx(self, path: Path, about: Mapping[str, str]) -> None:
        """Write it as ONNX, with texts that describe it as its metadata."""
        for name in ("onnx_ir", "onnxscript"):
            logging.getLogger(name).setLevel(logging.WARNING)  # a line for every constant that it merges
        names = {"output_names": ["scores"], "dynamic_shapes": self.sizes}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that several inputs have a dimension of one name
            onnx = torch.onnx.export(self.program, dynamo=True, verbose=False, **names)
        onnx.model.metadata_props.update(about)
        onnx.save(path, external_data=False)
