"""The optimiser and the learning rate over time, as PySlowFast's `optimizer.py` and `lr_policy.py` define them.

Learning rates in a configuration are for SOLVER.BASE_BATCH_SIZE clips. All go in proportion to `total_batch`, the clips
that one step of the optimiser learns from, over all processes and accumulated batches (arXiv 1706.02677).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from yacs.config import CfgNode

from avsf_det.errors import UserError

logger = logging.getLogger(__name__)


def build_optimizer(model: nn.Module, cfg: CfgNode, total_batch: int) -> torch.optim.Optimizer:
    """SGD or AdamW on what is learned of `model`, at the rate after the warm-up.

    Nothing of one dimension is decayed, which is norms and biases. PySlowFast spares the norms (BN.WEIGHT_DECAY 0) but
    not the last layer's biases, unless SOLVER.ZERO_WD_1D_PARAM is on. Here it always is: decay is against weights that
    grow with what they multiply, and a bias multiplies nothing.

    Raises:
        UserError: for another name.
    """
    solver = cfg.SOLVER
    learned = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": solver.WEIGHT_DECAY},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]
    lr = base_lr(cfg, total_batch)
    if solver.OPTIMIZING_METHOD == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=solver.MOMENTUM, nesterov=solver.NESTEROV)
    if solver.OPTIMIZING_METHOD == "adamw":
        return torch.optim.AdamW(groups, lr=lr)
    raise UserError(f"SOLVER.OPTIMIZING_METHOD expects sgd or adamw, got {solver.OPTIMIZING_METHOD!r}")


def parameter_names(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """The names of an optimizer's parameters, in the order in which its state dict numbers them."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [names[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]


def match_optimizer_state(
    model: nn.Module, optimizer: torch.optim.Optimizer, checkpoint: Mapping[str, Any], path: Path
) -> dict[str, Any]:
    """A checkpoint's optimizer state for the parameters that are learned now, matched by name.

    Hyperparameters are those of `optimizer`. A parameter that was not learned before has no state.

    Args:
        model: what is trained.
        optimizer: of its parameters that learn.
        checkpoint: holds "optimizer_state" and "optimizer_names"; without names the parameters must be as many.
        path: of the checkpoint.

    Raises:
        UserError: if the state cannot belong to these parameters.
    """
    saved, own = checkpoint["optimizer_state"], parameter_names(model, optimizer)
    count = sum(len(group["params"]) for group in saved["param_groups"])
    names = checkpoint.get("optimizer_names")
    if names is None and count != len(own):
        raise UserError(
            f"{path}: holds optimizer state of {count} unnamed parameters, but {len(own)} are learned now; resume with "
            "the MODEL.FREEZE_AT that it was written with, or start anew from it: TRAIN.AUTO_RESUME False "
            "TRAIN.CHECKPOINT_FILE_PATH"
        )
    by_name = {name: saved["state"][i] for i, name in enumerate(own if names is None else names) if i in saved["state"]}
    parameters = dict(model.named_parameters())
    for name in own:
        for key, value in by_name.get(name, {}).items():
            if isinstance(value, torch.Tensor) and value.dim() and value.shape != parameters[name].shape:
                raise UserError(
                    f"{path}: {key} of the optimizer for {name} is {tuple(value.shape)}, expected "
                    f"{tuple(parameters[name].shape)}; resume with the configuration that it was written with"
                )
    fresh = [name for name in own if name not in by_name]
    if by_name and fresh:
        logger.info("%d parameters start with fresh optimizer state, such as %s", len(fresh), fresh[0])
    state = {number: by_name[name] for number, name in enumerate(own) if name in by_name}
    return {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}


def base_lr(cfg: CfgNode, total_batch: int) -> float:
    """SOLVER.BASE_LR for steps of `total_batch` clips."""
    return cfg.SOLVER.BASE_LR * total_batch / cfg.SOLVER.BASE_BATCH_SIZE


def lr_at(epoch: float, cfg: CfgNode, total_batch: int) -> float:
    """The learning rate at a fractional epoch: a linear warm-up to where the policy is at its end, then the policy.

    Raises:
        UserError: for an unknown policy, or one whose keys do not fit together.
    """
    solver = cfg.SOLVER
    if solver.LR_POLICY not in POLICIES:
        raise UserError(f"SOLVER.LR_POLICY expects {' or '.join(POLICIES)}, got {solver.LR_POLICY!r}")
    policy = POLICIES[solver.LR_POLICY]
    if epoch < solver.WARMUP_EPOCHS:
        start, end = solver.WARMUP_START_LR, policy(solver.WARMUP_EPOCHS, solver)
        lr = start + (end - start) * epoch / solver.WARMUP_EPOCHS
    else:
        lr = policy(epoch, solver)
    return lr * total_batch / solver.BASE_BATCH_SIZE


def describe_schedule(cfg: CfgNode, total_batch: int) -> str:
    """One line, as "0.1 per 64 clips x 16 clips = 0.025; warm-up 5 epochs from 3.1e-05; x0.1 at 10; 20 epochs, sgd".

    Raises:
        UserError: as `lr_at`.
    """
    solver = cfg.SOLVER
    lr_at(0.0, cfg, total_batch)
    scale = total_batch / solver.BASE_BATCH_SIZE
    parts = [
        f"{solver.BASE_LR:g} per {solver.BASE_BATCH_SIZE} clips x {total_batch} clips = {base_lr(cfg, total_batch):g}"
    ]
    if solver.WARMUP_EPOCHS:
        parts.append(f"warm-up {solver.WARMUP_EPOCHS:g} epochs from {solver.WARMUP_START_LR * scale:.2g}")
    if solver.LR_POLICY == "cosine":
        where = " after it" if solver.WARMUP_EPOCHS and solver.COSINE_AFTER_WARMUP else ""
        parts.append(f"half a cosine{where} to {solver.COSINE_END_LR * scale:.2g}")
    else:
        steps = [(s, lr) for s, lr in zip(solver.STEPS, solver.LRS) if 0 < s < solver.MAX_EPOCH]
        parts += [", ".join(f"x{lr:g} at {step:g}" for step, lr in steps)] if steps else []
    return "; ".join([*parts, f"{solver.MAX_EPOCH} epochs, {solver.OPTIMIZING_METHOD}"])


def _cosine(epoch: float, solver: CfgNode) -> float:
    end, start = solver.COSINE_END_LR, solver.WARMUP_EPOCHS if solver.COSINE_AFTER_WARMUP else 0.0
    if end >= solver.BASE_LR or start >= solver.MAX_EPOCH:
        raise UserError(
            f"SOLVER.COSINE_END_LR {end:g} and the cosine's start at epoch {start:g} are expected below "
            f"SOLVER.BASE_LR {solver.BASE_LR:g} and SOLVER.MAX_EPOCH {solver.MAX_EPOCH}"
        )
    return end + (solver.BASE_LR - end) * 0.5 * (1 + math.cos(math.pi * (epoch - start) / (solver.MAX_EPOCH - start)))


def _steps(epoch: float, solver: CfgNode) -> float:
    steps, shares = solver.STEPS, solver.LRS
    if not steps or steps[0] != 0 or steps != sorted(steps) or len(steps) != len(shares):
        raise UserError(
            f"SOLVER.STEPS: got {steps} for LRS {shares}, expected ascending epochs from 0 on, one for each of LRS"
        )
    return solver.BASE_LR * shares[sum(epoch >= step for step in steps) - 1]


POLICIES: dict[str, Callable[[float, CfgNode], float]] = {"cosine": _cosine, "steps_with_relative_lrs": _steps}
"""SOLVER.LR_POLICY -> the rate at a fractional epoch, without warm-up, for BASE_BATCH_SIZE clips."""
