"""Lateral connections: what joins the pathways after pool1, res2, res3 and res4.

A fusion takes the `Pathways` and which clips keep their sound, `keep` (B,) bool, and returns the `Pathways` with a new
Slow tensor of `slow_channels` channels. Another fusion is one class here and one line in `AUDIO_FUSIONS`.
"""

from __future__ import annotations

import torch
from torch import nn

from avsf_det.models.pathways import Pathways, conv


def silence(audio: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """`audio` (B, ...) with exact zeros, and no gradient, in the clips where `keep` (B,) bool is False."""
    return audio.masked_fill(~keep.view(-1, *[1] * (audio.dim() - 1)), 0.0)


class NoFusion(nn.Module):
    """The pathways pass each other by."""

    def __init__(self, channels: Pathways) -> None:
        super().__init__()
        self.slow_channels = channels.slow

    def forward(self, x: Pathways, keep: torch.Tensor | None = None) -> Pathways:
        return x


class FastToSlow(nn.Module):
    """Fast→Slow: a convolution over time with stride alpha, concatenated to Slow (PySlowFast `FuseFastToSlow`).

    Args:
        channels: of each pathway where they meet.
        alpha: Fast frames per Slow frame.
        kernel: size of the convolution, in Fast frames.
        channel_ratio: its output channels per Fast channel.
    """

    def __init__(self, channels: Pathways, alpha: int, kernel: int, channel_ratio: int) -> None:
        super().__init__()
        lateral = channels.fast * channel_ratio
        self.conv_f2s = conv(channels.fast, lateral, (kernel, 1, 1), (alpha, 1, 1))
        self.bn_f2s = nn.BatchNorm3d(lateral)
        self.relu = nn.ReLU(inplace=True)
        self.slow_channels = channels.slow + lateral

    def concatenate(self, x: Pathways) -> torch.Tensor:
        """(B, slow_channels, T, H, W): Slow and what comes from Fast."""
        return torch.cat((x.slow, self.relu(self.bn_f2s(self.conv_f2s(x.fast)))), dim=1)

    def forward(self, x: Pathways, keep: torch.Tensor | None = None) -> Pathways:
        return x._replace(slow=self.concatenate(x))


class AudioToFastSlow(FastToSlow):
    """Audio→FastSlow: the mel mean of Audio, convolved to one vector a Slow frame, added to [Slow, Fast→Slow].

    As fanyix/SlowFast `FuseAV` in its mode "AFS"; ReLU comes before the sum.

    Args:
        audio_stride: audio frames per Slow frame at this junction.
        audio_channels: of the convolutions but the last, whose channels are those of [Slow, Fast→Slow].
        audio_kernel: size of the convolutions, in audio frames.
        audio_convs: number of convolutions; the last one has the stride.
    """

    def __init__(
        self,
        channels: Pathways,
        alpha: int,
        kernel: int,
        channel_ratio: int,
        audio_stride: int,
        audio_channels: int,
        audio_kernel: int,
        audio_convs: int,
    ) -> None:
        super().__init__(channels, alpha, kernel, channel_ratio)
        self.audio_convs = audio_convs
        in_channels = channels.audio
        for i in range(audio_convs):
            last = i == audio_convs - 1
            out_channels, stride = (self.slow_channels, audio_stride) if last else (audio_channels, 1)
            self.add_module(f"conv_a2fs_{i}", conv(in_channels, out_channels, (1, audio_kernel, 1), (1, stride, 1)))
            self.add_module(f"bn_a2fs_{i}", nn.BatchNorm3d(out_channels))
            in_channels = out_channels

    def project_audio(self, audio: torch.Tensor) -> torch.Tensor:
        """(B, slow_channels, T, 1, 1): a vector a Slow frame, from audio (B, C, 1, A, M)."""
        x = audio.mean(dim=4, keepdim=True)
        for i in range(self.audio_convs):
            x = self.relu(getattr(self, f"bn_a2fs_{i}")(getattr(self, f"conv_a2fs_{i}")(x)))
        return x.transpose(2, 3)

    def forward(self, x: Pathways, keep: torch.Tensor | None = None) -> Pathways:
        slow = self.concatenate(x)
        if x.audio is not None:
            slow = slow + silence(self.project_audio(x.audio), keep)
        return x._replace(slow=slow)


AUDIO_FUSIONS = {"audio_to_fast_slow": AudioToFastSlow}
