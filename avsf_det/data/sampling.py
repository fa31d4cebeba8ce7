"""Which samples make which batch: shuffled, and yet such that clips whose frames overlap are read together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from avsf_det.errors import UserError


@dataclass(frozen=True)
class Window:
    """A few consecutive batches, whose samples are read together.

    Attributes:
        runs: for each run the indices of its samples: neighbours in one video, in order of time.
        batches: for each batch the (B,) indices of its samples.
    """

    runs: list[np.ndarray]
    batches: list[np.ndarray]


class RunSampler:
    """The batches of any epoch, for one of several processes.

    An epoch's samples are cut into runs of neighbours, at other places each time, and the runs are shuffled. Each
    process takes an equal share of them, and deals those of a window out to the window's batches, so that neighbours
    are in different batches. What is left over, less than a batch a process, is other samples each epoch. Everything
    follows from the arguments and the epoch.

    Args:
        videos: (S,) int, the video that each sample is of; samples of a video stand together, in order of time.
        times: (S,) seconds.
        batch_size: samples a batch; fewer than that a process in all make one smaller batch.
        seed: of the shuffling.
        run_length: samples of a run at most, and the batches of a window (more where they don't come out even).
        max_gap: seconds between neighbours at most.
        rank, world_size: which of how many processes.
        window: batches of a window at least, so that neighbors are further apart; at most those of an epoch.

    Raises:
        UserError: if there are fewer samples than processes.
    """

    def __init__(
        self,
        videos: np.ndarray,
        times: np.ndarray,
        batch_size: int,
        seed: int,
        run_length: int = 1,
        max_gap: float = np.inf,
        rank: int = 0,
        world_size: int = 1,
        window: int = 0,
    ) -> None:
        if len(times) < world_size:
            raise UserError(f"{len(times)} clips for {world_size} processes; expected at least one for each")
        self._stretch_starts = np.r_[True, (np.diff(videos) != 0) | (np.diff(times) > max_gap)]
        self._batch_size = min(batch_size, len(times) // world_size)
        self._steps = len(times) // (world_size * self._batch_size)
        self._seed, self._run_length, self._rank = seed % 2**63, run_length, rank
        self._window = max(window, run_length)

    def __len__(self) -> int:
        """Batches of an epoch, as many for each process."""
        return self._steps

    def windows(self, epoch: int, start: int = 0) -> Iterator[Window]:
        """The windows of an epoch from its batch number `start` on; the first may lack what came before."""
        order, run_of = self._shuffled_runs(epoch)
        share = order[self._rank * self._steps * self._batch_size :][: self._steps * self._batch_size]
        for numbers in np.array_split(np.arange(self._steps), max(self._steps // self._window, 1)):
            first, end = numbers[0], numbers[-1] + 1
            if end > start:
                samples = share[first * self._batch_size : end * self._batch_size]
                rng = np.random.default_rng((self._seed, epoch, self._rank, first))
                dealt = rng.permutation(len(numbers))[np.arange(len(samples)) % len(numbers)]
                batches = [rng.permutation(samples[dealt == i]) for i in range(len(numbers))]
                samples = samples[dealt >= start - first]
                cuts = np.flatnonzero(np.diff(run_of[samples])) + 1
                yield Window(np.split(samples, cuts), batches[max(start - first, 0) :])

    def _shuffled_runs(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """All samples, run after run, and the number of each sample's run."""
        rng = np.random.default_rng((self._seed, epoch))
        places = np.arange(len(self._stretch_starts))
        starts = places[self._stretch_starts]
        stretch = np.cumsum(self._stretch_starts) - 1
        phase = rng.integers(self._run_length, size=len(starts))
        run_starts = self._stretch_starts | ((places - starts[stretch] + phase[stretch]) % self._run_length == 0)
        run_of = np.cumsum(run_starts) - 1
        return np.argsort(rng.permutation(run_of[-1] + 1)[run_of], kind="stable"), run_of
