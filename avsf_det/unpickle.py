"""Restricted unpickling of arrays, tensors and plain containers from untrusted files.

A pickle is a program that may call whatever it names. Here a name stands only for what `unpickle_builders.admitted`
returns, none of which belongs to numpy or torch. Memory is bounded by the size of the file: every length and every
shape is compared with the bytes that are there, repeated copies are counted, and the result is a tree of limited size
and depth.
"""

from __future__ import annotations

import io
import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO, ClassVar

import torch

from avsf_det.unpickle_builders import (
    MAX_OBJECTS,
    Allowance,
    Array,
    Builders,
    DType,
    Excessive,
    Refused,
    Storage,
    admitted,
    dims,
    expect,
    hashable,
    pairs,
)

MAX_DEPTH = 100  # containers within containers
MAX_INT_BITS = 1024
LEGACY_START = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # of a file by torch.save before torch 1.6
LEGACY_HEADER = (0x1950A86A20F9469CFC6C, 1001)  # its magic number and protocol


CONTAINERS = (list, tuple, dict, set, frozenset)
FindStorage = Callable[..., Storage]
UNNEEDED = (
    *(pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.EXT1, pickle.EXT2, pickle.EXT4),
    *(pickle.PERSID, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
)


class _Builder:
    """A builder's name on the stack, and nothing that could be called."""

    def __init__(self, method: str) -> None:
        self.method = method


class _Reader:
    """The rest of a file, from which no more can be asked than is there: a claimed length allocates nothing."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        self.readline = file.readline

    def read(self, count: int) -> bytes:
        if count > self._size - self._file.tell():
            raise EOFError(f"{count} bytes beyond the end of the file")
        return self._file.read(count)


# The Python implementation, because its instructions can be replaced, and a huge memo index allocates nothing.
class _Unpickler(pickle._Unpickler):
    dispatch: ClassVar = dict(pickle._Unpickler.dispatch)

    def __init__(
        self, file: BinaryIO, size: int, allowance: Allowance, find_storage: FindStorage | None, inner: bool
    ) -> None:
        super().__init__(_Reader(file, size), encoding="latin1")
        self._find_storage = find_storage
        self._builders = Builders(allowance, None if inner else partial(_storage_of_bytes, allowance))
        self.dispatch = _Counted(type(self).dispatch, allowance)

    def find_class(self, module: str, name: str) -> Any:
        return admitted(module, name)

    # Instructions that the superclass carries out on any object, here only on what they are for.

    def load_reduce(self) -> None:
        arguments, builder = self.stack.pop(), self.stack.pop()
        self.append(self._builders.call(builder, arguments))

    def load_build(self) -> None:
        """Give the object on the stack its state; only an array's and a dtype's matters."""
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, DType):
            target.restore(state)
        elif isinstance(target, Array):
            if not isinstance(state, tuple) or len(state) < 4:
                raise ValueError("not the state of an array")
            shape, dtype, fortran, raw = state[-4:]  # before them, since numpy 1.0, a version
            target.tensor = self._builders.numbers(raw, dtype, shape, "F" if fortran is True or fortran == 1 else "C")
        elif not isinstance(target, OrderedDict):  # torch's state dicts carry `_metadata`
            raise Refused(f"a state for {type(target).__name__}")

    def load_append(self) -> None:
        value = self.stack.pop()
        expect(self.stack[-1], list).append(value)

    def load_appends(self) -> None:
        items = self.pop_mark()
        expect(self.stack[-1], list).extend(items)

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        expect(self.stack[-1], dict)[hashable(key)] = value

    def load_setitems(self) -> None:
        items = self.pop_mark()
        expect(self.stack[-1], dict).update(pairs(items))

    def load_dict(self) -> None:
        items = self.pop_mark()  # `append` is another one from here on
        self.append(dict(pairs(items)))

    def load_additems(self) -> None:
        items = self.pop_mark()
        expect(self.stack[-1], set).update(map(hashable, items))

    def load_frozenset(self) -> None:
        items = self.pop_mark()
        self.append(frozenset(map(hashable, items)))

    def load_bytearray8(self) -> None:
        self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))

    def load_binpersid(self) -> None:
        identity = self.stack.pop()
        if self._find_storage is None or not isinstance(identity, tuple) or identity[:1] != ("storage",):
            raise Refused("a persistent id outside of a torch file")
        self.append(self._find_storage(*identity[1:]))

    def refuse(self) -> None:
        raise Refused("an instruction that weights do without")

    dispatch.update(
        {
            pickle.REDUCE[0]: load_reduce,
            pickle.BUILD[0]: load_build,
            pickle.APPEND[0]: load_append,
            pickle.APPENDS[0]: load_appends,
            pickle.SETITEM[0]: load_setitem,
            pickle.SETITEMS[0]: load_setitems,
            pickle.DICT[0]: load_dict,
            pickle.ADDITEMS[0]: load_additems,
            pickle.FROZENSET[0]: load_frozenset,
            pickle.BYTEARRAY8[0]: load_bytearray8,
            pickle.BINPERSID[0]: load_binpersid,
            **dict.fromkeys([code[0] for code in UNNEEDED], refuse),
        }
    )


class _Counted(dict):
    """The instructions by their code, each counted when it is looked up."""

    def __init__(self, dispatch: dict, allowance: Allowance) -> None:
        super().__init__(dispatch)
        self._count = allowance.count

    def __getitem__(self, code: int) -> Callable:
        self._count()
        return super().__getitem__(code)


def _check_tree(value: Any) -> None:
    """See that following all that `value` holds comes to an end soon: no cycles, no lists of lists of lists ..."""
    finished: dict[int, tuple[int, int]] = {}  # by id: values within, depth
    entered, pending = set(), [value]
    while pending:
        item = pending[-1]
        if id(item) in finished:
            pending.pop()
            continue
        parts = _parts(item)
        inner = [part for part in parts if isinstance(part, CONTAINERS)]
        if id(item) in entered:
            pending.pop()
            sizes, depths = zip(*(finished[id(part)] for part in inner)) if inner else ((0,), (0,))
            finished[id(item)] = len(parts) + sum(sizes), 1 + max(depths)
            if finished[id(item)][0] > MAX_OBJECTS or finished[id(item)][1] > MAX_DEPTH:
                raise Excessive("lists within lists that grow without bound")
            continue
        if any(isinstance(part, int) and part.bit_length() > MAX_INT_BITS for part in parts):
            raise Excessive("an integer of too many digits")
        entered.add(id(item))
        for part in inner:
            if id(part) in entered and id(part) not in finished:
                raise Excessive("a list within itself")
        pending += inner


def _storage_of_bytes(allowance: Allowance, content: bytes) -> Any:
    """What the bytes of a storage inside a pickle hold."""
    if not content.startswith(LEGACY_START):
        raise Refused("a storage in a format of its own")  # a zip there could grow without bound
    return load_legacy(io.BytesIO(content), len(content), allowance)


def _parts(value: Any) -> list:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return list(value) if isinstance(value, CONTAINERS) else [value]


def load(
    file: BinaryIO, size: int, allowance: Allowance, find_storage: FindStorage | None = None, inner: bool = False
) -> Any:
    """The value of the next pickle in a file.

    Args:
        file: open at the pickle's first byte.
        size: of the whole file, in bytes.
        allowance: what may be made of it.
        find_storage: gives the `Storage` of a torch file that a persistent id names: called with dtype, key,
            location, number of values, and in legacy files a view.
        inner: whether it lies within another pickle, so that there is to be none within it.

    Raises:
        Refused: as `loads`.
    """
    value = _Unpickler(file, size, allowance, find_storage, inner).load()
    _check_tree(value)
    return value


def loads(content: bytes) -> Any:
    """What a pickle holds: plain containers, numbers and texts, torch tensors, and `Array`s where numpy's were.

    Pickles of Python 2, whose texts are bytes, are read as latin1. Keys of dicts are texts and numbers.

    Raises:
        Refused: if it asks for more than that, or claims more memory than its size warrants (`Excessive`).
        Exception: of many types, if it is damaged.
    """
    return load(io.BytesIO(content), len(content), Allowance(len(content)))


def load_legacy(file: BinaryIO, size: int, allowance: Allowance) -> Any:
    """What a file by torch.save from before torch 1.6 holds: a few pickles, then the storages one after the other.

    Raises:
        Refused: as `loads`.
        Exception: of many types, if it is damaged.
    """
    if tuple(load(file, size, allowance, inner=True) for _ in LEGACY_HEADER) != LEGACY_HEADER:
        raise ValueError("not torch's header")
    if expect(load(file, size, allowance, inner=True), dict).get("little_endian") is not (sys.byteorder == "little"):
        raise ValueError("numbers in another byte order than this machine's")
    storages: dict[str, torch.Tensor] = {}

    def find_storage(dtype: object, key: object, location: object, count: object, view: object = None) -> Storage:
        (count,) = dims((count,))
        if hashable(key) not in storages:
            allowance.take(count * expect(dtype, torch.dtype).itemsize)
            storages[key] = torch.empty(count, dtype=dtype)
        numbers = storages[key]
        if numbers.dtype != dtype or len(numbers) != count:
            raise ValueError("two claims about one storage")
        if view is None:
            return Storage(numbers)
        offset, length = dims(expect(view, tuple)[1:])
        return Storage(numbers[offset : offset + length])

    value = load(file, size, allowance, find_storage, inner=True)
    keys = expect(load(file, size, allowance, inner=True), list)
    if len(keys) != len(storages) or set(map(hashable, keys)) != storages.keys():
        raise ValueError("storages that are not in the file")
    for key in keys:
        if int.from_bytes(file.read(8), "little") != len(storages[key]):
            raise ValueError("a storage of another size than claimed")
        read_into(file, storages[key])
    return value


def read_into(file: BinaryIO, numbers: torch.Tensor) -> None:
    """Fill (N,) numbers with the next bytes of a file.

    Raises:
        EOFError: if there are too few.
    """
    raw, done = memoryview(numbers.view(torch.uint8).numpy()), 0
    while done < len(raw):
        part = file.read(min(len(raw) - done, 2**24))
        if not part:
            raise EOFError("the file ends within its numbers")
        raw[done : done + len(part)] = part
        done += len(part)
