"""The clips that a training run learns from, as its configuration says."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from tqdm import tqdm
from yacs.config import CfgNode

from avsf_det import distributed
from avsf_det.data.annotations import AvaFolder
from avsf_det.data.batch import Collate
from avsf_det.data.classification.dataset import ClipDataset
from avsf_det.data.classification.folder import ClipFolder
from avsf_det.data.classification.shares import share_of_each
from avsf_det.data.clip import ClipSpec
from avsf_det.data.dataset import ActionDataset, VideoSamples
from avsf_det.data.loader import TrainLoader
from avsf_det.data.rotation import RandomRotation
from avsf_det.data.transforms import TrainTransform
from avsf_det.engine.device import choose_device
from avsf_det.errors import UserError

logger = logging.getLogger(__name__)


def keyframe_samples(cfg: CfgNode, dataset: AvaFolder) -> ActionDataset:
    """The keyframes of DATA.TRAIN_SPLIT.

    Raises:
        UserError: if the split cannot be read.
    """
    return ActionDataset(
        dataset.keyframes(cfg.DATA.TRAIN_SPLIT),
        dataset.videos,
        clip_spec(cfg),
        TrainTransform.from_config(cfg, dataset.label_map.names),
        cfg.RNG_SEED,
        Path(cfg.DATA.CACHE_DIR) if cfg.DATA.CACHE_DIR else None,
        misaligned_gap(cfg),
    )


def clip_samples(cfg: CfgNode, folder: ClipFolder, rotate: bool = False) -> ClipDataset:
    """The labelled clips of DATA.TRAIN_SPLIT, or the share DATA.TRAIN_SHARE of them.

    Args:
        cfg: the configuration.
        folder: where they are.
        rotate: turn them at random, in place of their own labels.

    Raises:
        UserError: if the split cannot be read, or the share is not within 0..1.
    """
    clips = folder.clips(cfg.DATA.TRAIN_SPLIT)
    transform = TrainTransform.from_config(cfg, clips.class_names)
    transform = RandomRotation(transform) if rotate else transform
    samples = ClipDataset(clips, folder.root, clip_spec(cfg), transform, cfg.RNG_SEED, misaligned_gap(cfg))
    if cfg.DATA.TRAIN_SHARE != 1:
        samples.keep(share_of_each(clips, cfg.DATA.TRAIN_SHARE, cfg.RNG_SEED))
    return samples


def clip_spec(cfg: CfgNode) -> ClipSpec:
    """What training clips are made of."""
    return ClipSpec.from_config(cfg, max(cfg.DATA.TRAIN_JITTER_SCALES))


def training_loader(
    cfg: CfgNode, samples: VideoSamples, clips_per_read: int = 1, batch_size: int | None = None
) -> TrainLoader:
    """This process's share of samples, without those that cannot be used, which are named in a warning.

    Args:
        cfg: the configuration.
        samples: of the whole split.
        clips_per_read: neighbours of a video that are read at once.
        batch_size: clips of one process; None is its share of TRAIN.BATCH_SIZE.

    Raises:
        UserError: if TRAIN.BATCH_SIZE cannot be shared out, or too many of the videos cannot be read.
    """
    clips = batch_size or _clips_at_once(cfg)
    _leave_out_unusable(samples, cfg.TRAIN.MAX_FAILED_SHARE)
    return TrainLoader(
        samples,
        Collate.from_config(cfg, samples.spec),
        clips,
        cfg.RNG_SEED,
        cfg.TRAIN.NUM_WORKERS,
        distributed.rank(),
        distributed.world_size(),
        clips_per_read,
        cfg.DATA.SHUFFLE_STEPS * (1 if batch_size else cfg.TRAIN.ACCUMULATION_STEPS),
        pin_memory=choose_device(cfg.DEVICE).type == "cuda",
    )


def evenly_spread(count: int, fraction: float) -> np.ndarray:
    """(S,) ascending indices below `count`: a fraction of them, at least one, evenly spread.

    Raises:
        UserError: if DATA.EVAL_SUBSET is not above 0 and up to 1.
    """
    if not 0 < fraction <= 1:
        raise UserError(f"DATA.EVAL_SUBSET: got {fraction:g}, expected a number above 0 and up to 1")
    return np.unique(np.linspace(0, count - 1, max(round(fraction * count), 1)).astype(int))


def check_failed(what: str, failed: int, total: int, share: float, first: str) -> None:
    """Stop a run in which too much of what it needs cannot be read.

    Args:
        what: videos or clips.
        failed, total: how many of how many.
        share: TRAIN.MAX_FAILED_SHARE.
        first: what is wrong with one of them.

    Raises:
        UserError: if it is more than the share.
    """
    if failed > share * total:
        raise UserError(
            f"{failed} of {total} {what} cannot be read, more than TRAIN.MAX_FAILED_SHARE {share:g}; mend them, or "
            f"raise it; the first: {first}"
        )


def _clips_at_once(cfg: CfgNode) -> int:
    """Clips of one micro-batch of one process."""
    processes, accumulation = distributed.world_size(), cfg.TRAIN.ACCUMULATION_STEPS
    if accumulation < 1 or cfg.TRAIN.BATCH_SIZE % (processes * accumulation) or cfg.TRAIN.BATCH_SIZE < 1:
        raise UserError(
            f"TRAIN.BATCH_SIZE: got {cfg.TRAIN.BATCH_SIZE} clips a step, expected a multiple of {processes} processes "
            f"x TRAIN.ACCUMULATION_STEPS {accumulation}"
        )
    return cfg.TRAIN.BATCH_SIZE // (processes * accumulation)


def synchronises(cfg: CfgNode) -> bool:
    """Whether audiovisual synchronisation is trained along."""
    return cfg.MODEL.MODEL_NAME == "AVSlowFast" and any(cfg.SLOWFAST.AVS_FLAG)


def misaligned_gap(cfg: CfgNode) -> float | None:
    """Seconds between a clip's sound and its negative's; None where there is none."""
    return cfg.DATA.AUDIO_MISALIGNED_GAP * cfg.DATA.AUDIO_STEP_SZ / 1000 if synchronises(cfg) else None


def _leave_out_unusable(samples: VideoSamples, share: float) -> None:
    """Every process leaves out what the main one finds unusable; it is named in a warning."""
    videos, found = len(set(samples.video_numbers.tolist())), None
    if distributed.is_main():
        found = samples.find_unusable(
            lambda some, total: tqdm(some, "look at videos", total, unit="video", disable=None)
        )
        if found.videos:
            logger.warning("%d videos left out: %s", len(found.videos), "; ".join(found.videos.values()))
        if found.beyond:
            logger.warning("clips left out: %s", "; ".join(found.beyond))
    found = distributed.from_main(found)
    check_failed("videos", len(found.videos), videos, share, next(iter(found.videos.values()), ""))
    samples.leave_out(found.samples)
    if not len(samples):
        raise UserError(f"no clip of the training split lies within its video; {found.beyond[0]}")
