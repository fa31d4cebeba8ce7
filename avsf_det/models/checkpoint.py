"""Checkpoint files: one torch file with everything needed to use a model again.

Keys as in PySlowFast (`slowfast/utils/checkpoint.py`): "epoch", "model_state", "optimizer_state" and "cfg" (yaml text);
and "label_map" (the text of the pbtxt). More keys may be added.
"""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from avsf_det.errors import UserError

SILENT = ".silent_"  # in the names of `norms.BatchNorm3d`'s statistics of clips without sound
MIN_MATCHED = 0.9  # share of the backbone's tensors, the model's and the weights', that fit if both are of one kind

# What probably differs if tensors with such names are missing or have another shape; the first one that fits is told.
LIKELY_DIFFERENCES = (
    (r"^s1\.pathway[01]_stem", "RESNET.WIDTH_PER_GROUP or SLOWFAST.BETA_INV"),
    (r"^s1\.pathway2_stem", "SLOWFAST.AU_BETA_INV"),
    (r"^s\d\.pathway[01]_res[1-9]", "RESNET.DEPTH"),
    (r"^s[23]\.pathway2", "RESNET.AUDIO_DEPTH or RESNET.AUDIO_TRANS_FUNC"),
    (r"^s\d\.pathway2", "RESNET.AUDIO_DEPTH"),
    (r"_fuse\..*f2s", "SLOWFAST.FS_FUSION, FUSION_KERNEL_SZ or FUSION_CONV_CHANNEL_RATIO"),
    (r"_fuse\..*a2fs", "SLOWFAST.AFS_FUSION or one of the AU_FUSION keys"),
)


@dataclass(frozen=True)
class LoadReport:
    """What became of each tensor, by name.

    Attributes:
        loaded: taken from the weights.
        initialised: of the model, not in the weights; left as they were.
        mismatched: in both but of different shapes; left as they were.
        unused: in the weights only.
    """

    loaded: tuple[str, ...]
    initialised: tuple[str, ...]
    mismatched: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(f"{len(names)} tensors {what}" for what, names in vars(self).items() if names)


def save_checkpoint(path: str | os.PathLike, checkpoint: Mapping[str, Any]) -> None:
    """Write `checkpoint` (tensors, numbers, texts and plain containers of them) to `path`, or leave `path` untouched.

    Raises:
        UserError: if the file cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(dict(checkpoint), temporary)
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # torch tells a missing folder or a full disk as a RuntimeError
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise UserError(f"{path}: the checkpoint cannot be written ({reason}); choose another folder") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def load_checkpoint(path: str | os.PathLike) -> dict[str, Any]:
    """The checkpoint at `path`, on the CPU; nothing in the file can run code.

    Raises:
        UserError: if the file is missing or is no checkpoint.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{path}: the checkpoint cannot be read ({error.strerror}); check the path") from error
    except Exception as error:  # torch has many ways to fail on bytes that are not its own
        refused = re.search(r"nsupported (?:global: )?GLOBAL ([\w.]+)", str(error))
        what = f"holds {refused[1]}, and opening it could run code" if refused else "is damaged or no torch file"
        raise UserError(f"{path}: {what}; expected a checkpoint written by `avsf-det train`") from error
    state = checkpoint.get("model_state") if isinstance(checkpoint, dict) else None
    if not isinstance(state, Mapping) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise UserError(f"{path}: has no model_state; expected a checkpoint written by `avsf-det train`")
    return checkpoint


def load_weights(model: nn.Module, state: Mapping[str, torch.Tensor]) -> LoadReport:
    """Fill `model` with the tensors of `state` that fit by name and shape.

    PySlowFast's name of the Fast→Slow norm, `s1_fuse.bn`, is understood. Weights without an Audio pathway may
    start a model that has one; of its classifier, the columns that see sound are left as they were.

    Raises:
        UserError: if less than `MIN_MATCHED` of the backbone's tensors fit; the model is left as it was.
    """
    state = {re.sub(r"_fuse\.bn\.", "_fuse.bn_f2s.", name): tensor for name, tensor in state.items()}
    own = model.state_dict()
    _share_statistics(state, own)
    sound = any(map(_is_audio, own)) and any(map(_is_audio, state))
    if not sound:
        _widen_classifier(state, own)
    fitting = {name for name in own if name in state and state[name].shape == own[name].shape}
    report = LoadReport(
        loaded=tuple(name for name in own if name in fitting),
        initialised=tuple(name for name in own if name not in state),
        mismatched=tuple(name for name in own if name in state and name not in fitting),
        unused=tuple(name for name in state if name not in own),
    )
    for whose, names in (("the model's", own), ("the weights'", state)):
        backbone = {name for name in names if not name.startswith("head.") and SILENT not in name}
        expected = {name for name in backbone if sound or not _is_audio(name)}
        if len(fitting & expected) < MIN_MATCHED * len(expected):
            raise UserError(
                f"weights of another architecture: of {whose} {len(expected)} backbone tensors "
                f"{len(fitting & expected)} fit, expected {MIN_MATCHED:.0%}; {_likely_difference(report)}"
            )
    model.load_state_dict({name: state[name] for name in report.loaded}, strict=False)
    return report


def _widen_classifier(state: dict[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> None:
    """Give a classifier of visual features alone the model's columns for sound, which come last."""
    name = "head.projection.weight"
    if name in state and name in own and state[name].shape[0] == own[name].shape[0]:
        columns = state[name].shape[1]
        state[name] = torch.cat((state[name], own[name][:, columns:]), dim=1)


def _share_statistics(state: dict[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> None:
    """Let norms that know clips with and without sound, and norms that do not, start from each other's statistics.

    A visual model's statistics serve both; of an audiovisual model's, those of clips without sound serve a visual one.
    """
    for name in own:
        if SILENT in name and (plain := name.replace(SILENT, ".")) in state:
            state.setdefault(name, state[plain])
    for name in [name for name in state if SILENT in name and name not in own]:
        state[name.replace(SILENT, ".")] = state.pop(name)


def _is_audio(name: str) -> bool:
    return re.search(r"pathway2|a2fs|a2f_|a2v|\.avs\.|^s5_fuse", name) is not None


def _likely_difference(report: LoadReport) -> str:
    if not report.loaded and not report.mismatched:
        return "no name is the same"
    names = report.mismatched + report.initialised + report.unused
    for pattern, keys in LIKELY_DIFFERENCES:
        if any(re.search(pattern, name) for name in names):
            return f"{keys} probably differs"
    return "compare the configs"
