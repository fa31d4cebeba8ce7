"""Heads on the backbone's feature maps: actions of each box, or of the whole clip (PySlowFast `head_helper.py`)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from avsf_det.models.pathways import Pathways

ACTIVATIONS = {"softmax": nn.Softmax(dim=-1), "sigmoid": nn.Sigmoid()}


class RoIHead(nn.Module):
    """Scores for each box: mean over time, RoIAlign, maximum over the box; the clip's mean sound joins every box.

    Args:
        channels: of each pathway's feature map (`AVSlowFastBackbone.channels`).
        num_classes: K.
        spatial_scale: feature map cells per pixel of the clip: 1/16 where the visual res5 has a stride of 1.
        resolution: cells RoIAlign makes of a box along each side.
        sampling_ratio: RoIAlign samples along each side of a cell; 0 is as many as the box's size calls for.
        aligned: shift boxes by half a pixel; PySlowFast has False in its AVA models converted from Caffe2.
        dropout: chance to drop an input of the linear layer.
    """

    def __init__(
        self,
        channels: Pathways,
        num_classes: int,
        spatial_scale: float = 1 / 16,
        resolution: int = 7,
        sampling_ratio: int = 0,
        aligned: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.spatial_scale = spatial_scale
        self.resolution = resolution
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned
        self.activation = ACTIVATIONS["sigmoid"]
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(sum(filter(None, channels)), num_classes)

    def forward(self, x: Pathways, boxes: torch.Tensor | None) -> torch.Tensor:
        """Logits (N, K) of `boxes` (N, 5): index of the clip, then x1 y1 x2 y2 in pixels of the clip.

        Raises:
            ValueError: if there are no boxes, or they are not (N, 5).
        """
        if boxes is None or boxes.dim() != 2 or boxes.shape[1] != 5:
            got = "no boxes" if boxes is None else f"boxes of shape {tuple(boxes.shape)}"
            raise ValueError(f"got {got}, expected (N, 5): index of the clip, then x1 y1 x2 y2 in pixels of the clip")
        boxes = boxes.float()
        pooled = [self._pool_boxes(one, boxes) for one in (x.slow, x.fast) if one is not None]
        if x.audio is not None:
            pooled.append(x.audio.mean(dim=(2, 3, 4))[boxes[:, 0].long()])
        return self.projection(self.dropout(torch.cat(pooled, dim=1)))

    def _pool_boxes(self, x: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
        cells = roi_align(
            x.mean(dim=2).float(), boxes, self.resolution, self.spatial_scale, self.sampling_ratio, self.aligned
        )
        return cells.amax(dim=(2, 3))


class ClassificationHead(nn.Module):
    """Scores for the whole clip, in one label space or in several at once (EPIC-Kitchens: verb and noun).

    Args:
        channels: of each pathway's feature map (`AVSlowFastBackbone.channels`).
        num_classes: K, or name -> K of each label space; its linear layer is then `projection_<name>`.
        pool_size: height and width that the visual feature maps have for a training crop; a larger picture gives a
            grid of such places (PySlowFast: 7, from crops of 224). None is the whole map.
        activation: "softmax" for one class a clip, "sigmoid" for several.
        dropout: chance to drop an input of the linear layer.

    Raises:
        ValueError: if the activation is neither.
    """

    def __init__(
        self,
        channels: Pathways,
        num_classes: int | Mapping[str, int],
        pool_size: int | None = 7,
        activation: str = "softmax",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation: got {activation!r}, expected one of {', '.join(ACTIVATIONS)}")
        self.pool_size = pool_size
        self.activation = ACTIVATIONS[activation]
        self._log_scores = LOG_SCORES[activation]
        self.dropout = nn.Dropout(dropout)
        self.label_spaces = tuple(num_classes) if isinstance(num_classes, Mapping) else ()
        features = sum(filter(None, channels))
        for name in self.label_spaces:
            self.add_module(f"projection_{name}", nn.Linear(features, num_classes[name]))
        if not self.label_spaces:
            self.projection = nn.Linear(features, num_classes)

    def forward(self, x: Pathways, boxes: None = None) -> torch.Tensor | dict[str, torch.Tensor]:
        """Logits (B, K), or name -> logits of each label space.

        With a grid of places, the logits are those whose scores are the mean of the places' scores, as PySlowFast
        averages them; in training, the mean of the places' logits.

        Raises:
            ValueError: if there are boxes.
        """
        if boxes is not None:
            raise ValueError("got boxes, but this head scores whole clips; DETECTION.ENABLE makes one for boxes")
        pooled = [self._pool_places(one) for one in (x.slow, x.fast) if one is not None]
        if x.audio is not None:
            audio = x.audio.mean(dim=(2, 3, 4), keepdim=True)
            pooled.append(audio.expand(-1, -1, *pooled[0].shape[2:]) if pooled else audio)
        features = self.dropout(torch.cat(pooled, dim=1).flatten(2).transpose(1, 2))
        if not self.label_spaces:
            return self._over_places(self.projection(features))
        projections = {name: getattr(self, f"projection_{name}") for name in self.label_spaces}
        return {name: self._over_places(projection(features)) for name, projection in projections.items()}

    def _pool_places(self, x: torch.Tensor) -> torch.Tensor:
        height, width = (min(self.pool_size or size, size) for size in x.shape[3:])
        return F.avg_pool3d(x, (x.shape[2], height, width), stride=1)

    def _over_places(self, logits: torch.Tensor) -> torch.Tensor:
        """(B, K) from the logits (B, places, K)."""
        places = logits.shape[1]
        if self.training or places == 1:
            return logits.mean(dim=1)
        return self._log_scores(logits.float(), places)


def _softmax_logits(logits: torch.Tensor, places: int) -> torch.Tensor:
    return (logits.log_softmax(dim=2).logsumexp(dim=1) - math.log(places)).to(logits.dtype)


def _sigmoid_logits(logits: torch.Tensor, places: int) -> torch.Tensor:
    positive, negative = F.logsigmoid(logits).logsumexp(dim=1), F.logsigmoid(-logits).logsumexp(dim=1)
    return positive - negative


LOG_SCORES = {"softmax": _softmax_logits, "sigmoid": _sigmoid_logits}
"""Activation -> from the logits (B, places, K) those (B, K) whose scores are the mean of the places' scores."""
