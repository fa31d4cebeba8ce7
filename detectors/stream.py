"""What training sees, keyframe after keyframe: which one, and how it is augmented, follow from seed and position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from avsf_det import distributed


class TrainingStream(torch.utils.data.Dataset):
    """What training sees, one keyframe after the other, without end.

    The keyframe at a position, and how it is augmented, depend on the seed and the position alone: not on what was
    asked for before, nor on the process that asks.

    Args:
        records: the keyframes as Detectron2 describes pictures.
        mapper: Detectron2's, from a record to the network's input; it draws from numpy's global generator.
        seed: of order and augmentation.
    """

    def __init__(self, records: Sequence[dict], mapper: Any, seed: int) -> None:
        self._records, self._mapper, self._seed = records, mapper, seed
        self._epoch, self._order = -1, np.zeros(0, np.int64)

    def __getitem__(self, position: int) -> dict:
        epoch, row = divmod(position, len(self._records))
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = np.random.default_rng([self._seed, epoch]).permutation(len(self._records))
        np.random.seed([self._seed, position])
        return self._mapper(self._records[self._order[row]])


class Share:
    """The positions in the stream that this process takes: its equal part of each batch.

    Args:
        start, end: numbers of the first batch and of the one after the last.
        batch_size: keyframes of a batch, over all processes.
    """

    def __init__(self, start: int, end: int, batch_size: int) -> None:
        self._batches, self._batch_size = range(start, end), batch_size
        self.size = batch_size // distributed.world_size()
        self._offset = distributed.rank() * self.size

    def __len__(self) -> int:
        return len(self._batches) * self.size

    def __iter__(self) -> Iterator[int]:
        for batch in self._batches:
            first = batch * self._batch_size + self._offset
            yield from range(first, first + self.size)


def batches(cfg: Any, records: Sequence[dict], start: int, seed: int) -> torch.utils.data.DataLoader:
    """This process's part of the batches from number `start` to the last, as Detectron2's networks take them."""
    from detectron2.data import DatasetMapper

    share = Share(start, cfg.SOLVER.MAX_ITER, cfg.SOLVER.IMS_PER_BATCH)
    return torch.utils.data.DataLoader(
        TrainingStream(records, DatasetMapper(cfg, is_train=True), seed),
        sampler=share,
        batch_size=share.size,
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        collate_fn=list,
    )
