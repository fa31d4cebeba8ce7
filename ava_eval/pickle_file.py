"""Pickles of arrays, opened without torch and without running anything that they name.

A pickle is a program that may call whatever it names. Here a name means only what `ADMITTED` says: builders of arrays
and tensors that are rewritten below and check what they are given. Instructions that results do without are refused.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ava_eval.errors import InputError

SUFFIXES = (".pkl", ".pickle")
MAX_NUMBERS = 1 << 31  # of an array


class Refused(Exception):
    """The pickle names or asks for something that could run code; the message says what."""


class _Array:
    """A NumPy array whose content is still to come."""

    def __init__(self) -> None:
        self.values = np.zeros(0)

    def restore(self, state: tuple) -> None:
        shape, dtype, fortran, raw = state[-4:]  # before them, since NumPy 1.0, a version
        self.values = _values(raw, dtype, shape, "F" if fortran else "C")


class _DType:
    """A number type; its byte order may come later."""

    def __init__(self, code: str, *_: object) -> None:
        if not isinstance(code, str) or not re.fullmatch(r"[<>=|]?([biuf]\d{1,2}|\?|[?bBhHiIlLqQefd])", code):
            raise Refused(f"an array of {code!r}, which are no numbers")
        self.dtype = np.dtype(code)

    def restore(self, state: tuple) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Storage:
    """The numbers of a torch tensor."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values


def _values(raw: bytes | str | bytearray, dtype: _DType, shape: tuple[int, ...], order: str) -> np.ndarray:
    raw = raw.encode("latin1") if isinstance(raw, str) else raw  # Python 2 wrote bytes as text
    if isinstance(raw, list) or not isinstance(dtype, _DType):
        raise Refused("an array of objects")
    values = np.frombuffer(raw, dtype.dtype).reshape(shape, order=order)
    return np.array(values, dtype.dtype.newbyteorder("="), order="C")


def _start_array(*_: object) -> _Array:
    return _Array()


def _array_of_buffer(buffer: bytes, dtype: _DType, shape: tuple[int, ...], order: str, *_: object) -> np.ndarray:
    return _values(buffer, dtype, shape, "C" if order == "K" else order)


def _scalar(dtype: _DType, raw: bytes | str) -> bool | int | float:
    return _values(raw, dtype, (), "C").item()


def _bytes_of_text(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise Refused(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


STORAGES = {"Float": "f4", "Double": "f8", "Half": "f2", "Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1"}
STORAGES |= {"Byte": "u1", "Bool": "?", "BFloat16": "u2"}
# torch.save's legacy format of one storage: type and key, the list of keys, the count, the numbers
_LEGACY = re.compile(
    rb"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\..{1,400}?ctorch\n(\w+)Storage\n"
    rb".{1,200}?\]q\x00X.{4}\d{1,20}q\x01a\.",
    re.DOTALL,
)


def _load_storage(content: bytes) -> _Storage:
    header = _LEGACY.match(content)
    kind = header.group(1).decode() if header else ""
    if kind not in STORAGES:
        raise Refused(f"a tensor's storage of the type {kind!r}, which cannot be read without torch")
    dtype, start = np.dtype("<" + STORAGES[kind]), header.end() + 8
    count = int.from_bytes(content[start - 8 : start], "little")
    if start + count * dtype.itemsize != len(content):
        raise ValueError("a tensor's storage is cut short")
    values = np.frombuffer(content, dtype, count, start)
    if kind == "BFloat16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return _Storage(values)


def _rebuild_tensor(
    storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> np.ndarray:
    last = offset + sum((n - 1) * step for n, step in zip(size, stride)) if math.prod(size) else -1
    if len(size) != len(stride) or min((offset, *size, *stride)) < 0 or last >= len(storage.values):
        raise ValueError(f"a tensor of {size} in a storage of {len(storage.values)} numbers")
    if math.prod(size) > max(MAX_NUMBERS // 8, len(storage.values)):
        raise ValueError(f"a tensor of {size}, more than its storage holds")
    steps = tuple(step * storage.values.itemsize for step in stride)
    return np.array(np.lib.stride_tricks.as_strided(storage.values[offset:], size, steps, writeable=False))


ADMITTED: dict[tuple[str, str], Callable[..., Any] | str] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("numpy", "ndarray"): "numpy.ndarray",  # is only ever an argument of _reconstruct
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _bytes_of_text,
    ("builtins", "bytes"): bytes,
    ("__builtin__", "bytes"): bytes,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch.storage", "_load_from_bytes"): _load_storage,
    ("torch", "Size"): tuple,
}
for core in ("numpy.core", "numpy._core"):  # of NumPy 1 and of NumPy 2
    ADMITTED[f"{core}.multiarray", "_reconstruct"] = _start_array
    ADMITTED[f"{core}.multiarray", "scalar"] = _scalar
    ADMITTED[f"{core}.numeric", "_frombuffer"] = _array_of_buffer

UNNEEDED = (
    *(pickle.PERSID, pickle.BINPERSID, pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX),
    *(pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
)


# The Python implementation: its instructions can be replaced, and a huge memo index does not make it allocate.
class _Unpickler(pickle._Unpickler):
    dispatch: ClassVar = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise Refused(f"{module}.{name}")
        return ADMITTED[module, name]

    def load_reduce(self) -> None:
        """Call an admitted builder. `bytes` makes no bytes of a number, which could be of any size."""
        arguments = self.stack.pop()
        function = self.stack[-1]
        if not callable(function) or (function is bytes and arguments):
            raise Refused("a call of something that is no builder")
        self.stack[-1] = function(*arguments)

    def load_build(self) -> None:
        """Give an array or number type its state; any other state is refused."""
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, _Array | _DType):
            target.restore(state)
        elif not isinstance(target, OrderedDict):
            raise Refused(f"a state for {type(target).__name__}")

    def refuse(self) -> None:
        raise Refused("an instruction that results do without")

    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.BUILD[0]] = load_build
    dispatch.update(dict.fromkeys([code[0] for code in UNNEEDED], refuse))


def load_pickle(path: str | os.PathLike[str]) -> Any:
    """What a pickle holds: plain containers, numbers, texts, and arrays where NumPy's or torch's were.

    Args:
        path: of the file; torch tensors on any device are read as they were written.

    Raises:
        InputError: if the file cannot be read, is damaged, or asks for anything else.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
        if not content:
            raise InputError(f"{os.fspath(path)}: the file is empty")
        return _plain(_Unpickler(io.BytesIO(content), encoding="latin1").load(), 0)
    except OSError as error:
        raise InputError(f"{os.fspath(path)}: cannot read the file: {error.strerror}") from None
    except Refused as error:
        raise InputError(
            f"{os.fspath(path)}: holds {error}, expected arrays, tensors, lists and dicts alone (nothing was run)"
        ) from None
    except InputError:
        raise
    except Exception as error:  # a damaged pickle may fail in any way
        what = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise InputError(f"{os.fspath(path)}: not a pickle, or a damaged one ({what})") from None


def _plain(value: Any, depth: int) -> Any:
    """The value with arrays in place of `_Array`s."""
    if isinstance(value, _Array):
        return value.values
    if depth > 20:
        raise ValueError("containers within containers, without end")
    if isinstance(value, dict):
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item, depth + 1) for item in value)
    return value
