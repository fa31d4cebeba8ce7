"""Learning the actions of boxes and what is done in whole clips with one backbone and a head for each."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from torch import nn
from yacs.config import CfgNode

from avsf_det import distributed
from avsf_det.data.loader import JointLoader
from avsf_det.engine.classification_task import ClassificationTask
from avsf_det.engine.detection_task import DetectionTask
from avsf_det.engine.learner import Criterion
from avsf_det.engine.task import Judgement
from avsf_det.engine.training_data import training_loader
from avsf_det.errors import UserError
from avsf_det.models.losses import JointLoss

logger = logging.getLogger(__name__)


class JointTask(DetectionTask):
    """Each step learns from TRAIN.BATCH_SIZE keyframes of DATA.ROOT and CLIPS.BATCH_SIZE clips of CLIPS.ROOT.

    Judged by frame mAP; how good it is at clips is told beside it, under names that begin with "clip_".
    """

    def __init__(self, cfg: CfgNode) -> None:
        super().__init__(cfg)
        self.clips = ClassificationTask(cfg)

    @property
    def batches_per_step(self) -> int:
        """Those of boxes and one of clips."""
        return super().batches_per_step + 1

    def prepare(self, before: CfgNode | None) -> JointLoader:
        """As `Task.prepare`."""
        boxes = super().prepare(before)
        size, processes = self.cfg.CLIPS.BATCH_SIZE, distributed.world_size()
        if size < 1 or size % processes:
            raise UserError(f"CLIPS.BATCH_SIZE: got {size}, expected a multiple of {processes} processes")
        clips = training_loader(self.cfg, self.clips.samples(), batch_size=size // processes)
        classes = sum(self.cfg.MODEL.NUM_CLASSES_LIST)
        logger.info("beside them %d clips, %d classes, %d clips a step", len(clips.samples), classes, size)
        return JointLoader(boxes, clips, super().batches_per_step)

    def criterion(self) -> Criterion:
        """As `Task.criterion`."""
        return JointLoss(super().criterion(), self.clips.criterion(), self.cfg.CLIPS.WEIGHT)

    def classes(self) -> dict[str, object]:
        """The label map, and the heads of whole clips."""
        return {**super().classes(), **self.clips.classes()}

    def check_classes(self, checkpoint: dict, path: Path) -> None:
        """As `Task.check_classes`."""
        super().check_classes(checkpoint, path)
        self.clips.check_classes(checkpoint, path)

    def judge(self, model: nn.Module, output: Path, epoch: int, on_progress: Callable[[], object]) -> Judgement | None:
        """As `Task.judge`, of both."""
        boxes = super().judge(model, output, epoch, on_progress)
        clips = self.clips.judge(model, output / "clips", epoch, on_progress)
        if boxes is None or clips is None:
            return None
        beside = {f"clip_{name}": value for name, value in clips.measures.items()}
        return Judgement(boxes.measures | beside, boxes.picture)
