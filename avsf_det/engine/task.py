"""What a training run learns: from which clips, by which loss, and how it is judged. `Trainer` does the rest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn
from yacs.config import CfgNode

from avsf_det.data.loader import JointLoader, TrainLoader
from avsf_det.engine.learner import Criterion
from avsf_det.errors import UserError


@dataclass(frozen=True)
class Judgement:
    """How good a model is on DATA.EVAL_SPLIT.

    Attributes:
        measures: name -> number.
        picture: (H, W, 3) uint8 of a few clips with what is true and what the model says; None if there is none.
    """

    measures: dict[str, float]
    picture: np.ndarray | None = None


class Task(ABC):
    """One of the ways to learn.

    A run makes one, then calls `prepare`, and the rest after that.

    Args:
        cfg: the configuration; `prepare` completes it.

    Attributes:
        measure: of its `Judgement.measures` the one whose highest value is the best.
        unit: what its samples are called, in the plural.

    Raises:
        UserError: if the dataset is not there.
    """

    measure: str
    unit: str

    def __init__(self, cfg: CfgNode) -> None:
        self.cfg = cfg

    @property
    def selects_best(self) -> bool:
        """Whether the best weights may be chosen by DATA.EVAL_SPLIT: not where it is what results are reported on."""
        return True

    @property
    def batches_per_step(self) -> int:
        """Micro-batches of a process in each step."""
        return self.cfg.TRAIN.ACCUMULATION_STEPS

    @abstractmethod
    def prepare(self, before: CfgNode | None) -> TrainLoader | JointLoader:
        """Set what of the configuration follows from the dataset, and open what is learned from.

        Args:
            before: the configuration of the checkpoint that the run goes on from; None where it begins.

        Raises:
            UserError: if the training split cannot be used.
        """

    @abstractmethod
    def criterion(self) -> Criterion:
        """The loss; raises UserError if the configuration names one that there is not."""

    @abstractmethod
    def classes(self) -> dict[str, object]:
        """What a checkpoint says of its classes."""

    @abstractmethod
    def check_classes(self, checkpoint: dict, path: Path) -> None:
        """See that a checkpoint has the dataset's classes; raises UserError if not."""

    @abstractmethod
    def judge(self, model: nn.Module, output: Path, epoch: int, on_progress: Callable[[], object]) -> Judgement | None:
        """How good a model is on DATA.EVAL_SPLIT; every process takes part.

        Args:
            model: with all its weights.
            output: the run's folder, for files of what it said.
            epoch: how many are complete.
            on_progress: called now and then; what it raises ends it.

        Returns:
            The judgement; None in all but the main process.
        """


def open_task(cfg: CfgNode) -> Task:
    """The task that a configuration is about: without labels, of whole clips, of boxes, or of both.

    Raises:
        UserError: if its dataset is not there, or TASK is something else.
    """
    from avsf_det.engine.classification_task import ClassificationTask
    from avsf_det.engine.detection_task import DetectionTask
    from avsf_det.engine.joint_task import JointTask
    from avsf_det.engine.pretraining_task import PretrainingTask

    if cfg.TASK not in ("", "ssl"):
        raise UserError(f"TASK: got {cfg.TASK!r}, expected '' or ssl")
    boxes = cfg.DETECTION.ENABLE and cfg.TASK != "ssl"
    if cfg.CLIPS.ROOT and not boxes:
        raise UserError("CLIPS.ROOT is of a detector's second head; without boxes (DETECTION.ENABLE) set DATA.ROOT")
    if cfg.TASK == "ssl":
        return PretrainingTask(cfg)
    if boxes:
        return (JointTask if cfg.CLIPS.ROOT else DetectionTask)(cfg)
    return ClassificationTask(cfg)
