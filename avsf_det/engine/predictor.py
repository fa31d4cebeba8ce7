"""Clips and persons in, persons with action scores out: owns what comes before and after the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn
from yacs.config import CfgNode

from ava_eval.label_map import LabelMap, parse_label_map
from avsf_det.config import get_cfg, merge_yaml, override
from avsf_det.data.batch import Collate, Sample
from avsf_det.data.clip import Clip, ClipSpec, read_clips
from avsf_det.engine.device import choose_device
from avsf_det.errors import UserError
from avsf_det.models.build import build_model
from avsf_det.models.checkpoint import load_checkpoint, load_weights
from avsf_det.models.importers import is_ours
from avsf_det.models.inference import PRECISIONS, InferenceModel
from avsf_det.structures import Persons

CONVERT = "expected a checkpoint written by `avsf-det train`, or by `avsf-det convert` with --config"


class Predictor:
    """A network with all it needs to score the actions of persons.

    Args:
        model: takes a `Batch`'s tensors, returns logits (N, K); left as it is, for an `InferenceModel` is made of it.
        cfg: the configuration that the model was trained with.
        label_map: its K classes.
        use_audio: False scores as if no file had a sound track.

    Raises:
        UserError: if TEST.PRECISION is unknown.
    """

    def __init__(self, model: nn.Module, cfg: CfgNode, label_map: LabelMap, use_audio: bool = True) -> None:
        self.cfg, self.label_map, self.use_audio = cfg, label_map, use_audio
        self.device = choose_device(cfg.DEVICE)
        if cfg.TEST.PRECISION not in PRECISIONS:
            raise UserError(f"TEST.PRECISION: got {cfg.TEST.PRECISION!r}, expected one of {', '.join(PRECISIONS)}")
        self.model = InferenceModel(model.to(self.device).eval(), cfg.TEST.PRECISION)
        self.spec = ClipSpec.from_config(cfg, cfg.DATA.TEST_CROP_SIZE)
        self._collate = Collate.from_config(cfg, self.spec)

    @classmethod
    def load(cls, weights: str | Path, overrides: Sequence[str] = (), use_audio: bool = True) -> Predictor:
        """The predictor of a checkpoint, which brings its own configuration and label map.

        Args:
            weights: the checkpoint.
            overrides: KEY VALUE KEY VALUE ... that change its configuration.
            use_audio: as above.

        Raises:
            UserError: if the file is missing, is no checkpoint, or lacks either.
        """
        checkpoint = load_checkpoint(weights)
        cfg = checkpoint_cfg(checkpoint, weights)
        override(cfg, overrides)
        model = build_model(cfg)
        load_all_weights(model, checkpoint["model_state"], weights)
        label_map = checkpoint_label_map(checkpoint, weights)
        if len(label_map) != cfg.MODEL.NUM_CLASSES:
            raise UserError(
                f"{weights}: its label map has {len(label_map)} classes and its model {cfg.MODEL.NUM_CLASSES}; "
                "expected a checkpoint written by `avsf-det train`"
            )
        return cls(model, cfg, label_map, use_audio)

    @torch.no_grad()
    def __call__(self, clips: Sequence[Clip], persons: Sequence[Persons]) -> list[Persons]:
        """The persons of each clip, with `actions` (N, K) filled in."""
        samples = [
            Sample(
                frames=torch.from_numpy(clip.frames),
                log_mel=torch.from_numpy(clip.log_mel) if self.use_audio and clip.log_mel is not None else None,
                boxes=torch.from_numpy(found.boxes),
                labels=torch.zeros(len(found), len(self.label_map)),
            )
            for clip, found in zip(clips, persons)
        ]
        batch = self._collate(samples).to(self.device)
        logits = self.model(batch.slow, batch.fast, batch.audio, batch.boxes, batch.audio_present)
        scores = torch.split(torch.sigmoid(logits.float()).cpu(), [len(found) for found in persons])
        return [found.replace(actions=actions.numpy()) for found, actions in zip(persons, scores)]

    def score_video(
        self,
        path: str | Path,
        times: Sequence[float],
        persons: Sequence[Persons],
        on_progress: Callable[[int], object] = lambda keyframes: None,
    ) -> list[Persons]:
        """The persons of each keyframe of a video with their action scores; keyframes without any are not computed.

        Args:
            path: the video.
            times: seconds, ascending.
            persons: found at each time.
            on_progress: called with the number of keyframes done since the last call.
        """
        scored = [found.replace(actions=torch.zeros(len(found), len(self.label_map)).numpy()) for found in persons]
        busy = [i for i, found in enumerate(persons) if len(found)]
        clips = read_clips(path, [times[i] for i in busy], self.spec)
        for group in _groups(zip(busy, clips), self.cfg.TEST.BATCH_SIZE):
            rows = [i for i, _ in group]
            for i, found in zip(rows, self([clip for _, clip in group], [persons[i] for i in rows])):
                scored[i] = found
            on_progress(len(rows))
        on_progress(len(persons) - len(busy))
        return scored


def checkpoint_cfg(checkpoint: dict, path: str | Path) -> CfgNode:
    """The configuration that a checkpoint carries.

    Raises:
        UserError: if there is none, or it is not one of this version's.
    """
    if not isinstance(checkpoint.get("cfg"), str):
        raise UserError(f"{path}: carries no configuration; {CONVERT}")
    if not is_ours(checkpoint):
        raise UserError(f"{path}: carries another program's configuration; {CONVERT}")
    cfg = get_cfg()
    merge_yaml(cfg, checkpoint["cfg"], str(path))
    return cfg


def checkpoint_label_map(checkpoint: dict, path: str | Path) -> LabelMap:
    """The label map that a checkpoint carries.

    Raises:
        UserError: if there is none.
    """
    if not isinstance(checkpoint.get("label_map"), str):
        raise UserError(f"{path}: carries no label map; {CONVERT} and --label-map")
    return parse_label_map(checkpoint["label_map"], str(path))


def load_all_weights(model: nn.Module, state: Mapping[str, torch.Tensor], path: str | Path) -> None:
    """Fill a model with the weights from `path`, each of them.

    Raises:
        UserError: if they are those of another model.
    """
    report = load_weights(model, state)
    if report.differing:
        raise UserError(
            f"{path}: weights of another model than the configured one: {report}, such as {report.differing[0]}; "
            "take the configuration they were trained with"
        )


def _groups(items: Iterable, size: int) -> Iterable[list]:
    """Lists of up to `size` consecutive items."""
    group = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
