import torch

from avsf_det.models.fusion import AudioToFastSlow, FastToSlow, NoFusion, silence
from avsf_det.models.pathways import Pathways

CHANNELS = Pathways(slow=6, fast=4, audio=5)


def inputs():
    return Pathways(torch.rand(2, 6, 4, 3, 3), torch.rand(2, 4, 32, 3, 3), torch.rand(2, 5, 1, 64, 7))


def audio_fusion():
    torch.manual_seed(0)
    return AudioToFastSlow(CHANNELS, 8, 5, 2, audio_stride=16, audio_channels=3, audio_kernel=5, audio_convs=2).eval()


@torch.no_grad()
def test_fast_frames_join_the_slow_frame_of_their_time():
    fusion, x = FastToSlow(CHANNELS, alpha=8, kernel=5, channel_ratio=2).eval(), inputs()
    before = fusion(x).slow
    assert before.shape == (2, fusion.slow_channels, 4, 3, 3) and fusion.slow_channels == 6 + 2 * 4
    assert torch.equal(before[:, :6], x.slow)
    x.fast[:, :, 17] += 1.0  # the convolution of Slow frame 2 sees Fast frames 14..18
    changed = (fusion(x).slow - before).abs().amax(dim=(0, 1, 3, 4))
    assert changed.nonzero().flatten().tolist() == [2]


@torch.no_grad()
def test_audio_is_added_alike_at_every_place():
    fusion, x = audio_fusion(), inputs()
    added = fusion(x, torch.tensor([True, True])).slow - fusion(x, torch.tensor([False, False])).slow
    torch.testing.assert_close(added, added[..., :1, :1].expand_as(added))
    torch.testing.assert_close(added[..., :1, :1], fusion.project_audio(x.audio))
    assert added.abs().amax() > 0.0


@torch.no_grad()
def test_kept_and_silenced_clips_share_a_batch():
    fusion, x = audio_fusion(), inputs()
    silent, mixed = fusion(x._replace(audio=None)).slow, fusion(x, torch.tensor([False, True])).slow
    assert torch.equal(mixed[0], silent[0])
    assert not torch.equal(mixed[1], silent[1])


def test_silence_passes_no_gradient():
    audio = torch.ones(2, 3, requires_grad=True)
    silence(audio, torch.tensor([True, False])).sum().backward()
    assert audio.grad.tolist() == [[1.0] * 3, [0.0] * 3]


def test_without_fusion_nothing_changes():
    x = inputs()
    assert NoFusion(CHANNELS)(x) is x and NoFusion(CHANNELS).slow_channels == 6
