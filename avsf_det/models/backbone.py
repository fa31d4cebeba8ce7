"""The AVSlowFast backbone (arXiv 2001.08740) and, with the audio left out, the SlowFast one (arXiv 1812.03982)."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from avsf_det.models.architecture import (
    DEPTHS,
    FAST_TEMPORAL_KERNEL,
    JUNCTIONS,
    SLOW_TEMPORAL_KERNELS,
    STRIDES,
    SYNC_JUNCTIONS,
    TF_STAGES,
    AudioPathway,
    NonLocalBlocks,
    check_choice,
    check_pathways,
    check_stages,
)
from avsf_det.models.audio_rows import AudioRows
from avsf_det.models.drop_pathway import AudioGate, DropPathway
from avsf_det.models.fusion import AUDIO_FUSIONS, AudioLateral, FastLateral, FastToSlow, SyncOnly
from avsf_det.models.non_local import NonLocal
from avsf_det.models.norms import Keep, frozen_statistics
from avsf_det.models.pathways import AUDIO_TRANSFORMS, Pathways, ResBlock, Stage, Stem, res_chain
from avsf_det.models.synchronisation import Embeddings, unheard


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
        temporal_blocks: of the visual res2..res5: how many blocks, the first ones, look at more than one moment; None
            is all. PySlowFast's R101 models have (3, 4, 6, 3).
        non_local: Slow's non-local blocks; None for none.
        audio: the Audio pathway; None makes it a plain SlowFast.
        drop_pathway: which clips lose their sound in training; None is the default `DropPathway()`.
        checkpointed: of res2..res5 and conv1, those whose activations are computed again in the backward pass instead
            of kept, by their names "s1".."s5": less memory for more time, the same result.

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
        temporal_blocks: Sequence[int] | None = None,
        non_local: NonLocalBlocks | None = None,
        audio: AudioPathway | None = None,
        drop_pathway: DropPathway | None = None,
        checkpointed: Collection[str] = (),
    ) -> None:
        super().__init__()
        blocks = DEPTHS[depth][1] if depth in DEPTHS else ()
        temporal_blocks = tuple(temporal_blocks or blocks)
        non_local = non_local or NonLocalBlocks()
        check_pathways(depth, fast_junctions, audio)
        check_stages(
            blocks, spatial_strides, spatial_dilations, temporal_blocks=temporal_blocks, non_local=non_local.locations
        )
        self.alpha = alpha
        self.audio = audio
        self.checkpointed = frozenset(checkpointed)
        for name in self.checkpointed:
            check_choice("stage with activation checkpointing", name, ("s1", "s2", "s3", "s4", "s5"))
        self.drop_pathway = drop_pathway or DropPathway()

        inner = Pathways(width, max(1, width // beta_inv), max(1, width // audio.beta_inv) if audio else None)
        channels = inner
        slow_hears = fast_hears = False
        self.s1 = Stem(inner)
        for k, junction in enumerate(JUNCTIONS):
            fast = None
            if junction in fast_junctions:
                fast = FastLateral(alpha, fusion_kernel, fusion_channel_ratio, by_sound=fast_hears)
            fuse = self._fusion(junction, channels, fast)
            slow_hears |= fuse.adds_sound
            fast_hears |= fuse.adds_sound and fuse.reaches_fast
            self.add_module(f"s{k + 1}_fuse", fuse)

            chain = partial(
                _visual_chain,
                depth,
                k,
                stride=spatial_strides[k],
                dilation=spatial_dilations[k],
                temporal_blocks=temporal_blocks[k],
            )
            slow = chain(fuse.slow_channels, inner.slow, SLOW_TEMPORAL_KERNELS[k], by_sound=slow_hears)
            looking = {
                i: NonLocal(slow[i].out_channels, non_local.pool, non_local.instantiation, slow_hears)
                for i in non_local.locations[k]
            }
            stage = Pathways(
                slow,
                chain(channels.fast, inner.fast, FAST_TEMPORAL_KERNEL, by_sound=fast_hears),
                audio_chain(audio, k, channels.audio, inner.audio) if audio else None,
            )
            self.add_module(f"s{k + 2}", Stage(stage, looking))
            channels = Pathways(*(one and one[-1].out_channels for one in stage))
            inner = Pathways(*(one and 2 * one for one in inner))
        if audio and "res5" in audio.sync_junctions:
            self.s5_fuse = self._fusion("res5", channels, FastLateral(alpha, fusion_kernel, fusion_channel_ratio))
        if audio:
            self.gate = AudioGate(channels.audio, self.drop_pathway.replacement)
        self.channels = channels

    def _fusion(self, junction: str, channels: Pathways, fast: FastLateral | None) -> FastToSlow:
        audio = self.audio
        if audio is None or junction not in {*audio.junctions, *audio.sync_junctions}:
            return FastToSlow(channels, fast)
        lateral = AudioLateral(
            alpha=self.alpha,
            frames=audio.frames_at(junction),
            channels=audio.fusion_channels,
            kernel=audio.fusion_kernel,
            convs=audio.fusion_convs,
            replacement=self.drop_pathway.replacement,
        )
        fuse = (AUDIO_FUSIONS[audio.fusion] if junction in audio.junctions else SyncOnly)(channels, fast, lateral)
        if junction in audio.sync_junctions:
            fuse.add_sync_head(audio.sync_dim)
        return fuse

    def forward(
        self,
        slow: torch.Tensor,
        fast: torch.Tensor,
        audio: torch.Tensor | None = None,
        audio_present: torch.Tensor | None = None,
        misaligned: torch.Tensor | None = None,
        valid: torch.Tensor | None = None,
    ) -> Pathways | tuple[Pathways, dict[str, Embeddings]]:
        """Feature maps of the three pathways after res5, and with negatives the embeddings of synchronization.

        A clip without audio takes the path that DropPathway trains: what Audio would add, and its own feature map, is
        exactly zero (or their running mean, as `DropPathway.replacement` says).

        Args:
            slow: (B, 3, T, H, W), normalized RGB.
            fast: (B, 3, alpha * T, H, W).
            audio: (B, 1, 1, A, M), normalized log-mel with A = T * audio alpha; None if no clip has audio. It is
                ignored without an Audio pathway, as is the row of a clip without audio.
            audio_present: (B,) bool, which clips have audio; None is all of them.
            misaligned: (B, 1, 1, A, M), audio that does not belong to the clips. It goes through the Audio pathway
                beside the clips' own, but reaches neither a lateral connection nor the feature maps.
            valid: (B,) bool, the clips whose negative is used; None is all of them.

        Returns:
            (B, C, T, H', W'), (B, C, alpha * T, H', W') and (B, C, 1, A', M'); audio is None without an Audio pathway.
            With `misaligned` a pair of these and, by junction, the `Embeddings`.

        Raises:
            ValueError: if the numbers of frames do not fit each other.
        """
        if self.audio and audio is None and self.training:  # it is not run, but each parameter is to get its gradient
            audio = slow.new_zeros(len(slow), 1, 1, self.audio.alpha * slow.shape[2], math.prod(STRIDES))
            audio_present = slow.new_zeros(len(slow), dtype=torch.bool)
        x = Pathways(slow, fast, audio if self.audio else None)
        self._check_frames(x)
        present = self._present(x, audio_present)
        lateral_keep, head_keep = self.drop_pathway(present) if self.audio else (present, present)
        rows = self._audio_rows(present, valid)
        if x.audio is not None:
            x = x._replace(audio=rows.take(x.audio, misaligned))

        embeddings, heard = {}, False
        x = self._stage("s1", x, None)
        for k, junction in enumerate(SYNC_JUNCTIONS, 1):
            fuse = getattr(self, f"s{k}_fuse", None)
            if misaligned is not None and getattr(fuse, "avs", None) is not None:
                fused, judged = fuse.forward_sync(x, lateral_keep, rows)
                embeddings[junction] = replace(judged, unheard=unheard(lateral_keep, heard))
                heard |= fuse.adds_sound
            elif junction in JUNCTIONS:
                fused = fuse(x, lateral_keep, rows)
                heard |= fuse.adds_sound
            if junction in JUNCTIONS:
                x = self._stage(f"s{k + 1}", fused, lateral_keep)
        features = self._with_head_audio(x, head_keep, rows)
        return features if misaligned is None else (features, embeddings)

    def _present(self, x: Pathways, audio_present: torch.Tensor | None) -> Keep:
        """Which clips have sound."""
        if x.audio is None or audio_present is None:
            return Keep.all(x.slow, x.audio is not None)
        return Keep.known(audio_present) if self.training else Keep(audio_present)

    def _audio_rows(self, present: Keep, valid: torch.Tensor | None) -> AudioRows:
        """All sound, which masks undo; in training what clips have, and the negatives that are looked at."""
        if not self.training:
            return AudioRows(present.mask.shape[0])
        own = None if present.uniform else present.mask.nonzero().flatten()
        return AudioRows(present.mask.shape[0], own, None if valid is None else valid.nonzero().flatten())

    def _stage(self, name: str, x: Pathways, keep: Keep | None) -> Pathways:
        stage = getattr(self, name)
        run = partial(stage, keep=keep) if keep else stage
        if name not in self.checkpointed or not torch.is_grad_enabled():
            return run(x)
        return checkpoint(run, x, use_reentrant=False, context_fn=lambda: frozen_statistics(stage))

    def _with_head_audio(self, x: Pathways, keep: Keep, rows: AudioRows) -> Pathways:
        """`x` with the audio feature map that the head gets."""
        if self.audio is None:
            return x
        if x.audio is None:
            nothing = x.slow.new_zeros(x.slow.shape[0], self.channels.audio, 1, 1, 1)
            stand_in = self.gate.absent(nothing)
            return x._replace(audio=nothing if stand_in is None else nothing + stand_in)
        return x._replace(audio=self.gate(rows.spread_own(x.audio), keep))

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
    depth: int,
    k: int,
    in_channels: int,
    inner: int,
    temporal_kernel: int,
    stride: int,
    dilation: int,
    temporal_blocks: int,
    by_sound: bool = False,
) -> list[ResBlock]:
    block, depths = DEPTHS[depth]
    transform = partial(block, inner=inner, dilation=dilation)
    kernels = [temporal_kernel if i < temporal_blocks else 1 for i in range(depths[k])]
    return res_chain(transform, kernels, in_channels, inner * block.expansion, stride, by_sound)


def audio_chain(audio: AudioPathway, k: int, in_channels: int, inner: int) -> list[ResBlock]:
    """The residual blocks of Audio's stage k, 0 to 3 for res2 to res5."""
    if k >= TF_STAGES:
        return _visual_chain(audio.depth, k, in_channels, inner, 1, STRIDES[k], dilation=1, temporal_blocks=0)
    block, depths = DEPTHS[audio.depth]
    transform = partial(AUDIO_TRANSFORMS[audio.block], inner=inner, expansion=block.expansion)
    return res_chain(transform, [None] * depths[k], in_channels, inner * block.expansion, STRIDES[k])
