"""A model from a checkpoint: what of its configuration is taken, and that it is no larger than its weights."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path, PurePosixPath, PureWindowsPath

import torch
from torch import nn
from yacs.config import CfgNode

from avsf_det.config import get_cfg, keys_of, merge_yaml, override
from avsf_det.errors import UserError
from avsf_det.models.build import build_model
from avsf_det.models.checkpoint import load_own_weights
from avsf_det.models.importers import is_ours

logger = logging.getLogger(__name__)

CONVERT = "expected a checkpoint written by `avsf-det train`, or by `avsf-det convert` with --config"
# Groups and keys that say what the model is, what it takes and which views it is tested on. All of DATA's that are no
# texts are of this kind too.
TAKEN = ("TASK", "MODEL", "BN", "RESNET", "NONLOCAL", "SLOWFAST", "DETECTION", "PRETRAIN", "DATA.AUDIO_SPAN")
TAKEN += ("DETECTOR.CLASSES", "TRAIN.DATASET", "CLIPS.DATASET", "AVA.VIDEO_START")
TAKEN += ("TEST.SCALES", "TEST.FLIP", "TEST.NUM_ENSEMBLE_VIEWS", "TEST.NUM_SPATIAL_CROPS", "TEST.PRECISION")
# Names of files inside a dataset's folder: taken where they stay within it.
NAMES = ("AVA", "DATA.PATH_PREFIX", "DATA.TRAIN_SPLIT", "DATA.EVAL_SPLIT", "CLIPS.PATH_PREFIX")
OF_A_DATASET = ("DATA.ROOT", "DATA.PATH_PREFIX", "DATA.EVAL_SPLIT", "AVA.", "CLIPS.", "DETECTOR.MODEL")
DETECTORS = ("groundtruth", "yolox")  # no file and no address
MAX_PIXELS = 2**28  # of a clip's frames together: 64 frames of 2048 x 2048
MAX_SECONDS = 600.0  # of a clip, and of its audio
MAX_WINDOW = 2**26  # samples of a log-mel window x mel bins
HEADROOM, SLACK = 2, 2**24  # a model's parameters, per number in the file and beyond


def checkpoint_cfg(checkpoint: Mapping, path: str | Path) -> CfgNode:
    """The whole configuration that a checkpoint carries, to be compared with that of a run of one's own.

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


def model_cfg(checkpoint: Mapping, path: str | Path) -> CfgNode:
    """What of a checkpoint's configuration belongs to the model; all else has its default.

    Nothing in it names a path outside of the dataset, an address, a device, a number of workers or an output. Of a
    checkpoint in the `checkpoints` folder of a run, OUTPUT_DIR is that run's folder, wherever it now is.

    Raises:
        UserError: as `checkpoint_cfg`, or if it asks for clips of a size that there is no memory for.
    """
    theirs, cfg = checkpoint_cfg(checkpoint, path), get_cfg()
    for key in keys_of(cfg):
        value = _get(theirs, key)
        if _is_taken(key, value):
            *groups, leaf = key.split(".")
            reduce(getattr, groups, cfg)[leaf] = value
    _check_clip_size(cfg, path)
    folder = Path(path).absolute().parent
    if folder.name == "checkpoints":
        cfg.OUTPUT_DIR = str(folder.parent)
    return cfg


def predictor_cfg(checkpoint: Mapping, path: str | Path, overrides: Sequence[str], dataset: bool) -> CfgNode:
    """`model_cfg` changed by overrides.

    Args:
        checkpoint: what the file holds.
        path: the file.
        overrides: KEY VALUE KEY VALUE ...
        dataset: whether there will be an evaluation on a dataset, so that what of it was not taken is to be logged.

    Raises:
        UserError: as `model_cfg`, or for a wrong override.
    """
    cfg = model_cfg(checkpoint, path)
    override(cfg, overrides)
    if dataset:
        theirs, defaults = checkpoint_cfg(checkpoint, path), get_cfg()
        keys = [key for key in keys_of(cfg) if key.startswith(OF_A_DATASET) and key not in overrides[::2]]
        ignored = [
            f"{key} {_get(theirs, key)!r}"[:200]
            for key in keys
            if _get(theirs, key) not in (_get(cfg, key), _get(defaults, key))
        ]
        if ignored:
            logger.info("%s: ignored of its configuration: %s; give KEY VALUE to use it", path, ", ".join(ignored))
    return cfg


def require_dataset(cfg: CfgNode, key: str, path: str | Path) -> None:
    """See that the dataset to evaluate on is named: a checkpoint does not bring its own.

    Raises:
        UserError: if it is not.
    """
    if not _get(cfg, key):
        raise UserError(f"{path}: no dataset to evaluate on; give its folder as {key} FOLDER")


def _get(cfg: CfgNode, key: str) -> object:
    return reduce(getattr, key.split("."), cfg)


def _is_taken(key: str, value: object) -> bool:
    group = key.partition(".")[0]
    if group in TAKEN or key in TAKEN:
        return True
    if key == "DETECTOR.MODEL":
        return value in DETECTORS
    if group in NAMES or key in NAMES:
        return all(
            not isinstance(part, str) or _is_inside(part) for part in (value if isinstance(value, list) else [value])
        )
    return group == "DATA" and not isinstance(value, str) and key != "DATA.CLIPS_PER_READ"


def _is_inside(name: str) -> bool:
    """Whether a name stays inside the folder that it is appended to."""
    path, windows = PurePosixPath(name), PureWindowsPath(name)
    outside = path.is_absolute() or windows.drive or windows.root or ".." in windows.parts or "\0" in name
    return not outside and ":" not in name


def _check_clip_size(cfg: CfgNode, path: str | Path) -> None:
    data = cfg.DATA
    side = max([data.TRAIN_CROP_SIZE, data.TEST_CROP_SIZE, *cfg.TEST.SCALES])
    window = data.AUDIO_SAMPLE_RATE * data.AUDIO_WIN_SZ / 1000
    sizes = {
        "pixels in a clip (DATA.NUM_FRAMES x DATA.TEST_CROP_SIZE squared)": (data.NUM_FRAMES * side**2, MAX_PIXELS),
        "seconds in a clip": (data.NUM_FRAMES * data.SAMPLING_RATE / data.TARGET_FPS, MAX_SECONDS),
        "seconds of audio in a clip": (data.AUDIO_FRAME_NUM * data.AUDIO_STEP_SZ / 1000, MAX_SECONDS),
        "log-mel weights (window x DATA.AUDIO_MEL_NUM)": (window * data.AUDIO_MEL_NUM, MAX_WINDOW),
        "samples in a clip's log-mel windows": (window * data.AUDIO_FRAME_NUM, MAX_WINDOW),
    }
    for what, (size, most) in sizes.items():
        if size > most:
            raise UserError(f"{path}: its configuration asks for {size:.10g} {what}; expected {most:.10g} at most")


def load_model(cfg: CfgNode, state: Mapping[str, torch.Tensor], path: str | Path) -> nn.Module:
    """The configured model with the weights from `path`, each of them.

    Raises:
        UserError: if it has more parameters than the file has weights, or they are those of another model.
    """
    with torch.device("meta"):
        asked = sum(math.prod(tensor.shape) for tensor in build_model(cfg).state_dict().values())
    stored = sum(tensor.numel() for tensor in state.values())
    if asked > HEADROOM * stored + SLACK:
        raise UserError(
            f"{path}: the configuration asks for a model of {asked} parameters, but the file holds {stored}; take the "
            "configuration they were trained with"
        )
    model = build_model(cfg)
    load_own_weights(model, state, path)
    return model
