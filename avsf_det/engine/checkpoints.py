"""The checkpoints of a training run: one an epoch, one of the step last saved, and the best."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from yacs.config import CfgNode

from avsf_det import distributed
from avsf_det.errors import UserError
from avsf_det.files import remove_leftovers
from avsf_det.models.checkpoint import load_checkpoint, save_checkpoint
from avsf_det.models.importers import Weights

logger = logging.getLogger(__name__)

NAME = re.compile(r"checkpoint_epoch_(\d+)(?:_step_(\d+))?\.pyth")

FIXED = ("TASK", "RNG_SEED", "SOLVER.OPTIMIZING_METHOD", "TRAIN.BATCH_SIZE", "TRAIN.ACCUMULATION_STEPS")
FIXED += ("CLIPS.BATCH_SIZE", "DATA.TRAIN_SPLIT", "DATA.TRAIN_SHARE", "DATA.FOLD", "DATA.CLIPS_PER_READ")
FIXED += (
    "DATA.NUM_FRAMES",
    "DATA.AUDIO_FRAME_NUM",
    "DATA.AUDIO_MEL_NUM",
    "RESNET",
    "NONLOCAL",
    "SLOWFAST",
    "DETECTION",
)
FIXED += ("DATA.SHUFFLE_STEPS", "MODEL.MODEL_NAME")
"""Keys, and groups of keys, that a run cannot change: the order of its samples, its optimizer, its architecture."""
FREE = ("SLOWFAST.DROPPATHWAY_RATE", "SLOWFAST.DROPPATHWAY_SCOPE", "SLOWFAST.DROPPATHWAY_PER_SAMPLE")
FREE += ("SLOWFAST.AVS_WEIGHT", "SLOWFAST.AVS_LOSS", "SLOWFAST.AVS_VAR_THRESH", "SLOWFAST.AVS_DUPLICATE_THRESH")
"""Keys of these groups that it can."""
UNREPORTED = ("OUTPUT_DIR",)
ANEW = "choose another OUTPUT_DIR, or start anew with TRAIN.AUTO_RESUME False"
NEEDED = ("epoch", "epoch_step", "optimizer_state", "scaler_state", "processes")


class CheckpointFolder:
    """The folder `checkpoints` of a training run.

    - checkpoint_epoch_00003.pyth is of the end of the third epoch;
    - checkpoint_epoch_00004_step_000120.pyth of the fourth epoch after its 120th step; it goes when a newer one is
      there;
    - best.pyth is of the epoch with the highest mAP.

    Args:
        output: the run's folder.
        keep: how many of the epochs' checkpoints stay; 0 for all.
    """

    def __init__(self, output: Path, keep: int = 0) -> None:
        self.folder = output / "checkpoints"
        remove_leftovers(self.folder)
        self.best = self.folder / "best.pyth"
        self._keep = keep

    def newest_first(self) -> list[Path]:
        """The checkpoints of epochs and steps."""
        return sorted((path for path in self.folder.glob("*.pyth") if NAME.fullmatch(path.name)), key=_moment)[::-1]

    def newest(self) -> Path | None:
        """The newest checkpoint, or None."""
        return next(iter(self.newest_first()), None)

    def load_newest(self) -> tuple[Path, dict[str, Any]] | None:
        """The newest checkpoint that can be read, and what is in it; None if there is none.

        One that cannot be read is named in a warning. Which one it is, the main process says.

        Raises:
            UserError: if there are some and none can be read.
        """
        found = self._load_newest() if distributed.is_main() else None
        path = distributed.from_main(found and found[0])
        return found or (path and (path, load_checkpoint(path)))

    def _load_newest(self) -> tuple[Path, dict[str, Any]] | None:
        paths = self.newest_first()
        for path in paths:
            try:
                return path, load_checkpoint(path)
            except UserError as error:
                logger.warning("%s; going on from the checkpoint before it", error)
        if paths:
            raise UserError(
                f"none of the {len(paths)} checkpoints in {self.folder} can be read; begin anew with TRAIN.AUTO_RESUME "
                "False, or choose another OUTPUT_DIR"
            )
        return None

    def save(self, checkpoint: Mapping[str, Any], epochs: int, steps: int = 0) -> Path:
        """Write a checkpoint and drop those it makes superfluous.

        Args:
            checkpoint: what to write.
            epochs: how many are complete.
            steps: how many of the next one are; 0 at the end of an epoch.

        Raises:
            UserError: if it cannot be written; those before it are still there then.
        """
        name = f"checkpoint_epoch_{epochs + 1:05d}_step_{steps:06d}" if steps else f"checkpoint_epoch_{epochs:05d}"
        path = self.folder / f"{name}.pyth"
        save_checkpoint(path, checkpoint)
        older = [other for other in self.newest_first() if _moment(other) < _moment(path)]
        of_epochs = [other for other in older if not _moment(other)[1]]
        kept = of_epochs[: self._keep - (not steps)] if self._keep else of_epochs
        for other in older:
            if other not in kept:
                other.unlink()
        return path


def check_resume_compatible(checkpoint: Mapping[str, Any], path: Path, before: CfgNode, now: CfgNode) -> None:
    """See that a run can resume from a checkpoint, and log the keys that have changed since.

    Args:
        checkpoint: what the file holds.
        path: the checkpoint.
        before: its configuration.
        now: the configuration of the run that resumes.

    Raises:
        UserError: if it holds no training state, or a key of `FIXED` has changed.
    """
    missing = [name for name in NEEDED if name not in checkpoint]
    if missing:
        raise UserError(f"{path}: holds no {missing[0]}, so that training cannot resume from it; {ANEW}")
    changed = {key: (was, value) for key, was, value in _changes(before, now) if was != value}
    fixed = [key for key in changed if key not in FREE and any(f"{key}.".startswith(f"{one}.") for one in FIXED)]
    if fixed:
        told = ", ".join(f"{key} was {changed[key][0]!r}, is now {changed[key][1]!r}" for key in fixed)
        raise UserError(f"{path}: {told}; a run cannot resume with that: set it back, {ANEW}")
    told = ", ".join(f"{key} {was!r} -> {value!r}" for key, (was, value) in changed.items() if key not in UNREPORTED)
    if told:
        logger.info("resuming with changed keys: %s", told)


def check_same_content(
    checkpoint: Mapping[str, Any], path: Path, content: Mapping[str, object], root: str | Path
) -> None:
    """See that a run resumes with the samples that it began with.

    Args:
        checkpoint: what the file holds; one without "content" is not checked.
        path: the checkpoint.
        content: what identifies the samples now, see `VideoSamples.content`.
        root: the dataset's folder, for the error.

    Raises:
        UserError: if it does not.
    """
    was = checkpoint.get("content", content)
    if was != content:
        raise UserError(
            f"{path}: learned from other data: {_describe(was)} then, {_describe(content)} now (DATA.ROOT {root}); "
            f"restore the dataset, {ANEW}"
        )


def _changes(before: CfgNode, now: CfgNode, prefix: str = "") -> Iterator[tuple[str, object, object]]:
    for key, value in now.items():
        if isinstance(value, CfgNode):
            yield from _changes(before[key], value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", before[key], value


def _describe(content: object) -> str:
    parts = content.items() if isinstance(content, Mapping) else ()
    return ", ".join(f"{value} {name}" if name == "samples" else f"{name} {str(value)[:8]}" for name, value in parts)


def check_taught(checkpoint: Mapping[str, Any], path: str | Path) -> None:
    """See that a checkpoint is not one of `avsf-det pretrain`.

    Raises:
        UserError: if it is: it knows no classes.
    """
    if _untaught(checkpoint):
        raise UserError(
            f"{path}: learned without labels, so that it knows no classes yet; teach it some by `avsf-det train` with "
            "TRAIN.CHECKPOINT_FILE_PATH"
        )


def transferable(weights: Weights) -> dict[str, torch.Tensor]:
    """The tensors that another training starts from: all but a last layer that was learned without labels."""
    if not _untaught(weights.about):
        return weights.state
    return {name: tensor for name, tensor in weights.state.items() if not name.startswith("head.")}


def _untaught(about: Mapping[str, Any]) -> bool:
    return isinstance(about.get("heads"), list) and not about["heads"]


def _moment(path: Path) -> tuple[int, int]:
    """Complete epochs, and steps of the next one."""
    epoch, step = NAME.fullmatch(path.name).groups()
    return (int(epoch) - 1, int(step)) if step else (int(epoch), 0)
