"""Changes of a clip's colours, the same in all its frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

GREY = (0.299, 0.587, 0.114)
"""Rec. 601: what red, green and blue add to brightness, as in PySlowFast."""


def brightness_contrast(frames: torch.Tensor, share: float, uniform: Callable[[float, float], float]) -> torch.Tensor:
    """(T, H, W, 3) uint8 with contrast, around middle grey, and brightness changed by up to `share`."""
    contrast = uniform(1 - share, 1 + share)
    brightness = 255 * uniform(-share, share) / 2
    levels = np.arange(256.0)
    return _mapped(frames, ((levels - 127.5) * contrast + 127.5 + brightness)[:, None].repeat(3, axis=1))


@dataclass(frozen=True)
class ColourAugmentation:
    """PySlowFast's change of colours in AVA (`ava_dataset.py`): brightness, contrast, saturation, then PCA noise.

    Two things differ. Contrast is about the mean grey of the clip, not of each frame, so that nothing flickers; and
    colours end at black and white, for clips travel as bytes.

    Attributes:
        eigval: (3,) standard deviations along the principal axes of colour, of which `PCA_STD` is taken.
        eigvec: (3, 3) these axes, a column each, in RGB.
        pca_only: leave brightness, contrast and saturation as they are.
    """

    eigval: tuple[float, ...]
    eigvec: tuple[tuple[float, ...], ...]
    pca_only: bool = True

    JITTER = 0.4  # brightness, contrast and saturation change by up to this share
    PCA_STD = 0.1

    @classmethod
    def from_config(cls, cfg: object) -> ColourAugmentation | None:
        """As a configuration's AVA.TRAIN_* and DATA.TRAIN_PCA_* keys say; None where it is switched off."""
        if not cfg.AVA.TRAIN_USE_COLOR_AUGMENTATION:
            return None
        eigvec = tuple(tuple(row) for row in cfg.DATA.TRAIN_PCA_EIGVEC)
        return cls(tuple(cfg.DATA.TRAIN_PCA_EIGVAL), eigvec, cfg.AVA.TRAIN_PCA_JITTER_ONLY)

    def __call__(self, frames: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Change the colours of (T, H, W, 3) uint8 frames."""
        matrix, shift = np.eye(3), np.zeros(3)
        if not self.pca_only:
            matrix, shift = self._jitter(frames.float().mean(dim=(0, 1, 2)).double().numpy(), generator)
        noise = self.PCA_STD * torch.randn(3, generator=generator, dtype=torch.float64).numpy()
        shift = shift + 255 * np.asarray(self.eigvec) @ (noise * np.asarray(self.eigval))
        if self.pca_only:
            return _mapped(frames, np.arange(256.0)[:, None] + shift)
        pixels = frames.float() @ torch.from_numpy(matrix.T).float() + torch.from_numpy(shift).float()
        return pixels.round_().clamp_(0, 255).to(torch.uint8)

    def _jitter(self, mean: np.ndarray, generator: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Brightness, contrast and saturation in random order, as a matrix on RGB and what is added.

        Args:
            mean: (3,) colour of the clip.
            generator: source of randomness.
        """
        matrix, shift = np.eye(3), np.zeros(3)
        grey = np.asarray(GREY)
        for kind in torch.randperm(3, generator=generator).tolist():
            share = 1 + self.JITTER * (2 * torch.rand((), generator=generator).item() - 1)
            if kind == 0:  # brightness: towards black
                matrix, shift = share * matrix, share * shift
            elif kind == 1:  # contrast: towards the clip's mean grey
                matrix, shift = share * matrix, share * shift + (1 - share) * grey @ (matrix @ mean + shift)
            else:  # saturation: towards each pixel's own grey
                blend = share * np.eye(3) + (1 - share) * np.tile(grey, (3, 1))
                matrix, shift = blend @ matrix, blend @ shift
        return matrix, shift


def _mapped(frames: torch.Tensor, levels: np.ndarray) -> torch.Tensor:
    """(T, H, W, 3) uint8 with each value replaced by that of its channel in the (256, 3) table."""
    table = levels.round().clip(0, 255).astype(np.uint8)
    if (table == table[:, :1]).all():
        return torch.from_numpy(table[:, 0][frames.numpy()])  # several times faster than indexing in torch
    return torch.from_numpy(np.stack([table[:, c][frames[..., c].numpy()] for c in range(3)], axis=-1))
