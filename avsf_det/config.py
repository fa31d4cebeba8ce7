"""The configuration: every key with its default and its meaning, and how files and command lines change it."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import yaml
from yacs.config import CfgNode

from avsf_det.config_limits import check_value, shown
from avsf_det.errors import UserError
from avsf_det.models.defaults import add_model_defaults

_PACKAGE = Path(__file__).resolve().parent
CONFIG_FOLDER = next((f for f in (_PACKAGE / "configs", _PACKAGE.parent / "configs") if f.is_dir()), _PACKAGE)
"""The recipes: inside the package where it is installed, beside it in a checkout."""

AUTO_KEYS = "TRAIN.AUTO_KEYS"
MAX_KEYS, MAX_NESTING = 10_000, 5  # of a yaml file


def get_cfg() -> CfgNode:
    """A fresh configuration with every key at its default. Names follow PySlowFast where it has the same thing."""
    cfg = CfgNode()

    cfg.TASK = ""  # what is learned: "" the actions of boxes, or of clips (DETECTION.ENABLE); "ssl" without labels
    cfg.RNG_SEED = 0  # seeds weights, sampling and augmentation
    cfg.OUTPUT_DIR = "runs/default"  # checkpoints, logs and results go here, and nowhere else
    cfg.DEVICE = "auto"  # "cpu", "cuda", "cuda:1" ..., or "auto" for a GPU where there is one
    cfg.LOG_PERIOD = 10  # training steps between records of log.jsonl and TensorBoard

    cfg.DATA = CfgNode()
    cfg.DATA.ROOT = ""  # dataset folder, with videos/ and annotations/ inside
    cfg.DATA.PATH_PREFIX = ""  # folder of the videos of labelled clips; under ROOT, unless it is absolute
    cfg.DATA.FOLD = 1  # which of the three divisions of UCF101 and HMDB51; 0 trains and evaluates on each of them
    cfg.DATA.TRAIN_SPLIT = "train"  # what {split} becomes in AVA.* file names when training
    cfg.DATA.TRAIN_SHARE = 1.0  # share of each class's labelled clips that is learned from, at least one clip
    cfg.DATA.EVAL_SPLIT = "val"  # ... and when evaluating
    cfg.DATA.EVAL_SUBSET = 1.0  # fraction of EVAL_SPLIT that is evaluated while training, evenly spread; eval takes all
    cfg.DATA.CACHE_DIR = ""  # keeps decoded training clips here, so that each is decoded once; "" decodes every time
    cfg.DATA.CLIPS_PER_READ = 4  # neighbouring clips read at once, then spread over as many batches; 1 for none
    cfg.DATA.SHUFFLE_STEPS = 0  # steps that clips read at once are spread over at least; 0 for CLIPS_PER_READ batches
    cfg.DATA.NUM_FRAMES = 32  # frames of the Fast pathway's clip
    cfg.DATA.SAMPLING_RATE = 2  # every how many frames of TARGET_FPS one is taken
    cfg.DATA.TARGET_FPS = 30  # frame rate by which a clip's span in seconds is reckoned, whatever the video's own
    cfg.DATA.MEAN = [0.45, 0.45, 0.45]  # subtracted from RGB in 0..1
    cfg.DATA.STD = [0.225, 0.225, 0.225]  # what is left is divided by it
    cfg.DATA.TRAIN_JITTER_SCALES = [256, 320]  # short side of a training clip, drawn from this range
    cfg.DATA.INV_UNIFORM_SAMPLING = False  # draw its inverse uniformly instead, as PySlowFast does for AVA's images
    cfg.DATA.TRAIN_CROP_SIZE = 224  # side of the random square crop; 0 keeps the whole picture
    cfg.DATA.TEST_CROP_SIZE = 256  # short side of the whole picture when evaluating and detecting
    cfg.DATA.RANDOM_FLIP = True  # mirror half of the training clips; classes named left and right change places
    cfg.DATA.TRAIN_COLOUR_JITTER = 0.0  # brightness and contrast change by up to this share
    cfg.DATA.TRAIN_PCA_EIGVAL = [0.225, 0.224, 0.229]  # see AVA.TRAIN_USE_COLOR_AUGMENTATION
    cfg.DATA.TRAIN_PCA_EIGVEC = [
        [-0.5675, 0.7192, 0.4009],
        [-0.5808, -0.0045, -0.8140],
        [-0.5836, -0.6948, 0.4203],
    ]  # RGB
    cfg.DATA.TRAIN_BOX_JITTER = 0.0  # box edges move by up to this share of the box, as a detector's would
    cfg.DATA.AUDIO_SAMPLE_RATE = 16000  # Hz, mono
    cfg.DATA.AUDIO_WIN_SZ = 32  # ms
    cfg.DATA.AUDIO_STEP_SZ = 16  # ms
    cfg.DATA.AUDIO_FRAME_NUM = 128  # log-mel frames of a clip, centred on it
    cfg.DATA.AUDIO_SPAN = "window"  # exactly AUDIO_FRAME_NUM steps, or "clip": the clip's whole span, frames left out
    cfg.DATA.AUDIO_MEL_NUM = 80  # mel bins
    cfg.DATA.LOGMEL_MEAN = -7.03  # of Kinetics, natural log
    cfg.DATA.LOGMEL_STD = 4.66
    cfg.DATA.SPEC_FREQUENCY_MASKS = [0, 27]  # SpecAugment: how many, of up to so many mel bins (27: its paper)
    cfg.DATA.SPEC_TIME_MASKS = [0, 25]  # how many, of up to so many log-mel frames (its paper: up to a fifth of all)
    cfg.DATA.AUDIO_MISALIGNED_GAP = 32  # log-mel frames between a clip's sound and a negative of its own video
    cfg.DATA.MIX_NEG_EPOCH = 96  # until then all negatives of synchronisation are of other clips
    cfg.DATA.EASY_NEG_RATIO = 0.75  # share of them that still are from then on

    cfg.CLIPS = CfgNode()
    cfg.CLIPS.ROOT = ""  # dataset of labelled clips that a detector learns along with its boxes, by a second head
    cfg.CLIPS.DATASET = ""  # as TRAIN.DATASET
    cfg.CLIPS.PATH_PREFIX = ""  # as DATA.PATH_PREFIX
    cfg.CLIPS.BATCH_SIZE = 8  # clips of it a step, over all processes, besides TRAIN.BATCH_SIZE
    cfg.CLIPS.WEIGHT = 1.0  # of their loss

    cfg.PRETRAIN = CfgNode()
    cfg.PRETRAIN.ROTATION = True  # TASK ssl also learns by how many quarter turns a clip was turned
    cfg.PRETRAIN.RETRIEVAL_CLIPS = 1000  # clips of EVAL_SPLIT, evenly spread, among which sound and picture are sought

    cfg.AVA = CfgNode()
    cfg.AVA.VIDEO_DIR = "videos"  # <video_id>.<any suffix>; under DATA.ROOT, like all *_DIR
    cfg.AVA.VIDEO_START = "0"  # second of the film at which files begin; "auto" is 900 for those of 15 minutes, else 0
    cfg.AVA.FRAME_DIR = "frames"  # <video_id>/<video_id>_000001.jpg; a video with frames is read from them; "" for none
    cfg.AVA.FRAME_RATE = 0.0  # of FRAME_DIR, pictures a second; 0 is what the dataset's videos.csv says, else 30
    cfg.AVA.FRAME_LIST_DIR = ""  # PySlowFast's lists of frames, needed only where folders are not named as videos are
    cfg.AVA.TRAIN_LISTS = ["train.csv"]  # under FRAME_LIST_DIR
    cfg.AVA.TEST_LISTS = ["val.csv"]  # under FRAME_LIST_DIR
    cfg.AVA.SOUND_DIR = "sounds"  # <video_id>.<wav, m4a, any video's suffix ...>; where none is, or "": the videos' own
    cfg.AVA.ANNOTATION_DIR = "annotations"  # holds the files that follow; {split} in their names is the split
    cfg.AVA.LABEL_MAP_FILE = "label_map.pbtxt"  # classes of the model; a file, or ava_v2.2_80 or ava_v2.2 (its 60)
    cfg.AVA.SCORED_LABEL_MAP_FILE = ""  # those that count in mAP; "" for all of LABEL_MAP_FILE
    cfg.AVA.GROUNDTRUTH_FILE = "{split}.csv"  # video,timestamp,x1,y1,x2,y2,action_id,person_id
    cfg.AVA.EXCLUSION_FILE = "{split}_excluded_timestamps.csv"  # video,timestamp; may be absent
    cfg.AVA.TRAIN_USE_COLOR_AUGMENTATION = False  # add noise along the principal axes of colour, as AlexNet did
    cfg.AVA.TRAIN_PCA_JITTER_ONLY = True  # else brightness, contrast and saturation change too, by up to 0.4
    cfg.AVA.TRAIN_GT_BOX_LISTS = []  # ground truth for training; [] for GROUNDTRUTH_FILE
    cfg.AVA.TRAIN_PREDICT_BOX_LISTS = []  # predicted persons, also trained on where they fit the ground truth
    cfg.AVA.TRAIN_INCLUDE_NEGATIVE = False  # train on predicted boxes that fit nobody too, as people without actions
    cfg.AVA.TEST_PREDICT_BOX_LISTS = []  # one csv of predicted persons, taken where DETECTOR.MODEL is groundtruth
    cfg.AVA.DETECTION_SCORE_THRESH = 0.8  # persons that the detector is less sure of are left out

    cfg.DETECTOR = CfgNode()
    cfg.DETECTOR.MODEL = "groundtruth"  # or yolox, a file (.onnx, .csv, .yaml, .pth), a Detectron2 zoo name
    cfg.DETECTOR.WEIGHTS = ""  # for .yaml and zoo names: a file or URL, "" for what they name themselves
    cfg.DETECTOR.CLASSES = ["person"]  # who acts: names of COCO's classes such as dog or car; not for files of boxes
    cfg.DETECTOR.CACHE_DIR = ""  # keeps found persons here, so that no video is searched twice; "" for the user's cache

    add_model_defaults(cfg)

    cfg.SOLVER = CfgNode()
    cfg.SOLVER.OPTIMIZING_METHOD = "sgd"  # or "adamw"
    cfg.SOLVER.BASE_LR = 0.1  # every rate here is for BASE_BATCH_SIZE clips; scaled in proportion to those of a step
    cfg.SOLVER.BASE_BATCH_SIZE = 64  # clips of a step, over all processes, that the rates are stated for
    cfg.SOLVER.LR_POLICY = "cosine"  # half a cosine from BASE_LR to COSINE_END_LR, or "steps_with_relative_lrs"
    cfg.SOLVER.COSINE_END_LR = 0.0  # where the cosine ends
    cfg.SOLVER.COSINE_AFTER_WARMUP = False  # the cosine begins after the warm-up instead of at epoch 0
    cfg.SOLVER.STEPS = [0, 10, 15]  # epochs at which LRS change, for the steps policy
    cfg.SOLVER.LRS = [1.0, 0.1, 0.01]  # shares of BASE_LR
    cfg.SOLVER.MAX_EPOCH = 20
    cfg.SOLVER.WARMUP_EPOCHS = 5.0  # linear, from WARMUP_START_LR
    cfg.SOLVER.WARMUP_START_LR = 0.000125
    cfg.SOLVER.MOMENTUM = 0.9
    cfg.SOLVER.NESTEROV = True
    cfg.SOLVER.WEIGHT_DECAY = 1e-7  # not on norms and biases
    cfg.SOLVER.CLIP_GRAD_L2NORM = 0.0  # 0 for none

    cfg.TRAIN = CfgNode()
    cfg.TRAIN.DATASET = ""  # of labelled clips: a name in DATASETS of data/classification/folder.py; "" finds out
    cfg.TRAIN.AUTO_KEYS = []  # keys and groups that engine/recipe.py chooses by the dataset, unless set after it
    cfg.TRAIN.BATCH_SIZE = 64  # clips a step, over all processes
    cfg.TRAIN.ACCUMULATION_STEPS = 1  # micro-batches that a step's clips are computed in, to need less memory
    cfg.TRAIN.CHECKPOINT_FILE_PATH = ""  # weights to start from
    cfg.TRAIN.AUTO_RESUME = True  # go on from the last checkpoint in OUTPUT_DIR
    cfg.TRAIN.CHECKPOINT_PERIOD = 1  # epochs between checkpoints that are kept
    cfg.TRAIN.CHECKPOINT_STEPS = 0  # steps between checkpoints within an epoch, the last of which is kept; 0 for none
    cfg.TRAIN.CHECKPOINT_MINUTES = 15.0  # or minutes between them; 0 for none
    cfg.TRAIN.KEEP_CHECKPOINTS = 0  # how many of the epochs' checkpoints stay, besides the best one; 0 for all
    cfg.TRAIN.EVAL_PERIOD = 0  # epochs between evaluations on EVAL_SPLIT; 0 for none while training
    cfg.TRAIN.MIXED_PRECISION = False  # compute in MIXED_PRECISION_DTYPE what can be
    cfg.TRAIN.MIXED_PRECISION_DTYPE = "bfloat16"  # or float16, whose gradients are scaled, for GPUs before Ampere
    cfg.TRAIN.COMPILE = False  # run the backbone through torch.compile: faster steps after some minutes of compiling
    cfg.TRAIN.SHARDED = False  # share weights and optimiser out over the processes (FSDP2), for the largest models
    cfg.TRAIN.ON_NAN = "stop"  # at a loss or gradient that is no number; or "skip" the step
    cfg.TRAIN.MAX_FAILED_SHARE = 0.1  # training stops where more of the videos or clips cannot be read
    cfg.TRAIN.NUM_WORKERS = 2  # processes that load clips, for each training process; 0 loads in the training process

    cfg.TENSORBOARD = CfgNode()
    cfg.TENSORBOARD.ENABLE = True  # curves and example clips, in OUTPUT_DIR/tensorboard; log.jsonl is always written

    cfg.TEST = CfgNode()
    cfg.TEST.BATCH_SIZE = 8  # clips
    cfg.TEST.SCALES = []  # short sides to average the scores of, [224, 256, 320] in papers; [] for DATA.TEST_CROP_SIZE
    cfg.TEST.FLIP = False  # average with the scores of the mirrored picture
    cfg.TEST.NUM_ENSEMBLE_VIEWS = 1  # clips to average, in equal steps: around a keyframe, or over a labelled clip
    cfg.TEST.NUM_SPATIAL_CROPS = 3  # cuts of each of a labelled clip's views: left, centre, right; 1 for the centre
    cfg.TEST.PRECISION = "float32"  # or bfloat16: up to 3 times faster, scores move by about 0.01; or auto: by machine
    return cfg


def load_cfg(config: str | Path | None = None, overrides: Sequence[str] = ()) -> CfgNode:
    """The defaults, changed by a yaml file and then by KEY VALUE pairs.

    Args:
        config: a yaml file, or the name of one in `configs/` with or without `.yaml`; None for the defaults.
        overrides: KEY VALUE KEY VALUE ..., as on the command line.

    Raises:
        UserError: for a file that is missing or not yaml, an unknown key (the nearest is named), or a wrong type.
    """
    cfg = get_cfg()
    if config is not None:
        _merge_file(cfg, find_config(config))
    override(cfg, overrides)
    return cfg


def _merge_file(cfg: CfgNode, path: Path, derived: tuple[Path, ...] = ()) -> None:
    """Change `cfg` by a yaml file, after the file or files that its `_BASE_` names, as fvcore's configurations do."""
    if path in derived:
        raise UserError(f"{path}: its _BASE_ leads back to itself; expected an end")
    try:
        tree = _parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as yaml: {error}") from None
    if "_BASE_" in tree:
        bases = tree.pop("_BASE_")
        for base in bases if isinstance(bases, list) else [bases]:
            _merge_file(cfg, find_config(path.parent / str(base)), (*derived, path))
    _merge_tree(cfg, tree, str(path))


def override(cfg: CfgNode, overrides: Sequence[str]) -> None:
    """Change `cfg` by KEY VALUE KEY VALUE ..., as on the command line.

    Raises:
        UserError: as `load_cfg`.
    """
    if len(overrides) % 2:
        raise UserError(f"overrides come in pairs KEY VALUE: {overrides[-1]!r} has no value")
    defaults = dict(_flatten(cfg))
    for key, value in zip(overrides[::2], overrides[1::2]):
        _set(cfg, key, value if isinstance(defaults.get(key), str) else _parse(value), "command line")


def merge_yaml(cfg: CfgNode, text: str, where: str) -> None:
    """Change `cfg` by the yaml `text`; `where` names its origin in errors.

    Raises:
        UserError: as `load_cfg`.
    """
    _merge_tree(cfg, _parse_yaml(text, where), where)


def _parse_yaml(text: str, where: str) -> dict:
    try:
        tree = yaml.safe_load(text)
    except Exception as error:  # besides YAMLError, of many types for dates, numbers and depths that there are not
        raise UserError(f"{where}: not yaml: {' '.join(str(error).split())[:300]}") from None
    if not isinstance(tree, dict | None):
        raise UserError(f"{where}: expected KEY: value pairs, got {type(tree).__name__}")
    return tree or {}


def _merge_tree(cfg: CfgNode, tree: dict, where: str) -> None:
    for key, value in sorted(_flatten(tree), key=lambda pair: pair[0] == AUTO_KEYS):  # it is about what comes after
        _set(cfg, key, value, where)


def describe_keys() -> str:
    """One line a key: its name, its default and the comment beside it in the source."""
    import inspect

    from avsf_det.models import defaults

    source = inspect.getsource(get_cfg) + inspect.getsource(defaults)
    comments = dict(re.findall(r"^ +cfg\.([A-Z][\w.]+) = .*?  # (.*)$", source, flags=re.MULTILINE))
    return "\n".join(f"{key} = {value!r}  # {comments.get(key, '')}".rstrip("# ") for key, value in _flatten(get_cfg()))


def find_config(config: str | Path) -> Path:
    """The yaml file meant by a path, or by a name within `configs/`.

    Raises:
        UserError: if there is none; the nearest names are given.
    """
    for path in (Path(config), CONFIG_FOLDER / config, CONFIG_FOLDER / f"{config}.yaml", CONFIG_FOLDER.parent / config):
        if path.is_file():
            return path
    names = sorted(str(p.relative_to(CONFIG_FOLDER)) for p in CONFIG_FOLDER.rglob("*.yaml"))
    near = difflib.get_close_matches(str(config), names, n=3, cutoff=0.4) or names[:3]
    raise UserError(f"no config file {str(config)!r}; did you mean one of {', '.join(near)}?")


def keys_of(cfg: CfgNode) -> list[str]:
    """The names of all keys of a configuration, dots and all."""
    return [key for key, _ in _flatten(cfg)]


def _flatten(tree: dict) -> list[tuple[str, object]]:
    pairs = list(islice(_dotted(tree, ""), MAX_KEYS + 1))
    if len(pairs) > MAX_KEYS:  # yaml's aliases make many of few
        raise UserError(f"a configuration of more than {MAX_KEYS} keys; `avsf-det config` lists all keys")
    return pairs


def _dotted(tree: dict, prefix: str) -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        if isinstance(value, dict) and prefix.count(".") < MAX_NESTING:
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _parse(value: str) -> object:
    """A command-line value as Python reads it, else the text itself."""
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return {"true": True, "false": False}.get(value.lower(), value)


def _set(cfg: CfgNode, key: str, value: object, where: str) -> None:
    """Set one dotted key after checking that it exists and that the value is of the default's type.

    It is then no longer among TRAIN.AUTO_KEYS; a group there stands for all of its keys.
    """
    known = dict(_flatten(cfg))
    if key not in known:
        near = difflib.get_close_matches(key.upper(), known, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else "; `avsf-det config` lists all keys"
        raise UserError(f"{where}: unknown config key {key}{hint}")
    value = _matched(key, value, known[key], where)
    check_value(key, value, where)
    if key == AUTO_KEYS:
        value = _expanded(value, known, where)
    elif key in cfg.TRAIN.AUTO_KEYS:
        cfg.TRAIN.AUTO_KEYS = [name for name in cfg.TRAIN.AUTO_KEYS if name != key]
    *folders, leaf = key.split(".")
    node = cfg
    for folder in folders:
        node = node[folder]
    node[leaf] = value


def _expanded(groups: list[str], known: dict, where: str) -> list[str]:
    """The keys that keys and groups of keys stand for."""
    keys = {group: [key for key in known if f"{key}.".startswith(f"{group}.")] for group in groups}
    for group, found in keys.items():
        if not found:
            raise UserError(f"{where}: {AUTO_KEYS} names {group!r}; expected keys, or groups such as RESNET")
    return [key for found in keys.values() for key in found]


def _matched(key: str, value: object, default: object, where: str) -> object:
    """`value` as the type of `default`: an int may stand for a float, as may 1e-4, which is text to yaml."""
    if isinstance(default, float) and isinstance(value, str):
        value = _parse(value)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(default, list) and isinstance(value, tuple):
        value = list(value)
    if type(value) is not type(default):
        expected = type(default).__name__
        raise UserError(
            f"{where}: {key} expects {expected} like {default!r}, got {type(value).__name__} {shown(value)}"
        )
    if isinstance(default, list) and default and value:
        return [_matched(f"{key}[{i}]", item, default[0], where) for i, item in enumerate(value)]
    return value
