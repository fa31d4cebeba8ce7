"""The inference mode: a copy of a model that gives the same scores sooner.

Batch norms are folded into the convolutions before them, everything is laid out as the processor likes it best, and,
where asked for, computed in bfloat16 and compiled. `benchmarks/model_forward.py` measures what each of these brings.

In bfloat16 the head and conv1 of every pathway stay in float32, and weights are rounded so that the errors of a filter
cancel: what a filter sees is positive on average, and the sum of its errors is what would shift its output.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from avsf_det.models.avslowfast import AVSlowFast, Scores
from avsf_det.models.norms import BatchNorm3d
from avsf_det.models.pathways import Pathways

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class InferenceModel(nn.Module):
    """Takes what an AVSlowFast takes and returns what it returns.

    Norms behind an audio lateral have other statistics for clips without sound, and so has what they are folded into:
    a second copy, made when the first such clip comes. Clips of both kinds may share a batch.

    Args:
        model: left as it is.
        precision: "float32" (scores within 1e-4 of the model's) or "bfloat16" (a trained model's move by about 0.01),
            which processors with AVX512-BF16 or AMX and GPUs since Ampere have.
        compiled: run through `torch.compile` with its weights frozen; pays on a CPU too, but the first call for each
            shape of clips takes a minute or so.

    Raises:
        ValueError: for another precision.
    """

    def __init__(self, model: AVSlowFast, precision: str = "float32", compiled: bool = False) -> None:
        super().__init__()
        if precision not in PRECISIONS:
            raise ValueError(f"precision: got {precision!r}, expected one of {', '.join(PRECISIONS)}")
        self.dtype = PRECISIONS[precision]
        self.compiled = compiled
        self._source = (model,)  # in a tuple, so that its weights are not this module's
        self.listens = model.backbone.audio is not None
        self.hears = any(isinstance(module, BatchNorm3d) and module.by_sound for module in model.modules())
        self.head = copy.deepcopy(model.head).eval()
        self.clip_head = copy.deepcopy(getattr(model, "clip_head", model.head)).eval()
        self.backbones = nn.ModuleDict({"sound": self._fold(True)})
        self.scores, self.clip_scores = model.scores, model.clip_scores

    @property
    def source(self) -> AVSlowFast:
        """The model that this one was made of."""
        return self._source[0]

    def _fold(self, sound: bool) -> nn.Module:
        backbone = fold_norms(copy.deepcopy(self.source.backbone).eval(), sound)
        backbone.requires_grad_(False)
        device = next(backbone.parameters()).device
        if self.dtype == torch.bfloat16:
            stem, backbone.s1 = backbone.s1, nn.Identity()
            for conv in [module for module in backbone.modules() if isinstance(module, nn.Conv3d)]:
                conv.weight.copy_(round_filters(conv.weight))
            backbone.to(self.dtype)
            backbone.s1 = _Rounded(stem, self.dtype)
        backbone.to(memory_format=self._memory_format(device))
        return torch.compile(backbone, dynamic=False, options={"freezing": True}) if self.compiled else backbone

    def _memory_format(self, device: torch.device) -> torch.memory_format:
        """On a CPU, float32 convolutions of 64 and more channels are slower channels last; all else is faster so."""
        plain = device.type == "cpu" and self.dtype == torch.float32
        return torch.contiguous_format if plain else torch.channels_last_3d

    @torch.no_grad()
    def forward(
        self,
        slow: torch.Tensor,
        fast: torch.Tensor,
        audio: torch.Tensor | None = None,
        boxes: torch.Tensor | None = None,
        audio_present: torch.Tensor | None = None,
    ) -> Scores:
        """Logits (N, K) of the boxes, or (B, K) of the clips; arguments as `AVSlowFast.forward`."""
        present = [audio is not None] * len(slow) if audio_present is None else audio_present.tolist()
        if not self.listens or audio is None or len(set(present)) == 1:
            features = self._features(slow, fast, audio if all(present) else None, all(present))
        else:
            features = self._mixed(slow, fast, audio, torch.tensor(present, device=slow.device))
        return self.clip_head(features, None) if boxes is None else self.head(features, boxes)

    def _mixed(self, slow: torch.Tensor, fast: torch.Tensor, audio: torch.Tensor, present: torch.Tensor) -> Pathways:
        """Features of a batch in which clips with and without sound meet, each computed as what it is."""
        heard, silent = present.nonzero().flatten(), (~present).nonzero().flatten()
        back = torch.cat((heard, silent)).argsort()
        first = self._features(slow[heard], fast[heard], audio[heard], True)
        second = self._features(slow[silent], fast[silent], None, False)
        wide = second.audio.expand(-1, -1, *first.audio.shape[2:])
        return Pathways(*(torch.cat(pair)[back] for pair in zip(first, second._replace(audio=wide))))

    def _features(self, slow: torch.Tensor, fast: torch.Tensor, audio: torch.Tensor | None, sound: bool) -> Pathways:
        state = "sound" if sound or not self.hears else "silent"
        if state not in self.backbones:
            device = slow.device
            self.backbones[state] = self._fold(False).to(device)
        layout = self._memory_format(slow.device)
        slow, fast = (x.contiguous(memory_format=layout) for x in (slow, fast))
        features = self.backbones[state](slow, fast, audio)
        return Pathways(*(one if one is None else one.float() for one in features))


class _Rounded(nn.Module):
    """A stem whose output is rounded for the stages that follow."""

    def __init__(self, stem: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.stem, self.dtype = stem, dtype

    def forward(self, x: Pathways) -> Pathways:
        return Pathways(*(one if one is None else one.to(self.dtype) for one in self.stem(x)))


class _Folded(nn.Module):
    """Where a norm was."""

    def forward(self, x: torch.Tensor, keep: object = None) -> torch.Tensor:
        return x


def fold_norms(module: nn.Module, sound: bool | None = True) -> nn.Module:
    """Fold every batch norm in `module` into the convolutions before it, in place.

    Args:
        module: in evaluation mode; a norm is called `bn`, `<conv>_bn` or `bn_<name>` and follows `conv` (or both of
            `conv_t` and `conv_f`, or `conv_out`), `<conv>` or `conv_<name>`.
        sound: whether norms that keep clips with sound apart from those without are folded for the former; None leaves
            those norms as they are.
    """
    for parent in list(module.modules()):
        for name, norm in list(parent.named_children()):
            if isinstance(norm, nn.BatchNorm3d) and not (sound is None and getattr(norm, "by_sound", False)):
                _fold(norm, [getattr(parent, conv) for conv in _convolutions(parent, name)], sound)
                setattr(parent, name, _Folded())
    return module


def _convolutions(parent: nn.Module, norm: str) -> list[str]:
    """The names of the convolutions whose sum the norm follows."""
    if norm == "bn":
        return [name for name in ("conv", "conv_t", "conv_f", "conv_out") if hasattr(parent, name)]
    return [norm.removesuffix("_bn") if norm.endswith("_bn") else f"conv_{norm.removeprefix('bn_')}"]


def _fold(norm: nn.BatchNorm3d, convolutions: list[nn.Conv3d], sound: bool) -> None:
    mean, var = norm.statistics(sound)[:2] if isinstance(norm, BatchNorm3d) else (norm.running_mean, norm.running_var)
    scale = norm.weight * torch.rsqrt(var + norm.eps)
    shift = norm.bias - mean * scale
    for i, conv in enumerate(convolutions):
        bias = torch.zeros_like(shift) if conv.bias is None else conv.bias * scale
        conv.weight = nn.Parameter(conv.weight * scale.view(-1, 1, 1, 1, 1))
        conv.bias = nn.Parameter(bias + shift if i == 0 else bias)


def round_filters(weight: torch.Tensor) -> torch.Tensor:
    """(C_out, ...) float32 as bfloat16, each number up or down so that the errors of each filter nearly cancel.

    Every number is rounded to the nearest; then, where it costs least, to the other side, until the sum is met.
    """
    exact = weight.flatten(1).float()
    nearest = exact.bfloat16()
    error = exact - nearest.float()
    away = torch.where((error > 0) == (nearest >= 0), 1, -1).to(torch.int16)  # the next number on the other side
    other = (nearest.view(torch.int16) + away).view(torch.bfloat16)
    step = other.float() - nearest.float()
    total = error.sum(dim=1, keepdim=True)
    helps = (step.sign() == total.sign()) & (error != 0)
    cost = ((other.float() - exact).abs() - error.abs()).masked_fill(~helps, float("inf"))
    order = cost.argsort(dim=1)
    steps = (step * helps).gather(1, order)
    turned = (steps.cumsum(dim=1) - steps / 2).abs() <= total.abs()  # as long as the sum comes nearer
    turned = torch.zeros_like(helps).scatter(1, order, turned & (steps != 0))
    return torch.where(turned, other, nearest).view_as(weight)
