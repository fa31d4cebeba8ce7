"""What was found out about video files, kept for later runs and other processes.

Finding it out takes as long as decoding some thirty frames, and whoever trains on Kinetics has 240,000 files.
`benchmarks/known_videos.py` measures it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from contextlib import suppress
from typing import NamedTuple

import av

from avsf_det import __version__
from avsf_det.files import cache_folder

_BY = f"{__version__} av {av.__version__}"  # who found it out; others look again
_WAIT = 1.0  # seconds for another process to have written; then it is done without
_TABLE = "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, size INT, modified INT, found_by TEXT, found TEXT)"


class FileState(NamedTuple):
    """A file as it is now: where what is known of it is of another state, it is looked at anew.

    Attributes:
        path: absolute.
        size: bytes.
        modified: nanoseconds.
    """

    path: str
    size: int
    modified: int

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> FileState:
        """The state of a file; raises OSError if there is none."""
        stat = os.stat(path)
        return cls(os.path.abspath(path), stat.st_size, stat.st_mtime_ns)


class KnownFiles:
    """What is known of files: `media.sqlite` in the cache folder, which all processes share.

    A cache folder that cannot be read or written is done without.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, str] | None = None  # by which process, where

    def get(self, state: FileState) -> dict | None:
        """What was told of a file in this state, in JSON's types; None if nothing was."""
        found = self._ask(
            "SELECT found FROM files WHERE path = ? AND size = ? AND modified = ? AND found_by = ?", (*state, _BY)
        )
        with suppress(ValueError):
            return json.loads(found[0][0]) if found else None
        return None

    def tell(self, state: FileState, found: dict) -> None:
        """Keep what was found out about a file, in place of what was known of it in another state."""
        self._ask("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", (*state, _BY, json.dumps(found)))

    def _ask(self, statement: str, values: tuple) -> list[tuple]:
        with self._lock, suppress(sqlite3.Error, OSError, RuntimeError):
            return self._open().execute(statement, values).fetchall()
        return []

    def _open(self) -> sqlite3.Connection:
        """The connection of this process, for one that is shared with a forked one breaks the file."""
        place = os.getpid(), str(cache_folder())
        if self._opened != place:
            self._opened, self._connection = place, None
            path = cache_folder() / "media.sqlite"
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
            for pragma in ("synchronous = OFF", "journal_mode = PERSIST"):  # what a crash loses is found out again
                connection.execute(f"PRAGMA {pragma}")
            connection.execute(_TABLE)
            self._connection = connection
        if self._connection is None:
            raise OSError("it did not open")
        return self._connection
