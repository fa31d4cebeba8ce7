"""Checkpoint files: one torch file with everything needed to use a model again.

Keys as in PySlowFast (`slowfast/utils/checkpoint.py`): "epoch", "model_state", "optimizer_state" and "cfg" (yaml text);
"format" (avsf-det) and "label_map" (the text of the pbtxt). More keys may be added.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from avsf_det.errors import UserError
from avsf_det.files import written_whole
from avsf_det.models.importers import pyslowfast
from avsf_det.models.load_report import LoadReport, is_counter, likely_difference, part_of
from avsf_det.weight_file import read_file

MIN_MATCHED = 0.9  # share of the tensors, the model's and the weights', that fit if both are of one kind

SHOWN = 3  # tensors named in an error

SILENT = ".silent_"  # in the names of `norms.BatchNorm3d`'s statistics of clips without sound
TRUNKS = {"Slow", "Fast", "Audio"}  # in the order in which the last layer sees them


def save_checkpoint(path: str | os.PathLike, checkpoint: Mapping[str, Any]) -> None:
    """Write `checkpoint` (tensors, numbers, texts and plain containers of them) to `path`, or leave `path` untouched.

    Raises:
        UserError: if the file cannot be written.
    """
    try:
        with written_whole(Path(path)) as unfinished:
            torch.save(dict(checkpoint), unfinished)
    except (OSError, RuntimeError) as error:  # torch tells a missing folder or a full disk as a RuntimeError
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise UserError(f"{path}: the checkpoint cannot be written ({reason}); choose another folder") from error


def load_checkpoint(path: str | os.PathLike) -> dict[str, Any]:
    """The checkpoint at `path` with all that is in it, on the CPU; nothing in the file can run code.

    `importers.read_weights` opens the other formats.

    Raises:
        UserError: if the file is missing or is no checkpoint.
    """
    checkpoint = read_file(path)
    state = checkpoint.get("model_state") if isinstance(checkpoint, dict) else None
    named = isinstance(state, Mapping) and all(isinstance(name, str) for name in state)
    if not named or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise UserError(
            f"{path}: has no model_state; expected a checkpoint written by `avsf-det train`, or by `avsf-det convert` "
            "from another format"
        )
    return checkpoint


def load_own_weights(model: nn.Module, state: Mapping[str, torch.Tensor], path: str | os.PathLike) -> None:
    """Fill `model` with a state dict of the same model, strictly by name, whatever its backbone's names are.

    Statistics of clips without audio may be missing: they start as those of all clips.

    Raises:
        UserError: if a tensor is missing, unexpected or of another shape; the model is left as it was.
    """
    own = model.state_dict()
    shapes = {name: "x".join(map(str, tensor.shape)) or "a number" for name, tensor in own.items()}
    differing = [
        f"{name} is {'x'.join(map(str, state[name].shape)) or 'a number'} there, {shapes[name]} in the model"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    differing += [
        f"{name} is not in it" for name in own if name not in state and name.replace(SILENT, ".") not in state
    ]
    differing += [f"{name} is not in the model" for name in state if name not in own]
    if differing:
        more = f" and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
        raise UserError(
            f"{path}: weights of another model than the configured one: {'; '.join(differing[:SHOWN])}{more}; take the "
            "configuration they were trained with"
        )
    model.load_state_dict(dict(state))


def load_weights(model: nn.Module, state: Mapping[str, torch.Tensor]) -> LoadReport:
    """Fill `model` with the tensors of `state` that fit by name and shape.

    PySlowFast's name of the Fast→Slow norm, `s1_fuse.bn`, is understood. Weights may lack whole parts, the Audio
    pathway or all but Slow: these stay as they were, and so do the input channels that such a part, or Fast→Slow at a
    junction where the weights have none, adds to the first block of a stage or to the last layer. Kernels of pictures,
    (O, I, h, w), are inflated: repeated over the temporal kernel and divided by its length, so that a still clip gives
    what the picture gives (arXiv 1705.07750). Where their block passes its input on and ours projects it, because
    Fast→Slow widened it, the projection starts as the identity.

    Raises:
        UserError: if less than `MIN_MATCHED` of the tensors of the parts that both have fit; the model is left as it
            was.
    """
    state = {renamed: tensor for name, tensor in state.items() if (renamed := pyslowfast.rename(name))}
    own = model.state_dict()
    state = _with_clip_head(own, state)
    state |= _identity_shortcuts(own, state)
    _share_statistics(own, state)
    fitted, partly = {}, {}
    for name in own.keys() & state.keys():
        tensor = _fit(state[name], own[name])
        if tensor.shape == own[name].shape:
            fitted[name] = tensor
        elif _lacks_columns(name, tensor, own, state):
            partly[name] = own[name].clone()
            partly[name][:, : tensor.shape[1]] = tensor
    counted = any(map(is_counter, state))
    report = LoadReport(
        loaded=tuple(name for name in own if name in fitted),
        partly=tuple(name for name in own if name in partly),
        initialised=tuple(name for name in own if name not in state and (counted or not is_counter(name))),
        mismatched=tuple(name for name in own if name in state and name not in fitted and name not in partly),
        unused=tuple(name for name in state if name not in own),
        own_shapes={name: tensor.shape for name, tensor in own.items()},
        their_shapes={name: tensor.shape for name, tensor in state.items()},
    )
    _check_matched(report, fitted.keys() | partly.keys())
    model.load_state_dict(fitted | partly, strict=False)
    return report


def _fit(tensor: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """`tensor` with as many dimensions as `own`: a picture's kernel inflated, else with more or fewer 1s at the end."""
    if tensor.dim() == 4 and own.dim() == 5:
        return tensor.unsqueeze(2).expand(-1, -1, own.shape[2], -1, -1) / own.shape[2]
    while tensor.dim() > own.dim() and tensor.shape[-1] == 1:
        tensor = tensor.squeeze(-1)
    return tensor.reshape([*tensor.shape, *[1] * (own.dim() - tensor.dim())])


def _share_statistics(own: Mapping[str, torch.Tensor], state: dict[str, torch.Tensor]) -> None:
    """Let norms that know clips with and without sound, and norms that do not, start from each other's statistics.

    A visual model's statistics serve both; of an audiovisual model's, those of clips without sound serve a visual one.
    """
    for name in own:
        if SILENT in name and (plain := name.replace(SILENT, ".")) in state:
            state.setdefault(name, state[plain])
    for name in [name for name in state if SILENT in name and name not in own]:
        state[name.replace(SILENT, ".")] = state.pop(name)


def _with_clip_head(own: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of a classifier, whose last layers become those of the clip head that a model for boxes has.

    They are a classifier's if they have as many classes as that head, and not as many as the one for boxes.
    """
    spaces = {name.split(".")[1] for name in own if name.startswith("clip_head.")}
    if not spaces or any(name.startswith("clip_head.") for name in state):
        return dict(state)
    only = f"head.{spaces.pop()}." if len(spaces) == 1 else "head.projection."
    names = {name: f"clip_{name.replace('head.projection.', only)}" for name in state if name.startswith("head.")}
    fitting = {name: new for name, new in names.items() if _as_many(state[name], own.get(new))}
    if all(_as_many(state[name], own.get(name)) for name in fitting):
        return dict(state)
    return {fitting.get(name, name): tensor for name, tensor in state.items()}


def _as_many(tensor: torch.Tensor, own: torch.Tensor | None) -> bool:
    """Whether a last layer's tensor is of as many classes as the model's."""
    return own is not None and tensor.shape[:1] == own.shape[:1]


def _identity_shortcuts(own: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Projections, with norms, for blocks of Slow that have none in `state`, as in res2 of ResNet-18."""
    added = {}
    first = re.compile(r"(s\d\.pathway0_res0)\.branch1\.weight")
    for block in (found[1] for found in map(first.fullmatch, own) if found):
        if f"{block}.branch2.a.weight" in state and f"{block}.branch1.weight" not in state:
            channels = len(own[f"{block}.branch1.weight"])
            norm = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
            added[f"{block}.branch1.weight"] = torch.eye(channels)
            added |= {f"{block}.branch1_bn.{leaf}": torch.full((channels,), value) for leaf, value in norm.items()}
    return added


def _lacks_columns(name: str, tensor: torch.Tensor, own: Mapping, state: Mapping) -> bool:
    """Whether `tensor` fits but for input channels, those that a part which the weights lack adds at the end."""
    shape, target = tensor.shape, own[name].shape
    if not 2 <= len(shape) == len(target) or (shape[0], *shape[2:]) != (target[0], *target[2:]) or shape[1] > target[1]:
        return False
    if name.startswith(("head.", "clip_head.")):
        return _parts(state) & TRUNKS < _parts(own) & TRUNKS
    first = re.fullmatch(r"s(\d)\.pathway0_res0\..*weight", name)
    lateral = own.get(f"s{int(first[1]) - 1}_fuse.conv_f2s.weight") if first else None
    return lateral is not None and shape[1] + lateral.shape[0] == target[1]


def _check_matched(report: LoadReport, matched: Collection[str]) -> None:
    if not _parts(report.own_shapes):  # a backbone with names of its own
        _check_all_matched(report, matched)
        return
    shared = _parts(report.own_shapes) & _parts(report.their_shapes)
    for whose, names in (("the model's", report.own_shapes), ("the weights'", report.their_shapes)):
        expected = {name for name in names if part_of(name) in shared and not is_counter(name)}
        if not expected or len(expected & matched) < MIN_MATCHED * len(expected):
            raise UserError(
                f"weights of another architecture: of {whose} {len(expected)} backbone tensors "
                f"{len(expected & matched)} fit, expected {MIN_MATCHED:.0%}; {likely_difference(report)}"
            )


def _check_all_matched(report: LoadReport, matched: Collection[str]) -> None:
    names = [name for name in (*report.own_shapes, *report.unused) if not name.startswith(("head.", "clip_head."))]
    differing = [name for name in names if name not in matched and not is_counter(name)]
    if differing:
        raise UserError(
            f"weights of another architecture: {len(differing)} backbone tensors do not fit, such as {differing[0]}"
        )


def _parts(names: Iterable[str]) -> set[str]:
    return {part for part in map(part_of, names) if part}
