"""Very many texts in little memory, which worker processes share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch


class Texts(Sequence):
    """Texts end to end in one array of bytes.

    It holds torch tensors alone: a worker process has the same memory, where a list of as many texts would be copied.
    Paths that the file system knows in bytes that are no UTF-8 keep them.

    Args:
        texts: what to hold.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        encoded = [text.encode("utf-8", "surrogateescape") for text in texts]
        ends = np.cumsum([0, *map(len, encoded)])
        self._starts = torch.from_numpy(ends.astype(np.int64))
        self._bytes = torch.from_numpy(np.frombuffer(bytearray(b"".join(encoded)), dtype=np.uint8))

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, index: int) -> str:
        i = range(len(self))[index]
        start, end = self._starts[i : i + 2].tolist()
        return self._bytes[start:end].numpy().tobytes().decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        whole, ends = self._bytes.numpy().tobytes(), self._starts.tolist()
        return (whole[a:b].decode("utf-8", "surrogateescape") for a, b in pairwise(ends))

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self._bytes.numel() + self._starts.numel() * self._starts.element_size()
