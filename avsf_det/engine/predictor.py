"""Clips and persons in, persons with action scores out: owns what comes before and after the network."""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn
from yacs.config import CfgNode

from ava_eval.label_map import LabelMap, parse_label_map
from avsf_det.data.batch import Collate, Sample
from avsf_det.data.clip import Clip, ClipSpec, read_clips
from avsf_det.data.mirror import mirrored_boxes, mirrored_classes
from avsf_det.data.transforms import resize
from avsf_det.engine.checkpoint_config import CONVERT, load_model, model_cfg, predictor_cfg
from avsf_det.engine.checkpoints import check_taught
from avsf_det.engine.network import Network
from avsf_det.engine.pipeline import ahead
from avsf_det.errors import UserError
from avsf_det.media.source import VideoSource
from avsf_det.models.checkpoint import load_checkpoint
from avsf_det.structures import Persons

logger = logging.getLogger(__name__)


class Predictor:
    """A network with all it needs to score the actions of persons.

    A score is the mean of the probabilities of all views: every scale of TEST.SCALES, with TEST.FLIP mirrored too, of
    each of TEST.NUM_ENSEMBLE_VIEWS clips. So does facebookresearch/video-long-term-feature-banks; PySlowFast has single
    views only (its AVA.TEST_FORCE_FLIP mirrors the one there is). Scales and flips of a clip are of the same frames,
    decoded once, and have the same sound.

    Args:
        model: takes a `Batch`'s tensors, returns logits (N, K); left as it is, for an `InferenceModel` is made of it.
        cfg: the configuration that the model was trained with.
        label_map: its K classes.
        use_audio: False scores as if no file had a sound track.
        explain_audio: score each clip that has sound a second time without it, into `Persons.silent`.

    Attributes:
        network: the model at work.
        spec: what clips are made of.
        shifts: seconds by which each clip of a keyframe lies after it, ascending.

    Raises:
        UserError: if a TEST key has a value that there is not, or the model does not listen and should explain.
    """

    def __init__(
        self,
        model: nn.Module,
        cfg: CfgNode,
        label_map: LabelMap,
        use_audio: bool = True,
        explain_audio: bool = False,
    ) -> None:
        self.cfg, self.label_map, self.use_audio, self.explain_audio = cfg, label_map, use_audio, explain_audio
        if explain_audio and model.backbone.audio is None:
            raise UserError(f"MODEL.MODEL_NAME {cfg.MODEL.MODEL_NAME} does not listen; leave --explain-audio out")
        _check_test_keys(cfg.TEST)
        self.network = Network(model, cfg)
        self._scales = cfg.TEST.SCALES or [cfg.DATA.TEST_CROP_SIZE]
        self.spec = ClipSpec.from_config(cfg, max(self._scales))
        self.shifts = view_shifts(cfg.TEST.NUM_ENSEMBLE_VIEWS, self.spec)
        self._mirrored_classes = list(mirrored_classes(label_map.names))
        self._collate = Collate.from_config(cfg, self.spec)
        factors = len(self._scales), 1 + cfg.TEST.FLIP, len(self.shifts)
        if max(factors) > 1:
            logger.info("%d views a keyframe: %d scales x %d flips x %d clips", np.prod(factors), *factors)

    @classmethod
    def load(
        cls,
        weights: str | Path,
        overrides: Sequence[str] = (),
        use_audio: bool = True,
        explain_audio: bool = False,
        dataset: bool = False,
    ) -> Predictor:
        """The predictor of a checkpoint, which brings its model's configuration (`model_cfg`) and label map.

        Args:
            weights: the checkpoint.
            overrides: KEY VALUE KEY VALUE ... that change its configuration.
            use_audio, explain_audio: as above.
            dataset: whether a dataset is evaluated on; what of it the checkpoint names and is not taken is logged then.

        Raises:
            UserError: if the file is missing, is no checkpoint, lacks either, or is of a model of whole clips.
        """
        checkpoint = load_checkpoint(weights)
        cfg = predictor_cfg(checkpoint, weights, overrides, dataset)
        check_taught(checkpoint, weights)
        if not cfg.DETECTION.ENABLE:
            raise UserError(f"{weights}: a model of whole clips, which knows no boxes; `avsf-det classify` is for it")
        label_map = checkpoint_label_map(checkpoint, weights)
        model = load_model(cfg, checkpoint["model_state"], weights)
        if len(label_map) != cfg.MODEL.NUM_CLASSES:
            raise UserError(
                f"{weights}: its label map has {len(label_map)} classes and its model {cfg.MODEL.NUM_CLASSES}; "
                "expected a checkpoint written by `avsf-det train`"
            )
        return cls(model, cfg, label_map, use_audio, explain_audio)

    @property
    def listens(self) -> bool:
        """Whether sound has a part in the scores."""
        return self.use_audio and self.network.model.listens

    @cached_property
    def identity(self) -> str:
        """A hash that changes whenever scores could: weights, configuration, classes, device, whether it listens."""
        words = self.cfg.dump(), self.label_map.to_pbtxt(), self.network.device.type, self.use_audio, self.explain_audio
        return model_digest(self.network.model.source, repr(words))

    def __call__(self, clips: Sequence[Clip], persons: Sequence[Persons]) -> list[Persons]:
        """The persons of each clip, with `actions` (N, K) filled in: the mean over scales and flips.

        So is `silent` where the predictor explains what sound does; a clip without sound is not computed twice.
        """
        if not self.use_audio:
            clips = [replace(clip, log_mel=None) for clip in clips]
        scored = [found.replace(actions=actions) for found, actions in zip(persons, self._mean_scores(clips, persons))]
        if not self.explain_audio:
            return scored
        scored = [found.replace(silent=found.actions) for found in scored]
        heard = [i for i, clip in enumerate(clips) if clip.log_mel is not None]
        silenced = [replace(clips[i], log_mel=None) for i in heard]
        for i, silent in zip(heard, self._mean_scores(silenced, [persons[i] for i in heard])):
            scored[i] = scored[i].replace(silent=silent)
        return scored

    def _mean_scores(self, clips: Sequence[Clip], persons: Sequence[Persons]) -> list[np.ndarray]:
        """(N, K) probabilities of the persons of each clip."""
        if not clips:
            return []
        views = []
        for scale in self._scales:
            samples = [self._sample(clip, found, scale) for clip, found in zip(clips, persons)]
            views.append(self._scores(samples))
            if self.cfg.TEST.FLIP:
                views.append(self._scores([_mirrored(sample) for sample in samples])[:, self._mirrored_classes])
        scores = torch.split(torch.stack(views).mean(dim=0).cpu(), [len(found) for found in persons])
        return [one.numpy() for one in scores]

    def _sample(self, clip: Clip, persons: Persons, scale: int) -> Sample:
        return Sample(
            frames=resize(torch.from_numpy(clip.frames), scale),
            log_mel=None if clip.log_mel is None else torch.from_numpy(clip.log_mel),
            boxes=torch.from_numpy(persons.boxes),
            labels=torch.zeros(len(persons), len(self.label_map)),
        )

    def _scores(self, samples: Sequence[Sample]) -> torch.Tensor:
        """(N, K) probabilities."""
        return torch.sigmoid(torch.cat(self.network(self._collate(samples))).float())

    def score_video(
        self,
        path: VideoSource | str | Path,
        times: Sequence[float],
        persons: Sequence[Persons],
        on_progress: Callable[[int], object] = lambda keyframes: None,
    ) -> list[Persons]:
        """The persons of each keyframe of a video with their action scores; keyframes without any are not computed.

        All clips of all keyframes are read in one pass over the video, in the order of their times, by a thread that
        reads the next batch while the network computes.

        Args:
            path: the video.
            times: seconds, ascending.
            persons: found at each time.
            on_progress: called with the number of keyframes done since the last call.
        """
        busy = [i for i, found in enumerate(persons) if len(found)]
        views = sorted((times[i] + shift, i) for i in busy for shift in self.shifts)
        read = read_clips(path, [center for center, _ in views], self.spec)
        clips, unfinished = ahead(read, self.cfg.TEST.BATCH_SIZE), defaultdict(list)

        def whole() -> Iterator[list[Clip]]:
            for (_, i), clip in zip(views, clips):
                unfinished[i].append(clip)
                if len(unfinished[i]) == len(self.shifts):
                    yield unfinished.pop(i)

        together = whole()
        return self.score_keyframes(((found, lambda: next(together)) for found in persons), on_progress)

    def score_keyframes(
        self,
        keyframes: Iterable[tuple[Persons, Callable[[], list[Clip]]]],
        on_progress: Callable[[int], object] = lambda keyframes: None,
    ) -> list[Persons]:
        """The persons of each keyframe with their action scores.

        Args:
            keyframes: the persons found on each, and what gives its clips, in the order of `shifts`; not called where
                nobody was found. TEST.BATCH_SIZE clips go through the network together.
            on_progress: called with the number of keyframes done since the last call.
        """
        scored: list[Persons] = []
        views: dict[int, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)

        def clips() -> Iterator[tuple[int, Clip]]:
            for found, give in keyframes:
                scored.append(_unscored(found, len(self.label_map), self.explain_audio))
                if len(found):
                    yield from ((len(scored) - 1, clip) for clip in give())
                else:
                    on_progress(1)

        for group in groups_of(clips(), self.cfg.TEST.BATCH_SIZE):
            for (i, _), found in zip(group, self([clip for _, clip in group], [scored[i] for i, _ in group])):
                views[i].append((found.actions, found.silent))
                if len(views[i]) == len(self.shifts):
                    actions, silent = (np.mean(scores, axis=0) for scores in zip(*views.pop(i)))
                    scored[i] = found.replace(actions=actions, silent=silent)
                    on_progress(1)
        return scored


def view_shifts(count: int, spec: ClipSpec) -> list[float]:
    """How many seconds each of `count` clips lies after the keyframe that all of them are of.

    Cut into `count` equal parts, the first clip has the keyframe in the middle of its last part, the last clip in the
    middle of its first: two clips are moved by a quarter of their span to either side, three by a third or not at all.
    So every clip shows the keyframe, and boxes are where they were found.
    """
    span = spec.num_frames * spec.sampling_rate / spec.target_fps
    return [span * (2 * i + 1 - count) / (2 * count) for i in range(count)]


def _unscored(persons: Persons, classes: int, explained: bool) -> Persons:
    """Persons with score 0 throughout."""
    zeros = np.zeros((len(persons), classes))
    return persons.replace(actions=zeros, silent=zeros if explained else None)


def _mirrored(sample: Sample) -> Sample:
    return replace(sample, frames=sample.frames.flip(2), boxes=mirrored_boxes(sample.boxes))


def _check_test_keys(test: CfgNode) -> None:
    if not all(isinstance(scale, int) and scale > 0 for scale in test.SCALES):
        raise UserError(f"TEST.SCALES: got {test.SCALES}, expected a list of pixels like [224, 256, 320], or []")
    if test.NUM_ENSEMBLE_VIEWS < 1:
        raise UserError(f"TEST.NUM_ENSEMBLE_VIEWS: got {test.NUM_ENSEMBLE_VIEWS}, expected 1 clip a keyframe or more")


def scores_boxes(weights: str | Path) -> bool:
    """Whether the model of a checkpoint scores the actions of boxes, rather than of whole clips.

    Raises:
        UserError: if the file is missing, is no checkpoint, or carries no configuration.
    """
    return model_cfg(load_checkpoint(weights), weights).DETECTION.ENABLE


def checkpoint_label_map(checkpoint: dict, path: str | Path) -> LabelMap:
    """The label map that a checkpoint carries.

    Raises:
        UserError: if there is none.
    """
    if not isinstance(checkpoint.get("label_map"), str):
        raise UserError(f"{path}: carries no label map; {CONVERT} and --label-map")
    return parse_label_map(checkpoint["label_map"], str(path))


def model_digest(model: nn.Module, words: str) -> str:
    """A hash that changes with a model's weights, and with whatever else `words` tell of it."""
    digest = hashlib.sha256(words.encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()


def groups_of(items: Iterable, size: int) -> Iterable[list]:
    """Lists of up to `size` consecutive items."""
    group = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
