"""Files of other people: torch's and pickles, opened so that nothing in them can run code or fill the memory."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from avsf_det.errors import UserError
from avsf_det.unpickle import Array, Refused, loads

TORCH_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # how torch.save began before torch 1.6
CONTAINERS = ("model_state", "blobs", "model", "state_dict", "model_state_dict")  # where the tensors are, if not on top
NEXT_STEP = "expected a checkpoint of a format that `avsf-det convert --help` lists"


def read_file(path: str | os.PathLike) -> Any:
    """What a torch file or a pickle holds, on the CPU.

    Raises:
        UserError: if the file cannot be read, is neither, is damaged, would run code, or claims more than it holds.
    """
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            reason = "Is a directory" if os.path.isdir(path) else "no regular file"
            raise UserError(f"{path}: the checkpoint cannot be read ({reason}); check the path")
        with warnings.catch_warnings():  # torch's, of its older formats
            warnings.simplefilter("ignore")
            return _open(Path(path))
    except UserError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{path}: the checkpoint cannot be read ({reason}); check the path") from error
    except MemoryError as error:
        raise UserError(f"{path}: claims more than fits into memory; {NEXT_STEP}") from error
    except Exception as error:  # there are many ways to fail on bytes that are something else
        raise UserError(f"{path}: {_what_is_wrong(error)}; {NEXT_STEP}") from error


def _open(path: Path) -> Any:
    with open(path, "rb") as file:
        start = file.read(len(TORCH_LEGACY))
    zipped = start.startswith(b"PK")
    if not zipped and start != TORCH_LEGACY:
        return loads(path.read_bytes())
    if zipped:
        with zipfile.ZipFile(path) as archive:
            claimed = sum(member.file_size for member in archive.infolist())
        if claimed > path.stat().st_size:  # torch does not compress
            raise Refused(f"a zip of {claimed} bytes in {path.stat().st_size}")
    return torch.load(path, map_location="cpu", weights_only=True)


def _what_is_wrong(error: Exception) -> str:
    text = str(error)
    unsupported = re.search(r"nsupported (?:global: )?GLOBAL (\S+)", text)  # torch's words
    if isinstance(error, Refused) or unsupported:
        what = re.sub(r"[^\w.,<>'() -]", "?", unsupported[1] if unsupported else text)[:100]
        return f"holds {what}, and opening it could run code"
    if "allocate memory" in text:
        return "claims more than fits into memory"
    return "is damaged or no torch file or pickle"


def tensors_of(content: Any) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors in what `read_file` returned, by name, and the plain values beside them.

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
    while all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
            raise ValueError(f"{name} is no plain tensor")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise ValueError(f"{name} claims {tensor.numel()} numbers, more than are stored")
    about = {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, str | int | float)}
    if _are_heads(content.get("heads")):
        about["heads"] = content["heads"]
    return tensors, about


def _are_heads(value: Any) -> bool:
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
