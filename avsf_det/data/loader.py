"""The batches of training, in any epoch and from any batch of it on, and those of testing labelled clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

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

    Memory: at most 2 * max(clips_per_read, window) * batch_size clips are held, read or being read, of T * H * W * 3
    bytes each (twice that where an epoch's batches don't divide by it), and two batches.

    Args:
        samples: what to read.
        collate: makes a batch of a list of samples and of the messages about those that cannot be read.
        batch_size: samples a batch.
        seed: of the order.
        num_workers: processes that read; 0 reads in this one, when a batch is asked for.
        rank, world_size: which of how many training processes this is.
        clips_per_read: neighbours of a run at most; 1 reads each clip alone.
        window: batches that the clips of a run are spread over at least; 0 for `clips_per_read`.
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
        window: int = 0,
        pin_memory: bool = False,
    ) -> None:
        max_gap = samples.spec.duration + _NEAR
        self._sampler = RunSampler(
            samples.video_numbers, samples.times, batch_size, seed, clips_per_read, max_gap, rank, world_size, window
        )
        self.samples, self.batch_size = samples, batch_size
        self._collate, self._pin_memory = collate, pin_memory
        self._ahead = max(clips_per_read, min(window, len(self._sampler))) * batch_size
        self._pool = WorkerPool(samples.read, num_workers, samples.describe)
        self._num_workers = num_workers

    def __len__(self) -> int:
        """Batches of an epoch, the same on every rank."""
        return len(self._sampler)

    def content(self) -> dict[str, object]:
        """What identifies the samples, see `VideoSamples.content`."""
        return self.samples.content()

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


class JointLoader:
    """Batches of two loaders, so that each step has some of the first and then one of the second.

    An epoch is one of the first; the second goes on from epoch to epoch as long as it takes.

    Args:
        first, second: what to take batches from.
        per_step: batches of the first in each step.
    """

    def __init__(self, first: TrainLoader, second: TrainLoader, per_step: int) -> None:
        self.samples, self.batch_size = first.samples, first.batch_size
        self._first, self._second, self._per_step = first, second, per_step

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self._steps * (self._per_step + 1)

    def content(self) -> dict[str, object]:
        """What identifies the samples of both."""
        first, second = self._first.content(), self._second.content()
        return first | {f"clip_{name}": value for name, value in second.items()}

    @property
    def _steps(self) -> int:
        return max(len(self._first) // self._per_step, 1)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """As `TrainLoader.epoch`; `start` is where a step begins."""
        step = start // (self._per_step + 1)
        first, second = self._first.epoch(epoch, step * self._per_step), self._endless(epoch * self._steps + step)
        for _ in range(step, self._steps):
            yield from islice(first, self._per_step)
            yield next(second)

    def _endless(self, start: int) -> Iterator[Batch]:
        epoch, start = divmod(start, len(self._second))
        while True:
            yield from self._second.epoch(epoch, start)
            epoch, start = epoch + 1, 0


class ViewLoader:
    """Reads the views of labelled clips and hands them out in batches.

    What a batch holds follows from the batch's number alone, not from how many processes there are.

    Memory: at most 2 * num_workers clips are held, read or being read, of views.num_views * T * H * W * 3 bytes each,
    and those of a batch.

    Args:
        views: what to read.
        collate: makes a batch of a list of samples and of the messages about those that cannot be read.
        batch_size: views a batch at most.
        num_workers: processes that read; 0 reads in this one.
        rank, world_size: which of how many processes this is; blocks of clips are dealt out to them in turn.
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
        self._block = max(batch_size // (views.num_views * views.num_crops), 1)
        self._blocks = range(rank, -(-len(views) // self._block), world_size)
        self._ahead = max(2 * num_workers, 1)
        self._pool = WorkerPool(views.read, num_workers, views.describe)

    def __len__(self) -> int:
        """Clips of this process."""
        return sum(map(len, map(self._clips, self._blocks)))

    def __iter__(self) -> Iterator[tuple[list[int], Batch]]:
        """Some views, and of each the index of its clip; clips that cannot be read have none, and are in its `failed`.

        Raises:
            UserError: if a process that reads died.
        """
        runs = (Run(0, np.array([index])) for block in self._blocks for index in self._clips(block))
        read = self._pool.map(runs, self._ahead)
        for block in self._blocks:
            views, failed = [], []
            for index in self._clips(block):
                (moments,) = next(read)
                if isinstance(moments, UserError):
                    failed.append(str(moments))
                else:
                    views += [(index, view) for moment in moments for view in self.views.cuts(moment)]
            for first in range(0, max(len(views), 1), self._batch_size):
                some = views[first : first + self._batch_size]
                batch = self._collate([view for _, view in some], [] if first else failed)
                yield [index for index, _ in some], batch.pin_memory() if self._pin_memory else batch

    def _clips(self, block: int) -> range:
        return range(block * self._block, min((block + 1) * self._block, len(self.views)))
