"""A scorer gives the model's scores; so does its graph, for any number of clips and boxes and pictures of any size."""

import pytest
import torch

from avsf_det.models.architecture import AudioPathway, NonLocalBlocks
from avsf_det.models.audio_only import AudioBackbone
from avsf_det.models.avslowfast import AVSlowFast
from avsf_det.models.export import ClipScorer, Graph
from avsf_det.models.heads import RoIHead
from avsf_det.models.norms import BatchNorm3d
from tests.models.test_inference import shaken

SCALE, SHIFT, SLOW = torch.tensor([0.01, 0.02, 0.03]), torch.tensor([-1.0, -2.0, -3.0]), torch.tensor([0, 2, 4, 7])


def audiovisual(make_model):
    return make_model()


def visual_with_non_local_blocks(make_model):
    model = make_model(sound=False, non_local=NonLocalBlocks(((), (0,), (0,), ())))
    model.head.aligned = False
    return model


def audio_alone(make_model):
    torch.manual_seed(0)
    backbone = AudioBackbone(8, AudioPathway(depth=18, alpha=8, junctions=()))
    return AVSlowFast(backbone, RoIHead(backbone.channels, num_classes=5)).eval()


def inputs(model, clips, persons, height=64, width=64):
    """Noise; the second clip has no sound, and its log-mel is no number."""
    noise = torch.Generator().manual_seed(clips)
    corners = torch.rand(persons, 2, 2, generator=noise).sort(dim=1).values * torch.tensor([width, height])
    owners = torch.arange(persons).remainder(clips).float()
    found = {
        "frames": torch.randint(256, (clips, 8, height, width, 3), dtype=torch.uint8, generator=noise),
        "boxes": torch.cat((owners[:, None], corners.flatten(1)), dim=1),
    }
    if model.backbone.audio is None:
        return found
    log_mel = torch.randn(clips, 32, 16, generator=noise)
    log_mel[1:2] = torch.nan
    return found | {"log_mel": log_mel, "audio_present": torch.arange(clips) != 1}


def scores(model, frames, boxes, log_mel=None, audio_present=None):
    """What the model itself says."""
    fast = (frames * SCALE + SHIFT).permute(0, 4, 1, 2, 3)
    audio = None if log_mel is None else log_mel[:, None, None].nan_to_num(0)
    return model.scores(model(fast[:, :, SLOW], fast, audio, boxes, audio_present))


@torch.no_grad()
@pytest.mark.parametrize(
    "kind", [audiovisual, visual_with_non_local_blocks, audio_alone], ids=lambda kind: kind.__name__
)
def test_the_graph_gives_the_models_scores_whatever_the_sizes(make_model, kind):
    model = shaken(kind(make_model))
    graph = Graph.trace(ClipScorer(model, SCALE, SHIFT, SLOW), inputs(model, 2, 3)).program.module()
    for sizes in ((3, 5, 64, 96), (1, 1, 90, 77), (2, 0, 64, 64)):
        some = inputs(model, *sizes)
        torch.testing.assert_close(graph(**some), scores(model, **some), rtol=0, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("fusion", ["audio_to_fast_to_slow", "audiovisual_non_local", "channel_attention"])
def test_clips_with_and_without_sound_share_a_batch_in_every_fusion(make_model, fusion):
    model = shaken(make_model(fusion=fusion))
    some = inputs(model, 3, 6)
    scorer = ClipScorer(model, SCALE, SHIFT, SLOW)
    torch.testing.assert_close(scorer(**some), scores(model, **some), rtol=0, atol=1e-4)


def test_only_norms_that_depend_on_sound_are_left(make_model):
    model = make_model()
    left = [module for module in ClipScorer(model, SCALE, SHIFT, SLOW).modules() if isinstance(module, BatchNorm3d)]
    assert left and all(norm.by_sound for norm in left)
    assert len(left) < sum(isinstance(module, BatchNorm3d) for module in model.modules())  # the model is as it was
