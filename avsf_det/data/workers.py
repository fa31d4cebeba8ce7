"""Processes that read for this one, and end when it does."""

from __future__ import annotations

import io
import pickle
import queue
import signal
import threading
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import torch

from avsf_det.errors import UserError
from avsf_det.media import track
from avsf_det.processes import forkserver_context

_ALIGNED = 64  # bytes, of tensors in shared memory
# What an exit code is often a sign of, and what then helps.
_SIGNS = {
    -9: "memory may have run out: set TRAIN.NUM_WORKERS lower",
    -11: "a decoder may have failed on the file: leave it out of the dataset",
    1: "a program that trains begins with `if __name__ == '__main__':`",
}


class WorkerPool:
    """A function, called in other processes.

    They start with the first call and stay. They are not forked from this process, whose threads and decoders they
    would inherit in whatever state these are, but from a server that has done nothing but import, so that they cost
    one import together. Each ends when its pipe to this process closes, however this process ended.

    Args:
        function: what is called; it and its results must be picklable. Tensors come back in shared memory.
        num_workers: processes; 0 calls it in this one.
        describe: says in words what an argument stands for, for errors.
    """

    def __init__(self, function: Callable, num_workers: int, describe: Callable[[object], str]) -> None:
        self._function, self._num_workers, self._describe = function, num_workers, describe
        self._calls: queue.SimpleQueue = queue.SimpleQueue()
        self._started = False
        if num_workers:
            forkserver_context("avsf_det.data.loader")
        weakref.finalize(self, _end, self._calls, num_workers)

    def map(self, arguments: Iterable[Sequence], ahead: int) -> Iterator:
        """The results, in the order of the arguments; those of `ahead` items in all are made beforehand.

        Raises:
            UserError: if a process died; what it was working on is named.
        """
        if not self._num_workers:
            yield from map(self._function, arguments)
            return
        self._start()
        coming: deque[tuple[int, Future]] = deque()
        try:
            for argument in arguments:
                while coming and sum(size for size, _ in coming) + len(argument) > ahead:
                    yield coming.popleft()[1].result()
                coming.append((len(argument), Future()))
                self._calls.put((coming[-1][1], argument))
            while coming:
                yield coming.popleft()[1].result()
        finally:
            for _, future in coming:
                future.cancel()

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        context = forkserver_context("avsf_det.data.loader")
        for _ in range(self._num_workers):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, self._function), daemon=True)
            process.start()
            there.close()
            threading.Thread(target=_converse, args=(process, here, self._calls, self._describe), daemon=True).start()


def in_thread(function: Callable, *arguments: object) -> Future:
    """Call a function in a thread that does not keep the program from ending."""
    future = Future()

    def call() -> None:
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return future


def _end(calls: queue.SimpleQueue, num_workers: int) -> None:
    for _ in range(num_workers):
        calls.put(None)


def _converse(process: BaseProcess, connection: Connection, calls: queue.SimpleQueue, describe: Callable) -> None:
    """Pass calls on to one process, until there is None."""
    with connection:
        while (call := calls.get()) is not None:
            future, argument = call
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(_ask(process, connection, argument, describe))
                except Exception as error:
                    future.set_exception(error)


def _ask(process: BaseProcess, connection: Connection, argument: object, describe: Callable) -> object:
    try:
        connection.send(argument)
        error, answer = connection.recv()
    except (EOFError, OSError):
        process.join()
        sign = _SIGNS.get(process.exitcode, "see what it printed above")
        raise UserError(
            f"a loading process ended while reading {describe(argument)} (exit code {process.exitcode}); {sign}"
        ) from None
    if error is not None:
        raise RuntimeError(f"in a loading process, reading {describe(argument)}:\n{error}")
    return _unpacked(*answer)


def _serve(connection: Connection, function: Callable) -> None:
    """Answer calls until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, whose end is heard of through the pipe
    torch.set_num_threads(1)
    track.set_num_threads(1)
    try:
        while True:
            argument = connection.recv()
            try:
                answer = None, _packed(function(argument))
            except Exception:
                answer = traceback.format_exc(), None
            connection.send(answer)
    except (EOFError, OSError):
        return


class _Pickler(pickle.Pickler):
    """Keeps what is in tensors apart."""

    def reducer_override(self, value: object) -> object:
        if type(value) is torch.Tensor:
            return torch.from_numpy, (value.contiguous().numpy(),)
        return NotImplemented


def _packed(value: object) -> tuple[bytes, list[int], torch.Tensor]:
    """A value as bytes, and all that is in its tensors in one piece of shared memory: files open at once are few."""
    buffers: list[memoryview] = []
    file = io.BytesIO()
    _Pickler(file, protocol=5, buffer_callback=lambda buffer: buffers.append(buffer.raw())).dump(value)
    sizes = [buffer.nbytes for buffer in buffers]
    places = _places(sizes)
    shared = torch.empty(places[-1], dtype=torch.uint8).share_memory_()
    for place, buffer in zip(places, buffers):
        shared[place : place + buffer.nbytes].numpy()[:] = buffer
    return file.getvalue(), sizes, shared


def _unpacked(data: bytes, sizes: list[int], shared: torch.Tensor) -> object:
    pieces = [memoryview(shared.numpy())[place : place + size] for place, size in zip(_places(sizes), sizes)]
    return pickle.loads(data, buffers=pieces)


def _places(sizes: list[int]) -> list[int]:
    """Where pieces of these sizes start, and at last where they end."""
    places = [0]
    for size in sizes:
        places.append(places[-1] + -(-size // _ALIGNED) * _ALIGNED)
    return places
