"""From a weight file of any known format to a checkpoint of ours or of PySlowFast."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from yacs.config import CfgNode

from ava_eval.label_map import LabelMap, parse_label_map, read_label_map
from avsf_det.config import load_cfg, override
from avsf_det.engine.checkpoint_config import model_cfg
from avsf_det.engine.device import seed_everything
from avsf_det.errors import UserError
from avsf_det.models.build import build_model
from avsf_det.models.checkpoint import load_weights, save_checkpoint
from avsf_det.models.importers import FORMATS, OURS, Weights, pyslowfast, read_weights, swap_colours
from avsf_det.models.load_report import LoadReport


def convert_weights(
    source: str | Path,
    target: str | Path,
    config: str | Path | None = None,
    overrides: Sequence[str] = (),
    naming: str = "ours",
    label_map: str | Path | None = None,
    bgr: bool = False,
) -> tuple[str, LoadReport]:
    """Put the weights in `source` into the model they are for, and write that model to `target`.

    What the weights lack stays as the model is initialised, from the configuration's RNG_SEED.

    Args:
        source: a file of any format in `importers.FORMATS`.
        target: the checkpoint to write.
        config: yaml path or name of the model's configuration; not needed for a checkpoint of ours, which has it.
        overrides: KEY VALUE KEY VALUE ... that change it. MODEL.NUM_CLASSES follows the weights.
        naming: of the target, "ours" or "pyslowfast".
        label_map: a pbtxt of the classes, to be kept in a target of ours.
        bgr: the weights expect BGR pictures; the target expects RGB.

    Returns:
        The source's format, for people, and what became of each tensor.

    Raises:
        UserError: if anything is wrong with the files or the configuration, or the weights are for another model.
    """
    weights = read_weights(source)
    cfg = _configuration(weights, source, config, overrides)
    labels = _labels(weights, label_map, cfg.MODEL.NUM_CLASSES)
    seed_everything(cfg.RNG_SEED)
    model = build_model(cfg)
    report = load_weights(model, swap_colours(weights.state) if bgr else weights.state)
    if report.misfits:
        raise UserError(f"{source}: weights of another model than the configured one: {report}")
    checkpoint = {"epoch": weights.about.get("epoch", -1), "cfg": cfg.dump()}  # PySlowFast's for no epoch at all
    if naming == "pyslowfast":
        checkpoint["model_state"] = pyslowfast.export(model.state_dict())
    else:
        checkpoint |= {"format": OURS, "model_state": model.state_dict()}
        checkpoint |= {"label_map": labels.to_pbtxt()} if labels else {}
        if isinstance(weights.about.get("heads"), list) and (cfg.DETECTION.ENABLE or not label_map):
            checkpoint["heads"] = weights.about["heads"]
    save_checkpoint(target, checkpoint)
    return str(weights), report


def _configuration(
    weights: Weights, source: str | Path, config: str | Path | None, overrides: Sequence[str]
) -> CfgNode:
    if config is not None:
        cfg = load_cfg(config, overrides)
    elif weights.format == OURS:
        cfg = model_cfg(weights.about, source)
        override(cfg, overrides)
    else:
        raise UserError(
            f"{source}: a {FORMATS[weights.format].title}, which does not say what model it is for; name it by --config"
        )
    if "head.projection.bias" in weights.state:
        cfg.MODEL.NUM_CLASSES = weights.state["head.projection.bias"].numel()
    return cfg


def _labels(weights: Weights, label_map: str | Path | None, num_classes: int) -> LabelMap | None:
    if label_map is not None:
        labels, where = read_label_map(label_map), label_map
    elif isinstance(weights.about.get("label_map"), str):
        where = "the checkpoint's label map"
        labels = parse_label_map(weights.about["label_map"], where)
    else:
        return None
    if len(labels) != num_classes:
        raise UserError(
            f"{where}: {len(labels)} classes, but the weights are for {num_classes}; take the label map of the "
            "dataset they were trained on"
        )
    return labels
