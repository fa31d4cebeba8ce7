"""From a config to a model and its loss: the one place of this package that knows config keys (see `defaults.py`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import distributed, nn

from avsf_det.errors import UserError
from avsf_det.models.architecture import JUNCTIONS, SYNC_JUNCTIONS, AudioPathway, NonLocalBlocks
from avsf_det.models.audio_only import AudioBackbone
from avsf_det.models.avslowfast import AVSlowFast, initialise
from avsf_det.models.backbone import AVSlowFastBackbone
from avsf_det.models.drop_pathway import DropPathway
from avsf_det.models.freezing import freeze_stages
from avsf_det.models.heads import ClassificationHead, RoIHead
from avsf_det.models.losses import (
    LabelSpacesLoss,
    MultiLabelLoss,
    SingleLabelLoss,
    binary_cross_entropy,
    effective_number_weights,
    focal_loss,
)
from avsf_det.models.norms import set_norms
from avsf_det.models.pathways import Pathways

if TYPE_CHECKING:
    from yacs.config import CfgNode


def build_model(cfg: CfgNode) -> nn.Module:
    """The model `cfg.MODEL.MODEL_NAME` names, with random weights.

    Raises:
        UserError: if the name is unknown or the values do not fit together.
    """
    name = cfg.MODEL.MODEL_NAME
    if name not in MODELS:
        raise UserError(f"MODEL.MODEL_NAME: got {name!r}, expected one of {', '.join(MODELS)}")
    try:
        return MODELS[name](cfg)
    except (ValueError, TypeError, ArithmeticError, LookupError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"the model cannot be built: {reason}; fix the config") from error


def build_avslowfast(cfg: CfgNode) -> AVSlowFast:
    """Slow, Fast and Audio pathways."""
    slowfast = cfg.SLOWFAST
    audio = _audio_pathway(
        cfg,
        junctions=_flagged("SLOWFAST.AFS_FUSION", slowfast.AFS_FUSION, JUNCTIONS),
        fusion=slowfast.AU_FUSION,
        fusion_channels=slowfast.AU_FUSION_CONV_CHANNEL_DIM,
        fusion_kernel=slowfast.AU_FUSION_KERNEL_SZ,
        fusion_convs=slowfast.AU_FUSION_CONV_NUM,
        sync_junctions=_flagged("SLOWFAST.AVS_FLAG", slowfast.AVS_FLAG, SYNC_JUNCTIONS),
        sync_dim=slowfast.AVS_PROJ_DIM,
    )
    drop_pathway = DropPathway(
        slowfast.DROPPATHWAY_RATE,
        slowfast.DROPPATHWAY_SCOPE,
        slowfast.DROPPATHWAY_PER_SAMPLE,
        slowfast.DROPPATHWAY_REPLACEMENT,
    )
    return _build(cfg, audio, drop_pathway)


def build_audio(cfg: CfgNode) -> AVSlowFast:
    """The Audio pathway alone."""
    audio = _audio_pathway(cfg, junctions=())
    _check_frames(cfg, audio)
    return _complete(cfg, AudioBackbone(cfg.RESNET.WIDTH_PER_GROUP, audio))


def build_slowfast(cfg: CfgNode) -> AVSlowFast:
    """Slow and Fast pathways alone."""
    return _build(cfg, audio=None, drop_pathway=None)


def build_loss(cfg: CfgNode, class_counts: Sequence[int] | torch.Tensor | None = None) -> MultiLabelLoss:
    """The loss that MODEL.LOSS_FUNC and MODEL.CLASS_BALANCE name: (logits (N, K), labels (N, K)) to their sum.

    Args:
        cfg: the configuration.
        class_counts: (K,) labels of each class in the training split; looked at with CLASS_BALANCE alone.

    Raises:
        UserError: for another name or a value that cannot be.
    """
    model = cfg.MODEL
    if model.LOSS_FUNC not in LOSSES:
        raise UserError(f"MODEL.LOSS_FUNC: got {model.LOSS_FUNC!r}, expected one of {', '.join(LOSSES)}")
    return MultiLabelLoss(LOSSES[model.LOSS_FUNC](model), _class_weights(cfg, class_counts))


def build_clip_loss(
    cfg: CfgNode, heads: Sequence[tuple[str, int, bool]], class_counts: Sequence[int] | None = None
) -> LabelSpacesLoss:
    """The loss of what is asked of whole clips: cross-entropy where one class holds, else as `build_loss`.

    Args:
        cfg: the configuration.
        heads: of each label space its name, how many classes it has, and whether any number of them hold.
        class_counts: (K,) labels of each class of all of them in the training split; as of `build_loss`.

    Raises:
        UserError: as `build_loss`.
    """
    losses, start = {}, 0
    for name, size, multi_label in heads:
        counts = None if class_counts is None else class_counts[start : start + size]
        losses[name] = build_loss(cfg, counts) if multi_label else SingleLabelLoss(_class_weights(cfg, counts))
        start += size
    return LabelSpacesLoss(losses, [size for _, size, _ in heads])


def example_inputs(cfg: CfgNode, size: int = 0, clips: int = 1, boxes: int = 1) -> dict[str, torch.Tensor | None]:
    """What the configured model takes, as noise from torch's generator on its default device.

    Args:
        cfg: the configuration.
        size: pixels of the clips' sides; 0 is DATA.TRAIN_CROP_SIZE, or DATA.TEST_CROP_SIZE where there is no crop.
        clips: B.
        boxes: N, the whole picture of each clip in turn; not of use without DETECTION.ENABLE.

    Returns:
        "slow", "fast", "audio" (None for a model without) and "boxes" (None without detection), to be given by name.
    """
    size = size or cfg.DATA.TRAIN_CROP_SIZE or cfg.DATA.TEST_CROP_SIZE
    frames = cfg.DATA.NUM_FRAMES
    hears = cfg.MODEL.MODEL_NAME != "SlowFast"
    rows = [[i % clips, 0, 0, size, size] for i in range(boxes)]
    return {
        "slow": torch.randn(clips, 3, frames // cfg.SLOWFAST.ALPHA, size, size),
        "fast": torch.randn(clips, 3, frames, size, size),
        "audio": torch.randn(clips, 1, 1, cfg.DATA.AUDIO_FRAME_NUM, cfg.DATA.AUDIO_MEL_NUM) if hears else None,
        "boxes": torch.tensor(rows, dtype=torch.float32) if cfg.DETECTION.ENABLE else None,
    }


MODELS = {"AVSlowFast": build_avslowfast, "SlowFast": build_slowfast, "Audio": build_audio}

LOSSES: dict[str, Callable[[CfgNode], Callable[[torch.Tensor, torch.Tensor], torch.Tensor]]] = {
    "bce": lambda model: binary_cross_entropy,
    "bce_logit": lambda model: binary_cross_entropy,  # PySlowFast's name for it
    "focal": lambda model: partial(focal_loss, gamma=model.FOCAL_GAMMA, alpha=model.FOCAL_ALPHA),
}
"""MODEL.LOSS_FUNC -> from the keys under MODEL to the loss of each box and class."""


def _class_weights(cfg: CfgNode, counts: Sequence[int] | torch.Tensor | None) -> torch.Tensor | None:
    """(K,) weights of the classes, as MODEL.CLASS_BALANCE says."""
    model = cfg.MODEL
    if model.CLASS_BALANCE == "none":
        return None
    if model.CLASS_BALANCE != "effective_number" or counts is None:
        counted = "" if counts is not None else ", and class_counts"
        raise UserError(f"MODEL.CLASS_BALANCE: got {model.CLASS_BALANCE!r}, expected none or effective_number{counted}")
    try:
        return effective_number_weights(counts, model.CLASS_BALANCE_BETA, model.CLASS_BALANCE_MAX_RATIO)
    except ValueError as error:
        key = "BETA" if str(error).startswith("beta") else "MAX_RATIO"
        raise UserError(f"MODEL.CLASS_BALANCE_{key}: {error}; fix the config") from error


def _audio_pathway(cfg: CfgNode, **joined: object) -> AudioPathway:
    """The Audio pathway; `joined` is how it meets the others."""
    resnet, slowfast = cfg.RESNET, cfg.SLOWFAST
    return AudioPathway(
        depth=resnet.AUDIO_DEPTH,
        alpha=slowfast.AU_ALPHA,
        beta_inv=slowfast.AU_BETA_INV,
        block=resnet.AUDIO_TRANS_FUNC,
        **joined,
    )


def _build(cfg: CfgNode, audio: AudioPathway | None, drop_pathway: DropPathway | None) -> AVSlowFast:
    resnet, slowfast = cfg.RESNET, cfg.SLOWFAST
    _check_frames(cfg, audio)
    backbone = AVSlowFastBackbone(
        depth=resnet.DEPTH,
        width=resnet.WIDTH_PER_GROUP,
        alpha=slowfast.ALPHA,
        beta_inv=slowfast.BETA_INV,
        fusion_kernel=slowfast.FUSION_KERNEL_SZ,
        fusion_channel_ratio=slowfast.FUSION_CONV_CHANNEL_RATIO,
        fast_junctions=_flagged("SLOWFAST.FS_FUSION", slowfast.FS_FUSION, JUNCTIONS),
        spatial_strides=resnet.SPATIAL_STRIDES,
        spatial_dilations=resnet.SPATIAL_DILATIONS,
        temporal_blocks=resnet.NUM_BLOCK_TEMP_KERNEL,
        non_local=NonLocalBlocks(cfg.NONLOCAL.LOCATION, cfg.NONLOCAL.POOL, cfg.NONLOCAL.INSTANTIATION),
        audio=audio,
        drop_pathway=drop_pathway,
        checkpointed=cfg.MODEL.ACT_CHECKPOINT,
    )
    return _complete(cfg, backbone)


def _complete(cfg: CfgNode, backbone: nn.Module) -> AVSlowFast:
    """A backbone with its head, initialised, and with what of it does not learn."""
    resnet, slowfast = cfg.RESNET, cfg.SLOWFAST
    cell = 4 * math.prod(cfg.RESNET.SPATIAL_STRIDES)  # pixels of the clip; conv1 and pool1 have a stride of 2 each
    spaces = _label_spaces(cfg)
    if cfg.DETECTION.ENABLE:
        head = _build_roi_head(cfg, backbone.channels, cell)
        clip_head = _build_clip_head(cfg, backbone.channels, cell, spaces) if spaces else None
    else:
        head, clip_head = _build_clip_head(cfg, backbone.channels, cell, spaces or cfg.MODEL.NUM_CLASSES), None
    detached = cfg.MODEL.DETACH_FINAL_FC
    if detached and any(slowfast.AVS_FLAG):
        raise ValueError(
            f"MODEL.DETACH_FINAL_FC leaves synchronisation nothing to learn; set SLOWFAST.AVS_FLAG to {[False] * 5}"
        )
    thresholds = slowfast.AVS_VAR_THRESH, slowfast.AVS_DUPLICATE_THRESH
    model = AVSlowFast(backbone, head, slowfast.AVS_LOSS, *thresholds, detached, clip_head)
    initialise(model, resnet.ZERO_INIT_FINAL_BN, cfg.MODEL.FC_INIT_STD)
    set_norms(model, cfg.MODEL.FROZEN_BN or detached, _sync_devices(cfg))
    freeze_stages(backbone, cfg.MODEL.FREEZE_AT)
    return model


def _sync_devices(cfg: CfgNode) -> int | None:
    kind, devices = cfg.BN.NORM_TYPE, cfg.BN.NUM_SYNC_DEVICES
    if kind not in ("batchnorm", "sync_batchnorm"):
        raise ValueError(f"BN.NORM_TYPE: got {kind!r}, expected batchnorm or sync_batchnorm")
    processes = distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1
    if devices < 0 or (processes > 1 and devices and processes % devices):
        raise ValueError(f"BN.NUM_SYNC_DEVICES: got {devices}, expected 0 or a divisor of the {processes} processes")
    return devices if kind == "sync_batchnorm" else None


def _build_roi_head(cfg: CfgNode, channels: Pathways, cell: int) -> RoIHead:
    return RoIHead(
        channels,
        cfg.MODEL.NUM_CLASSES,
        spatial_scale=1 / cell,
        resolution=cfg.DETECTION.ROI_XFORM_RESOLUTION,
        sampling_ratio=cfg.DETECTION.SAMPLING_RATIO,
        aligned=cfg.DETECTION.ALIGNED,
        dropout=cfg.MODEL.DROPOUT_RATE,
    )


def _build_clip_head(
    cfg: CfgNode, channels: Pathways, cell: int, num_classes: int | dict[str, int]
) -> ClassificationHead:
    return ClassificationHead(
        channels,
        num_classes,
        pool_size=math.ceil(cfg.DATA.TRAIN_CROP_SIZE / cell) or None,
        activation=cfg.MODEL.HEAD_ACT,
        dropout=cfg.MODEL.DROPOUT_RATE,
    )


def _check_frames(cfg: CfgNode, audio: AudioPathway | None) -> None:
    frames, alpha = cfg.DATA.NUM_FRAMES, cfg.SLOWFAST.ALPHA
    if frames % alpha:
        raise ValueError(f"DATA.NUM_FRAMES: got {frames}, expected a multiple of SLOWFAST.ALPHA {alpha}")
    if audio and frames // alpha * audio.alpha != cfg.DATA.AUDIO_FRAME_NUM:
        raise ValueError(
            f"SLOWFAST.AU_ALPHA: got {audio.alpha}, expected DATA.AUDIO_FRAME_NUM {cfg.DATA.AUDIO_FRAME_NUM} "
            f"/ Slow frames {frames // alpha}"
        )


def _label_spaces(cfg: CfgNode) -> dict[str, int]:
    names, sizes = cfg.MODEL.LABEL_SPACES, cfg.MODEL.NUM_CLASSES_LIST
    if len(names) != len(sizes):
        raise ValueError(f"MODEL.NUM_CLASSES_LIST: got {sizes}, expected a number for each of LABEL_SPACES {names}")
    return dict(zip(names, sizes))


def _flagged(key: str, flags: list[bool], junctions: tuple[str, ...]) -> tuple[str, ...]:
    if len(flags) != len(junctions):
        raise ValueError(f"{key}: got {len(flags)} flags, expected one for each of {', '.join(junctions)}")
    return tuple(junction for junction, flag in zip(junctions, flags) if flag)
