"""Weight files of every known format, read into our names.

Another format is a module with a function that renames a tensor, and one line in `FORMATS`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from avsf_det.errors import UserError
from avsf_det.models.importers import caffe2, pyslowfast, pytorchvideo, resnet
from avsf_det.models.importers.files import tensors_of
from avsf_det.weight_file import NEXT_STEP, read_file

OURS = "avsf-det"
NORM_EPS = 1e-5  # that a batch norm adds to its variance


class Format(NamedTuple):
    """How a format's tensors are named.

    Attributes:
        title: for people.
        mark: a regular expression that one of its names matches from start to end, and no other format's does.
        rename: to our name of a tensor; the name as it is where it is unknown, None for what is no weight.
    """

    title: str
    mark: str
    rename: Callable[[str], str | None]


FORMATS = {  # the first whose mark is found is taken
    OURS: Format("avsf-det checkpoint", r"(?!)", pyslowfast.rename),  # marked by what is beside the tensors
    "avslowfast": Format("AVSlowFast checkpoint of its authors", r"s1\.pathway2_stem\..*", pyslowfast.rename),
    "pyslowfast": Format("PySlowFast checkpoint", r"s1\.pathway0_stem\.conv\.weight", pyslowfast.rename),
    "caffe2": Format("Caffe2 pickle", r"(t_)?res2_0_branch2a_w", caffe2.rename),
    "pytorchvideo": Format("PyTorchVideo state dict", r"(.+\.)?blocks\.1\..*res_blocks\.0\..*", pytorchvideo.rename),
    "detectron2": Format("Detectron2 ResNet", r"(.+\.)?res2\.0\.conv1\.weight", resnet.rename_detectron2),
    "torchvision": Format("torchvision ResNet", r"(.+\.)?layer1\.0\.conv1\.weight", resnet.rename_torchvision),
}


@dataclass(frozen=True)
class Weights:
    """What a weight file holds.

    Attributes:
        format: a key of `FORMATS`.
        state: its tensors by our names, shaped as they were; what has no name with us keeps its own.
        about: the numbers, texts and lists beside them, such as "epoch" and "cfg", as the file's writer meant them.
    """

    format: str
    state: dict[str, torch.Tensor]
    about: dict[str, Any]

    def __str__(self) -> str:
        return FORMATS[self.format].title


def read_weights(path: str | os.PathLike) -> Weights:
    """Open a weight file of any format in `FORMATS`; nothing in it can run code.

    Raises:
        UserError: if it cannot be read, is damaged, would run code, or is of no known format.
    """
    content = read_file(path)
    try:
        tensors, about = tensors_of(content)
    except ValueError as error:
        raise UserError(f"{path}: {error}; {NEXT_STEP}") from error
    format = OURS if is_ours(about) else _recognise(tensors)
    if not format:
        names = ", ".join(list(tensors)[:3])
        raise UserError(f"{path}: tensors of an unknown kind, {names} ...; {NEXT_STEP}")
    renamed = ((FORMATS[format].rename(name), tensor) for name, tensor in tensors.items())
    state = {name: tensor for name, tensor in renamed if name}
    return Weights(format, state | _folded_statistics(state), about)


def is_ours(about: Mapping[str, Any]) -> bool:
    """Whether a checkpoint is `avsf-det`'s, so that its "cfg" has our keys."""
    return about.get("format") == OURS or isinstance(about.get("label_map"), str)


def _recognise(names: Mapping[str, Any]) -> str | None:
    marks = ((format, re.compile(mark)) for format, (_, mark, _) in FORMATS.items())
    return next((format for format, mark in marks if any(map(mark.fullmatch, names))), None)


def _folded_statistics(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Statistics that change nothing, for norms that are a scale and a shift alone, as in Caffe2's older ResNets."""
    norms = [name.removesuffix(".weight") for name in state if name.endswith("bn.weight")]
    folded = [norm for norm in norms if f"{norm}.running_mean" not in state]
    means = {f"{norm}.running_mean": torch.zeros_like(state[f"{norm}.weight"]) for norm in folded}
    return means | {f"{norm}.running_var": torch.full_like(state[f"{norm}.weight"], 1 - NORM_EPS) for norm in folded}


def swap_colours(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of a model for BGR pictures as those of one for RGB, or the other way round."""
    stem = re.compile(r"s1\.pathway[01]_stem\.conv\.weight")
    return {
        name: tensor.float().flip(1) if stem.fullmatch(name) and tensor.dim() > 1 else tensor
        for name, tensor in state.items()
    }
