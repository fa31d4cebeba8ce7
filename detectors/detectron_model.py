"""Configurations, weights and networks of Detectron2.

It imports Detectron2: import it where it is needed, after `detectors.detectron.require_detectron2`.
"""

from __future__ import annotations

import difflib
import re
import socket
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from detectron2 import model_zoo
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.checkpoint.c2_model_loading import convert_c2_detectron_names
from detectron2.config import CfgNode, get_cfg
from detectron2.data import MetadataCatalog
from detectron2.modeling import build_model
from detectron2.utils.file_io import PathManager

from avsf_det.errors import UserError
from avsf_det.unpickle_builders import Array
from avsf_det.weight_file import read_file
from detectors.classes import class_numbers

EXPECTED = "expected weights for Detectron2 as .pth, or .pkl of its model zoo"
PATIENCE = 30.0  # seconds without data from a server
MAX_SIDE, MAX_COUNT, MAX_WIDTH = 4096, 10_000, 1_000_000  # of a checkpoint's configuration: image sides, NUM_*, others
HEADROOM = 1.1  # parameters that a checkpoint's configuration may ask for, per number in the file


def load_config(config: str | Path, overrides: Sequence[str] = ()) -> CfgNode:
    """The configuration of a model zoo name, a yaml file or a checkpoint of `train_detector`.

    Args:
        config: its name or file. A zoo name comes with the zoo's weights in MODEL.WEIGHTS, a checkpoint with itself.
        overrides: KEY VALUE KEY VALUE ...

    Raises:
        UserError: if there is no such configuration, or it has an unknown key or a wrong value.
    """
    path = Path(config)
    cfg = get_cfg()
    try:
        if path.suffix == ".pth":
            _merge_checkpoint(cfg, path)
        elif path.is_file():
            cfg.merge_from_file(str(path), allow_unsafe=False)
        else:
            cfg.merge_from_file(model_zoo.get_config_file(str(config)))
            cfg.MODEL.WEIGHTS = model_zoo.get_checkpoint_url(str(config))
        cfg.merge_from_list(list(overrides))
    except RuntimeError:  # of the model zoo
        raise UserError(
            f"{config}: neither a file nor a configuration of Detectron2's model zoo with weights; "
            "expected for example COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml"
        ) from None
    except UserError:
        raise
    except Exception as error:  # of many types: yacs's assertions, yaml's, and of a network that cannot be built
        raise UserError(f"{config}: not a Detectron2 configuration: {_reason(error, cfg)}") from None
    return cfg


def find_weights(weights: str | Path) -> Path:
    """The weight file on this machine; a URL is downloaded once and kept by Detectron2.

    Raises:
        UserError: if there is none.
    """
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        path = Path(PathManager.get_local_path(str(weights)))
    except OSError as error:
        raise UserError(f"cannot fetch the weights {weights} ({error}); give a file on this machine instead") from None
    finally:
        socket.setdefaulttimeout(timeout)
    if not path.is_file():
        raise UserError(f"no weight file '{weights}'; give a file, a URL, or a configuration of the model zoo")
    return path


def build_network(cfg: CfgNode, device: str | None) -> torch.nn.Module:
    """The configuration's network with fresh weights, on the device or else on the GPU if there is one.

    Raises:
        UserError: if Detectron2 does not know a part of it.
    """
    cfg.MODEL.DEVICE = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return build_model(cfg)
    except (KeyError, ImportError) as error:
        raise UserError(f"Detectron2 cannot build this network: {_reason(error, cfg)}") from None


def load_weights(network: torch.nn.Module, path: Path, whole: bool = True) -> list[str]:
    """Put a file's weights into the network. The file may be of Detectron2 (.pth), its model zoo or Caffe2 (.pkl).

    Where the network's box head knows one class and the file's COCO's 80, it gets COCO's person and background.

    Args:
        network: of Detectron2.
        path: the file.
        whole: whether the file must have all of the network's weights; else what is missing stays as it is, as for a
            backbone's weights, or other classes.

    Returns:
        The names of the network's weights that stay as they are.

    Raises:
        UserError: if the file cannot be read, holds more than arrays, or is of another network.
    """
    try:
        checkpointer = _Checkpointer(network)
        checkpointer.load(str(path))
    except UserError:
        raise
    except Exception as error:  # there is no end to what a damaged file may raise
        raise UserError(f"{path}: cannot be read as weights for Detectron2: {_reason(error)}") from None
    lacking = checkpointer.lacking
    if lacking and (whole or len(lacking) == sum(map(_is_learned, network.state_dict()))):
        raise UserError(
            f"{path}: weights of another network: {len(lacking)} parameters are missing or of another "
            f"shape ({', '.join(lacking[:3])}, …); give the configuration that they were trained with"
        )
    return lacking


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint of `train_detector`, on the CPU.

    Raises:
        UserError: if the file is not one.
    """
    checkpoint = read_file(path, EXPECTED)
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("config"), str):
        raise UserError(f"{path}: weights without a configuration; give the configuration too")
    return checkpoint


def _tensors(weights: object) -> dict[str, torch.Tensor]:
    """The tensors and arrays among a file's weights, by name."""
    if not isinstance(weights, dict):
        raise ValueError("it holds no weights by name")
    tensors = {str(name): value.tensor if isinstance(value, Array) else value for name, value in weights.items()}
    return {name: tensor for name, tensor in tensors.items() if isinstance(tensor, torch.Tensor)}


def _merge_checkpoint(cfg: CfgNode, path: Path) -> None:
    """Change a configuration by a checkpoint's own, of what the network and its input are.

    Raises:
        UserError: if it asks for a network larger than the weights in the file, or for huge images.
    """
    checkpoint = read_checkpoint(path)
    theirs = CfgNode.load_cfg(checkpoint["config"])
    for group in [group for group in theirs if group not in ("MODEL", "INPUT", "TEST", "DATASETS", "VERSION")]:
        del theirs[group]
    cfg.merge_from_other_cfg(theirs)
    cfg.MODEL.WEIGHTS = str(path)
    for key in _keys(cfg):
        value = reduce(getattr, key.split("."), cfg)
        most = MAX_SIDE if "SIZE_TEST" in key else MAX_COUNT if ".NUM_" in key else MAX_WIDTH
        for number in value if isinstance(value, list | tuple) else [value]:
            if key.startswith(("MODEL.", "INPUT.")) and isinstance(number, int) and number > most:
                raise UserError(f"{path}: its configuration has {key} {number}; expected {most} at most")
    trial = cfg.clone()
    boxes_only(trial)
    with torch.device("meta"):
        asked = sum(tensor.numel() for tensor in build_network(trial, "meta").parameters())
    stored = sum(tensor.numel() for tensor in _tensors(checkpoint.get("model")).values())
    if asked > HEADROOM * stored:
        raise UserError(
            f"{path}: its configuration asks for a network of {asked} parameters, but the file holds {stored}; "
            "expected a checkpoint written by `avsf-det detector train`"
        )


def boxes_only(cfg: CfgNode) -> None:
    """Leave masks, keypoints and panoptic segments out of a configuration; the same weights fit."""
    cfg.MODEL.MASK_ON = cfg.MODEL.KEYPOINT_ON = False
    if cfg.MODEL.META_ARCHITECTURE == "PanopticFPN":
        cfg.MODEL.META_ARCHITECTURE = "GeneralizedRCNN"


def persons_only(cfg: CfgNode) -> None:
    """Make a configuration one of boxes of a single class."""
    boxes_only(cfg)
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = cfg.MODEL.RETINANET.NUM_CLASSES = 1


def find_classes(cfg: CfgNode, classes: Sequence[str]) -> list[int]:
    """The numbers of classes: of the only one, or of those of these names in the training data's metadata.

    Raises:
        UserError: if they are unknown.
    """
    heads = cfg.MODEL.RETINANET if cfg.MODEL.META_ARCHITECTURE == "RetinaNet" else cfg.MODEL.ROI_HEADS
    names = MetadataCatalog.get(cfg.DATASETS.TRAIN[0]).get("thing_classes", []) if cfg.DATASETS.TRAIN else []
    whose = f"the network trained on DATASETS.TRAIN {cfg.DATASETS.TRAIN}"
    return class_numbers(classes, names, heads.NUM_CLASSES, whose)


class _Checkpointer(DetectionCheckpointer):
    """Detectron2's, but safe with files from elsewhere, and it remembers what a file lacks instead of logging it."""

    lacking: Sequence[str] = ()

    def _load_file(self, filename: str) -> dict[str, Any]:
        content = read_file(filename, EXPECTED)
        if not isinstance(content, dict):
            raise ValueError("it holds no weights by name")
        if not filename.endswith(".pkl"):
            content = content if "model" in content else {"model": content}
        elif "__author__" not in content:  # of Detectron's time
            blobs = _tensors(content.get("blobs", content))
            blobs = {name: tensor for name, tensor in blobs.items() if "_momentum" not in name}
            return {"model": blobs, "__author__": "Caffe2", "matching_heuristics": True}
        return {**content, "model": _tensors(content.get("model"))}

    def _load_model(self, checkpoint: dict[str, Any]) -> Any:
        weights = checkpoint["model"]
        if checkpoint.get("__author__") == "Caffe2":
            weights, _ = convert_c2_detectron_names(weights)
        checkpoint = {**checkpoint, "model": _persons_of_coco(weights, self.model.state_dict()), "__author__": ""}
        return super()._load_model(checkpoint)

    def _log_incompatible_keys(self, incompatible: Any) -> None:
        missing = filter(_is_learned, incompatible.missing_keys)
        self.lacking = [*missing, *(name for name, *_ in incompatible.incorrect_shapes)]


def _is_learned(name: str) -> bool:
    return not name.endswith("num_batches_tracked")


def _persons_of_coco(weights: dict[str, torch.Tensor], own: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights, with the box head's last layers narrowed from COCO's classes to "person" where `own` has one class.

    Detectron2 has a row of scores a class, the last for background, and four rows of box deltas a class.
    """
    person = MetadataCatalog.get("coco_2017_train").thing_classes.index("person")
    classes = len(MetadataCatalog.get("coco_2017_train").thing_classes)
    layers = {
        "cls_score": (classes + 1, [person, classes]),
        "bbox_pred": (4 * classes, range(4 * person, 4 * person + 4)),
    }
    narrowed = dict(weights)
    for name, tensor in weights.items():
        layer, _, leaf = name.rpartition(".")
        rows, kept = layers.get(layer.rpartition(".")[2], (0, ()))
        target = own.get(f"roi_heads.box_predictor.{layer.rpartition('.')[2]}.{leaf}")
        if target is not None and len(tensor) == rows and len(target) == len(kept):
            narrowed[name] = tensor[list(kept)]
    return narrowed


def _reason(error: Exception, cfg: CfgNode | None = None) -> str:
    """The error in one line; for a key that the configuration does not have, with the nearest one."""
    text = " ".join(str(error.args[0] if isinstance(error, KeyError) else error).split())
    unknown = re.match(r"Non-existent (?:config )?key: (\S+)", text)
    near = difflib.get_close_matches(unknown[1], _keys(cfg), n=1) if unknown and cfg else []
    return f"{text}; did you mean {near[0]}?" if near else text[:300]


def _keys(cfg: CfgNode, prefix: str = "") -> list[str]:
    keys = []
    for name, value in cfg.items():
        keys += _keys(value, f"{prefix}{name}.") if isinstance(value, CfgNode) else [f"{prefix}{name}"]
    return keys
