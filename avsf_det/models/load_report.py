"""What became of each tensor when weights were put into a model, for logs, for people and for error messages."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

import torch

# What probably differs if a tensor, as "what became of it: its name", looks so; the first that fits any is told.
LIKELY_DIFFERENCES = (
    (r": s1\.pathway[01]_stem", "RESNET.WIDTH_PER_GROUP or SLOWFAST.BETA_INV"),
    (r": s1\.pathway2_stem", "SLOWFAST.AU_BETA_INV"),
    (r"(initialised|unused): s\d\.pathway[01]_res[1-9]", "RESNET.DEPTH"),
    (r"mismatched: s\d\.pathway[01]_res[1-9]\d*\.branch2\.a\.", "RESNET.NUM_BLOCK_TEMP_KERNEL"),
    (r": s\d\.pathway\d_nonlocal", "NONLOCAL.LOCATION"),
    (r": s[23]\.pathway2", "RESNET.AUDIO_DEPTH or RESNET.AUDIO_TRANS_FUNC"),
    (r": s\d\.pathway2", "RESNET.AUDIO_DEPTH"),
    (r": .*_fuse\..*f2s", "SLOWFAST.FS_FUSION, FUSION_KERNEL_SZ or FUSION_CONV_CHANNEL_RATIO"),
    (r": .*_fuse\..*a2fs", "SLOWFAST.AFS_FUSION or one of the AU_FUSION keys"),
)
# What a tensor of the backbone belongs to; the first that is found in its name holds.
PARTS = (
    (r"silent_", None),  # statistics of clips without sound, which start as those with
    (r"^s5_fuse|\.avs\.", "synchronisation"),
    (r"nonlocal", "non-local"),
    (r"pathway0", "Slow"),
    (r"pathway1|f2s", "Fast"),
    (r"pathway2|_fuse\.", "Audio"),
)
GROUPS = {  # attribute of the report: its heading; in the order of the table
    "mismatched": "of another shape, left as initialised",
    "initialised": "not in the weights, left as initialised",
    "unused": "in the weights only, not used",
    "partly": "loaded for the first input channels, the others left as initialised",
    "loaded": "loaded",
}
JUNCTIONS = {1: "pool1", 2: "res2", 3: "res3", 4: "res4"}  # s{k}_fuse comes after it


@dataclass(frozen=True)
class LoadReport:
    """What became of each tensor, by name.

    The norms' counters of batches, which nothing reads, are in `initialised` only where the weights counted.

    Attributes:
        loaded: taken from the weights, pictures' kernels inflated over time.
        partly: taken for the first input channels, as the weights have fewer: what Fast→Slow or sound adds comes last.
        initialised: of the model, not in the weights; left as they were.
        mismatched: in both but of different shapes; left as they were.
        unused: in the weights only.
        own_shapes: of the model's tensors.
        their_shapes: of the weights' tensors.
    """

    loaded: tuple[str, ...]
    partly: tuple[str, ...]
    initialised: tuple[str, ...]
    mismatched: tuple[str, ...]
    unused: tuple[str, ...]
    own_shapes: Mapping[str, torch.Size] = field(repr=False)
    their_shapes: Mapping[str, torch.Size] = field(repr=False)

    @property
    def differing(self) -> tuple[str, ...]:
        """All but what was loaded whole."""
        return self.partly + self.initialised + self.mismatched + self.unused

    @property
    def misfits(self) -> tuple[str, ...]:
        """The backbone's tensors of another shape: the configuration is not that of the weights."""
        return tuple(name for name in self.mismatched if part_of(name))

    def __str__(self) -> str:
        words = {"loaded": "loaded", "partly": "in part", "initialised": "initialised"}
        words |= {"mismatched": "of another shape", "unused": "unused"}
        counts = [(len(getattr(self, group)), word) for group, word in words.items()]
        counted = [f"{count} {'tensors ' * (word == 'loaded')}{word}" for count, word in counts if count]
        return "; ".join([", ".join(counted), *self.remarks()])

    def remarks(self) -> list[str]:
        """What a user should know, a clause each: shapes, last layers, parts and Fast→Slow that differ."""
        return [*self._misfits(), *self._classes(), *self._parts(), *self._lateral()]

    def table(self) -> str:
        """Every tensor with its shapes, grouped by what became of it; a module's tensors of one shape share a line."""
        lines = [str(self)]
        for group, heading in GROUPS.items():
            names = [name for name in getattr(self, group) if not is_counter(name)]
            if names:
                lines += ["", f"{len(names)} {heading}:", *self._rows(names)]
        return "\n".join(lines)

    def _rows(self, names: Iterable[str]) -> Iterable[str]:
        for (module, shapes), group in groupby(names, lambda name: (name.rpartition(".")[0], self._shapes(name))):
            leaves = [name.rpartition(".")[2] for name in group]
            name = leaves[0] if len(leaves) == 1 else f"{{{','.join(leaves)}}}"
            yield f"  {f'{module}.{name}' if module else name}  {shapes}"

    def _shapes(self, name: str) -> str:
        shapes = (self.own_shapes.get(name), self.their_shapes.get(name))
        own, their = ("x".join(map(str, shape)) or "number" if shape is not None else None for shape in shapes)
        if own and their and own != their:
            return f"{own} in the model, {their} in the weights"
        return own or their

    def _misfits(self) -> Iterable[str]:
        for name in self.misfits[:1]:
            yield f"{name} is {self._shapes(name)}: {likely_difference(self)}"

    def _classes(self) -> Iterable[str]:
        for name in self.mismatched:
            if re.fullmatch(r"(clip_)?head\..*bias", name):
                theirs, ours = (math.prod(shapes[name]) for shapes in (self.their_shapes, self.own_shapes))
                layer = name.removesuffix(".bias")
                yield f"{theirs} classes in the weights, {ours} in the model: {layer} starts as initialised"
        if not any(name.startswith(("head.", "clip_head.")) for name in self.their_shapes):
            yield "no last layer in the weights: it starts as initialised"

    def _parts(self) -> Iterable[str]:
        own, their = ({part for part in map(part_of, names) if part} for names in (self.own_shapes, self.their_shapes))
        for part in sorted(own - their):
            yield f"no {part} in the weights: it starts as initialised"
        for part in sorted(their - own):
            yield f"no {part} in the model"

    def _lateral(self) -> Iterable[str]:
        own, their = (
            [junction for k, junction in JUNCTIONS.items() if f"s{k}_fuse.conv_f2s.weight" in names]
            for names in (self.own_shapes, self.their_shapes)
        )
        if own and their and own != their:
            where = f"after {', '.join(their)} in the weights, after {', '.join(own)} in the model"
            yield f"Fast→Slow is {where} (SLOWFAST.FS_FUSION)"


def part_of(name: str) -> str | None:
    """Which part of the backbone a tensor belongs to; None for the head and for names that are not ours."""
    if not re.match(r"s\d(\.pathway\d_|_fuse\.)", name):
        return None
    return next((part for mark, part in PARTS if re.search(mark, name)), None)


def is_counter(name: str) -> bool:
    """Whether it counts a norm's batches, which is no weight."""
    return name.endswith("num_batches_tracked")


def likely_difference(report: LoadReport) -> str:
    """The config keys that probably differ between the model and the weights' own, by the parts that both have."""
    own, their = ({part_of(name) for name in names} for names in (report.own_shapes, report.their_shapes))
    shared = (own & their) - {None}
    if not shared:
        return "no name is the same"
    told = [
        f"{what}: {name}"
        for what in ("mismatched", "initialised", "unused")
        for name in getattr(report, what)
        if part_of(name) in shared
    ]
    for pattern, keys in LIKELY_DIFFERENCES:
        if any(re.search(pattern, one) for one in told):
            return f"{keys} probably differs"
    return "compare the configs"
