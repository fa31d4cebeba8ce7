import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from avsf_det.models.avslowfast import initialise
from avsf_det.models.fusion import AUDIO_FUSIONS, AudioLateral, FastLateral, FastToSlow, LateralConv, SyncOnly
from avsf_det.models.norms import Keep
from avsf_det.models.pathways import Pathways

CHANNELS = Pathways(slow=6, fast=4, audio=5)
FAST = FastLateral(alpha=8, kernel=5, channel_ratio=2)
EVERY = pytest.mark.parametrize("name", AUDIO_FUSIONS)


def inputs():
    torch.manual_seed(1)
    return Pathways(torch.rand(2, 6, 4, 3, 3), torch.rand(2, 4, 32, 3, 3), torch.rand(2, 5, 1, 64, 7))


def make(name="audio_to_fast_slow", fast=FAST, kind=None, **changes):
    torch.manual_seed(0)
    fusion = (kind or AUDIO_FUSIONS[name])(CHANNELS, fast, AudioLateral(alpha=8, frames=16, channels=3, **changes))
    initialise(fusion, zero_init_final_gamma=False, fc_std=0.3)
    return fusion.eval()


def keep(*flags):
    return Keep(torch.tensor(flags))


@torch.no_grad()
def test_fast_frames_join_the_slow_frame_of_their_time():
    fusion, x = FastToSlow(CHANNELS, FAST).eval(), inputs()
    before = fusion(x).slow
    assert before.shape == (2, fusion.slow_channels, 4, 3, 3) and fusion.slow_channels == 6 + 2 * 4
    assert torch.equal(before[:, :6], x.slow)
    x.fast[:, :, 17] += 1.0  # the convolution of Slow frame 2 sees Fast frames 14..18
    changed = (fusion(x).slow - before).abs().amax(dim=(0, 1, 3, 4))
    assert changed.nonzero().flatten().tolist() == [2]


def test_where_the_pathways_pass_each_other_by_nothing_changes():
    x, fusion = inputs(), FastToSlow(CHANNELS, None)
    assert torch.equal(fusion(x).slow, x.slow) and fusion.slow_channels == 6
    assert not fusion.state_dict()


@torch.no_grad()
@EVERY
@pytest.mark.parametrize("fast", [FAST, None], ids=["with Fast", "without Fast"])
def test_without_sound_every_fusion_is_fast_to_slow(name, fast):
    fusion, x = make(name, fast), inputs()
    plain = FastToSlow(CHANNELS, fast).eval()
    plain.load_state_dict({key: fusion.state_dict()[key] for key in plain.state_dict()})
    expected = plain(x).slow
    assert fusion.slow_channels == plain.slow_channels == expected.shape[1]
    torch.testing.assert_close(fusion(x._replace(audio=None), Keep.all(x.slow, False)).slow, expected)
    torch.testing.assert_close(fusion(x, keep(False, False)).slow, expected)
    heard = fusion(x, keep(True, True))
    assert (heard.slow - expected).abs().max() > 1e-3 or (fast is None and fusion.reaches_fast)
    assert (heard.fast - x.fast).abs().max() > 1e-3 if fusion.reaches_fast else heard.fast is x.fast


@torch.no_grad()
@EVERY
def test_kept_and_silenced_clips_share_a_batch(name):
    fusion, x = make(name), inputs()
    silent, heard = fusion(x._replace(audio=None), Keep.all(x.slow, False)).slow, fusion(x).slow
    mixed = fusion(x, keep(False, True)).slow
    torch.testing.assert_close(mixed[0], silent[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mixed[1], heard[1], rtol=1e-4, atol=1e-5)


@torch.no_grad()
@EVERY
def test_sound_reaches_the_frames_of_its_time_alone(name):
    fusion, x = make(name), inputs()
    before = fusion(x)
    x.audio[:, :, :, 32] += 3.0  # Slow frame 2, Fast frame 16
    after = fusion(x)
    slow = (after.slow - before.slow).abs().amax(dim=(0, 1, 3, 4)) > 1e-5
    if name in ("audio_to_fast_slow", "audio_to_fast_to_slow"):
        assert slow.tolist() == [False, False, True, False]
    if fusion.reaches_fast:
        fast = (after.fast - before.fast).abs().amax(dim=(0, 1, 3, 4)).nonzero().flatten().tolist()
        assert 16 in fast and set(fast) <= {14, 15, 16, 17, 18}


@torch.no_grad()
def test_audio_is_added_alike_at_every_place():
    fusion, x = make(), inputs()
    added = fusion(x).slow - fusion(x, keep(False, False)).slow
    torch.testing.assert_close(added, added[..., :1, :1].expand_as(added))
    torch.testing.assert_close(added[..., :1, :1], fusion.project_audio(x.audio))


@torch.no_grad()
def test_the_gate_scales_what_audio_adds_channel_by_channel():
    gated, x = make("channel_attention"), inputs()
    open_ = make()
    open_.load_state_dict(gated.state_dict(), strict=False)
    silent = gated(x, keep(False, False)).slow
    full, part = open_(x).slow - silent, gated(x).slow - silent
    heard = full.abs() > 1e-4
    share = torch.where(heard, part / full, torch.nan)
    assert share[heard].min() > 0.0 and share[heard].max() < 1.0
    each = share.flatten(2).nanmean(dim=2)
    assert (share - each[..., None, None, None]).abs().nan_to_num().max() < 1e-2
    assert len({round(value, 3) for value in each[0].tolist() if value == value}) > 3
    x.fast[:] *= 3.0  # the gate looks at every pathway
    assert (make("channel_attention")(x).slow[:, :6] - gated(inputs()).slow[:, :6]).abs().max() > 1e-4


@torch.no_grad()
def test_sound_chooses_among_the_places_of_the_picture():
    fusion, x = make("audiovisual_non_local"), inputs()
    added = fusion(x).slow - fusion(x, keep(False, False)).slow
    assert (added - added[..., :1, :1]).abs().max() > 1e-2  # not alike at every place
    x.audio[:] = 0.0
    other = fusion(x).slow - fusion(x, keep(False, False)).slow
    assert (other - added).abs().max() > 1e-2


@torch.no_grad()
def test_sound_that_only_serves_synchronisation_adds_nothing():
    fusion, x = make(kind=SyncOnly), inputs()
    fusion.add_sync_head(4)
    assert torch.equal(fusion(x).slow, fusion(x._replace(audio=None)).slow)
    doubled = x._replace(audio=torch.cat((x.audio, x.audio.flip(0))))
    fused, judged = fusion.forward_sync(doubled, Keep.all(x.slow))
    assert torch.equal(fused.slow, fusion(x).slow)
    torch.testing.assert_close(judged.misaligned, judged.aligned.flip(0))


@torch.no_grad()
@EVERY
def test_misaligned_sound_reaches_no_picture(name):
    fusion, x = make(name), inputs()
    fusion.add_sync_head(4)
    expected = fusion(x)
    doubled = x._replace(audio=torch.cat((x.audio, 5 * torch.rand_like(x.audio))))
    fused, judged = fusion.forward_sync(doubled, Keep.all(x.slow))
    torch.testing.assert_close(fused.slow, expected.slow)
    assert judged.visual.shape == judged.aligned.shape == judged.misaligned.shape == (2, 4)
    assert torch.equal(fusion(doubled).slow, expected.slow)


@torch.no_grad()
@EVERY
def test_a_running_mean_may_stand_in(name):
    fusion, x = make(name, replacement="running_mean"), inputs()
    zero = fusion(x._replace(audio=None), Keep.all(x.slow, False))
    fusion.gate.running_mean += 1.0
    moved = fusion(x._replace(audio=None), Keep.all(x.slow, False))
    joined = "fast" if fusion.reaches_fast else "slow"
    torch.testing.assert_close(getattr(moved, joined), getattr(zero, joined) + 1.0)


def test_audio_coarser_than_fast_cannot_join_it():
    with pytest.raises(ValueError, match="got 4 audio frames for 8 Fast ones where they meet, expected a multiple"):
        AUDIO_FUSIONS["audio_to_fast_to_slow"](CHANNELS, FAST, AudioLateral(alpha=8, frames=4))


@pytest.mark.parametrize(("kernel", "frames"), [(5, 32), (5, 8), (3, 5)])
def test_a_lateral_with_a_long_stride_sums_what_a_convolution_sums(kernel, frames):
    ours = LateralConv(4, 6, (kernel, 1, 1), (8, 1, 1), (kernel // 2, 0, 0), bias=False)
    x, gradients = torch.rand(2, 4, frames, 3, 5), []
    with torch.no_grad():
        expected = nn.Conv3d.forward(ours, x)
        torch.testing.assert_close(ours(x), expected, rtol=0, atol=0)
        torch.testing.assert_close(ours.bfloat16()(x.bfloat16()).float(), expected, rtol=0.03, atol=0.03)
    ours.float()
    for way in (nn.Conv3d.forward, LateralConv.forward):
        ours.zero_grad()
        with torch.autocast("cpu", enabled=way is LateralConv.forward):
            way(ours, x).sum().backward()
        gradients.append(ours.weight.grad.clone())
    torch.testing.assert_close(*gradients, rtol=0.03, atol=0.03)


def test_a_lateral_with_a_long_stride_leaves_others_memory_alone():
    program = """
import torch
from avsf_det.models.fusion import LateralConv
conv = LateralConv(128, 256, (5, 1, 1), (8, 1, 1), (2, 0, 0), bias=False).bfloat16().requires_grad_(False)
for _ in range(8):
    conv(torch.rand(1, 128, 32, 16, 22).bfloat16())
    [torch.rand(size) for size in (10, 1000, 100_000, 1_000_000)]
"""
    checked = {"LD_PRELOAD": "libc_malloc_debug.so.0", "MALLOC_CHECK_": "3"}  # what has been overwritten ends a process
    assert subprocess.run([sys.executable, "-c", program], env=os.environ | checked).returncode == 0
