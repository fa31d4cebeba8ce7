"""Signals by which a cluster or a user asks a run to stop."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
"""What Kubernetes and torchrun send, Ctrl-C, and what Slurm sends ahead of time (`--signal=USR1@120`)."""


class Stopped(Exception):
    """A run stopped because it was asked to, and everything is saved.

    Attributes:
        signum: the signal that asked.
    """

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.signum = signum


class StopSignals:
    """While the block lasts, a signal of `ASKING` only sets `signum`; a second Ctrl-C interrupts at once."""

    def __init__(self) -> None:
        self.signum = 0
        self._before: dict[int, Callable | int | None] = {}

    def __enter__(self) -> StopSignals:
        try:
            for signum in ASKING:
                self._before[signum] = signal.signal(signum, self._note)
        except ValueError:  # not in the main thread, where signals do not arrive
            pass
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGINT and self.signum == signal.SIGINT:
            raise KeyboardInterrupt
        self.signum = signum
