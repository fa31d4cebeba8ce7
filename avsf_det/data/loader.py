"""The batches of training, in any epoch and from any batch of it on, and those of testing labelled clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from avsf_det.data.batch import Batch, Sample
from avsf_det.data.classification.dataset import ClipViews
from avsf_det.data.dataset import Run, VideoSamples
from avsf_det.data.sampling import RunSampler
from avsf_det.data.workers import WorkerPool, in_thread
from avsf_det.errors import UserError

# Clips whose frames are this many seconds apart or less are read in one go: decoding on is as cheap as a seek.
_NEAR = 1.0


class TrainLoader:
    """Reads an epoch's samples and hands them out in batches.

    Neighbouring clips of a video overlap: of AVA's, one a second and 2.1 s long, every frame is in two. Runs of
    `clips_per_read` neighbours are therefore read at once, each frame decoded once, and their clips dealt out to as
    many batches (see `RunSampler`).

    What a batch holds follows from (seed, epoch, number, rank, world_size, batch_size, clips_per_read), not from who
    reads it nor from what was asked before.

    Memory: at most 2 * clips_per_read * batch_size clips are held, read or being read, of T * H * W * 3 bytes each
    (twice that where an epoch's batches don't divide by `clips_per_read`), and two batches.

    Args:
        samples: what to read.
        collate: makes a batch of a list of samples and of the messages about those that cannot be read.
        batch_size: samples a batch.
        seed: of the order.
        num_workers: processes that read; 0 reads in this one, when a batch is asked for.
        rank, world_size: which of how many training processes this is.
        clips_per_read: neighbours of a run at most; 1 reads each clip alone.
        pin_memory: whether batches are in memory from which a GPU copies while it computes.

    Raises:
        UserError: if there are fewer samples than training processes.
    """

    def __init__(
        self,
        samples: VideoSamples,
        collate: Callable[[Sequence[Sample], Sequence[str]], Batch],
        batch_size: int,
        seed: int,
        num_workers: int,
        rank: int = 0,
        world_size: int = 1,
        clips_per_read: int = 1,
        pin_memory: bool = False,
    ) -> None:
        max_gap = samples.spec.duration + _NEAR
        self._sampler = RunSampler(
            samples.video_numbers, samples.times, batch_size, seed, clips_per_read, max_gap, rank, world_size
        )
        self.samples, self.batch_size = samples, batch_size
        self._collate, self._pin_memory = collate, pin_memory
        self._ahead = clips_per_read * batch_size
        self._pool = WorkerPool(samples.read, num_workers, samples.describe)
        self._num_workers = num_workers

    def __len__(self) -> int:
        """Batches of an epoch, the same on every rank."""
        return len(self._sampler)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from number `start` on.

        A clip that cannot be read is left out of its batch, which may become empty, and named in `Batch.failed`.

        Raises:
            UserError: if a process that reads died.
        """
        batches = self._batches(epoch, start)
        if not self._num_workers:
            yield from batches
            return
        coming = in_thread(next, batches, None)  # stacks the next batch while this one is learnt from
        while (batch := coming.result()) is not None:
            coming = in_thread(next, batches, None)
            yield batch

    def _batches(self, epoch: int, start: int) -> Iterator[Batch]:
        windows = list(self._sampler.windows(epoch, start))
        read = self._pool.map((Run(epoch, run) for window in windows for run in window.runs), self._ahead)
        for window in windows:
            samples = {}
            for run in window.runs:
                samples.update(zip(run.tolist(), next(read)))
            for batch in window.batches:
                yield self._batch([samples.pop(index) for index in batch.tolist()])

    def _batch(self, read: Sequence[Sample | UserError]) -> Batch:
        failed = [str(one) for one in read if isinstance(one, UserError)]
        batch = self._collate([one for one in read if not isinstance(one, UserError)], failed)
        return batch.pin_memory() if self._pin_memory else batch


class ViewLoader:
    """Reads the views of labelled clips, one clip after the other, and hands them out in batches.

    Memory: at most 2 * num_workers clips are held, read or being read, of views.num_views * T * H * W * 3 bytes each.

    Args:
        views: what to read.
        collate: makes a batch of a list of samples and of the messages about those that cannot be read.
        batch_size: views a batch at most; one batch is of one clip.
        num_workers: processes that read; 0 reads in this one.
        rank, world_size: which of how many processes this is; clips are dealt out to them in turn.
        pin_memory: whether batches are in memory from which a GPU copies while it computes.
    """

    def __init__(
        self,
        views: ClipViews,
        collate: Callable[[Sequence[Sample], Sequence[str]], Batch],
        batch_size: int,
        num_workers: int,
        rank: int = 0,
        world_size: int = 1,
        pin_memory: bool = False,
    ) -> None:
        self.views = views
        self._collate, self._batch_size, self._pin_memory = collate, batch_size, pin_memory
        self._indices = range(rank, len(views), world_size)
        self._ahead = 2 * max(num_workers, 1)
        self._pool = WorkerPool(views.read, num_workers, views.describe)

    def __len__(self) -> int:
        """Clips of this process."""
        return len(self._indices)

    def __iter__(self) -> Iterator[tuple[int, Batch]]:
        """The index of a clip and some of its views, in order; of one that cannot be read an empty batch that says why.

        Raises:
            UserError: if a process that reads died.
        """
        runs = (Run(0, np.array([index])) for index in self._indices)
        for index, (moments,) in zip(self._indices, self._pool.map(runs, self._ahead)):
            failed = [str(moments)] if isinstance(moments, UserError) else []
            views = [] if failed else [view for moment in moments for view in self.views.cuts(moment)]
            for first in range(0, max(len(views), 1), self._batch_size):
                batch = self._collate(views[first : first + self._batch_size], failed)
                yield index, batch.pin_memory() if self._pin_memory else batch
