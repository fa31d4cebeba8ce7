"""Augmentation of a clip together with its boxes. Sound is never moved, so it cannot drift from the picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import interpolate


@dataclass(frozen=True)
class TrainTransform:
    """Random scale, crop, mirror, colour and box noise.

    Attributes:
        jitter_scales: smallest and largest short side in pixels, drawn uniformly.
        crop_size: side of the random square crop; 0 keeps the whole picture.
        flip: mirror half of the clips.
        colour_jitter: brightness and contrast change by up to this share.
        box_jitter: box edges move by up to this share of the box's width and height.
    """

    jitter_scales: tuple[int, int]
    crop_size: int = 0
    flip: bool = True
    colour_jitter: float = 0.0
    box_jitter: float = 0.0

    @classmethod
    def from_config(cls, cfg: object) -> TrainTransform:
        """The transform that a configuration's DATA.TRAIN_* keys describe."""
        data = cfg.DATA
        return cls(
            tuple(data.TRAIN_JITTER_SCALES),
            data.TRAIN_CROP_SIZE,
            data.RANDOM_FLIP,
            data.TRAIN_COLOUR_JITTER,
            data.TRAIN_BOX_JITTER,
        )

    def __call__(
        self, frames: torch.Tensor, boxes: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Transform one clip.

        Args:
            frames: (T, H, W, 3) uint8.
            boxes: (N, 4) float32, x1 y1 x2 y2 in 0..1.
            generator: source of all randomness.

        Returns:
            frames (T, H', W', 3) uint8, boxes (N', 4) in 0..1 of the new picture, and the (N,) mask of boxes kept:
            those whose centre is still in the picture.
        """

        def uniform(low: float, high: float) -> float:
            return low + (high - low) * torch.rand((), generator=generator).item()

        if self.box_jitter:
            size = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
            boxes = boxes + self.box_jitter * size * (2 * torch.rand(boxes.shape, generator=generator) - 1)
        frames = resize(frames, round(uniform(*self.jitter_scales)))
        if self.crop_size:
            frames, boxes = self._crop(frames, boxes, uniform)
        if self.flip and uniform(0, 1) < 0.5:
            frames = frames.flip(2)
            boxes = torch.stack((1 - boxes[:, 2], boxes[:, 1], 1 - boxes[:, 0], boxes[:, 3]), dim=1)
        if self.colour_jitter:
            frames = self._colour(frames, uniform)
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        kept = ((centre > 0) & (centre < 1)).all(dim=1)
        return frames, boxes[kept].clamp(0, 1), kept

    def _crop(self, frames: torch.Tensor, boxes: torch.Tensor, uniform: object) -> tuple[torch.Tensor, torch.Tensor]:
        height, width = frames.shape[1:3]
        size = min(self.crop_size, height, width)
        top, left = round(uniform(0, height - size)), round(uniform(0, width - size))
        origin = torch.tensor((left / width, top / height) * 2)
        scale = torch.tensor((width / size, height / size) * 2)
        return frames[:, top : top + size, left : left + size], (boxes - origin) * scale

    def _colour(self, frames: torch.Tensor, uniform: object) -> torch.Tensor:
        contrast = uniform(1 - self.colour_jitter, 1 + self.colour_jitter)
        brightness = 255 * uniform(-self.colour_jitter, self.colour_jitter) / 2
        levels = torch.arange(256.0)
        table = ((levels - 127.5) * contrast + 127.5 + brightness).clamp(0, 255).to(torch.uint8)
        return torch.from_numpy(table.numpy()[frames.numpy()])  # several times faster than indexing in torch


def resize(frames: torch.Tensor, short_side: int) -> torch.Tensor:
    """(T, H, W, 3) uint8 scaled so that its shorter side is `short_side`."""
    height, width = frames.shape[1:3]
    if min(height, width) == short_side:
        return frames
    scale = short_side / min(height, width)
    size = (round(height * scale), round(width * scale))
    planes = interpolate(frames.permute(0, 3, 1, 2), size=size, mode="bilinear", antialias=scale < 1)
    return planes.permute(0, 2, 3, 1)
