"""Whole clips in, scores of their classes out: the counterpart of `Predictor` for models without boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from torch import nn
from yacs.config import CfgNode

from avsf_det.config import override
from avsf_det.data.batch import Batch
from avsf_det.data.classification.clips import Head
from avsf_det.data.classification.folder import ClipFolder
from avsf_det.engine.device import choose_device
from avsf_det.engine.predictor import checkpoint_cfg, load_all_weights
from avsf_det.errors import UserError
from avsf_det.models.build import build_model
from avsf_det.models.checkpoint import load_checkpoint
from avsf_det.models.inference import PRECISIONS, InferenceModel


class ClipPredictor:
    """A network with all it needs to score whole clips.

    Args:
        model: takes a `Batch`'s tensors without boxes; left as it is, for an `InferenceModel` is made of it.
        cfg: the configuration that the model was trained with.
        heads: what it was asked of each clip; K classes in all.
        use_audio: False scores as if no file had a sound track.

    Raises:
        UserError: if TEST.PRECISION is none of those there are.
    """

    def __init__(self, model: nn.Module, cfg: CfgNode, heads: Sequence[Head], use_audio: bool = True) -> None:
        if cfg.TEST.PRECISION not in PRECISIONS:
            raise UserError(f"TEST.PRECISION: got {cfg.TEST.PRECISION!r}, expected one of {', '.join(PRECISIONS)}")
        self.cfg, self.heads, self.use_audio = cfg, tuple(heads), use_audio
        self.listens = use_audio and model.backbone.audio is not None
        self.device = choose_device(cfg.DEVICE)
        self.model = InferenceModel(model.to(self.device).eval(), cfg.TEST.PRECISION)

    @classmethod
    def load(cls, weights: str | Path, overrides: Sequence[str] = (), use_audio: bool = True) -> ClipPredictor:
        """The predictor of a checkpoint, which brings its own configuration and classes.

        Args:
            weights: the checkpoint.
            overrides: KEY VALUE KEY VALUE ... that change its configuration.
            use_audio: as above.

        Raises:
            UserError: if the file is missing, is no checkpoint, or is not of a model of whole clips.
        """
        checkpoint = load_checkpoint(weights)
        heads = checkpoint_heads(checkpoint, weights)
        cfg = checkpoint_cfg(checkpoint, weights)
        override(cfg, overrides)
        model = build_model(cfg)
        load_all_weights(model, checkpoint["model_state"], weights)
        return cls(model, cfg, heads, use_audio)

    @torch.no_grad()
    def __call__(self, batch: Batch) -> np.ndarray:
        """(B, K) float32 scores within 0..1 of the clips of a batch, the heads' classes one after the other."""
        if not self.use_audio:
            batch = replace(batch, audio_present=torch.zeros_like(batch.audio_present))
        batch = batch.to(self.device)
        logits = self.model(batch.slow, batch.fast, batch.audio, None, batch.audio_present)
        scores = self.model.clip_scores(logits)
        if isinstance(scores, dict):
            scores = torch.cat([scores[head.name] for head in self.heads], dim=1)
        return scores.float().cpu().numpy()


def checkpoint_heads(checkpoint: dict, path: str | Path) -> tuple[Head, ...]:
    """What the model of a checkpoint was asked of whole clips.

    Raises:
        UserError: if it was asked nothing.
    """
    found = checkpoint.get("heads")
    try:
        heads = tuple(Head(str(h["name"]), tuple(map(str, h["classes"])), bool(h["multi_label"])) for h in found)
    except (TypeError, KeyError):
        heads = ()
    if not heads:
        knows = "boxes" if "label_map" in checkpoint else "nothing"
        raise UserError(
            f"{path}: carries no classes of whole clips, its model is for {knows}; expected a checkpoint that "
            "`avsf-det train` wrote on a dataset of labelled clips"
        )
    return heads


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
