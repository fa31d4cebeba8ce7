"""A model small enough to train in a test, and clips for it."""

from types import SimpleNamespace

import pytest
import torch

from avsf_det.models.architecture import AudioPathway
from avsf_det.models.avslowfast import AVSlowFast, initialise
from avsf_det.models.backbone import AVSlowFastBackbone
from avsf_det.models.heads import RoIHead


@pytest.fixture
def make_model():
    """A function that makes a depth-18 model with a RoI head of 5 classes, in evaluation mode.

    Its norms get random statistics and scales, so that no branch is silent because it starts at zero.
    """

    def make(sound=True, fusion="audio_to_fast_slow", sync=False, **changes):
        junctions = ("res3", "res4", "res5") if sync else ()
        audio = AudioPathway(depth=18, alpha=8, fusion_channels=8, fusion=fusion, sync_junctions=junctions)
        audio = audio if sound else None
        arguments = {"depth": 18, "width": 8, "alpha": 2, "beta_inv": 2}
        arguments |= {"spatial_strides": (1, 2, 2, 1), "spatial_dilations": (1, 1, 1, 2)}
        torch.manual_seed(0)
        backbone = AVSlowFastBackbone(**{**arguments, "audio": audio, **changes})
        model = AVSlowFast(backbone, RoIHead(backbone.channels, num_classes=5))
        initialise(model, zero_init_final_gamma=False, fc_std=0.1)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(std=0.1)
        return model.eval()

    return make


@pytest.fixture
def clips():
    """Three clips of 4 Slow, 8 Fast and 32 audio frames, with a box in each and a second one in the last."""
    noise = torch.Generator().manual_seed(1)
    boxes = torch.tensor([[0, 4, 4, 40, 60], [1, 10, 0, 30, 30], [2, 0, 0, 63, 63], [2, 20, 30, 50, 60]])
    return SimpleNamespace(
        slow=torch.randn(3, 3, 4, 64, 64, generator=noise),
        fast=torch.randn(3, 3, 8, 64, 64, generator=noise),
        audio=torch.randn(3, 1, 1, 32, 16, generator=noise),
        boxes=boxes.float(),
    )
