"""What a training run does where its configuration leaves it open: chosen by the dataset and the weights given.

TRAIN.AUTO_KEYS has the open keys (configs/common/fine_tuning.yaml); one that a user sets is no longer among them. A run
that goes on keeps what its checkpoint says, whatever became of the dataset meanwhile.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from functools import reduce

from yacs.config import CfgNode

from avsf_det import distributed
from avsf_det.config import override
from avsf_det.data.annotations import AvaFolder
from avsf_det.data.classification.folder import ClipFolder
from avsf_det.data.classification.shares import share_of_each
from avsf_det.engine.checkpoint_config import model_cfg
from avsf_det.models.importers import is_ours
from avsf_det.weight_file import read_file

logger = logging.getLogger(__name__)

# Rules of thumb, for AdamW; docs/training.md has what was measured, which is LR alone.
MOST_CLIPS, FEWEST_CLIPS = 16, 4  # a step
STEPS = 32  # that an epoch should have at least
SEEN, SEEN_FROM_SCRATCH = 8_000, 40_000  # clips that a run learns from, each counted as often as it comes
EPOCHS, EPOCHS_FROM_SCRATCH = (4, 20), (10, 60)  # fewest and most
LR, LR_FROM_SCRATCH = 0.0005, 0.002
FROZEN = (
    (2_000, 3),
    (20_000, 2),
)  # (fewer keyframes or clips than this, stages to freeze); Detectron2's FREEZE_AT is 2
UNEVEN = 5  # times as many labels of the commonest class as of the rarest: classes are balanced from here on
ENOUGH = 100_000  # clips from which on a network for video learns from scratch; Kinetics has 240,000
OF_THE_HEAD = ("RESNET.SPATIAL_STRIDES", "RESNET.SPATIAL_DILATIONS")  # for boxes they are others than for whole clips
PERSON_BOXES = "{split}_person_boxes.csv"


def choose_recipe(cfg: CfgNode, dataset: AvaFolder | ClipFolder, before: CfgNode | None) -> None:
    """Give the keys of TRAIN.AUTO_KEYS their values, and say which and why.

    Args:
        cfg: the configuration, which is changed.
        dataset: what it trains on.
        before: the configuration of the checkpoint that the run goes on from; None where it begins.

    Raises:
        UserError: if the weights to start from, or the training split, cannot be read.
    """
    if not cfg.TRAIN.AUTO_KEYS:
        return
    if before is not None:
        chosen = {key: _get(before, key) for key in cfg.TRAIN.AUTO_KEYS}
        _set(cfg, chosen)
        logger.info("recipe: %d keys as the run that goes on has them", len(chosen))
    else:
        _choose_network(cfg)
        if isinstance(dataset, AvaFolder):
            _choose_boxes(cfg, dataset)
        sizes = _by_size(cfg, *_count(cfg, dataset))
        for key, (value, why) in sizes.items():
            if key in cfg.TRAIN.AUTO_KEYS:
                _set(cfg, {key: value})
                logger.info("recipe: %s %s: %s", key, value, why)
    cfg.TRAIN.AUTO_KEYS = []


def _choose_network(cfg: CfgNode) -> None:
    """The network, and the clips it takes, of a checkpoint of `avsf-det`; other files do not say them."""
    path = cfg.TRAIN.CHECKPOINT_FILE_PATH
    content = read_file(path) if path else None
    if not (isinstance(content, dict) and isinstance(content.get("cfg"), str) and is_ours(content)):
        return
    theirs = model_cfg(content, path)
    keys = [key for key in cfg.TRAIN.AUTO_KEYS if key not in SIZED and key != "AVA.TEST_PREDICT_BOX_LISTS"]
    if theirs.DETECTION.ENABLE != cfg.DETECTION.ENABLE:
        keys = [key for key in keys if key not in OF_THE_HEAD]
    _set(cfg, {key: _get(theirs, key) for key in keys})
    name = f"{theirs.MODEL.MODEL_NAME} {theirs.DATA.NUM_FRAMES}x{theirs.DATA.SAMPLING_RATE} R{theirs.RESNET.DEPTH}"
    logger.info("recipe: the network and its clips are those of %s: %s", path, name)


def _choose_boxes(cfg: CfgNode, dataset: AvaFolder) -> None:
    """The csv of all persons for evaluation, where one lies beside the ground truth and nothing else is asked for."""
    key = "AVA.TEST_PREDICT_BOX_LISTS"
    boxes = dataset.annotations / PERSON_BOXES.format(split=cfg.DATA.EVAL_SPLIT)
    if key in cfg.TRAIN.AUTO_KEYS and cfg.DETECTOR.MODEL == "groundtruth" and boxes.is_file():
        _set(cfg, {key: [PERSON_BOXES]})
        logger.info("recipe: %s [%s]: it is there", key, PERSON_BOXES)


def _count(cfg: CfgNode, dataset: AvaFolder | ClipFolder) -> tuple[int, list[int], str]:
    """How much there is to learn from, the labels of each class in it, and what it is called."""
    split = cfg.DATA.TRAIN_SPLIT
    if isinstance(dataset, AvaFolder):
        keyframes = dataset.keyframes(split)
        return len(keyframes), keyframes.class_counts.tolist(), "keyframes"
    clips = dataset.clips(split)
    chosen = share_of_each(clips, cfg.DATA.TRAIN_SHARE, cfg.RNG_SEED)
    return len(chosen), clips.class_counts(chosen).tolist(), "clips"


def _by_size(cfg: CfgNode, size: int, counts: Sequence[int], unit: str) -> dict[str, tuple[object, str]]:
    """Key -> value and reason, for the size of the training split; keys that are set already are reckoned with."""
    pretrained = bool(cfg.TRAIN.CHECKPOINT_FILE_PATH)
    share = distributed.world_size() * cfg.TRAIN.ACCUMULATION_STEPS
    chosen = size_recipe(size, counts, pretrained, share, unit)
    if not pretrained:
        logger.warning(
            "recipe: training from scratch on %d %s, for there are no weights in TRAIN.CHECKPOINT_FILE_PATH; a "
            "network for video needs %d or more, so expect little: give it weights of Kinetics (docs/checkpoints.md)",
            size, unit, ENOUGH,
        )  # fmt: skip
    is_set = {key: _get(cfg, key) for key in SIZED if key not in cfg.TRAIN.AUTO_KEYS}
    batch = is_set.get("TRAIN.BATCH_SIZE", chosen["TRAIN.BATCH_SIZE"][0])
    epochs = is_set.get("SOLVER.MAX_EPOCH", chosen["SOLVER.MAX_EPOCH"][0])
    chosen["SOLVER.BASE_BATCH_SIZE"] = batch, "the rate is for a step's clips as they are"
    chosen["SOLVER.WARMUP_EPOCHS"] = min(1.0, epochs / 10), "a tenth of the epochs, one at most"
    return chosen


SIZED = (
    "TRAIN.BATCH_SIZE",
    "SOLVER.MAX_EPOCH",
    "SOLVER.BASE_LR",
    "SOLVER.BASE_BATCH_SIZE",
    "SOLVER.WARMUP_EPOCHS",
    "MODEL.FREEZE_AT",
    "MODEL.CLASS_BALANCE",
)
"""The keys that follow from the size of the training split."""


def size_recipe(
    size: int, counts: Sequence[int], pretrained: bool, share: int = 1, unit: str = "keyframes"
) -> dict[str, tuple]:
    """Keys with values and reasons that follow from how much there is to learn from.

    Args:
        size: keyframes, or labelled clips, of the training split.
        counts: labels of each class in it.
        pretrained: whether there are weights to start from.
        share: what the clips of a step must be a multiple of.
        unit: what `size` counts.
    """
    seen, (fewest, most), lr = (
        (SEEN, EPOCHS, LR) if pretrained else (SEEN_FROM_SCRATCH, EPOCHS_FROM_SCRATCH, LR_FROM_SCRATCH)
    )
    batch = 2 ** int(math.log2(max(size / STEPS, 1)))
    batch = math.ceil(min(max(batch, FEWEST_CLIPS), MOST_CLIPS, max(size, 1)) / share) * share
    epochs = min(max(round(seen / max(size, 1)), fewest), most)
    frozen = next((stages for limit, stages in FROZEN if size < limit), 0) if pretrained else 0
    shown = [count for count in counts if count]
    uneven = len(shown) > 1 and max(shown) >= UNEVEN * min(shown)
    ratio = f"{max(shown):,} labels of the commonest class, {min(shown):,} of the rarest" if shown else "no labels"
    kind = "from weights" if pretrained else "from scratch"
    return {
        "TRAIN.BATCH_SIZE": (
            batch,
            f"{size:,} {unit}, {STEPS} steps an epoch if {FEWEST_CLIPS} to {MOST_CLIPS} clips allow",
        ),
        "SOLVER.MAX_EPOCH": (epochs, f"about {seen:,} clips in all {kind}, within {fewest} to {most} epochs"),
        "SOLVER.BASE_LR": (lr, kind),
        "MODEL.FREEZE_AT": (frozen, f"{kind}, {size:,} {unit}" if pretrained else "nothing is learned yet"),
        "MODEL.CLASS_BALANCE": ("effective_number" if uneven else "none", ratio),
    }


def _get(cfg: CfgNode, key: str) -> object:
    return reduce(getattr, key.split("."), cfg)


def _set(cfg: CfgNode, values: dict[str, object]) -> None:
    """Set keys, after which they are none of TRAIN.AUTO_KEYS."""
    override(
        cfg, [word for key, value in values.items() for word in (key, value if isinstance(value, str) else repr(value))]
    )
