"""Workers on a cluster, or in place, by Ray Data."""

from __future__ import annotations

import logging
import os
import pickle
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from queue import SimpleQueue

from avsf_det.engine.many.job import HALTED, Job, Outcome
from avsf_det.engine.many.worker import Work, Worker, gathered
from avsf_det.errors import UserError, describe_error

OBJECT_STORE = 200 << 20  # bytes of shared memory in place: jobs and outcomes are small
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_worker_niceness": "0",  # at Ray's own, 15, a busy machine gives actors next to nothing
    "RAY_ENABLE_AUTO_CONNECT": "0",  # what still runs when it was shut down would start it anew
}


class RayEngine:
    """Actors with a worker each. Ray Data hands out the jobs, and those of an actor that died to another.

    Args:
        work: what the workers do.
        workers: how many; None is one for each GPU, or else for each processor.
        address: of a cluster; None starts Ray in place, until the jobs are done.
        use_gpus: whether each takes a GPU, where there are any.

    Raises:
        UserError: if Ray is not installed, or the cluster cannot be reached.
    """

    def __init__(
        self, work: Work, workers: int | None = None, address: str | None = None, use_gpus: bool = True
    ) -> None:
        self._ray = _import_ray()
        settings = {"logging_level": logging.ERROR, "log_to_driver": False}
        try:
            if address:
                self._ray.init(address, **settings)
            else:
                cpus = max(workers or 1, len(os.sched_getaffinity(0)))
                here = {"num_cpus": cpus, "object_store_memory": OBJECT_STORE, "include_dashboard": False}
                self._ray.init("local", **settings, **here)
        except (ConnectionError, ValueError, RuntimeError) as error:
            where = f"--address {address}" if address else "in place"
            raise UserError(f"Ray cannot be used {where} ({str(error).splitlines()[0]})") from None
        there = self._ray.cluster_resources()
        gpus, cpus = int(there.get("GPU", 0)) if use_gpus else 0, max(1, int(there.get("CPU", 1)))
        self._count = workers or gpus or cpus
        self._each = {"num_cpus": 1, "num_gpus": 1 if gpus else 0}
        self._work = replace(work, threads=max(1, cpus // self._count))

    def outcomes(self, jobs: Sequence[Job]) -> Iterator[Outcome | None]:
        """What became of the jobs, as they are done, and None whenever nothing came for a moment.

        Closed, it ends the actors, and Ray where that was started in place.
        """
        came = SimpleQueue()
        threading.Thread(target=self._run, args=(jobs, came), daemon=True).start()
        try:
            yield from gathered(came, len(jobs))
        finally:
            self._ray.shutdown()

    def _run(self, jobs: Sequence[Job], came: SimpleQueue) -> None:
        from ray.data import ActorPoolStrategy, DataContext, from_items

        context = DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        try:
            # a block a job: what is handed out, tried again and told of at once
            items = from_items([{"job": pickle.dumps(job)} for job in jobs], override_num_blocks=len(jobs))
            pool = ActorPoolStrategy(size=min(self._count, len(jobs)), max_tasks_in_flight_per_actor=1)
            done = items.map(_Actor, fn_constructor_args=(self._work,), compute=pool, **self._each)
            for batch in done.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=0):
                for outcome in batch["outcome"]:
                    came.put(pickle.loads(outcome))
        except Exception as error:
            came.put(Outcome("", "", HALTED, f"Ray gave up: {str(error).strip().splitlines()[-1]}"))


class _Actor:
    """What Ray Data calls with each job; its worker is a process of its own, so that it outlives what that dies of."""

    def __init__(self, work: Work) -> None:
        self._worker = Worker(work)

    def __call__(self, row: dict) -> dict:
        job = pickle.loads(row["job"])
        try:
            outcome = self._worker.do(job)
        except Exception as error:
            outcome = Outcome(job.video, job.name, HALTED, describe_error(error))
        return {"outcome": pickle.dumps(outcome)}


def _import_ray() -> object:
    """Ray, which talks to nobody but us; raises UserError if it is not installed."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UserError(
            f"{error.name} is not installed, which --engine ray needs; pip install 'avsf-det[ray]'"
        ) from None
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters is raised
    return ray
