"""The whole network: a backbone and a head, or two."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from avsf_det.models.pathways import Pathways
from avsf_det.models.synchronisation import Embeddings, sync_losses, valid_pairs

Scores = torch.Tensor | dict[str, torch.Tensor]
"""(N, K) or (B, K); with several label spaces, one such tensor a name."""


class AVSlowFast(nn.Module):
    """A backbone and a head under one state dict, whose names are PySlowFast's: `s1...`, `head...`; `clip_head...`.

    Args:
        backbone: as `AVSlowFastBackbone`: (slow, fast, audio, audio_present) to `Pathways` of feature maps.
        head: (feature maps, boxes) to logits, as `RoIHead` or `ClassificationHead`.
        sync_loss: of audiovisual synchronisation, a name in `synchronisation.SYNC_LOSSES`.
        variance_threshold, duplicate_threshold: which sounds it leaves out, see `synchronisation.valid_pairs`.
        detached: only the head learns, from what the backbone gives outside training (PySlowFast's DETACH_FINAL_FC).
        clip_head: a `ClassificationHead` beside a `RoIHead`, for clips that are given without boxes.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        sync_loss: str = "margin",
        variance_threshold: float = 0.01,
        duplicate_threshold: float = 0.99999,
        detached: bool = False,
        clip_head: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        if clip_head is not None:
            self.clip_head = clip_head
        self.sync_loss = sync_loss
        self.variance_threshold, self.duplicate_threshold = variance_threshold, duplicate_threshold
        self.detached = detached
        if detached:
            backbone.requires_grad_(False)
        self.register_state_dict_post_hook(_strip_backbone)
        self.register_load_state_dict_pre_hook(_prepend_backbone)

    def forward(
        self,
        slow: torch.Tensor,
        fast: torch.Tensor,
        audio: torch.Tensor | None = None,
        boxes: torch.Tensor | None = None,
        audio_present: torch.Tensor | None = None,
        misaligned: torch.Tensor | None = None,
    ) -> Scores | tuple[Scores, dict[str, torch.Tensor]]:
        """Logits (N, K) of the boxes, or (B, K) of the clips; `scores` makes them scores within 0..1.

        Args:
            slow: (B, 3, T, H, W), normalised RGB.
            fast: (B, 3, alpha * T, H, W).
            audio: (B, 1, 1, A, M), normalised log-mel; None if no clip has sound.
            boxes: (N, 5), index of the clip, then x1 y1 x2 y2 in pixels of the clip; None for classification.
            audio_present: (B,) bool, which clips have sound; None is all of them.
            misaligned: (B, 1, 1, A, M), negatives of synchronisation, zeros where a clip has none. With them, also its
                loss at each of the backbone's junctions of synchronisation is returned, by junction: the mean over
                this process's clips that count, 0 of none.

        Raises:
            ValueError: if the numbers of frames do not fit each other, or boxes are missing or not wanted.
        """
        if misaligned is None:
            return self._logits(self.backbone(slow, fast, audio, audio_present), boxes)
        if audio_present is None:
            audio_present = torch.ones(len(slow), dtype=torch.bool, device=slow.device)
        valid = valid_pairs(audio, misaligned, audio_present, self.variance_threshold, self.duplicate_threshold)
        features, embeddings = self.backbone(slow, fast, audio, audio_present, misaligned, valid)
        return self._logits(features, boxes), sync_losses(embeddings, valid, self.sync_loss)

    def _logits(self, features: Pathways, boxes: torch.Tensor | None) -> Scores:
        if not hasattr(self, "clip_head"):
            return self.head(features, boxes)
        used, other = (self.clip_head, self.head) if boxes is None else (self.head, self.clip_head)
        logits = used(features, boxes)
        if not self.training:
            return logits
        nothing = 0.0 * sum(parameter.sum() for parameter in other.parameters())  # DDP waits for every gradient
        return {name: one + nothing for name, one in logits.items()} if isinstance(logits, dict) else logits + nothing

    def train(self, mode: bool = True) -> AVSlowFast:
        """As `nn.Module.train`; a backbone that does not learn stays as it is outside training."""
        super().train(mode)
        if self.detached:
            self.backbone.eval()
        return self

    def embed(
        self, slow: torch.Tensor, fast: torch.Tensor, audio: torch.Tensor, misaligned: torch.Tensor
    ) -> dict[str, Embeddings]:
        """By junction of synchronisation the embeddings of pictures, which hold no sound, and of both sounds.

        Args:
            slow, fast, audio, misaligned: as `forward`; the model is not in training.
        """
        silent = torch.zeros(len(slow), dtype=torch.bool, device=slow.device)
        return self.backbone(slow, fast, audio, silent, misaligned)[1]

    def scores(self, logits: Scores) -> Scores:
        """Scores within 0..1 of what `forward` returned."""
        return _activated(self.head, logits)

    def clip_scores(self, logits: Scores) -> Scores:
        """The same of whole clips, for a model that may have a head for boxes beside the one for clips."""
        return _activated(getattr(self, "clip_head", self.head), logits)


def _activated(head: nn.Module, logits: Scores) -> Scores:
    if isinstance(logits, dict):
        return {name: head.activation(one) for name, one in logits.items()}
    return head.activation(logits)


def initialise(model: nn.Module, zero_init_final_gamma: bool = True, fc_std: float = 0.01) -> None:
    """Random weights as PySlowFast `weight_init_helper.py` draws them, from torch's generator.

    Args:
        model: convolutions get Kaiming normal (fan out), linear layers a normal of `fc_std` and a bias of 0.
        zero_init_final_gamma: the norm that ends each residual branch (`last_bn`) starts with a scale of 0.
        fc_std: standard deviation of the linear layers' weights.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=fc_std)
            nn.init.zeros_(module.bias)
        elif zero_init_final_gamma and hasattr(module, "last_bn"):
            nn.init.zeros_(module.last_bn.weight)


def _strip_backbone(module: AVSlowFast, state: dict[str, Any], prefix: str, metadata: dict) -> None:
    for name in list(state):
        if name.startswith(f"{prefix}backbone."):
            state[prefix + name.removeprefix(f"{prefix}backbone.")] = state.pop(name)


def _prepend_backbone(module: AVSlowFast, state: dict[str, Any], prefix: str, *args: object) -> None:
    for name in list(state):
        if name.startswith(prefix) and not name.startswith((f"{prefix}head.", f"{prefix}clip_head.")):
            state[f"{prefix}backbone.{name.removeprefix(prefix)}"] = state.pop(name)
