"""Learning without labels: which sound belongs to which picture and moment, and which way up a clip is.

The first is audiovisual synchronisation alone (`models/synchronisation.py`), with its curriculum of negatives:
DATA.MIX_NEG_EPOCH and DATA.EASY_NEG_RATIO. The second is PRETRAIN.ROTATION.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from tqdm import tqdm
from yacs.config import CfgNode

from avsf_det import distributed
from avsf_det.data.batch import Batch, Collate
from avsf_det.data.classification.dataset import ClipViews
from avsf_det.data.classification.folder import ClipFolder
from avsf_det.data.loader import TrainLoader, ViewLoader
from avsf_det.data.rotation import TURNS
from avsf_det.engine.learner import Criterion
from avsf_det.engine.retrieval import retrieval, synchrony
from avsf_det.engine.task import Judgement, Task
from avsf_det.engine.training_data import clip_samples, synchronises, training_loader
from avsf_det.errors import UserError
from avsf_det.models.losses import SingleLabelLoss, no_loss
from avsf_det.models.synchronisation import valid_pairs

logger = logging.getLogger(__name__)


class _Looked(NamedTuple):
    """Whether a clip's turn was told, and its embeddings if it can be heard."""

    told: bool
    pair: np.ndarray | None


class PretrainingTask(Task):
    """Judged by how well sounds and pictures of held-out clips find each other, in percent.

    Any dataset of clips will do, for its labels are not looked at.
    """

    measure, unit = "retrieval", "clips without labels"

    def __init__(self, cfg: CfgNode) -> None:
        super().__init__(cfg)
        if cfg.DETECTION.ENABLE:
            raise UserError("DETECTION.ENABLE is True, but clips without labels have no boxes; expected False")
        self.synchronises, self.rotates = synchronises(cfg), cfg.PRETRAIN.ROTATION
        if not self.synchronises and not self.rotates:
            raise UserError(
                "nothing is learned without labels here: set SLOWFAST.AVS_FLAG of an AVSlowFast, as in "
                "configs/pretrain, or PRETRAIN.ROTATION"
            )
        if self.rotates and not cfg.DATA.TRAIN_CROP_SIZE:
            raise UserError("PRETRAIN.ROTATION: turned clips have to be squares; set DATA.TRAIN_CROP_SIZE")
        if not self.synchronises:
            self.measure = "rotation_top1"
        self.folder = ClipFolder.from_config(cfg)

    def prepare(self, before: CfgNode | None) -> TrainLoader:
        """As `Task.prepare`."""
        model = self.cfg.MODEL
        model.NUM_CLASSES, model.LABEL_SPACES, model.NUM_CLASSES_LIST = len(TURNS), [], []
        if self.cfg.TRAIN.EVAL_PERIOD:
            try:
                self.folder.clips(self.cfg.DATA.EVAL_SPLIT)
            except UserError as error:
                logger.warning("what is learned is not judged while training: %s", error)
                self.cfg.TRAIN.EVAL_PERIOD = 0
        return training_loader(self.cfg, clip_samples(self.cfg, self.folder, self.rotates))

    def criterion(self) -> Criterion:
        """As `Task.criterion`."""
        return SingleLabelLoss() if self.rotates else no_loss

    def classes(self) -> dict[str, object]:
        """None: what the last layer tells is of no further use."""
        return {}

    def check_classes(self, checkpoint: dict, path: Path) -> None:
        """Nothing that could differ."""

    def judge(self, model: nn.Module, output: Path, epoch: int, on_progress: Callable[[], object]) -> Judgement | None:
        """As `Task.judge`, on PRETRAIN.RETRIEVAL_CLIPS of the split's clips; those that are near silent are not sought.

        Of each clip two moments are looked at, at the last junction of synchronisation. The first one's picture and
        sound are to find each other among those of all clips ("retrieval" is the mean of four shares);
        "synchrony" is how often its picture is nearer to its own sound than to that of the second moment.
        """
        found = self._look(model.eval(), on_progress)
        return None if found is None else Judgement(_measures(found, self.rotates, self.synchronises))

    @torch.no_grad()
    def _look(self, model: nn.Module, on_progress: Callable[[], object]) -> list[_Looked] | None:
        """What a model makes of each clip, in the order of the split; None in all but the main process."""
        cfg = self.cfg.clone()
        cfg.TEST.NUM_ENSEMBLE_VIEWS, cfg.TEST.NUM_SPATIAL_CROPS = 2, 1
        views = ClipViews.from_config(cfg, self.folder.clips(cfg.DATA.EVAL_SPLIT), self.folder.root)
        most = min(len(views), cfg.PRETRAIN.RETRIEVAL_CLIPS)
        views.keep(np.unique(np.linspace(0, len(views) - 1, most).astype(int)))
        collate, device = Collate.from_config(cfg, views.spec), next(model.parameters()).device
        loader = ViewLoader(
            views, collate, 2 * cfg.TEST.BATCH_SIZE, cfg.TRAIN.NUM_WORKERS, distributed.rank(), distributed.world_size()
        )
        found, failed = {}, []
        for indices, batch in tqdm(loader, "evaluate", unit="batch", disable=None if distributed.is_main() else True):
            on_progress()
            failed += batch.failed
            if not indices:
                continue
            batch = batch.to(device)
            turns = torch.tensor(indices[::2]) % len(TURNS)
            told = self._told(model, batch, turns.to(device))
            pairs = self._pairs(model, batch) if self.synchronises else [None] * len(told)
            found |= {index: _Looked(right, pair) for index, right, pair in zip(indices[::2], told, pairs)}
        parts = distributed.gather((found, failed))
        if not distributed.is_main():
            return None
        for _, messages in parts:
            for message in messages:
                logger.warning("a clip is left out: %s", message)
        return [one for _, one in sorted(pair for part, _ in parts for pair in part.items())]

    def _told(self, model: nn.Module, batch: Batch, turns: torch.Tensor) -> list[bool]:
        """Of each clip, whether the model tells how its first view was turned; False where that is not learned."""
        if not self.rotates:
            return [False] * len(turns)
        frames = [torch.rot90(one, int(turn), dims=(1, 2)) for one, turn in zip(batch.frames[::2], turns)]
        first = replace(batch, frames=torch.stack(frames), sizes=batch.sizes[::2])
        logits = model(first.slow, first.fast, batch.audio[::2], None, batch.audio_present[::2])
        return (logits.argmax(dim=1) == turns).tolist()

    def _pairs(self, model: nn.Module, batch: Batch) -> list[np.ndarray | None]:
        """Of each clip (J, 3, D) at J junctions: its picture, its sound, and the sound of its second view.

        None where one of the two is near silent, or both are the same.
        """
        own, other, present = batch.audio[::2], batch.audio[1::2], batch.audio_present[::2]
        thresholds = self.cfg.SLOWFAST.AVS_VAR_THRESH, self.cfg.SLOWFAST.AVS_DUPLICATE_THRESH
        valid = valid_pairs(own, other, present, *thresholds).tolist()
        junctions = model.embed(batch.slow, batch.fast, batch.audio).values()
        stacked = torch.stack(
            [torch.stack((picture[::2], sound[::2], sound[1::2]), dim=1) for picture, sound in junctions], dim=1
        )
        return [one if good else None for one, good in zip(stacked.float().cpu().numpy(), valid)]


def _measures(found: list[_Looked], rotates: bool, synchronises: bool) -> dict[str, float]:
    measures = {}
    if rotates:
        measures["rotation_top1"] = 100 * float(np.mean([one.told for one in found]))
    if synchronises:
        pairs = [one.pair for one in found if one.pair is not None]
        stacked = np.stack(pairs) if pairs else np.zeros((0, 1, 3, 1))
        pictures, sounds, others = stacked[:, -1].transpose(1, 0, 2)
        sought = retrieval(pictures, sounds)
        measures |= {"retrieval": float(np.mean(list(sought.values()))), **sought}
        measures |= {"synchrony": synchrony(pictures, sounds, others), "heard_clips": len(pairs)}
    return measures
