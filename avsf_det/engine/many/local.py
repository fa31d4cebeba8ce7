"""Workers on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from queue import Empty, SimpleQueue

import torch

from avsf_det.engine.many.job import HALTED, Job, Outcome
from avsf_det.engine.many.worker import Closed, Work, Worker, gathered
from avsf_det.errors import describe_error


class LocalEngine:
    """So many processes of this machine, which divide its processors, and its GPUs, among them.

    Args:
        work: what they do.
        workers: how many.
    """

    def __init__(self, work: Work, workers: int) -> None:
        self._work = replace(work, threads=max(1, torch.get_num_threads() // workers))
        self._count = workers

    def outcomes(self, jobs: Sequence[Job]) -> Iterator[Outcome | None]:
        """What became of the jobs, as they are done, and None whenever nothing came for a moment.

        Closed, it ends the workers; they are gone when that returns.
        """
        todo, came = SimpleQueue(), SimpleQueue()
        for job in jobs:
            todo.put(job)
        workers = [Worker(self._work, number) for number in range(min(self._count, len(jobs)))]
        threads = [threading.Thread(target=_drive, args=(worker, todo, came), daemon=True) for worker in workers]
        for thread in threads:
            thread.start()
        try:
            yield from gathered(came, len(jobs))
        finally:
            for worker in workers:
                worker.close()
            for thread in threads:
                thread.join()


def _drive(worker: Worker, todo: SimpleQueue, came: SimpleQueue) -> None:
    """Give one worker jobs until there are none."""
    try:
        while True:
            job = todo.get(block=False)
            came.put(worker.do(job))
    except (Empty, Closed):
        pass
    except Exception as error:
        came.put(Outcome(job.video, job.name, HALTED, describe_error(error)))
    finally:
        worker.close()
