"""Learning the actions of boxes, from a dataset in AVA's format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn
from yacs.config import CfgNode

from avsf_det import distributed
from avsf_det.data.annotations import AvaFolder
from avsf_det.data.loader import TrainLoader
from avsf_det.engine.evaluate import check_label_map, evaluate_split
from avsf_det.engine.examples import draw_example_clips
from avsf_det.engine.learner import Criterion
from avsf_det.engine.predictor import Predictor, checkpoint_label_map
from avsf_det.engine.recipe import choose_recipe
from avsf_det.engine.task import Judgement, Task
from avsf_det.engine.training_data import keyframe_samples, training_loader
from avsf_det.models.build import build_loss


class DetectionTask(Task):
    """Judged by frame mAP at IoU 0.5."""

    measure, unit = "mAP", "keyframes"

    def __init__(self, cfg: CfgNode) -> None:
        super().__init__(cfg)
        self.dataset = AvaFolder.from_config(cfg)

    def prepare(self, before: CfgNode | None) -> TrainLoader:
        """As `Task.prepare`."""
        cfg = self.cfg
        if cfg.TRAIN.AUTO_KEYS:
            choose_recipe(cfg, self.dataset, before)
            self.dataset = AvaFolder.from_config(cfg)
        cfg.MODEL.NUM_CLASSES = len(self.dataset.label_map)
        self._samples = keyframe_samples(cfg, self.dataset)
        return training_loader(cfg, self._samples, cfg.DATA.CLIPS_PER_READ)

    def criterion(self) -> Criterion:
        """As `Task.criterion`."""
        counts = None if self.cfg.MODEL.CLASS_BALANCE == "none" else self._samples.class_counts()
        return build_loss(self.cfg, counts)

    def classes(self) -> dict[str, object]:
        """The label map."""
        return {"label_map": self.dataset.label_map.to_pbtxt()}

    def check_classes(self, checkpoint: dict, path: Path) -> None:
        """As `Task.check_classes`."""
        check_label_map(checkpoint_label_map(checkpoint, path), self.dataset)

    def judge(self, model: nn.Module, output: Path, epoch: int, on_progress: Callable[[], object]) -> Judgement | None:
        """As `Task.judge`; writes `detections_<split>.csv` and a picture of a few keyframes."""
        split = self.cfg.DATA.EVAL_SPLIT
        predictor = Predictor(model, self.cfg, self.dataset.label_map)
        path, subset = output / f"detections_{split}.csv", self.cfg.DATA.EVAL_SUBSET
        result = evaluate_split(predictor, self.dataset, split, path, on_progress, subset)
        if not distributed.is_main():
            return None
        path = output / "examples" / f"epoch_{epoch:05d}.jpg"
        return Judgement({"mAP": result.evaluation.mAP}, draw_example_clips(predictor, self.dataset, split, path))
