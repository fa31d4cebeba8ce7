"""Augmentation of a clip with its boxes, labels and sound. None of it moves anything in time: sound cannot drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch.nn.functional import interpolate

from avsf_det.data.batch import Sample
from avsf_det.data.colour import ColourAugmentation, brightness_contrast
from avsf_det.data.mirror import mirrored_boxes, mirrored_classes
from avsf_det.data.spec_augment import SpecAugment


@dataclass(frozen=True)
class TrainTransform:
    """Random scale, crop, mirror, colour, box noise and masks on the sound.

    Attributes:
        jitter_scales: smallest and largest short side in pixels, of which one is drawn.
        crop_size: side of the random square crop; 0 keeps the whole picture.
        flip: mirror half of the clips.
        colour_jitter: brightness and contrast change by up to this share.
        box_jitter: box edges move by up to this share of the box's width and height.
        inverse_uniform: the inverse of the short side is drawn uniformly, rather than the short side.
        mirrored_classes: for each of the K classes, the one that it is in a mirror; () if all stay.
        colour: PySlowFast's change of colours, or None.
        spec_augment: masks on the sound, or None.
    """

    jitter_scales: tuple[int, int]
    crop_size: int = 0
    flip: bool = True
    colour_jitter: float = 0.0
    box_jitter: float = 0.0
    inverse_uniform: bool = False
    mirrored_classes: tuple[int, ...] = ()
    colour: ColourAugmentation | None = None
    spec_augment: SpecAugment | None = None

    @classmethod
    def from_config(cls, cfg: object, class_names: Sequence[str] = ()) -> TrainTransform:
        """The transform that a configuration's DATA and AVA keys describe, for classes of these names."""
        data = cfg.DATA
        return cls(
            jitter_scales=tuple(data.TRAIN_JITTER_SCALES),
            crop_size=data.TRAIN_CROP_SIZE,
            flip=data.RANDOM_FLIP,
            colour_jitter=data.TRAIN_COLOUR_JITTER,
            box_jitter=data.TRAIN_BOX_JITTER,
            inverse_uniform=data.INV_UNIFORM_SAMPLING,
            mirrored_classes=mirrored_classes(class_names),
            colour=ColourAugmentation.from_config(cfg),
            spec_augment=SpecAugment.from_config(cfg),
        )

    def __call__(self, sample: Sample, generator: torch.Generator) -> Sample:
        """Transform one clip with all that belongs to it.

        Args:
            sample: the clip, with the whole picture.
            generator: source of all randomness.

        Returns:
            The sample with (T, H', W', 3) frames, and of its boxes those whose centre is still in the picture.
        """

        def uniform(low: float, high: float) -> float:
            return low + (high - low) * torch.rand((), generator=generator).item()

        frames, boxes, labels = sample.frames, sample.boxes, sample.labels
        if self.box_jitter:
            size = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
            boxes = boxes + self.box_jitter * size * (2 * torch.rand(boxes.shape, generator=generator) - 1)
        short_side = self._short_side(uniform)
        if self.crop_size:
            frames, boxes = self._crop(frames, boxes, short_side, uniform)
        else:
            frames = resize(frames, short_side)
        if self.flip and uniform(0, 1) < 0.5:
            frames = frames.flip(2)
            boxes = mirrored_boxes(boxes)
            labels = labels[:, list(self.mirrored_classes)] if self.mirrored_classes else labels
        if self.colour_jitter:
            frames = brightness_contrast(frames, self.colour_jitter, uniform)
        if self.colour:
            frames = self.colour(frames, generator)
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        kept = ((centre > 0) & (centre < 1)).all(dim=1)
        if len(boxes):  # else the labels are the whole clip's
            boxes, labels = boxes[kept].clamp(0, 1), labels[kept]
        sample = replace(sample, frames=frames, boxes=boxes, labels=labels)
        return self.spec_augment(sample, generator) if self.spec_augment else sample

    def _short_side(self, uniform: object) -> int:
        low, high = self.jitter_scales
        return round(1 / uniform(1 / high, 1 / low)) if self.inverse_uniform else round(uniform(low, high))

    def _crop(
        self, frames: torch.Tensor, boxes: torch.Tensor, short_side: int, uniform: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """A square cut from the picture and scaled, as if the whole had been scaled to `short_side` before."""
        height, width = frames.shape[1:3]
        size = min(self.crop_size, short_side)
        side = round(size * min(height, width) / short_side)
        top, left = round(uniform(0, height - side)), round(uniform(0, width - side))
        origin = torch.tensor((left / width, top / height) * 2)
        scale = torch.tensor((width / side, height / side) * 2)
        return _resize(frames[:, top : top + side, left : left + side], size, size), (boxes - origin) * scale


def resize(frames: torch.Tensor, short_side: int) -> torch.Tensor:
    """(T, H, W, 3) uint8 frames scaled so that their shorter side is `short_side`."""
    height, width = frames.shape[1:3]
    scale = short_side / min(height, width)
    return _resize(frames, round(height * scale), round(width * scale))


def _resize(frames: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(T, height, width, 3) uint8 of (T, H, W, 3) uint8."""
    if frames.shape[1:3] == (height, width):
        return frames
    smaller = height < frames.shape[1]
    planes = interpolate(frames.permute(0, 3, 1, 2), size=(height, width), mode="bilinear", antialias=smaller)
    return planes.permute(0, 2, 3, 1)
