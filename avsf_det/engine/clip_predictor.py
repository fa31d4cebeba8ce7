"""Whole clips in, scores of their classes out: the counterpart of `Predictor` for models without boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from torch import nn
from yacs.config import CfgNode

from avsf_det.data.batch import Batch, Collate, Sample
from avsf_det.data.classification.clips import Head
from avsf_det.data.classification.folder import ClipFolder
from avsf_det.data.classification.views import crop_places, uniform_crop
from avsf_det.data.clip import ClipSpec, read_clips
from avsf_det.engine.checkpoint_config import load_model, model_cfg, predictor_cfg
from avsf_det.engine.checkpoints import check_taught
from avsf_det.engine.network import Network
from avsf_det.engine.predictor import checkpoint_label_map, groups_of, model_digest
from avsf_det.errors import UserError
from avsf_det.models.checkpoint import load_checkpoint
from avsf_det.models.importers.files import are_heads


class ClipPredictor:
    """A network with all it needs to score whole clips.

    Args:
        model: takes a `Batch`'s tensors without boxes; left as it is, for an `InferenceModel` is made of it.
        cfg: the configuration that the model was trained with.
        heads: what it was asked of each clip; K classes in all.
        use_audio: False scores as if no file had a sound track.
        explain_audio: score each window of a video that has sound a second time without it.

    Attributes:
        network: the model at work.
        spec: what clips are made of.

    Raises:
        UserError: if a TEST key has a value that there is not, or the model does not listen and should explain.
    """

    def __init__(
        self,
        model: nn.Module,
        cfg: CfgNode,
        heads: Sequence[Head],
        use_audio: bool = True,
        explain_audio: bool = False,
    ) -> None:
        if explain_audio and model.backbone.audio is None:
            raise UserError(f"MODEL.MODEL_NAME {cfg.MODEL.MODEL_NAME} does not listen; leave --explain-audio out")
        self.cfg, self.heads, self.use_audio, self.explain_audio = cfg, tuple(heads), use_audio, explain_audio
        self.listens = use_audio and model.backbone.audio is not None
        self.spec = ClipSpec.from_config(cfg, cfg.DATA.TEST_CROP_SIZE)
        self._places = crop_places(cfg.TEST.NUM_SPATIAL_CROPS)
        self.network = Network(model, cfg)

    @classmethod
    def load(
        cls,
        weights: str | Path,
        overrides: Sequence[str] = (),
        use_audio: bool = True,
        explain_audio: bool = False,
        dataset: bool = False,
    ) -> ClipPredictor:
        """The predictor of a checkpoint, which brings its model's configuration (`model_cfg`) and classes.

        Args:
            weights: the checkpoint.
            overrides: KEY VALUE KEY VALUE ... that change its configuration.
            use_audio, explain_audio: as above.
            dataset: as of `Predictor.load`.

        Raises:
            UserError: if the file is missing, is no checkpoint, or is not of a model of whole clips.
        """
        checkpoint = load_checkpoint(weights)
        heads = checkpoint_heads(checkpoint, weights)
        cfg = predictor_cfg(checkpoint, weights, overrides, dataset)
        classes = sum(len(head.classes) for head in heads)
        own = sum(cfg.MODEL.NUM_CLASSES_LIST) or cfg.MODEL.NUM_CLASSES
        spaces = dict(zip(cfg.MODEL.LABEL_SPACES, cfg.MODEL.NUM_CLASSES_LIST))
        if classes != own or (spaces and spaces != {head.name: len(head.classes) for head in heads}):
            raise UserError(
                f"{weights}: carries {classes} classes of whole clips and its model has {own}; expected a "
                "checkpoint written by `avsf-det train`"
            )
        model = load_model(cfg, checkpoint["model_state"], weights)
        return cls(model, cfg, heads, use_audio, explain_audio)

    def __call__(self, batch: Batch) -> np.ndarray:
        """(B, K) float32 scores within 0..1 of the clips of a batch, the heads' classes one after the other."""
        if not self.use_audio:
            batch = _silenced(batch)
        scored = [self.network.model.clip_scores(logits) for logits in self.network(batch)]
        if isinstance(scored[0], dict):
            scored = [torch.cat([scores[head.name] for head in self.heads], dim=1) for scores in scored]
        return torch.cat(scored).float().cpu().numpy()

    @cached_property
    def identity(self) -> str:
        """A hash that changes whenever scores could: weights, configuration, heads, device, whether it listens."""
        words = self.cfg.dump(), self.heads, self.network.device.type, self.use_audio, self.explain_audio
        return model_digest(self.network.model.source, repr(words))

    def score_video(
        self, path: str | Path, centers: Sequence[float], on_progress: Callable[[int], object] = lambda windows: None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The scores of windows of a video, each a clip of the model's length, read in one pass.

        Those of a window are the mean over its TEST.NUM_SPATIAL_CROPS cuts, or their maximum where several classes hold
        at once; TEST.BATCH_SIZE cuts go through the network together.

        Args:
            path: the video.
            centers: seconds of the middle of each of W windows, ascending.
            on_progress: called with the number of windows done since the last call.

        Returns:
            (W, K) float32 within 0..1, and the same without sound where the predictor explains what sound does.

        Raises:
            UserError: if the video cannot be read.
        """
        collate, crops = Collate.from_config(self.cfg, self.spec), len(self._places)
        scored, silent, done = [], [], 0
        for group in groups_of(self._views(path, centers), self.cfg.TEST.BATCH_SIZE):
            batch = collate(group)
            scored.append(self(batch))
            if self.explain_audio:
                silent.append(self(_silenced(batch)) if batch.audio_present.any() else scored[-1])
            on_progress((done + len(batch)) // crops - done // crops)
            done += len(batch)
        return self._over_cuts(scored), self._over_cuts(silent) if self.explain_audio else None

    def _views(self, path: str | Path, centers: Sequence[float]) -> Iterator[Sample]:
        for clip in read_clips(path, centers, self.spec):
            frames = torch.from_numpy(clip.frames)
            log_mel = None if clip.log_mel is None else torch.from_numpy(clip.log_mel)
            for place in self._places:
                cut = uniform_crop(frames, self.spec.short_side, place)
                yield Sample(cut, log_mel, boxes=torch.zeros(0, 4), labels=torch.zeros(1, 0))

    def _over_cuts(self, scored: Sequence[np.ndarray]) -> np.ndarray:
        """(W, K) of the scores of all cuts, in batches."""
        num_classes = sum(len(head.classes) for head in self.heads)
        scores = np.concatenate([np.zeros((0, num_classes), np.float32), *scored])
        scores = scores.reshape(-1, len(self._places), num_classes)
        return scores.max(axis=1) if any(head.multi_label for head in self.heads) else scores.mean(axis=1)


def _silenced(batch: Batch) -> Batch:
    return replace(batch, audio_present=torch.zeros_like(batch.audio_present))


def checkpoint_heads(checkpoint: dict, path: str | Path) -> tuple[Head, ...]:
    """What the model of a checkpoint was asked of whole clips.

    One that `avsf-det convert` wrote has a label map instead, and one head.

    Raises:
        UserError: if it was asked nothing.
    """
    check_taught(checkpoint, path)
    if "heads" in checkpoint:
        if not are_heads(checkpoint["heads"]):
            wanted = "expected those that `avsf-det train` wrote"
            raise UserError(f"{path}: its heads are no names with classes; {wanted}")
        return tuple(Head(h["name"], tuple(h["classes"]), h["multi_label"]) for h in checkpoint["heads"])
    cfg = model_cfg(checkpoint, path)
    if cfg.DETECTION.ENABLE:
        raise UserError(f"{path}: a model of boxes, which knows no classes of whole clips; `avsf-det detect` is for it")
    label_map = checkpoint_label_map(checkpoint, path)
    return (Head("action", label_map.names, multi_label=cfg.MODEL.HEAD_ACT == "sigmoid"),)


def check_heads(heads: Sequence[Head], folder: ClipFolder) -> None:
    """See that a model's classes are the dataset's.

    Raises:
        UserError: if they are not; the first difference is named.
    """
    for own, other in zip_longest(heads, folder.heads):
        if own == other:
            continue
        if own is None or other is None or own.name != other.name:
            what = f"{', '.join(head.name for head in heads)} there and {', '.join(h.name for h in folder.heads)} in it"
        elif own.classes != other.classes:
            pairs = enumerate(zip_longest(own.classes, other.classes))
            number, (mine, theirs) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
            what = f"class {number} of {own.name} is {mine!r} there and {theirs!r} in it"
        else:
            what = f"several classes of {own.name} hold at once in one of them, and one in the other"
        raise UserError(f"the model's classes are not those of {folder.layout.root}: {what}; take its own dataset")
