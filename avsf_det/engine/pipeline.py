"""Stages that work at the same time: each in a thread of its own, none further ahead than it may be."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")
_GLANCE = 0.1  # seconds between looks at whether the one who takes the items is gone


def ahead(items: Iterator[T], limit: int) -> Iterator[T]:
    """The items, made in a thread of their own while the last ones are being worked on.

    What goes wrong there is raised here, after the items before it. When this is closed, so are `items`, in their
    thread, and that has ended.

    Args:
        items: an iterator that nobody else uses; PyAV, PyTorch and ONNX Runtime let other threads run meanwhile.
        limit: so many may be made and not taken; memory holds one more, which is being made.
    """
    made: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(limit)
    closed = threading.Event()

    def put(item: T | None, error: BaseException | None = None) -> None:
        while not closed.is_set():
            try:
                return made.put((item, error), timeout=_GLANCE)
            except queue.Full:
                continue

    def make() -> None:
        try:
            for item in items:
                put(item)
                del item
                if closed.is_set():
                    break
            put(None, StopIteration())
        except BaseException as error:
            put(None, error)
        finally:
            if hasattr(items, "close"):
                items.close()

    thread = threading.Thread(target=make, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = made.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
            del item
    finally:
        closed.set()
        thread.join()
