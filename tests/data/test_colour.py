from dataclasses import replace

import numpy as np
import pytest
import torch

from avsf_det.data.colour import GREY, ColourAugmentation

COLOUR = ColourAugmentation((0.3, 0.2, 0.1), ((0.6, 0.0, 0.8), (0.0, 1.0, 0.0), (0.8, 0.0, -0.6)))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def clip(low=60, high=190):
    return torch.randint(low, high, (3, 12, 10, 3), generator=generator(9), dtype=torch.uint8)


def test_noise_moves_all_pixels_alike_along_the_axes():
    frames = clip()
    moves = []
    for seed in range(400):
        difference = COLOUR(frames, generator(seed)).int() - frames.int()
        assert (difference == difference[0, 0, 0]).all()
        moves.append(difference[0, 0, 0].numpy())
    along = np.stack(moves) @ np.asarray(COLOUR.eigvec) / 255
    assert along.std(axis=0) == pytest.approx([0.03, 0.02, 0.01], rel=0.15)


def reference(frames, seed):
    """The same in floats, step by step, as PySlowFast's transform.py describes it."""
    source = generator(seed)
    pixels = frames.double().numpy() / 255
    grey = np.asarray(GREY)
    for kind in torch.randperm(3, generator=source).tolist():
        share = 1 + 0.4 * (2 * torch.rand((), generator=source).item() - 1)
        toward = (0, (pixels @ grey).mean(), (pixels @ grey)[..., None])[kind]
        pixels = share * pixels + (1 - share) * toward
    noise = 0.1 * torch.randn(3, generator=source, dtype=torch.float64).numpy() * np.asarray(COLOUR.eigval)
    return 255 * (pixels + (np.asarray(COLOUR.eigvec) * noise).sum(axis=1))


def test_brightness_contrast_and_saturation_change_in_any_order():
    frames, orders = clip(), set()
    for seed in range(20):
        got = replace(COLOUR, pca_only=False)(frames, generator(seed))
        expected = reference(frames, seed)
        assert np.abs(got.numpy() - expected.clip(0, 255)).max() <= 0.51
        orders.add(tuple(torch.randperm(3, generator=generator(seed)).tolist()))
    assert len(orders) == 6


def test_colours_end_at_black_and_white():
    frames = clip(0, 256)
    strong = replace(COLOUR, eigval=(20.0, 20.0, 20.0))
    for pca_only in (True, False):
        got = replace(strong, pca_only=pca_only)(frames, generator(1))
        assert got.dtype == torch.uint8 and set(got.unique().tolist()) <= set(range(256)) and (got == 255).any()
