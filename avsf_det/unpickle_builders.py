"""What a pickle of weights may make: arrays, tensors and the few types they come with, each built here from scratch."""

from __future__ import annotations

import math
import re
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

MAX_OBJECTS = 10_000_000  # instructions of a pickle, and values in what it gives
MAX_DIM = 2**40


class Refused(Exception):
    """The pickle names or asks for something that could run code; the message says what."""


class Excessive(Refused):
    """The file claims more memory than its size warrants; the message says what."""


class Allowance:
    """How much a file may still make: bytes of numbers and texts, and instructions."""

    def __init__(self, size: int) -> None:
        self._size, self._left, self._instructions = size, 4 * size + 2**20, MAX_OBJECTS

    def take(self, nbytes: int) -> None:
        """Count `nbytes` that are about to be allocated."""
        self._left -= nbytes
        if self._left < 0:
            raise Excessive(f"more than {4 * self._size} bytes of values in a file of {self._size}")

    def count(self) -> None:
        """Count an instruction."""
        self._instructions -= 1
        if self._instructions < 0:
            raise Excessive(f"more than {MAX_OBJECTS} instructions")


class Array:
    """A numpy array while it is unpickled; `tensor` is None until its content is known."""

    def __init__(self) -> None:
        self.tensor: torch.Tensor | None = None


class Storage:
    """A torch storage: `numbers` (N,) of its dtype, shared by the tensors that are views of it."""

    def __init__(self, numbers: torch.Tensor) -> None:
        self.numbers = numbers


class DType:
    """A numpy dtype of numbers; its byte order comes in a second step."""

    def __init__(self, code: str, *_: object) -> None:
        if not re.fullmatch(r"[<>=|]?([biufc]\d{1,2}|\?)", expect(code, str)):
            raise Refused(f"an array of {code[:40]!r}, which are no numbers")
        self.dtype = np.dtype(code)

    def restore(self, state: object) -> None:
        """Set the byte order from a dtype's state: version, byte order, and None for what structured types have."""
        if not isinstance(state, tuple) or len(state) < 5:
            raise ValueError("not the state of a dtype")
        if any(part is not None for part in state[2:5]):
            raise Refused("an array of structured values, which are no numbers")
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


SCALARS = (str, bytes, int, float, type(None))  # bool is an int
STORAGE_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}
TYPES = {  # names that are only handed to builders; these look at none of them
    ("numpy", "ndarray"),
    ("torch", "Tensor"),
    ("torch.nn.parameter", "Parameter"),
}
BUILDERS = {
    ("collections", "OrderedDict"): "_ordered_dict",
    ("collections", "Counter"): "_counter",
    ("numpy", "dtype"): "_dtype",
    ("_codecs", "encode"): "_encoded",
    ("builtins", "set"): "_set",
    ("__builtin__", "set"): "_set",
    ("builtins", "bytes"): "_no_bytes",
    ("__builtin__", "bytes"): "_no_bytes",
    ("torch", "Size"): "_size",
    ("torch", "device"): "_device",
    ("torch._utils", "_rebuild_tensor"): "_tensor",
    ("torch._utils", "_rebuild_tensor_v2"): "_tensor",
    ("torch._utils", "_rebuild_tensor_v3"): "_tensor_of_dtype",
    ("torch._utils", "_rebuild_parameter"): "_parameter",
    ("torch._utils", "_rebuild_parameter_with_state"): "_parameter",
    ("torch._tensor", "_rebuild_from_type_v2"): "_from_type",
    ("torch.storage", "_load_from_bytes"): "_storage_of_bytes",
}
for core in ("numpy.core", "numpy._core"):  # of numpy 1 and of numpy 2
    BUILDERS[f"{core}.multiarray", "_reconstruct"] = "_new_array"
    BUILDERS[f"{core}.multiarray", "scalar"] = "_scalar"
    BUILDERS[f"{core}.numeric", "_frombuffer"] = "_array_of_buffer"


class Call:
    """A builder's name on a pickle's stack, and nothing that could be called."""

    def __init__(self, method: str) -> None:
        self.method = method


def admitted(module: str, name: str) -> Any:
    """What a name in a pickle stands for: a `Call`, a dtype, or for types that builders are handed, the name.

    Raises:
        Refused: for any other name.
    """
    if (module, name) in BUILDERS:
        return Call(BUILDERS[module, name])
    if (module, name) in TYPES:
        return name
    if module in ("torch", "torch.storage") and name in STORAGE_DTYPES:
        return STORAGE_DTYPES[name]
    if module == "torch" and re.fullmatch(r"u?int(8|16|32|64)|b?float(16|32|64|8_\w+)|complex(32|64|128)|bool", name):
        found = getattr(torch, name, None)
        if isinstance(found, torch.dtype):
            return found
    raise Refused(f"{module}.{name}")


class Builders:
    """The builders. Each counts what it allocates, because a small argument may be used over and over.

    Args:
        allowance: of the file.
        load_storage: gives the storage in a legacy torch file's bytes; None where there is to be none.
    """

    def __init__(self, allowance: Allowance, load_storage: Callable[[bytes], object] | None) -> None:
        self._allowance, self._load_storage = allowance, load_storage

    def call(self, call: object, arguments: object) -> Any:
        """What a builder makes of a tuple of arguments."""
        if not isinstance(call, Call) or not isinstance(arguments, tuple):
            raise Refused(f"a call of {type(call).__name__}")
        return getattr(self, call.method)(*arguments)

    def _ordered_dict(self, items: object = ()) -> OrderedDict:
        if any(len(expect(pair, list, tuple)) != 2 for pair in expect(items, list, tuple)):
            raise ValueError("a key without a value")
        self._allowance.take(16 * len(items))
        return OrderedDict((hashable(key), value) for key, value in items)

    def _counter(self, counts: object = None) -> Counter:
        counts = expect(counts or {}, dict)
        self._allowance.take(16 * len(counts))
        return Counter(counts)

    def _set(self, items: object = ()) -> set:
        self._allowance.take(16 * len(expect(items, list, tuple)))
        return set(map(hashable, items))

    def _dtype(self, code: str, *_: object) -> DType:
        return DType(code)

    def _encoded(self, text: object, encoding: object = "latin1") -> bytes:
        if expect(encoding, str) not in ("latin1", "latin-1"):
            raise Refused(f"bytes in the encoding {encoding[:40]!r}")
        self._allowance.take(len(expect(text, str)))
        return text.encode("latin1")

    def _no_bytes(self) -> bytes:
        return b""

    def _size(self, size: object = ()) -> tuple[int, ...]:
        return dims(size)

    def _device(self, *words: object) -> str:
        return ":".join(str(expect(word, str, int))[:20] for word in words)

    def _new_array(self, *_: object) -> Array:
        return Array()

    def _array_of_buffer(
        self, buffer: object, dtype: object, shape: object, order: object, axes: object = None
    ) -> Array:
        array = Array()
        array.tensor = self.numbers(buffer, dtype, shape, "C" if order == "K" else order)
        if axes is not None:
            array.tensor = array.tensor.permute(dims(axes)).contiguous()
        return array

    def _scalar(self, dtype: object, raw: object) -> bool | int | float | complex:
        return self.numbers(raw, dtype, (), "C").item()

    def numbers(self, raw: object, dtype: object, shape: object, order: object) -> torch.Tensor:
        """The tensor of an array's bytes, `shape` of `dtype` in `order` C or F."""
        raw = raw.encode("latin1") if isinstance(raw, str) else raw  # Python 2 wrote bytes as text
        expect(raw, bytes, bytearray)
        dtype, shape = expect(dtype, DType).dtype, dims(shape)
        if math.prod(shape) * dtype.itemsize != len(raw):
            raise ValueError(f"an array of shape {shape} in {len(raw)} bytes")
        self._allowance.take(len(raw))
        values = np.frombuffer(raw, dtype).reshape(shape, order="F" if order == "F" else "C")
        return torch.from_numpy(np.array(values, dtype.newbyteorder("="), order="C"))

    def _tensor(self, storage: object, offset: object, size: object, stride: object, *_: object) -> torch.Tensor:
        numbers, size, stride = expect(storage, Storage).numbers, dims(size), dims(stride)
        (offset,) = dims((offset,))
        count = math.prod(size)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride)) if count else -1
        if len(size) != len(stride) or last >= len(numbers) or count > len(numbers):
            raise ValueError(f"a tensor of {size} in a storage of {len(numbers)} numbers")
        return torch.as_strided(numbers, size, stride, offset if count else 0)

    def _tensor_of_dtype(
        self, storage: object, offset: object, size: object, stride: object, grad: object, hooks: object, dtype: object,
        *_: object,
    ) -> torch.Tensor:  # fmt: skip
        numbers = expect(storage, Storage).numbers.view(expect(dtype, torch.dtype))
        return self._tensor(Storage(numbers), offset, size, stride)

    def _parameter(self, tensor: object, *_: object) -> torch.Tensor:
        return expect(tensor, torch.Tensor)

    def _from_type(self, builder: object, kind: object, arguments: object, *_: object) -> Any:
        return expect(self.call(builder, arguments), torch.Tensor)

    def _storage_of_bytes(self, content: object) -> Storage:
        if self._load_storage is None:
            raise Refused("a storage within a storage")
        return expect(self._load_storage(expect(content, bytes, bytearray)), Storage)


def expect(value: Any, *kinds: type) -> Any:
    """`value`, which must be of one of these types. Errors show no value: its text could be of any length."""
    if not isinstance(value, kinds):
        raise ValueError(f"got {type(value).__name__}, expected {kinds[0].__name__}")
    return value


def hashable(key: Any) -> Any:
    """A key whose hash takes no recursion, and which cannot be made to collide with all others."""
    if not isinstance(key, SCALARS) or (isinstance(key, int) and key.bit_length() > 60):
        raise ValueError(f"a key of type {type(key).__name__}")
    return key


def pairs(items: list) -> list[tuple[Any, Any]]:
    """Keys and values that alternate, as a dict's items."""
    if len(items) % 2:
        raise ValueError("a key without a value")
    return list(zip(map(hashable, items[::2]), items[1::2]))


def dims(values: object) -> tuple[int, ...]:
    """Sizes, strides or positions."""
    if len(expect(values, tuple, list)) > 32 or not all(isinstance(n, int) and 0 <= n < MAX_DIM for n in values):
        raise ValueError("sizes that no array has")
    return tuple(map(int, values))
