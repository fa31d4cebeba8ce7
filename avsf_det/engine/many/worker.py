"""A process that does one job after the other, and what is done when it dies or takes too long."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from queue import Empty, SimpleQueue

from tqdm import tqdm

from avsf_det.engine.many.job import FAILED, HALTED, Job, Outcome, attempt
from avsf_det.engine.many.storage import Attempts, Storage
from avsf_det.errors import UserError, describe_error
from avsf_det.media import track
from avsf_det.processes import forkserver_context, log_to_stderr

ATTEMPTS = 3  # at a video whose worker dies
TICK = 0.2  # seconds for which outcomes are waited for at a time


@dataclass(frozen=True)
class Work:
    """What workers do, wherever they are; picklable.

    Attributes:
        opener: called once in each worker, gives what does a job.
        storage: the folder of the results.
        time_limit: seconds that a job may take; None is as long as it likes.
        threads: that each worker computes and decodes with.
    """

    opener: Callable[[], Callable[[Job], Outcome]]
    storage: Storage
    time_limit: float | None = None
    threads: int = 1


class Closed(Exception):
    """The worker was closed while it worked."""


class Worker:
    """One process, made with the first job; where it dies, or is ended for its slowness, another takes its place.

    It ends when this process does, however that ends.

    Args:
        work: what it does.
        number: of this worker among those of the machine, by which GPUs are shared out.
    """

    def __init__(self, work: Work, number: int = 0) -> None:
        self._work, self._number, self._attempts = work, number, Attempts(work.storage)
        self._process, self._connection = None, None
        self._lock, self._closed = threading.Lock(), False

    def do(self, job: Job) -> Outcome:
        """Do a job, again where its worker dies, `ATTEMPTS` times in all: counted on disk, and whoever began them.

        Raises:
            Closed: if `close` was called.
            UserError: if attempts cannot be counted, or workers die before they have begun.
        """
        began, code = time.monotonic(), None
        while True:
            if refused := self._open(job):
                return refused
            who = f"{socket.gethostname()}:{self._process.pid}"
            number = self._attempts.begin(job.name)
            if number > ATTEMPTS:
                reason = f"{job.video}: killed its worker {ATTEMPTS} times{_sign(code)}; leave it out, or repair it"
                outcome, number = Outcome(job.video, job.name, FAILED, reason), ATTEMPTS
            else:
                outcome = self._ask(job)
            if outcome is not None:
                break
            code = self._end(job)
        self._attempts.end(job.name)
        if outcome.reused and job.earlier:
            return outcome
        return replace(outcome, seconds=round(time.monotonic() - began, 3), worker=who, attempts=number)

    def close(self) -> None:
        """End the process at once; whoever waits in `do` hears of it."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.kill()
                self._process.join()

    def _open(self, job: Job) -> Outcome | None:
        """See that there is a process that can do jobs; if it says that it cannot, that is what became of the job."""
        code = None
        for _ in range(ATTEMPTS):
            if self._process is not None:
                return None
            with self._lock:
                if self._closed:
                    raise Closed
                context = forkserver_context("avsf_det.engine.many.detection")
                self._connection, there = context.Pipe()
                arguments = there, self._work, self._number
                self._process = context.Process(target=_serve, args=arguments, daemon=True)
                self._process.start()
                there.close()
            try:
                refusal = self._connection.recv()
            except (EOFError, OSError):
                code = self._end(job)
                continue
            if refusal is not None:
                self._end(job)
                return Outcome(job.video, job.name, HALTED, refusal)
        raise UserError(
            f"workers ended{_sign(code)} before they had loaded the model; memory may have run out: fewer --workers"
        )

    def _ask(self, job: Job) -> Outcome | None:
        """What became of a job; None if the process died."""
        try:
            self._connection.send(job)
            if self._connection.poll(self._work.time_limit):
                return self._connection.recv()
        except (EOFError, OSError):
            return None
        self._end(job)
        reason = f"{job.video}: not done within {self._work.time_limit:g} s; see if it plays, or raise --time-limit"
        return Outcome(job.video, job.name, FAILED, reason)

    def _end(self, job: Job) -> int | None:
        """Do away with the process, and with what it left half written; its exit code."""
        with self._lock:
            process, self._process = self._process, None
            process.kill()
            process.join()
            self._connection.close()
            self._work.storage.remove_leftovers(job.name)
            if self._closed:
                raise Closed
        return process.exitcode


def _sign(code: int | None) -> str:
    """An exit code in brackets, and the signal by its name."""
    if code is None:
        return ""
    return f" ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"


def _serve(connection: Connection, work: Work, number: int) -> None:
    """Open, then answer jobs until the pipe closes."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # signals to all processes are for the one that began it, which
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tqdm.set_lock(threading.RLock())  # its own is a semaphore, which leaks when the process is killed
    log_to_stderr(logging.WARNING)
    torch.set_num_threads(work.threads)
    track.set_num_threads(work.threads)
    if torch.cuda.device_count():
        os.environ["LOCAL_RANK"] = str(number % torch.cuda.device_count())
    try:
        try:
            do = work.opener()
        except Exception as error:
            connection.send(describe_error(error))
            return
        connection.send(None)
        while True:
            connection.send(attempt(do, connection.recv()))
    except (EOFError, OSError):
        return


def _end_with_parent() -> None:
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def gathered(came: SimpleQueue, count: int) -> Iterator[Outcome | None]:
    """So many outcomes as they come, and None whenever none came for a moment."""
    while count:
        try:
            yield came.get(timeout=TICK)
            count -= 1
        except Empty:
            yield None
