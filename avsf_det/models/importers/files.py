"""The tensors in what a weight file of any format holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from avsf_det.unpickle_builders import Array

CONTAINERS = ("model_state", "blobs", "model", "state_dict", "model_state_dict")  # where the tensors are, if not on top


def tensors_of(content: Any) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors in what `weight_file.read_file` returned, by name, and the plain values beside them.

    Entries among the tensors that are none (a solver's numbers) are left out; `module.`, which
    DistributedDataParallel puts before each name, is taken off.

    Raises:
        ValueError: if there are no tensors, or one claims more numbers than are stored.
    """
    if not isinstance(content, Mapping):
        raise ValueError("no weights by name")
    inner = next((content[key] for key in CONTAINERS if isinstance(content.get(key), Mapping)), content)
    tensors = {str(name): tensor for name, value in inner.items() if (tensor := _as_tensor(value)) is not None}
    if not tensors:
        raise ValueError("no weights by name")
    prefix = min(len(re.match(r"(?:module\.)*", name)[0]) for name in tensors)
    tensors = {name[prefix:]: tensor for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
            raise ValueError(f"{name} is no plain tensor")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise ValueError(f"{name} claims {tensor.numel()} numbers, more than are stored")
    about = {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, str | int | float)}
    if are_heads(content.get("heads")):
        about["heads"] = content["heads"]
    return tensors, about


def are_heads(value: Any) -> bool:
    """Whether it is what a checkpoint of ours says of its classes of whole clips."""
    return isinstance(value, list) and all(
        isinstance(head, dict)
        and head.keys() == {"name", "classes", "multi_label"}
        and isinstance(head["name"], str)
        and isinstance(head["classes"], list)
        and all(isinstance(name, str) for name in head["classes"])
        and isinstance(head["multi_label"], bool)
        for head in value
    )


def _as_tensor(value: Any) -> torch.Tensor | None:
    return value.tensor if isinstance(value, Array) else value.detach() if isinstance(value, torch.Tensor) else None
