"""The three pathways up to, but without, what joins them: stems, residual blocks and stages.

Attribute names follow PySlowFast (`slowfast/models/{stem,resnet}_helper.py`) and, for audio, fanyix/SlowFast, so that
state dicts match by name. There a pathway is a number; here that number lives in `PREFIX` alone.
Every tensor is (B, C, T, H, W). Audio has T = 1, H = audio frames A, W = mel bins M, and kernels (1, time, mel).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from avsf_det.models.non_local import NonLocal
from avsf_det.models.norms import BatchNorm3d, Keep

FAST_STEM_KERNEL = 5  # frames


class Pathways(NamedTuple):
    """One value a pathway: a tensor, a number of channels, a chain of modules; None where a pathway is absent."""

    slow: Any
    fast: Any
    audio: Any = None


PREFIX = Pathways("pathway0", "pathway1", "pathway2")


def conv3d(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...] = (1, 1, 1),
) -> torch.Tensor:
    """`F.conv3d`, which a CPU under autocast computes in float32 where the kernel is longer than the clip.

    In bfloat16 the gradient of such a kernel is wrong there: NaN, or of the order of 1e36 (PyTorch 2.14 with oneDNN,
    measured at 1 to 4 frames and kernels of 3, 5, 7 and 9; it depends on the channels and on the processor).
    """
    if x.device.type == "cpu" and x.shape[2] < weight.shape[2] and torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            return F.conv3d(x.float(), weight, bias, stride, padding, dilation)
    return F.conv3d(x, weight, bias, stride, padding, dilation)


class TemporalConv(nn.Conv3d):
    """A convolution over time, computed by `conv3d`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return conv3d(x, self.weight, self.bias, self.stride, self.padding, self.dilation)


def conv(
    in_channels: int,
    out_channels: int,
    kernel: tuple[int, int, int],
    stride: tuple[int, int, int] = (1, 1, 1),
    dilation: int = 1,
) -> nn.Conv3d:
    """A convolution without bias that keeps the size (before its stride); `dilation` acts on H and W."""
    dilations = (1, dilation, dilation)
    padding = tuple(k // 2 * d for k, d in zip(kernel, dilations))
    kind = TemporalConv if kernel[0] > 1 else nn.Conv3d
    return kind(in_channels, out_channels, kernel, stride, padding, dilations, bias=False)


class FewFilters(TemporalConv):
    """A convolution over time, stride 1 there, for which a CPU takes half the time when it has few filters.

    Processors work on 8 or 16 filters at once. So P output frames in a row are computed as P times as many filters,
    each of which is longer by P - 1 frames in which it is 0, with a stride of P. The sums are the same.
    `benchmarks/few_filters.py` measures it.
    """

    AT_ONCE = 16  # filters

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if torch.compiler.is_compiling() or x.device.type != "cpu" or x.dtype != torch.float32:
            return super().forward(x)
        frames = math.gcd(x.shape[2], max(1, self.AT_ONCE // self.out_channels))
        if frames == 1:
            return super().forward(x)
        shifted = [F.pad(self.weight, (0, 0, 0, 0, i, frames - 1 - i)) for i in range(frames)]
        bias = None if self.bias is None else self.bias.repeat(frames)
        y = conv3d(x, torch.cat(shifted), bias, (frames, *self.stride[1:]), self.padding)
        y = y.unflatten(1, (frames, self.out_channels))  # (B, P, C, T / P, H, W)
        return y.permute(0, 2, 3, 1, 4, 5).flatten(2, 3)


class VisualStem(nn.Module):
    """conv1 and pool1 of the Slow or the Fast pathway: H and W become a quarter."""

    def __init__(self, channels: int, temporal_kernel: int) -> None:
        super().__init__()
        kind = FewFilters if temporal_kernel > 1 else nn.Conv3d
        padding = (temporal_kernel // 2, 3, 3)
        self.conv = kind(3, channels, (temporal_kernel, 7, 7), (1, 2, 2), padding, bias=False)
        self.bn = BatchNorm3d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.pool_layer = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool_layer(self.relu(self.bn(self.conv(x))))


class AudioStem(nn.Module):
    """conv1 of the Audio pathway: kernels of 9 audio frames and of 9 mel bins, summed; the size is kept."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_t = conv(1, channels, (1, 9, 1))
        self.conv_f = conv(1, channels, (1, 1, 9))
        self.bn = BatchNorm3d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.bn(self.conv_t(x) + self.conv_f(x)))


class BasicTransform(nn.Module):
    """Two 3x3 convolutions, the first with the temporal kernel and the stride: ResNet-18 and 34."""

    expansion = 1
    last_bn = property(lambda self: self.b_bn)

    def __init__(
        self, in_channels: int, inner: int, temporal_kernel: int, stride: int, dilation: int, by_sound: bool = False
    ) -> None:
        super().__init__()
        self.a = conv(in_channels, inner, (temporal_kernel, 3, 3), (1, stride, stride), dilation)
        self.a_bn = BatchNorm3d(inner, by_sound)
        self.b = conv(inner, inner, (1, 3, 3), dilation=dilation)
        self.b_bn = BatchNorm3d(inner, by_sound)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor, keep: Keep | None = None) -> torch.Tensor:
        return self.b_bn(self.b(self.relu(self.a_bn(self.a(x), keep))), keep)


class BottleneckTransform(nn.Module):
    """T x1x1, 1x3x3 with the stride, 1x1x1: ResNet-50 and 101."""

    expansion = 4
    last_bn = property(lambda self: self.c_bn)

    def __init__(
        self, in_channels: int, inner: int, temporal_kernel: int, stride: int, dilation: int, by_sound: bool = False
    ) -> None:
        super().__init__()
        self.a = conv(in_channels, inner, (temporal_kernel, 1, 1))
        self.a_bn = BatchNorm3d(inner, by_sound)
        self.b = conv(inner, inner, (1, 3, 3), (1, stride, stride), dilation)
        self.b_bn = BatchNorm3d(inner, by_sound)
        self.c = conv(inner, inner * self.expansion, (1, 1, 1))
        self.c_bn = BatchNorm3d(inner * self.expansion, by_sound)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor, keep: Keep | None = None) -> torch.Tensor:
        x = self.relu(self.a_bn(self.a(x), keep))
        x = self.relu(self.b_bn(self.b(x), keep))
        return self.c_bn(self.c(x), keep)


class TimeFrequencyTransformV1(nn.Module):
    """A kernel of 3 audio frames beside one of 3 mel bins, both on the input, concatenated, then 1x1x1.

    The author's released configuration (fanyix/SlowFast `tf_bottleneck_transform_v1`).
    """

    last_bn = property(lambda self: self.out_bn)

    def __init__(self, in_channels: int, inner: int, stride: int, expansion: int) -> None:
        super().__init__()
        self.t = conv(in_channels, inner, (1, 3, 1), (1, stride, stride))
        self.t_bn = BatchNorm3d(inner)
        self.f = conv(in_channels, inner, (1, 1, 3), (1, stride, stride))
        self.f_bn = BatchNorm3d(inner)
        self.out = conv(2 * inner, inner * expansion, (1, 1, 1))
        self.out_bn = BatchNorm3d(inner * expansion)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor, keep: Keep | None = None) -> torch.Tensor:
        time = self.relu(self.t_bn(self.t(x)))
        frequency = self.relu(self.f_bn(self.f(x)))
        return self.out_bn(self.out(torch.cat((time, frequency), dim=1)))


class TimeFrequencyTransformV2(nn.Module):
    """1x1x1, then a kernel of 3 audio frames beside one of 3 mel bins, summed, then 1x1x1.

    The author's variant that needs less memory (`tf_bottleneck_transform_v2`), and what PyTorchVideo builds.
    """

    last_bn = property(lambda self: self.c_bn)

    def __init__(self, in_channels: int, inner: int, stride: int, expansion: int) -> None:
        super().__init__()
        self.a = conv(in_channels, inner, (1, 1, 1))
        self.a_bn = BatchNorm3d(inner)
        self.b_t = conv(inner, inner, (1, 3, 1), (1, stride, stride))
        self.b_t_bn = BatchNorm3d(inner)
        self.b_f = conv(inner, inner, (1, 1, 3), (1, stride, stride))
        self.b_f_bn = BatchNorm3d(inner)
        self.c = conv(inner, inner * expansion, (1, 1, 1))
        self.c_bn = BatchNorm3d(inner * expansion)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor, keep: Keep | None = None) -> torch.Tensor:
        x = self.relu(self.a_bn(self.a(x)))
        x = self.relu(self.b_t_bn(self.b_t(x))) + self.relu(self.b_f_bn(self.b_f(x)))
        return self.c_bn(self.c(x))


AUDIO_TRANSFORMS = {
    "tf_bottleneck_transform_v1": TimeFrequencyTransformV1,
    "tf_bottleneck_transform_v2": TimeFrequencyTransformV2,
}


class ResBlock(nn.Module):
    """relu(shortcut(x) + branch2(x)); the shortcut is a 1x1x1 projection where the channels or the size change.

    Args:
        branch2: the residual branch, called with (x, keep).
        in_channels, out_channels, stride: of the block.
        by_sound: whether the shortcut's norm keeps clips with sound apart from those without.
    """

    def __init__(
        self, branch2: nn.Module, in_channels: int, out_channels: int, stride: int, by_sound: bool = False
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        if in_channels != out_channels or stride != 1:
            self.branch1 = conv(in_channels, out_channels, (1, 1, 1), (1, stride, stride))
            self.branch1_bn = BatchNorm3d(out_channels, by_sound)
        self.branch2 = branch2
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor, keep: Keep | None = None) -> torch.Tensor:
        shortcut = self.branch1_bn(self.branch1(x), keep) if hasattr(self, "branch1") else x
        return self.relu(shortcut + self.branch2(x, keep))


def res_chain(
    transform: Callable[..., nn.Module],
    temporal_kernels: Sequence[int | None],
    in_channels: int,
    out_channels: int,
    stride: int,
    by_sound: bool = False,
) -> list[ResBlock]:
    """Residual blocks in a row, the first with the stride.

    Args:
        transform: makes branch2 from `in_channels`, `stride` and, where a block has one, `temporal_kernel`.
        temporal_kernels: of each block; None for blocks that have none.
        in_channels, out_channels, stride: of the whole chain.
        by_sound: as `ResBlock`.
    """
    blocks = []
    for kernel in temporal_kernels:
        over_time = {} if kernel is None else {"temporal_kernel": kernel, "by_sound": by_sound}
        branch2 = transform(in_channels=in_channels, stride=stride, **over_time)
        blocks.append(ResBlock(branch2, in_channels, out_channels, stride, by_sound))
        in_channels, stride = out_channels, 1
    return blocks


class Stem(nn.Module):
    """conv1 and pool1 of every pathway that has channels."""

    def __init__(self, channels: Pathways) -> None:
        super().__init__()
        if channels.slow:
            self.pathway0_stem = VisualStem(channels.slow, temporal_kernel=1)
        if channels.fast:
            self.pathway1_stem = VisualStem(channels.fast, temporal_kernel=FAST_STEM_KERNEL)
        if channels.audio:
            self.pathway2_stem = AudioStem(channels.audio)

    def forward(self, x: Pathways) -> Pathways:
        stems = (f"{prefix}_stem" for prefix in PREFIX)
        return Pathways(*(None if one is None else getattr(self, stem)(one) for stem, one in zip(stems, x)))


class Stage(nn.Module):
    """res2, res3, res4 or res5 of every pathway.

    Args:
        blocks: of each pathway; None for one that is absent.
        non_local: Slow's non-local blocks, by the index of the residual block that each follows.
    """

    def __init__(self, blocks: Pathways, non_local: Mapping[int, NonLocal] | None = None) -> None:
        super().__init__()
        self.depths = Pathways(*(chain and len(chain) for chain in blocks))
        for prefix, chain in zip(PREFIX, blocks):
            for i, block in enumerate(chain or ()):
                self.add_module(f"{prefix}_res{i}", block)
        for i, block in (non_local or {}).items():
            self.add_module(f"{PREFIX.slow}_nonlocal{i}", block)

    def forward(self, x: Pathways, keep: Keep | None = None) -> Pathways:
        return Pathways(*(self._run(prefix, depth, one, keep) for prefix, depth, one in zip(PREFIX, self.depths, x)))

    def _run(self, prefix: str, depth: int | None, x: torch.Tensor | None, keep: Keep | None) -> torch.Tensor | None:
        if x is None:
            return None
        for i in range(depth):
            x = getattr(self, f"{prefix}_res{i}")(x, keep)
            if hasattr(self, f"{prefix}_nonlocal{i}"):
                x = getattr(self, f"{prefix}_nonlocal{i}")(x, keep)
        return x
