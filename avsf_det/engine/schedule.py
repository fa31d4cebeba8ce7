"""The optimiser and the learning rate over time, as PySlowFast's `optimizer.py` and `lr_policy.py` define them."""

from __future__ import annotations

import math

import torch
from torch import nn
from yacs.config import CfgNode

from avsf_det.errors import UserError


def build_optimizer(model: nn.Module, cfg: CfgNode) -> torch.optim.Optimizer:
    """SGD or AdamW; norms and biases are not decayed.

    Raises:
        UserError: for another name.
    """
    solver = cfg.SOLVER
    plain = [p for p in model.parameters() if p.ndim > 1]
    undecayed = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": plain, "weight_decay": solver.WEIGHT_DECAY}, {"params": undecayed, "weight_decay": 0.0}]
    if solver.OPTIMIZING_METHOD == "sgd":
        return torch.optim.SGD(groups, lr=base_lr(cfg), momentum=solver.MOMENTUM, nesterov=solver.NESTEROV)
    if solver.OPTIMIZING_METHOD == "adamw":
        return torch.optim.AdamW(groups, lr=base_lr(cfg))
    raise UserError(f"SOLVER.OPTIMIZING_METHOD expects sgd or adamw, got {solver.OPTIMIZING_METHOD!r}")


def base_lr(cfg: CfgNode) -> float:
    """The learning rate for the batch size in use: in proportion to SOLVER.BASE_BATCH_SIZE."""
    return cfg.SOLVER.BASE_LR * cfg.TRAIN.BATCH_SIZE / cfg.SOLVER.BASE_BATCH_SIZE


def lr_at(epoch: float, cfg: CfgNode) -> float:
    """The learning rate at a fractional epoch: a linear warm-up, then cosine or steps.

    Raises:
        UserError: for another policy.
    """
    solver = cfg.SOLVER
    if epoch < solver.WARMUP_EPOCHS:
        start = solver.WARMUP_START_LR
        return start + (_policy(solver.WARMUP_EPOCHS, cfg) - start) * epoch / solver.WARMUP_EPOCHS
    return _policy(epoch, cfg)


def _policy(epoch: float, cfg: CfgNode) -> float:
    solver = cfg.SOLVER
    if solver.LR_POLICY == "cosine":
        return base_lr(cfg) * 0.5 * (1 + math.cos(math.pi * epoch / solver.MAX_EPOCH))
    if solver.LR_POLICY == "steps_with_relative_lrs":
        passed = sum(epoch >= step for step in solver.STEPS)
        return base_lr(cfg) * solver.LRS[max(passed - 1, 0)]
    raise UserError(f"SOLVER.LR_POLICY expects cosine or steps_with_relative_lrs, got {solver.LR_POLICY!r}")
