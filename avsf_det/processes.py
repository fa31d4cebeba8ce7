"""How processes are started, and how they keep small.

They are not forked from this one, whose threads and decoders they would inherit as they are.
"""

from __future__ import annotations

import ctypes
import logging
import multiprocessing
import sys
from multiprocessing import forkserver
from multiprocessing.context import BaseContext

from avsf_det.errors import printable


def forkserver_context(module: str) -> BaseContext:
    """What starts processes; its server begins to import a module at once, which takes seconds.

    There is one server; it imports what the first call asks for.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module])
    forkserver.ensure_running()
    return context


class _PrintableFormatter(logging.Formatter):
    """Messages without control characters, which names of files may hold, and which terminals obey."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(printable, super().format(record).split("\n")))


def log_to_stderr(level: int) -> None:
    """Print messages from this level on to stderr, unless logging was set up already."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PrintableFormatter("%(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


def trim_memory() -> None:
    """Give free memory back to the system.

    Where threads hand each other what they made, as decoding and the network do, glibc's heap gets more holes with
    every minute of a film: 170 MB of them in an hour (`benchmarks/long_video.py`), but for this.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
    if trim:
        trim(0)
