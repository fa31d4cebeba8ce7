"""Learning what is done in whole clips, from a dataset in any of the layouts of `data/classification`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn
from yacs.config import CfgNode

from avsf_det.data.classification.dataset import ClipDataset
from avsf_det.data.classification.folder import ClipFolder
from avsf_det.data.classification.ucf101 import HMDB51, TEST_SPLITS, UCF101
from avsf_det.data.loader import TrainLoader
from avsf_det.engine.clip_predictor import ClipPredictor, check_heads, checkpoint_heads
from avsf_det.engine.evaluate_clips import evaluate_clips, main_measure
from avsf_det.engine.examples import draw_example_views
from avsf_det.engine.learner import Criterion
from avsf_det.engine.recipe import choose_recipe
from avsf_det.engine.task import Judgement, Task
from avsf_det.engine.training_data import clip_samples, training_loader
from avsf_det.errors import UserError
from avsf_det.models.build import build_clip_loss


class ClassificationTask(Task):
    """Judged by the accuracy of one view of each clip, or by mAP where several classes hold; in percent."""

    unit = "clips"

    def __init__(self, cfg: CfgNode) -> None:
        super().__init__(cfg)
        self.folder = ClipFolder.from_config(cfg)

    @property
    def measure(self) -> str:
        """The accuracy of the first thing asked, or of the pair of verb and noun; mAP where several classes hold."""
        return main_measure(self.folder.heads)

    @property
    def selects_best(self) -> bool:
        """As `Task.selects_best`; UCF101 and HMDB51 have no validation list."""
        return not (isinstance(self.folder.layout, UCF101 | HMDB51) and self.cfg.DATA.EVAL_SPLIT in TEST_SPLITS)

    def prepare(self, before: CfgNode | None) -> TrainLoader:
        """As `Task.prepare`."""
        choose_recipe(self.cfg, self.folder, before)
        return training_loader(self.cfg, self.samples())

    def samples(self) -> ClipDataset:
        """What is learned from; the model's head, or heads, are made those of the dataset.

        Raises:
            UserError: if the training split cannot be read.
        """
        set_heads(self.cfg, self.folder)
        self._samples = clip_samples(self.cfg, self.folder)
        return self._samples

    def criterion(self) -> Criterion:
        """As `Task.criterion`."""
        counts = None if self.cfg.MODEL.CLASS_BALANCE == "none" else self._samples.class_counts()
        heads = [(head.name, len(head.classes), head.multi_label) for head in self.folder.heads]
        return build_clip_loss(self.cfg, heads, counts)

    def classes(self) -> dict[str, object]:
        """The heads: of each its name, its classes and whether any number of them hold."""
        return {
            "heads": [
                {"name": head.name, "classes": list(head.classes), "multi_label": head.multi_label}
                for head in self.folder.heads
            ]
        }

    def check_classes(self, checkpoint: dict, path: Path) -> None:
        """As `Task.check_classes`."""
        check_heads(checkpoint_heads(checkpoint, path), self.folder)

    def judge(self, model: nn.Module, output: Path, epoch: int, on_progress: Callable[[], object]) -> Judgement | None:
        """As `Task.judge`; of each clip one view is looked at, its middle."""
        cfg = self.cfg.clone()
        cfg.TEST.NUM_ENSEMBLE_VIEWS = cfg.TEST.NUM_SPATIAL_CROPS = 1
        predictor = ClipPredictor(model, cfg, self.folder.heads)
        result = evaluate_clips(
            predictor, self.folder, cfg.DATA.EVAL_SPLIT, output, "", on_progress, cfg.DATA.EVAL_SUBSET
        )
        if result is None:
            return None
        path = output / "examples" / f"epoch_{epoch:05d}.jpg"
        return Judgement(result.measures, draw_example_views(predictor, self.folder, cfg.DATA.EVAL_SPLIT, path))


def set_heads(cfg: CfgNode, folder: ClipFolder) -> None:
    """Make the model's head, or heads, those of the dataset; of a detector, its second head.

    Raises:
        UserError: if there are no classes, or they cannot be read.
    """
    heads, model = folder.heads, cfg.MODEL
    if not heads:
        raise UserError(f"{folder.layout.root}: its clips have no labels; `avsf-det pretrain` learns without them")
    several = len(heads) > 1 or cfg.DETECTION.ENABLE
    if not cfg.DETECTION.ENABLE:
        model.NUM_CLASSES = sum(len(head.classes) for head in heads)
    model.LABEL_SPACES = [head.name for head in heads] if several else []
    model.NUM_CLASSES_LIST = [len(head.classes) for head in heads] if several else []
    model.HEAD_ACT = "sigmoid" if any(head.multi_label for head in heads) else "softmax"
