"""Pickles of arrays, opened without running anything that is in them.

A pickle is a program that may call whatever it names. Here a name means only what `ADMITTED` says, and nothing there is
numpy's or torch's own: the few builders that arrays and tensors need are rebuilt below, and each checks what it is
given. Instructions that state dicts do without are refused altogether.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections import OrderedDict
from typing import Any, ClassVar

import numpy as np
import torch


class Refused(Exception):
    """The pickle names or asks for something that could run code; the message says what."""


class Array:
    """A numpy array on its way out of a pickle; `tensor` is None until its content has come."""

    def __init__(self) -> None:
        self.tensor: torch.Tensor | None = None

    def restore(self, state: tuple) -> None:
        shape, dtype, fortran, raw = state[-4:]  # before them, since numpy 1.0, a version
        self.tensor = _tensor(raw, dtype, shape, "F" if fortran else "C")


class DType:
    """A number type on its way out of a pickle; the byte order comes second."""

    def __init__(self, code: str, *flags: object) -> None:
        if not isinstance(code, str) or not re.fullmatch(r"[<>=|]?([biufc]\d{1,2}|\?)", code):
            raise Refused(f"an array of {code!r}, which are no numbers")
        self.dtype = np.dtype(code)

    def restore(self, state: tuple) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


def _tensor(raw: bytes | str, dtype: DType, shape: tuple[int, ...], order: str) -> torch.Tensor:
    raw = raw.encode("latin1") if isinstance(raw, str) else raw  # Python 2 wrote bytes as text
    values = np.frombuffer(raw, dtype.dtype).reshape(shape, order=order)
    return torch.from_numpy(np.array(values, dtype.dtype.newbyteorder("="), order="C"))


def _start_array(*_: object) -> Array:
    return Array()


def _array_of_buffer(buffer: bytes, dtype: DType, shape: tuple[int, ...], order: str, axes: object = None) -> Array:
    array = Array()
    array.tensor = _tensor(buffer, dtype, shape, "C" if order == "K" else order)
    if axes is not None:
        array.tensor = array.tensor.permute(axes).contiguous()
    return array


def _scalar(dtype: DType, raw: bytes | str) -> bool | int | float | complex:
    return _tensor(raw, dtype, (), "C").item()


def _bytes_of_text(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise Refused(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""


def _load_storage(content: bytes) -> torch.storage.TypedStorage:
    if not content.startswith(b"\x80"):  # a zip, which torch never puts here, could grow without bound
        raise Refused("a storage in a format of its own")
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _rebuild_tensor(
    storage: torch.storage.TypedStorage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> torch.Tensor:
    last = offset + sum((n - 1) * step for n, step in zip(size, stride)) if math.prod(size) else -1
    if min((offset, *size, *stride)) < 0 or last >= len(storage):
        raise ValueError(f"a tensor of {size} in a storage of {len(storage)} numbers")
    return torch._utils._rebuild_tensor(storage, offset, size, stride)


def _rebuild_parameter(tensor: torch.Tensor, *_: object) -> torch.Tensor:
    return tensor


ADMITTED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("numpy", "ndarray"): "numpy.ndarray",  # is only ever handed to _reconstruct
    ("numpy", "dtype"): DType,
    ("_codecs", "encode"): _bytes_of_text,
    ("builtins", "bytes"): _no_bytes,
    ("__builtin__", "bytes"): _no_bytes,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch.storage", "_load_from_bytes"): _load_storage,
}
for core in ("numpy.core", "numpy._core"):  # of numpy 1 and of numpy 2
    ADMITTED[f"{core}.multiarray", "_reconstruct"] = _start_array
    ADMITTED[f"{core}.multiarray", "scalar"] = _scalar
    ADMITTED[f"{core}.numeric", "_frombuffer"] = _array_of_buffer

UNNEEDED = (
    *(pickle.PERSID, pickle.BINPERSID, pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX),
    *(pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
)


# The Python implementation, for its instructions can be replaced, and a huge memo index does not make it allocate.
class _Unpickler(pickle._Unpickler):
    dispatch: ClassVar = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise Refused(f"{module}.{name}")
        return ADMITTED[module, name]

    def load_build(self) -> None:
        """Give the object on the stack its state; any but an array's or a type's is left out."""
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Array | DType):
            target.restore(state)
        elif not isinstance(target, OrderedDict):  # torch's state dicts carry `_metadata`
            raise Refused(f"a state for {type(target).__name__}")

    def refuse(self) -> None:
        raise Refused("an instruction that weights do without")

    dispatch[pickle.BUILD[0]] = load_build
    dispatch.update(dict.fromkeys([code[0] for code in UNNEEDED], refuse))


def loads(content: bytes) -> Any:
    """What a pickle holds: plain containers, numbers and texts, torch tensors, and `Array`s where numpy's were.

    Pickles of Python 2, whose texts are bytes, are read as latin1.

    Raises:
        Refused: if it asks for more than that.
        Exception: of many types, if it is damaged.
    """
    return _Unpickler(io.BytesIO(content), encoding="latin1").load()
