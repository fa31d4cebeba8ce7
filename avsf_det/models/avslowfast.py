"""The whole network: a backbone and a head."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from avsf_det.models.pathways import ResBlock


class AVSlowFast(nn.Module):
    """A backbone and a head under one state dict, whose names are PySlowFast's: `s1...`, `head...`.

    Args:
        backbone: (slow, fast, audio, audio_present) to `Pathways` of feature maps, as `AVSlowFastBackbone`.
        head: (feature maps, boxes) to scores, as `RoIHead` or `ClassificationHead`.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.register_state_dict_post_hook(_strip_backbone)
        self.register_load_state_dict_pre_hook(_prepend_backbone)

    def forward(
        self,
        slow: torch.Tensor,
        fast: torch.Tensor,
        audio: torch.Tensor | None = None,
        boxes: torch.Tensor | None = None,
        audio_present: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """What the head says: logits (N, K) of the boxes, or (B, K) of the clips.

        Args:
            slow: (B, 3, T, H, W), normalised RGB.
            fast: (B, 3, alpha * T, H, W).
            audio: (B, 1, 1, A, M), normalised log-mel; None if no clip has sound.
            boxes: (N, 5), index of the clip, then x1 y1 x2 y2 in pixels of the clip; None for classification.
            audio_present: (B,) bool, which clips have sound; None is all of them.

        Raises:
            ValueError: if the numbers of frames do not fit each other.
        """
        return self.head(self.backbone(slow, fast, audio, audio_present), boxes)


def initialise(model: nn.Module, zero_init_final_gamma: bool = True, fc_std: float = 0.01) -> None:
    """Random weights as PySlowFast `weight_init_helper.py` draws them, from torch's generator.

    Args:
        model: convolutions get Kaiming normal (fan out), linear layers a normal of `fc_std` and a bias of 0.
        zero_init_final_gamma: the norm that ends each residual branch starts with a scale of 0.
        fc_std: standard deviation of the linear layers' weights.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=fc_std)
            nn.init.zeros_(module.bias)
        elif isinstance(module, ResBlock) and zero_init_final_gamma:
            nn.init.zeros_(module.last_bn.weight)


def _strip_backbone(module: AVSlowFast, state: dict[str, Any], prefix: str, metadata: dict) -> None:
    for name in list(state):
        if name.startswith(f"{prefix}backbone."):
            state[prefix + name.removeprefix(f"{prefix}backbone.")] = state.pop(name)


def _prepend_backbone(module: AVSlowFast, state: dict[str, Any], prefix: str, *args: object) -> None:
    for name in list(state):
        if name.startswith(prefix) and not name.startswith(f"{prefix}head."):
            state[f"{prefix}backbone.{name.removeprefix(prefix)}"] = state.pop(name)
