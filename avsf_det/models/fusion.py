"""Lateral connections: what joins the pathways after pool1, res2, res3 and res4.

A fusion takes the `Pathways` and which clips keep their sound, and returns the `Pathways` with a new Slow tensor of
`slow_channels` channels. Another fusion is one class here and one line in `AUDIO_FUSIONS`. Of the sound that Audio
holds (`AudioRows`), the clips' own alone ever joins the picture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn import functional as F

from avsf_det.models.audio_rows import AudioRows
from avsf_det.models.drop_pathway import AudioGate
from avsf_det.models.norms import BatchNorm3d, Keep
from avsf_det.models.pathways import Pathways, TemporalConv, conv
from avsf_det.models.synchronisation import Embeddings, SyncHead


@dataclass(frozen=True)
class FastLateral:
    """Fast→Slow at one junction.

    Attributes:
        alpha: Fast frames per Slow frame.
        kernel: size of the convolution, in Fast frames.
        channel_ratio: its output channels per Fast channel.
        by_sound: whether Fast may already hold sound here.
    """

    alpha: int
    kernel: int
    channel_ratio: int
    by_sound: bool = False


@dataclass(frozen=True)
class AudioLateral:
    """What Audio brings to one junction.

    Attributes:
        alpha: Fast frames per Slow frame.
        frames: audio frames per Slow frame here.
        channels: of the convolutions but the last.
        kernel: size of the convolutions, in audio frames.
        convs: number of convolutions; the last one has the stride.
        replacement: what stands in for dropped sound, see `AudioGate`.
    """

    alpha: int
    frames: int
    channels: int = 64
    kernel: int = 5
    convs: int = 2
    replacement: str = "zeros"


class LateralConv(TemporalConv):
    """Fast's convolution over time, whose stride may be more than its kernel is long.

    oneDNN, as of PyTorch 2.14, writes beyond its memory where it computes such ones in bfloat16 with AMX (128 channels,
    5 frames, a stride of 8: SlowFast 4x16 after res4). So a CPU multiplies the frames of each output, put one behind
    the other as channels, by all weights at once. The sums are the same.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kernel, stride, pad = self.kernel_size[0], self.stride[0], self.padding[0]
        half = x.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")
        if x.device.type != "cpu" or not half or stride <= kernel:
            return super().forward(x)
        x = F.pad(x, (0, 0, 0, 0, pad, pad))
        last = (x.shape[2] - kernel) // stride * stride
        frames = [x[:, :, i : i + last + 1 : stride] for i in range(kernel)]
        weight = self.weight.transpose(1, 2).flatten(1, 2)[:, :, None]
        return F.conv3d(torch.cat(frames, dim=1), weight, self.bias)


class FastToSlow(nn.Module):
    """Fast→Slow: a convolution over time with stride alpha, concatenated to Slow (PySlowFast `FuseFastToSlow`).

    Args:
        channels: of each pathway where they meet.
        fast: how; None lets the two pass each other by.
    """

    adds_sound = False

    def __init__(self, channels: Pathways, fast: FastLateral | None) -> None:
        super().__init__()
        self.slow_channels = channels.slow
        self.joins_fast = fast is not None
        self.relu = nn.ReLU(inplace=True)
        if fast:
            lateral = channels.fast * fast.channel_ratio
            kernel, stride, padding = (fast.kernel, 1, 1), (fast.alpha, 1, 1), (fast.kernel // 2, 0, 0)
            self.conv_f2s = LateralConv(channels.fast, lateral, kernel, stride, padding, bias=False)
            self.bn_f2s = BatchNorm3d(lateral, fast.by_sound)
            self.slow_channels += lateral

    def concatenate(self, x: Pathways, keep: Keep | None) -> torch.Tensor:
        """(B, slow_channels, T, H, W): Slow and what comes from Fast."""
        if not self.joins_fast:
            return x.slow
        return torch.cat((x.slow, self.relu(self.bn_f2s(self.conv_f2s(x.fast), keep))), dim=1)

    def forward(self, x: Pathways, keep: Keep | None = None, rows: AudioRows | None = None) -> Pathways:
        return x._replace(slow=self.concatenate(x, keep))


class AudioFusion(FastToSlow):
    """What every audio fusion has: the mel mean of Audio, convolved to the frames and channels of what it joins.

    Args:
        channels, fast: as `FastToSlow`.
        audio: what Audio brings.
        name: of the convolutions: `conv_<name>_0`, `bn_<name>_0` ...
        audio_channels: channels that the sound is convolved to; None for `slow_channels`.
        audio_stride: audio frames per frame of what it joins; None for a vector a Slow frame.
    """

    adds_sound = True
    reaches_fast = False
    """Whether Fast goes on with the sound in it, as Slow does."""

    def __init__(
        self,
        channels: Pathways,
        fast: FastLateral | None,
        audio: AudioLateral,
        name: str = "a2fs",
        audio_channels: int | None = None,
        audio_stride: int | None = None,
    ) -> None:
        super().__init__(channels, fast)
        self.name, self.audio_convs = name, audio.convs
        self.audio_channels = audio_channels or self.slow_channels
        self.visual_channels = self.slow_channels
        in_channels = channels.audio
        for i in range(audio.convs):
            last = i == audio.convs - 1
            out_channels = self.audio_channels if last else audio.channels
            stride = (audio_stride or audio.frames) if last else 1
            self.add_module(f"conv_{name}_{i}", conv(in_channels, out_channels, (1, audio.kernel, 1), (1, stride, 1)))
            self.add_module(f"bn_{name}_{i}", BatchNorm3d(out_channels))
            in_channels = out_channels
        self.gate = AudioGate(self.audio_channels, audio.replacement)
        self.avs: SyncHead | None = None

    def project_audio(self, audio: torch.Tensor) -> torch.Tensor:
        """(B, audio_channels, T, 1, 1): a vector a frame, from audio (B, C, 1, A, M)."""
        x = audio.mean(dim=4, keepdim=True)
        for i in range(self.audio_convs):
            x = getattr(self, f"conv_{self.name}_{i}")(x)
            x = self.relu(getattr(self, f"bn_{self.name}_{i}")(x))
        return x.transpose(2, 3)

    def add_sync_head(self, dim: int) -> None:
        """Have the synchronisation judged here, in `dim` dimensions."""
        self.avs = SyncHead(self.visual_channels, self.audio_channels, dim)

    def visual(self, x: Pathways, keep: Keep | None) -> torch.Tensor:
        """(B, visual_channels, T, H, W): what the sound meets, before it is added."""
        return self.concatenate(x, keep)

    def join(self, x: Pathways, keep: Keep | None, audio: torch.Tensor | None, met: torch.Tensor) -> Pathways:
        """The `Pathways` with the sound in them.

        Args:
            x: the `Pathways` before, Audio the B clips' own sound.
            keep: which clips keep their sound.
            audio: what `project_audio` gave for the B clips' own sound; None if no clip has any.
            met: what `visual` gave.
        """
        raise NotImplementedError

    def forward(self, x: Pathways, keep: Keep | None = None, rows: AudioRows | None = None) -> Pathways:
        rows = rows or AudioRows(x.slow.shape[0])
        audio = None if x.audio is None else self.project_audio(rows.only_own(x.audio))
        return self._join_rows(x, keep, audio, self.visual(x, keep), rows)

    def forward_sync(self, x: Pathways, keep: Keep, rows: AudioRows | None = None) -> tuple[Pathways, Embeddings]:
        """As `forward` with misaligned sound behind the clips' own; also what the synchronisation is judged by."""
        rows = rows or AudioRows(x.slow.shape[0])
        met, audio = self.visual(x, keep), self.project_audio(x.audio)
        judged = self.avs(met, rows.spread_own(audio), rows.spread_misaligned(audio))
        return self._join_rows(x, keep, audio, met, rows), judged

    def _join_rows(
        self, x: Pathways, keep: Keep | None, audio: torch.Tensor | None, met: torch.Tensor, rows: AudioRows
    ) -> Pathways:
        if audio is None:
            return self.join(x, keep, None, met)
        own = x._replace(audio=rows.spread_own(x.audio))
        return self.join(own, keep, rows.spread_own(audio), met)._replace(audio=x.audio)

    def _add(self, visual: torch.Tensor, contribution: torch.Tensor | None, keep: Keep | None) -> torch.Tensor:
        """`visual` plus what the sound contributes, or what stands in for it."""
        if contribution is None:
            stand_in = self.gate.absent(visual)
            return visual if stand_in is None else visual + stand_in
        return visual + self.gate(contribution, keep or Keep.all(visual))


class AudioToFastSlow(AudioFusion):
    """Audio→FastSlow: a vector a Slow frame, added to [Slow, Fast→Slow] (paper section 3.2, the default).

    As fanyix/SlowFast `FuseAV` in its mode "AFS"; ReLU comes before the sum.
    """

    def join(self, x: Pathways, keep: Keep | None, audio: torch.Tensor | None, met: torch.Tensor) -> Pathways:
        return x._replace(slow=self._add(met, audio, keep))


class SyncOnly(AudioToFastSlow):
    """Audio meets the picture for synchronisation alone and adds nothing (`s5_fuse` of fanyix/SlowFast)."""

    adds_sound = False
    forward = FastToSlow.forward

    def join(self, x: Pathways, keep: Keep | None, audio: torch.Tensor | None, met: torch.Tensor) -> Pathways:
        return x._replace(slow=met)


class AudioToFastToSlow(AudioFusion):
    """Audio→Fast→Slow: a vector a Fast frame, added to Fast, which then joins Slow as ever and goes on with the sound.

    The paper's variant of the strongest temporal alignment (section 3.2).

    Raises:
        ValueError: if there are not n audio frames to a Fast frame here, n = 1, 2, ...
    """

    reaches_fast = True

    def __init__(self, channels: Pathways, fast: FastLateral | None, audio: AudioLateral) -> None:
        if audio.frames % audio.alpha:
            raise ValueError(
                f"audio_to_fast_to_slow: got {audio.frames} audio frames for {audio.alpha} Fast ones where they meet, "
                "expected a multiple; raise AU_ALPHA, or let Audio join earlier"
            )
        fast = fast and replace(fast, by_sound=True)
        super().__init__(channels, fast, audio, "a2f", channels.fast, audio.frames // audio.alpha)
        self.visual_channels = channels.fast

    def visual(self, x: Pathways, keep: Keep | None) -> torch.Tensor:
        return x.fast

    def join(self, x: Pathways, keep: Keep | None, audio: torch.Tensor | None, met: torch.Tensor) -> Pathways:
        x = x._replace(fast=self._add(met, audio, keep))
        return x._replace(slow=self.concatenate(x, keep))


class AudiovisualNonLocal(AudioFusion):
    """Audiovisual non-local fusion: the sound of each moment chooses among the places of the picture.

    The paper names it (section 3.2) without its layers; these are ours, after the non-local block (arXiv 1711.07971).
    With v the [Slow, Fast→Slow] features at time t and place h, w, and a the sound at time t,
    weight = softmax over t, h, w of theta(a) · phi(v) / sqrt(d), times T·H·W so that its mean is 1, and
    v + BN(out(weight * g(v))) goes on. d is half of v's channels; the norm's scale starts at zero.
    """

    def __init__(self, channels: Pathways, fast: FastLateral | None, audio: AudioLateral) -> None:
        joined = channels.slow + (channels.fast * fast.channel_ratio if fast else 0)
        inner = max(1, joined // 2)
        super().__init__(channels, fast, audio, "a2v", inner)
        self.conv_theta = nn.Conv3d(inner, inner, 1)
        self.conv_phi = nn.Conv3d(joined, inner, 1)
        self.conv_g = nn.Conv3d(joined, inner, 1)
        self.conv_out = nn.Conv3d(inner, joined, 1)
        self.bn_out = BatchNorm3d(joined, by_sound=True)
        self.gate = AudioGate(joined, audio.replacement)

    @property
    def last_bn(self) -> nn.BatchNorm3d:
        """The norm whose scale starts at zero."""
        return self.bn_out

    def join(self, x: Pathways, keep: Keep | None, audio: torch.Tensor | None, met: torch.Tensor) -> Pathways:
        if audio is None:
            return x._replace(slow=self._add(met, None, keep))
        theta, phi, g = self.conv_theta(audio), self.conv_phi(met), self.conv_g(met)
        affinity = (theta * phi).sum(dim=1).flatten(1) * phi.shape[1] ** -0.5
        weight = affinity.softmax(dim=1) * affinity.shape[1]
        chosen = self.conv_out(weight.view(g.shape[0], 1, *g.shape[2:]).to(g.dtype) * g)
        return x._replace(slow=self._add(met, self.bn_out(chosen, keep), keep))


class ChannelAttention(AudioFusion):
    """Audio→FastSlow through a gate a channel, computed from what all three pathways hold on average.

    gate = sigmoid(W2 relu(W1 [pool(Slow), pool(Fast), pool(Audio)])), a number within 0..1 for each channel of
    [Slow, Fast→Slow]; what goes on is [Slow, Fast→Slow] + gate * Audio. The brief's sketch multiplies the three
    pathways' tensors, whose shapes differ, and scales each pathway by the result; pooling first makes the product
    a well-defined joint one, squeeze and excitation (arXiv 1709.01507, with its reduction of 16) learns it, and since
    only what Audio adds is scaled, a clip without sound still gets a plain SlowFast.
    """

    REDUCTION = 16

    def __init__(self, channels: Pathways, fast: FastLateral | None, audio: AudioLateral) -> None:
        super().__init__(channels, fast, audio)
        pooled = channels.slow + channels.fast + channels.audio
        self.squeeze = nn.Linear(pooled, max(1, self.slow_channels // self.REDUCTION))
        self.excite = nn.Linear(self.squeeze.out_features, self.slow_channels)

    def join(self, x: Pathways, keep: Keep | None, audio: torch.Tensor | None, met: torch.Tensor) -> Pathways:
        if audio is not None:
            pooled = torch.cat([one.mean(dim=(2, 3, 4)) for one in x], dim=1)
            attention = self.excite(self.relu(self.squeeze(pooled))).sigmoid()
            audio = audio * attention.view(*attention.shape, 1, 1, 1)
        return x._replace(slow=self._add(met, audio, keep))


AUDIO_FUSIONS = {
    "audio_to_fast_slow": AudioToFastSlow,
    "audio_to_fast_to_slow": AudioToFastToSlow,
    "audiovisual_non_local": AudiovisualNonLocal,
    "channel_attention": ChannelAttention,
}
