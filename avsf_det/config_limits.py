"""The range of each numeric config key, wherever its value comes from: a checkpoint, a yaml file or a command line."""

from __future__ import annotations

import math
import reprlib

from avsf_det.errors import UserError

MAX_ITEMS = 10_000  # in a list
MAX_NESTING = 3  # lists within lists
LIMITS: dict[str, tuple[float, float]] = {  # of a number, or of each number in a list
    "LOG_PERIOD": (1, 10**9),
    "DATA.CLIPS_PER_READ": (1, 1024),
    "DATA.NUM_FRAMES": (1, 1024),
    "DATA.SAMPLING_RATE": (1, 1000),
    "DATA.TARGET_FPS": (1, 1000),
    "DATA.STD": (1e-6, 1e6),
    "DATA.TRAIN_JITTER_SCALES": (1, 8192),
    "DATA.TRAIN_CROP_SIZE": (0, 4096),
    "DATA.TEST_CROP_SIZE": (1, 4096),
    "DATA.AUDIO_SAMPLE_RATE": (100, 384_000),
    "DATA.AUDIO_WIN_SZ": (1, 1000),
    "DATA.AUDIO_STEP_SZ": (1, 1000),
    "DATA.AUDIO_FRAME_NUM": (1, 65_536),
    "DATA.AUDIO_MEL_NUM": (1, 1024),
    "DATA.LOGMEL_STD": (1e-6, 1e6),
    "AVA.FRAME_RATE": (0, 1000),
    "AVA.DETECTION_SCORE_THRESH": (0, 1),
    "CLIPS.BATCH_SIZE": (1, 1_000_000),
    "MODEL.NUM_CLASSES": (1, 1_000_000),
    "MODEL.NUM_CLASSES_LIST": (1, 1_000_000),
    "MODEL.DROPOUT_RATE": (0, 1),
    "RESNET.WIDTH_PER_GROUP": (1, 4096),
    "RESNET.NUM_BLOCK_TEMP_KERNEL": (0, 1000),
    "RESNET.SPATIAL_STRIDES": (1, 16),
    "RESNET.SPATIAL_DILATIONS": (1, 64),
    "NONLOCAL.LOCATION": (0, 1000),
    "NONLOCAL.POOL": (1, 64),
    "SLOWFAST.ALPHA": (1, 1024),
    "SLOWFAST.BETA_INV": (1, 1024),
    "SLOWFAST.FUSION_CONV_CHANNEL_RATIO": (1, 64),
    "SLOWFAST.FUSION_KERNEL_SZ": (1, 1025),
    "SLOWFAST.AU_ALPHA": (1, 65_536),
    "SLOWFAST.AU_BETA_INV": (1, 1024),
    "SLOWFAST.AU_FUSION_CONV_CHANNEL_DIM": (1, 65_536),
    "SLOWFAST.AU_FUSION_KERNEL_SZ": (1, 1025),
    "SLOWFAST.AU_FUSION_CONV_NUM": (1, 64),
    "SLOWFAST.AVS_PROJ_DIM": (1, 65_536),
    "DETECTION.ROI_XFORM_RESOLUTION": (1, 64),
    "DETECTION.SAMPLING_RATIO": (0, 64),
    "TRAIN.BATCH_SIZE": (1, 1_000_000),
    "TRAIN.ACCUMULATION_STEPS": (1, 1_000_000),
    "TRAIN.NUM_WORKERS": (0, 1024),
    "TEST.BATCH_SIZE": (1, 65_536),
    "TEST.SCALES": (1, 4096),
    "TEST.NUM_ENSEMBLE_VIEWS": (1, 1000),
}
_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 100


def shown(value: object) -> str:
    """The value as an error shows it: shortened, for it may be of any size."""
    return _repr.repr(value)


def check_value(key: str, value: object, where: str) -> None:
    """See that a key's value is within its range, that floats are finite, and that lists are no longer than sensible.

    Raises:
        UserError: if it is not; `where` names the origin.
    """
    numbers = [number for number in _items(key, value, where, 0) if isinstance(number, int | float)]
    low, high = LIMITS.get(key, (-math.inf, math.inf))
    for number in numbers:
        if isinstance(number, float) and not math.isfinite(number):
            raise UserError(f"{where}: {key} expects finite numbers, got {shown(value)}")
        if not low <= number <= high:
            raise UserError(f"{where}: {key} expects {low:.15g} to {high:.15g}, got {shown(value)}")


def _items(key: str, value: object, where: str, depth: int) -> list:
    if not isinstance(value, list | tuple):
        return [value]
    if depth == MAX_NESTING or len(value) > MAX_ITEMS:
        raise UserError(f"{where}: {key} expects a list of up to {MAX_ITEMS} values, got {shown(value)}")
    return [item for part in value for item in _items(key, part, where, depth + 1)]
