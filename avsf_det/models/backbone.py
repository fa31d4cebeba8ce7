"""The AVSlowFast backbone (arXiv 2001.08740) and, with the audio left out, the SlowFast one (arXiv 1812.03982)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from avsf_det.models.drop_pathway import DropPathway
from avsf_det.models.fusion import AUDIO_FUSIONS, FastToSlow, NoFusion, silence
from avsf_det.models.pathways import (
    AUDIO_TRANSFORMS,
    BasicTransform,
    BottleneckTransform,
    Pathways,
    ResBlock,
    Stage,
    Stem,
    res_chain,
)

DEPTHS = {
    18: (BasicTransform, (2, 2, 2, 2)),
    34: (BasicTransform, (3, 4, 6, 3)),
    50: (BottleneckTransform, (3, 4, 6, 3)),
    101: (BottleneckTransform, (3, 4, 23, 3)),
}
JUNCTIONS = ("pool1", "res2", "res3", "res4")  # the pathways meet after these
AUDIO_DOWNSAMPLING = (1, 1, 2, 4)  # audio frames of the input per frame at each junction
STRIDES = (1, 2, 2, 2)  # of res2..res5: of visual height and width in classification, of audio time and mel
SLOW_TEMPORAL_KERNELS = (1, 1, 3, 3)  # of res2..res5
FAST_TEMPORAL_KERNEL = 3
TF_STAGES = 2  # res2 and res3 of Audio have time-frequency blocks, res4 and res5 plain ones


@dataclass(frozen=True)
class AudioPathway:
    """What an AVSlowFast has beyond a SlowFast; defaults as in fanyix/SlowFast `AVSLOWFAST_4x16_R50.yaml`.

    Attributes:
        depth: 18, 34, 50 or 101.
        alpha: audio frames of the input per Slow frame; a multiple of 4 if Audio joins after res4.
        beta_inv: Slow channels per Audio channel.
        block: of res2 and res3, a name in `pathways.AUDIO_TRANSFORMS`.
        junctions: where Audio joins, out of `JUNCTIONS`; Fast joins Slow there too.
        fusion: how it joins, a name in `fusion.AUDIO_FUSIONS`.
        fusion_channels: of the fusion's inner convolutions.
        fusion_kernel: size of the fusion's convolutions, in audio frames.
        fusion_convs: number of the fusion's convolutions.
    """

    depth: int = 50
    alpha: int = 32
    beta_inv: int = 2
    block: str = "tf_bottleneck_transform_v1"
    junctions: Sequence[str] = ("res3", "res4")
    fusion: str = "audio_to_fast_slow"
    fusion_channels: int = 64
    fusion_kernel: int = 5
    fusion_convs: int = 2

    def stride_at(self, junction: str) -> int:
        """Audio frames per Slow frame at a junction."""
        return self.alpha // AUDIO_DOWNSAMPLING[JUNCTIONS.index(junction)]


class AVSlowFastBackbone(nn.Module):
    """Slow, Fast and Audio pathways with their lateral connections.

    Args:
        depth: 18 or 34 (basic blocks), 50 or 101 (bottlenecks).
        width: Slow channels after conv1; 64 in every published model (PySlowFast `RESNET.WIDTH_PER_GROUP`).
        alpha: Fast frames per Slow frame.
        beta_inv: Slow channels per Fast channel.
        fusion_kernel: size of the Fast→Slow convolution in Fast frames: 5 in 4x16 models, 7 in 8x8 ones.
        fusion_channel_ratio: channels of Fast→Slow per Fast channel.
        fast_junctions: where Fast joins Slow, out of `JUNCTIONS`.
        spatial_strides: of the visual res2..res5; (1, 2, 2, 1) for detection, together with
        spatial_dilations: of the visual res2..res5; (1, 1, 1, 2) for detection.
        audio: the Audio pathway; None makes it a plain SlowFast.
        drop_pathway: which clips lose their sound in training; None is the default `DropPathway()`.

    Attributes:
        channels: of each pathway's feature map; `channels.audio` is None without an Audio pathway.

    Raises:
        ValueError: if an argument is none of the choices, or the arguments do not fit together.
    """

    def __init__(
        self,
        depth: int = 50,
        width: int = 64,
        alpha: int = 8,
        beta_inv: int = 8,
        fusion_kernel: int = 5,
        fusion_channel_ratio: int = 2,
        fast_junctions: Sequence[str] = JUNCTIONS,
        spatial_strides: Sequence[int] = STRIDES,
        spatial_dilations: Sequence[int] = (1, 1, 1, 1),
        audio: AudioPathway | None = None,
        drop_pathway: DropPathway | None = None,
    ) -> None:
        super().__init__()
        _check(depth, fast_junctions, audio)
        if not len(spatial_strides) == len(spatial_dilations) == len(STRIDES):
            got = f"{len(spatial_strides)} and {len(spatial_dilations)}"
            raise ValueError(f"SPATIAL_STRIDES and SPATIAL_DILATIONS: got {got} numbers, expected 4 each")
        self.alpha = alpha
        self.audio = audio
        self.drop_pathway = drop_pathway or DropPathway()

        inner = Pathways(width, max(1, width // beta_inv), max(1, width // audio.beta_inv) if audio else None)
        channels = inner
        self.s1 = Stem(inner)
        for k, junction in enumerate(JUNCTIONS):
            lateral = {"alpha": alpha, "kernel": fusion_kernel, "channel_ratio": fusion_channel_ratio}
            if audio and junction in audio.junctions:
                fuse = AUDIO_FUSIONS[audio.fusion](
                    channels,
                    **lateral,
                    audio_stride=audio.stride_at(junction),
                    audio_channels=audio.fusion_channels,
                    audio_kernel=audio.fusion_kernel,
                    audio_convs=audio.fusion_convs,
                )
            elif junction in fast_junctions:
                fuse = FastToSlow(channels, **lateral)
            else:
                fuse = NoFusion(channels)
            self.add_module(f"s{k + 1}_fuse", fuse)

            visual_chain = partial(_visual_chain, depth, k, stride=spatial_strides[k], dilation=spatial_dilations[k])
            slow = visual_chain(fuse.slow_channels, inner.slow, SLOW_TEMPORAL_KERNELS[k])
            fast = visual_chain(channels.fast, inner.fast, FAST_TEMPORAL_KERNEL)
            sound = _audio_chain(audio, k, channels.audio, inner.audio) if audio else None
            self.add_module(f"s{k + 2}", Stage(slow, fast, sound))

            channels = Pathways(*(blocks and blocks[-1].out_channels for blocks in (slow, fast, sound)))
            inner = Pathways(*(one and 2 * one for one in inner))
        self.channels = channels

    def forward(
        self,
        slow: torch.Tensor,
        fast: torch.Tensor,
        audio: torch.Tensor | None = None,
        audio_present: torch.Tensor | None = None,
    ) -> Pathways:
        """Feature maps of the three pathways after res5.

        A clip without sound takes the path that DropPathway trains: its audio adds exact zeros in the laterals, and
        its audio feature map is exactly zero. Give it a row of zeros: in training, batch norms see that row too.

        Args:
            slow: (B, 3, T, H, W), normalised RGB.
            fast: (B, 3, alpha * T, H, W).
            audio: (B, 1, 1, A, M), normalised log-mel with A = T * audio alpha; None if no clip has sound. It is
                not looked at without an Audio pathway.
            audio_present: (B,) bool, which clips have sound; None is all of them.

        Returns:
            (B, C, T, H', W'), (B, C, alpha * T, H', W') and (B, C, 1, A', M'); audio is None without an Audio pathway.

        Raises:
            ValueError: if the numbers of frames do not fit each other.
        """
        x = Pathways(slow, fast, audio if self.audio else None)
        self._check_frames(x)
        if audio_present is None:
            audio_present = torch.ones(len(slow), dtype=torch.bool, device=slow.device)
        lateral_keep, head_keep = self.drop_pathway(audio_present)

        x = self.s1(x)
        x = self.s2(self.s1_fuse(x, lateral_keep))
        x = self.s3(self.s2_fuse(x, lateral_keep))
        x = self.s4(self.s3_fuse(x, lateral_keep))
        x = self.s5(self.s4_fuse(x, lateral_keep))
        if self.audio is None:
            return x
        if x.audio is None:
            return x._replace(audio=x.slow.new_zeros(len(slow), self.channels.audio, 1, 1, 1))
        return x._replace(audio=silence(x.audio, head_keep))

    def _check_frames(self, x: Pathways) -> None:
        frames = x.slow.shape[2]
        if x.fast.shape[2] != self.alpha * frames:
            raise ValueError(
                f"got {x.fast.shape[2]} Fast frames for {frames} Slow ones, expected {self.alpha} (alpha) times as many"
            )
        if x.audio is not None and x.audio.shape[3] != self.audio.alpha * frames:
            raise ValueError(
                f"got {x.audio.shape[3]} audio frames for {frames} Slow ones, "
                f"expected {self.audio.alpha} (audio alpha) times as many"
            )


def _visual_chain(
    depth: int, k: int, in_channels: int, inner: int, temporal_kernel: int, stride: int, dilation: int
) -> list[ResBlock]:
    block, depths = DEPTHS[depth]
    transform = partial(block, inner=inner, temporal_kernel=temporal_kernel, dilation=dilation)
    return res_chain(transform, depths[k], in_channels, inner * block.expansion, stride)


def _audio_chain(audio: AudioPathway, k: int, in_channels: int, inner: int) -> list[ResBlock]:
    if k >= TF_STAGES:
        return _visual_chain(audio.depth, k, in_channels, inner, temporal_kernel=1, stride=STRIDES[k], dilation=1)
    block, depths = DEPTHS[audio.depth]
    transform = partial(AUDIO_TRANSFORMS[audio.block], inner=inner, expansion=block.expansion)
    return res_chain(transform, depths[k], in_channels, inner * block.expansion, STRIDES[k])


def _check(depth: int, fast_junctions: Sequence[str], audio: AudioPathway | None) -> None:
    _check_choice("depth", depth, DEPTHS)
    for junction in fast_junctions:
        _check_choice("junction", junction, JUNCTIONS)
    if audio is None:
        return
    _check_choice("audio depth", audio.depth, DEPTHS)
    _check_choice("audio block", audio.block, AUDIO_TRANSFORMS)
    _check_choice("audio fusion", audio.fusion, AUDIO_FUSIONS)
    for junction in audio.junctions:
        _check_choice("junction", junction, JUNCTIONS)
        if junction not in fast_junctions:
            raise ValueError(f"audio joins after {junction}, but Fast does not; add {junction} to fast_junctions")
        downsampling = AUDIO_DOWNSAMPLING[JUNCTIONS.index(junction)]
        if audio.alpha % downsampling:
            raise ValueError(
                f"audio alpha: got {audio.alpha}, expected a multiple of {downsampling} as audio joins after {junction}"
            )


def _check_choice(what: str, got: object, choices: Collection) -> None:
    if got not in choices:
        raise ValueError(f"{what}: got {got!r}, expected one of {', '.join(map(str, choices))}")
