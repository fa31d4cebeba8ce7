"""What `detect` and `classify` keep beside their results, in `.avsf-det` of the output folder.

For each video: whose results carry its name, which files were written, and the scores so far. By that an interrupted
run resumes, a finished video is not processed again, no file is replaced that was not written for the same video, and
results are never taken for input.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import json
import logging
import os
import stat
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO

import numpy as np

from avsf_det.engine.output import numbered
from avsf_det.errors import UserError, printable
from avsf_det.media.shots import as_array
from avsf_det.media.source import VideoSource, as_source
from avsf_det.structures import Persons
from detectors.files import file_sha256, write_whole

logger = logging.getLogger(__name__)

STATE_FOLDER = ".avsf-det"
"""Within the output folder. Without it, results of earlier runs count as files of somebody else."""
_RECORD = "results.json"
_INPUT = "is the video itself"
_CHUNKS = "[0-9]" * 6 + ".npz"
_COLUMNS = tuple(field.name for field in fields(Persons))


@dataclass(frozen=True)
class Owner:
    """The video that results are of.

    Attributes:
        name: its absolute path, or its address.
        content: its `VideoSource.identity`, by which a copy elsewhere is the same video; "" if it is not known.
    """

    name: str
    content: str

    @classmethod
    def of(cls, video: Path | VideoSource) -> Owner:
        """The video at a path; raises UserError if it cannot be read."""
        source = as_source(video)
        return cls(os.path.realpath(source.path), source.identity())

    def owns(self, record: Mapping) -> bool:
        """Whether a record is of this video: of the same path, or of the same content."""
        same_content = self.content and record.get("content") == self.content
        return bool(record) and bool(record.get("video") == printable(self.name) or same_content)


class ResultCache:
    """The results of one video under one name: a context manager that no other process can enter meanwhile.

    Args:
        stem: path of the results without suffix.
        owner: the video.
        key: a text that changes whenever boxes or scores could; chunks of another key are ignored.
        files: names of the files that are going to be written.
        overwrite: whether files that were not written for this video may be replaced.

    Raises:
        UserError: on entering, if another process is writing these results, or they would replace something else.
    """

    def __init__(self, stem: Path, owner: Owner, key: str, files: Iterable[str] = (), overwrite: bool = False) -> None:
        self._output, self._folder = stem.parent, stem.parent / STATE_FOLDER / stem.name
        self._owner, self._overwrite, self._files = owner, overwrite, tuple(files)
        self._key = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        self._lock: IO | None = None

    def __enter__(self) -> ResultCache:
        self._lock = _lock(self._folder)
        if self._lock is None:
            raise UserError(
                f"{self._output / self._folder.name}: another process is writing these results; wait for it to end, or "
                "choose another folder with --output"
            )
        try:
            self._claim()
        except BaseException:
            self._lock.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._lock.close()

    def _claim(self) -> None:
        record = _read_record(self._folder)
        self._check_files()
        self._record = record if self._owner.owns(record) else {}
        if self._record.get("key") != self._key:
            for path in self._folder.glob(_CHUNKS) if record else ():
                path.unlink()
            self._record.pop("result", None)
        self._record.setdefault("files", {})
        self._record |= {"video": printable(self._owner.name), "content": self._owner.content, "key": self._key}
        self._write_record()

    def _check_files(self) -> None:
        """Raise UserError if the files that are going to be written would replace something else."""
        taken = conflict(self._output, self._folder.name, self._owner, self._files, locked=True)
        if taken and not (self._overwrite and not taken.endswith(_INPUT)):
            raise UserError(f"{taken}; choose another folder with --output, or replace it with --overwrite")

    def chunk(self, number: int) -> tuple[list[Persons], np.ndarray] | None:
        """What `keep_chunk` kept; None if nothing was, or it is damaged."""
        found = self.arrays(number)
        if found is None:
            return None
        try:
            columns = [np.split(found[name], found["ends"][:-1]) for name in _COLUMNS]
            return [Persons(*arrays) for arrays in zip(*columns, strict=True)], as_array(found["changes"])
        except (ValueError, KeyError, IndexError):
            return None

    def keep_chunk(self, number: int, persons: Sequence[Persons], changes: np.ndarray) -> None:
        """Keep the detections of a chunk, at least one keyframe, and (F, 6) changes between its frames.

        Raises:
            UserError: if they cannot be written.
        """
        columns = {name: np.concatenate([getattr(found, name) for found in persons]) for name in _COLUMNS}
        ends = np.cumsum([len(found) for found in persons])
        self.keep_arrays(number, {"ends": ends, "changes": changes, **columns})

    def arrays(self, number: int) -> dict[str, np.ndarray] | None:
        """What `keep_arrays` kept as a chunk; None if nothing was, it is damaged, or of another key."""
        try:
            with np.load(self._chunk_path(number), allow_pickle=False) as file:
                arrays = dict(file)
            return arrays if str(arrays.pop("key")) == self._key else None
        except (OSError, ValueError, KeyError, EOFError, IndexError, zipfile.BadZipFile):
            return None

    def keep_arrays(self, number: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep arrays, by their names, as a chunk; raises UserError if they cannot be written."""
        content = io.BytesIO()
        np.savez(content, key=np.array(self._key), **arrays)
        write_whole(self._chunk_path(number), content.getvalue())

    def finished(self, how: str) -> dict | None:
        """What `finish` noted; None if the options were others, or a file is missing or was changed."""
        files, result = self._record["files"], self._record.get("result")
        if not isinstance(result, dict) or self._record.get("how") != how:
            return None
        written = self._record.get("written", [])
        return result if all(_unchanged(self._output / name, files.get(name)) for name in written) else None

    @contextmanager
    def writing(self, path: Path) -> Iterator[None]:
        """While the block lasts, a result file is written: it is ours in any state, and then in the one it has.

        Raises:
            UserError: if the file came to be somebody else's while scores were computed.
        """
        if path.name in self._files:
            self._check_files()
        self._record.pop("result", None)
        self._record["files"][path.name] = None
        self._write_record()
        yield
        self._record["files"][path.name] = _state(path)
        self._write_record()

    def finish(self, how: str, files: Iterable[Path], result: Mapping[str, object]) -> None:
        """Note which files were written, by which options, and what to report of them.

        Raises:
            UserError: if it cannot be written.
        """
        self._record |= {"how": how, "written": [path.name for path in files], "result": dict(result)}
        self._write_record()

    def _write_record(self) -> None:
        write_whole(self._folder / _RECORD, json.dumps(self._record).encode())

    def _chunk_path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.npz"


def choose_name(
    name: str,
    output: Path,
    owner: Owner,
    suffixes: Collection[str],
    taken: Collection[str] = (),
    overwrite: bool = False,
    ending: str = "",
) -> str:
    """A name for the results of a video under which they replace nothing: its own, numbered if need be.

    Args:
        name: a `safe_name`.
        output: the folder.
        owner: the video.
        suffixes: what is put behind the name, such as ".mp4", for each file that will be written.
        taken: lower-case names of files that other results of the run will have.
        overwrite: whether files that were not written for this video may be replaced.
        ending: what all names end in, after the number.

    Returns:
        The name; another than the video's is logged with the reason.
    """
    for new in numbered(name, ending):
        names = [f"{new}{suffix}" for suffix in suffixes]
        if blocked := next((one for one in names if one.lower() in taken), ""):
            reason = f"{output / blocked} is an input, or of another video of this run"
        else:
            reason = conflict(output, new, owner, names)
            if not reason or (overwrite and not reason.endswith(_INPUT)):
                return new
        if new == f"{name}{ending}":
            logger.warning("%s; the results get a number behind their name", reason)
    raise AssertionError("numbers do not end")


def conflict(output: Path, name: str, owner: Owner, files: Iterable[str], locked: bool = False) -> str:
    """Why results of a video must not be written under a name: what they would replace; "" if nothing.

    Args:
        output: the folder.
        name: of the results.
        owner: the video.
        files: names of the files that will be written.
        locked: whether this process holds the name's lock.
    """
    folder = output / STATE_FOLDER / name
    record = _read_record(folder)
    if record and not owner.owns(record):
        exists = any("\0" not in file and os.path.lexists(output / file) for file in record["files"])
        if exists or any(folder.glob(_CHUNKS)) or (not locked and _in_use(folder)):
            return f"{output / name} has the results of {record.get('video')}"
        record = {}
    written = record.get("files", {})
    for file in files:
        path = output / file
        if not os.path.lexists(path):
            continue
        if os.path.realpath(path) == owner.name or _is_same(path, owner.name):
            return f"{path} {_INPUT}"
        if file not in written:
            return f"{path} exists and was not written by avsf-det for this video"
        if written[file] and not _unchanged(path, written[file]):
            return f"{path} was changed after avsf-det wrote it"
    return ""


def written_files(output: Path) -> set[str]:
    """The names of the files in a folder that were written there as results."""
    found: set[str] = set()
    with suppress(OSError):
        for folder in (output / STATE_FOLDER).iterdir():
            found.update(_read_record(folder).get("files", {}))
    return found


def record_files(stem: Path, video: str, names: Iterable[str]) -> None:
    """Note that files are, or are going to be, results; raises UserError if that cannot be written.

    For results of which nothing else is kept, such as those of a stream.
    """
    record = {"video": printable(video), "content": "", "files": dict.fromkeys(names)}
    write_whole(stem.parent / STATE_FOLDER / stem.name / _RECORD, json.dumps(record).encode())


def _lock(folder: Path) -> IO | None:
    """An open file that only one process can hold, and that the system releases when it ends; None if it is held."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if folder.is_symlink() or folder.parent.is_symlink():
            raise OSError(errno.ELOOP, "it is a link")
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK  # neither follows a link nor waits for a pipe
        lock = open(os.open(folder / "lock", flags, 0o666), "r+b")  # noqa: SIM115
        if not stat.S_ISREG(os.fstat(lock.fileno()).st_mode):
            lock.close()
            raise OSError(errno.EINVAL, "its lock is not a regular file")
    except OSError as error:
        raise UserError(f"cannot write to {folder} ({error.strerror}); choose another folder with --output") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    except OSError:  # a file system without locks
        pass
    return lock


def _in_use(folder: Path) -> bool:
    """Whether a process is at work in a folder."""
    lock = _lock(folder)
    if lock is not None:
        lock.close()
    return lock is None


def _is_same(path: Path, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except (OSError, ValueError):
        return False


def _state(path: Path) -> list[int | str]:
    """Size, date and hash of a file."""
    now = path.stat()
    return [now.st_size, now.st_mtime_ns, file_sha256(path)]


def _unchanged(path: Path, state: object) -> bool:
    """Whether a file is as it was in a state; one that was copied since, and has another date, is."""
    try:
        size, modified, digest = state
        now = path.stat()
        return now.st_size == size and (now.st_mtime_ns == modified or file_sha256(path) == digest)
    except (OSError, TypeError, ValueError):
        return False


def _read_record(folder: Path) -> dict:
    """What is recorded of results; empty if nothing is, or it is damaged."""
    try:
        record = json.loads((folder / _RECORD).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    good = isinstance(record, dict) and isinstance(record.get("files"), dict)
    return record if good else {}
