"""What an AVSlowFast may be made of: depths, junctions, and the choices for Audio and for non-local blocks, checked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from avsf_det.models.fusion import AUDIO_FUSIONS
from avsf_det.models.pathways import AUDIO_TRANSFORMS, BasicTransform, BottleneckTransform

DEPTHS = {
    18: (BasicTransform, (2, 2, 2, 2)),
    34: (BasicTransform, (3, 4, 6, 3)),
    50: (BottleneckTransform, (3, 4, 6, 3)),
    101: (BottleneckTransform, (3, 4, 23, 3)),
}
JUNCTIONS = ("pool1", "res2", "res3", "res4")  # the pathways meet after these
SYNC_JUNCTIONS = (*JUNCTIONS, "res5")  # where synchronisation can be judged
AUDIO_DOWNSAMPLING = (1, 1, 2, 4, 8)  # audio frames of the input per frame at each of SYNC_JUNCTIONS
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
        junctions: where Audio joins, out of `JUNCTIONS`.
        fusion: how it joins, a name in `fusion.AUDIO_FUSIONS`.
        fusion_channels: of the fusion's inner convolutions.
        fusion_kernel: size of the fusion's convolutions, in audio frames.
        fusion_convs: number of the fusion's convolutions.
        sync_junctions: where synchronisation is judged in training, out of `SYNC_JUNCTIONS`.
        sync_dim: dimensions in which it is judged.
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
    sync_junctions: Sequence[str] = ()
    sync_dim: int = 64

    def frames_at(self, junction: str) -> int:
        """Audio frames per Slow frame at a junction."""
        return self.alpha // AUDIO_DOWNSAMPLING[SYNC_JUNCTIONS.index(junction)]


@dataclass(frozen=True)
class NonLocalBlocks:
    """Slow's non-local blocks.

    Attributes:
        locations: of res2..res5: the indices of the residual blocks that one follows.
        pool, instantiation: see `NonLocal`.
    """

    locations: Sequence[Sequence[int]] = ((), (), (), ())
    pool: Sequence[int] = (1, 2, 2)
    instantiation: str = "dot_product"


def check_pathways(depth: int, fast_junctions: Sequence[str], audio: AudioPathway | None) -> None:
    """See that depths, junctions and what is said of Audio are among the choices.

    Raises:
        ValueError: if they are not.
    """
    check_choice("depth", depth, DEPTHS)
    for junction in fast_junctions:
        check_choice("junction", junction, JUNCTIONS)
    if audio is None:
        return
    check_choice("audio depth", audio.depth, DEPTHS)
    check_choice("audio block", audio.block, AUDIO_TRANSFORMS)
    check_choice("audio fusion", audio.fusion, AUDIO_FUSIONS)
    for junction in audio.junctions:
        check_choice("junction", junction, JUNCTIONS)
    for junction in (*audio.junctions, *audio.sync_junctions):
        check_choice("junction of synchronisation", junction, SYNC_JUNCTIONS)
        downsampling = AUDIO_DOWNSAMPLING[SYNC_JUNCTIONS.index(junction)]
        if audio.alpha % downsampling:
            raise ValueError(
                f"audio alpha: got {audio.alpha}, expected a multiple of {downsampling} as audio joins after {junction}"
            )


def check_stages(
    blocks: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    temporal_blocks: Sequence[int],
    non_local: Sequence[Sequence[int]],
) -> None:
    """See that what is said of res2..res5 is said of each and fits the number of its blocks.

    Raises:
        ValueError: if it does not.
    """
    if not len(strides) == len(dilations) == len(STRIDES):
        got = f"{len(strides)} and {len(dilations)}"
        raise ValueError(f"SPATIAL_STRIDES and SPATIAL_DILATIONS: got {got} numbers, expected 4 each")
    if len(temporal_blocks) != len(STRIDES) or any(t > n for t, n in zip(temporal_blocks, blocks)):
        raise ValueError(f"NUM_BLOCK_TEMP_KERNEL: got {list(temporal_blocks)}, expected 4 numbers up to {list(blocks)}")
    if len(non_local) != len(STRIDES) or any(not 0 <= i < n for some, n in zip(non_local, blocks) for i in some):
        raise ValueError(
            f"NONLOCAL.LOCATION: got {[list(some) for some in non_local]}, expected 4 lists of block indices below "
            f"{list(blocks)}"
        )


def check_choice(what: str, got: object, choices: Collection) -> None:
    """See that a value is one of the choices; raises ValueError if not."""
    if got not in choices:
        raise ValueError(f"{what}: got {got!r}, expected one of {', '.join(map(str, choices))}")
