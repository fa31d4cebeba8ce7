"""Weights, gradients and optimiser states shared out over the processes (FSDP2), for models too large for one GPU.

Files always hold whole tensors, so that what one arrangement wrote another one reads.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed, nn
from torch.distributed.tensor import DTensor, distribute_tensor

STAGES = ("s1", "s2", "s3", "s4", "s5")  # of the backbone; each is put together only while it is computed


def shard(model: nn.Module, device: torch.device) -> None:
    """Keep in each process its part of every weight of `model`, an `AVSlowFast`, only.

    Its tensors become contiguous, which FSDP2 calls for.
    """
    from torch.distributed.fsdp import fully_shard

    model.to(memory_format=torch.contiguous_format)
    mesh = distributed.device_mesh.init_device_mesh(device.type, (distributed.get_world_size(),))
    for stage in STAGES:
        fully_shard(getattr(model.backbone, stage), mesh=mesh)
    fully_shard(model, mesh=mesh)


def whole(state: Any) -> Any:
    """A tree of dicts, lists and tensors with whole tensors of its own; every process takes part."""
    if isinstance(state, DTensor):
        return state.full_tensor()
    if isinstance(state, torch.Tensor):
        return state.detach().clone()
    if isinstance(state, dict):
        return type(state)((name, whole(value)) for name, value in state.items())
    return [whole(value) for value in state] if isinstance(state, list) else state


def shard_optimizer_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """A state dict of `optimizer` with whole tensors, as its sharded parameters need it."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    shared = {
        number: {name: _like(value, parameters[number]) for name, value in values.items()}
        for number, values in state["state"].items()
    }
    return {**state, "state": shared}


def _like(value: Any, parameter: torch.Tensor) -> Any:
    """`value` shared out as `parameter` is, if it has its shape."""
    if not isinstance(parameter, DTensor) or not isinstance(value, torch.Tensor) or value.shape != parameter.shape:
        return value
    return distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
