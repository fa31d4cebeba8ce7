"""Learning without labels: which sound belongs to which picture and moment, and which way up a clip is.

The first is audiovisual synchronisation alone (`models/synchronisation.py`), with its curriculum of negatives:
DATA.MIX_NEG_EPOCH and DATA.EASY_NEG_RATIO. The second is PRETRAIN.ROTATION.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
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
    """What a model made of a clip.

    Attributes:
        told: whether it told how the clip was turned.
        heard: (3, D) embeddings of its picture, its sound and the sound of its other moment; None where these cannot be
            told apart.
    """

    told: bool
    heard: np.ndarray | None


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
        if cfg.PRETRAIN.RETRIEVAL_CLIPS < 1:
            raise UserError(f"PRETRAIN.RETRIEVAL_CLIPS: got {cfg.PRETRAIN.RETRIEVAL_CLIPS}, expected 1 or more")
        if not self.synchronises:
            self.measure = "rotation_top1"
        self.folder = ClipFolder.from_config(cfg)

    def prepare(self, before: CfgNode | None) -> TrainLoader:
        """As `Task.prepare`."""
        model = self.cfg.MODEL
        model.NUM_CLASSES, model.LABEL_SPACES, model.NUM_CLASSES_LIST = len(TURNS), [], []
        model.HEAD_ACT = "softmax"
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
        """No heads: what the last layer tells is of no further use."""
        return {"heads": []}

    def check_classes(self, checkpoint: dict, path: Path) -> None:
        """Nothing that could differ."""

    def judge(self, model: nn.Module, output: Path, epoch: int, on_progress: Callable[[], object]) -> Judgement | None:
        """As `Task.judge`, on PRETRAIN.RETRIEVAL_CLIPS of the split's clips; those that are near silent are not sought.

        Of each clip two moments are looked at, at the last junction of synchronisation. The first one's picture and
        sound are to find each other among those of all clips ("retrieval" is the mean of four shares);
        "synchrony" is how often its picture is nearer to its own sound than to that of the second moment.

        Raises:
            UserError: if no clip can be read.
        """
        found = self._look(model.eval(), on_progress)
        return None if found is None else Judgement(self._measures(found))

    @torch.no_grad()
    def _look(self, model: nn.Module, on_progress: Callable[[], object]) -> list[_Looked] | None:
        """What a model makes of each clip, in the order of the split; None in all but the main process.

        Raises:
            UserError: if no clip can be read.
        """
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
            batch, clips = batch.to(device), indices[::2]
            looked = zip(self._told(model, batch, clips), self._heard(model, batch))
            found |= {clip: _Looked(*both) for clip, both in zip(clips, looked)}
        parts = distributed.gather((found, failed))
        if not distributed.is_main():
            return None
        failed = [message for _, messages in parts for message in messages]
        for message in failed:
            logger.warning("a clip is left out: %s", message)
        found = dict(pair for part, _ in parts for pair in part.items())
        if not found:
            raise UserError(f"none of {len(views)} clips of {cfg.DATA.EVAL_SPLIT} can be read; the first: {failed[0]}")
        return [found[index] for index in sorted(found)]

    def _told(self, model: nn.Module, batch: Batch, clips: Sequence[int]) -> list[bool]:
        """Of each clip, by its number, whether the model tells how its first view was turned; False if not learned."""
        if not self.rotates:
            return [False] * len(clips)
        turns = [clip % len(TURNS) for clip in clips]
        first = _turned(_every_second(batch), turns)
        logits = model(first.slow, first.fast, first.audio, None, first.audio_present)
        return [told == turn for told, turn in zip(logits.argmax(dim=1).tolist(), turns)]

    def _heard(self, model: nn.Module, batch: Batch) -> list[np.ndarray | None]:
        """Of each clip `_Looked.heard`."""
        first, other = _every_second(batch), batch.audio[1::2]
        if not self.synchronises:
            return [None] * len(first)
        thresholds = self.cfg.SLOWFAST.AVS_VAR_THRESH, self.cfg.SLOWFAST.AVS_DUPLICATE_THRESH
        valid = valid_pairs(first.audio, other, first.audio_present, *thresholds).tolist()
        *_, last = model.embed(first.slow, first.fast, first.audio, other).values()
        embeddings = torch.stack((last.visual, last.aligned, last.misaligned), dim=1).float().cpu().numpy()
        return [one if good else None for one, good in zip(embeddings, valid)]

    def _measures(self, found: Sequence[_Looked]) -> dict[str, float]:
        measures = {}
        if self.rotates:
            measures["rotation_top1"] = 100 * float(np.mean([one.told for one in found]))
        if self.synchronises:
            heard = [one.heard for one in found if one.heard is not None]
            if not heard:
                logger.warning("no clip of %s is heard, so that none is sought", self.cfg.DATA.EVAL_SPLIT)
            pictures, sounds, others = np.stack(heard, axis=1) if heard else np.zeros((3, 0, 1))
            sought = retrieval(pictures, sounds)
            measures |= {"retrieval": float(np.mean(list(sought.values()))), **sought}
            measures |= {"synchrony": synchrony(pictures, sounds, others), "heard_clips": len(heard)}
        return measures


def _every_second(batch: Batch) -> Batch:
    """The first views of a batch's clips."""
    rows = {name: getattr(batch, name)[::2] for name in ("frames", "sizes", "audio", "audio_present")}
    return replace(batch, **rows)


def _turned(batch: Batch, turns: Sequence[int]) -> Batch:
    """A batch of squares, each turned by some quarter turns."""
    frames = [torch.rot90(one, turn, dims=(1, 2)) for one, turn in zip(batch.frames, turns)]
    return replace(batch, frames=torch.stack(frames))
