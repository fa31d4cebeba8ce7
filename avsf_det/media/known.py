"""The content key of a video, and what probing found out about it, cached for later runs and other processes.

Two videos are the same if their content keys are equal, whatever their names and folders; the caches of boxes, scores
and probe results, and the manifest of a run, all use that key. Probing takes as long as decoding some thirty frames,
and a training on Kinetics opens 240,000 files; `benchmarks/known_videos.py` measures what the cache saves.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat
import threading
from contextlib import suppress
from typing import NamedTuple

import av

from avsf_det import __version__
from avsf_det.errors import UserError
from avsf_det.files import cache_folder

PROBE_VERSION = 2
"""To be raised whenever probing the same file gives something else, as when a field of `VideoInfo` is added."""
# Larger files are identified by their size, date and samples of their bytes, which takes 20 ms; smaller ones by all.
_WHOLE = 64 << 20
_SAMPLES, _SAMPLE_BYTES = 64, 256 << 10
_FOUND_BY = f"{__version__}.{PROBE_VERSION} av {av.__version__}"  # other versions probe again
_WAIT = 1.0  # seconds for another process to finish writing; then this one does without
_TABLES = (
    "CREATE TABLE IF NOT EXISTS contents (path TEXT PRIMARY KEY, state TEXT, content TEXT)",
    "CREATE TABLE IF NOT EXISTS probes (content TEXT, found_by TEXT, found TEXT, PRIMARY KEY (content, found_by))",
)


class FileState(NamedTuple):
    """A file or folder of frames as it is now; in another state its content may be another.

    Attributes:
        path: absolute.
        state: a text that changes whenever the file is written to, even if its size and date are put back.
    """

    path: str
    state: str

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> FileState:
        """The state of a file, or of a folder by the states of the files in it; raises OSError if there is none."""
        if not os.path.isdir(path):
            return cls(os.path.abspath(path), _state(os.stat(path)))
        lines = (f"{os.fsdecode(entry.name)!r} {_state(entry.stat())}" for entry in _frames(path))
        return cls(os.path.abspath(path), hashlib.sha256("\n".join(lines).encode()).hexdigest())


def content_key(path: str | os.PathLike[str]) -> str:
    """A hash of what is in a file, or in the files of a folder of frames; computed once for each state of it.

    Of files above 64 MiB it is of size, modification time and samples.

    Raises:
        UserError: if it cannot be read.
    """
    try:
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise UserError(f"{path}: not a regular file; expected a video file or a folder of frames")
        return CACHE.content(FileState.of(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be opened ({error.strerror}); check the path and its permissions") from None


class KnownFiles:
    """`media.sqlite` in the cache folder, which all processes share: state -> content key -> what probing found.

    If the cache folder cannot be read or written, each process finds out for itself.
    """

    def __init__(self) -> None:
        self._contents: dict[FileState, str] = {}
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, str] | None = None  # by which process, where

    def content(self, state: FileState) -> str:
        """The content key of a file in this state; raises OSError if it cannot be read."""
        if state not in self._contents:
            path, now = _text(state.path), state.state
            found = self._query("SELECT content FROM contents WHERE path = ? AND state = ?", (path, now))
            content = found[0][0] if found else _digest(state.path)
            if not found:
                self._query("INSERT OR REPLACE INTO contents VALUES (?, ?, ?)", (path, now, content))
            self._contents[state] = content
        return self._contents[state]

    def get(self, state: FileState, kind: str = "probe") -> dict | None:
        """What was found out about a file's content, in JSON's types; None if nothing of the kind was."""
        values = (self.content(state), f"{kind} {_FOUND_BY}")
        found = self._query("SELECT found FROM probes WHERE content = ? AND found_by = ?", values)
        with suppress(ValueError):
            return json.loads(found[0][0]) if found else None
        return None

    def tell(self, state: FileState, found: dict, kind: str = "probe") -> None:
        """Keep what was found out about a file's content; one entry of each kind."""
        values = (self.content(state), f"{kind} {_FOUND_BY}", json.dumps(found))
        self._query("INSERT OR REPLACE INTO probes VALUES (?, ?, ?)", values)

    def _query(self, statement: str, values: tuple) -> list[tuple]:
        with self._lock, suppress(sqlite3.Error, OSError, RuntimeError):
            return self._open().execute(statement, values).fetchall()
        return []

    def _open(self) -> sqlite3.Connection:
        """The connection of this process, because one that is shared with a forked one breaks the file."""
        place = os.getpid(), str(cache_folder())
        if self._opened != place:
            self._opened, self._connection = place, None
            path = cache_folder() / "media.sqlite"
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
            for pragma in ("synchronous = OFF", "journal_mode = PERSIST"):  # what a crash loses is found out again
                connection.execute(f"PRAGMA {pragma}")
            for table in _TABLES:
                connection.execute(table)
            self._connection = connection
        if self._connection is None:
            raise OSError("it did not open")
        return self._connection


def _state(now: os.stat_result) -> str:
    return f"{now.st_size} {now.st_mtime_ns} {now.st_ctime_ns} {now.st_ino}"


def _text(path: str) -> str:
    """A path as sqlite can hold it, whatever bytes are in it."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _frames(folder: str | os.PathLike[str]) -> list[os.DirEntry]:
    with os.scandir(folder) as entries:
        return sorted((e for e in entries if e.is_file() and not e.name.startswith(".")), key=lambda e: e.name)


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    if os.path.isdir(path):
        for entry in _frames(path):
            digest.update(f"{entry.name!r} {entry.stat().st_size} ".encode())
            _add_file(digest, entry.path)
    else:
        _add_file(digest, path)
    return digest.hexdigest()


def _add_file(digest: hashlib._Hash, path: str) -> None:
    with open(path, "rb") as file:
        now = os.fstat(file.fileno())
        digest.update(f"{now.st_size} ".encode())
        if now.st_size <= _WHOLE:
            while block := file.read(1 << 20):
                digest.update(block)
            return
        digest.update(f"{now.st_mtime_ns} ".encode())
        for sample in range(_SAMPLES):
            file.seek(max(now.st_size - _SAMPLE_BYTES, 0) * sample // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))


CACHE = KnownFiles()
