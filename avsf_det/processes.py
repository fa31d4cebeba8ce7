"""How processes are started: not forked from this one, whose threads and decoders they would inherit as they are."""

from __future__ import annotations

import multiprocessing
from multiprocessing import forkserver
from multiprocessing.context import BaseContext


def forkserver_context(module: str) -> BaseContext:
    """What starts processes; its server begins to import a module at once, which takes seconds.

    There is one server; it imports what the first call asks for.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module])
    forkserver.ensure_running()
    return context
