"""Where videos come from and results go: paths, lists of them, and addresses that fsspec opens, as s3:// and gs://."""

from __future__ import annotations

import csv
import os
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from avsf_det.engine.output import numbered
from avsf_det.engine.result_cache import STATE_FOLDER
from avsf_det.errors import UserError
from avsf_det.files import remove_leftovers, written_whole
from avsf_det.media.address import is_stream, scheme_of
from avsf_det.structures import VIDEO_SUFFIXES
from detectors.files import write_whole

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

LISTS = (".txt", ".csv")
"""What a file that lists videos ends in."""
# What fsspec opens beyond these reaches other files of this machine, archives within files, or any server.
_SUPPORTED = (
    *("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl"),
    *("hdfs", "webhdfs", "sftp", "ssh", "smb", "local", "memory"),
)
_OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "az")  # what is put there appears whole or not at all


def is_url(address: object) -> bool:
    """Whether an input or output is neither on a disk of this machine nor a stream."""
    return scheme_of(str(address)) not in ("", "file") and not is_stream(str(address))


def listed(inputs: Sequence[str]) -> list[str]:
    """The inputs, with what a list names in place of the list, and the videos in place of an address that ends in /.

    A list is a .txt, with a path or address a line, or a .csv, with one in the first column; what begins with # is a
    comment. Paths are from the current folder.

    Raises:
        UserError: if a list cannot be read, or names nothing.
    """
    found = []
    for address in (one.removeprefix("file://") for one in inputs):
        if is_url(address):
            found += _videos_within(address) if address.endswith("/") else [address]
        elif Path(address).suffix.lower() in LISTS:
            found += listed(list(_lines(Path(address))))
        else:
            found.append(address)
    return found


def _lines(path: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a list ({error}); expected a path or address a line") from None
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise UserError(f"{path}: a list without a video; expected a path or address a line")
    for line in lines:
        address = next(csv.reader([line]))[0].strip() if path.suffix.lower() == ".csv" else line
        if Path(address).suffix.lower() in LISTS:
            raise UserError(f"{path}: names {address}, a list itself; expected videos and folders")
        yield address


def _videos_within(address: str) -> list[str]:
    files, folder = _filesystem(address)
    try:
        names = (name.rpartition("/")[2] for name in sorted(files.ls(folder, detail=False)))
        names = [name for name in names if name.lower().endswith(VIDEO_SUFFIXES) and not name.startswith(".")]
    except Exception as error:
        raise _unreachable(address, error) from None
    if not names:
        raise UserError(f"{address}: no video in this folder; known suffixes: {' '.join(VIDEO_SUFFIXES)}")
    return [f"{address}{name}" for name in names]


def identity(address: str) -> str:
    """A text that changes whenever what is at an address does, as far as its storage tells: size, date, hash.

    Raises:
        UserError: if nothing is there.
    """
    files, path = _filesystem(address)
    try:
        return f"{address}|{files.ukey(path)}"
    except Exception as error:
        raise _unreachable(address, error) from None


def fetch(address: str, folder: Path) -> Path:
    """Copy what is at an address into a folder, under its own name, unless it is there already.

    Its date is always the same, so that it is the same video when it was fetched again.

    Raises:
        UserError: if it cannot be fetched.
    """
    target = folder / address.rpartition("/")[2]
    if target.exists():
        return target
    files, path = _filesystem(address)
    with written_whole(target) as unfinished:
        try:
            files.get_file(path, str(unfinished))
        except Exception as error:
            raise _unreachable(address, error) from error
        os.utime(unfinished, (0, 0))
    return target


def _filesystem(address: str) -> tuple[AbstractFileSystem, str]:
    """What opens an address or absolute path, and the address as that calls it; raises UserError if nothing does."""
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    if not is_url(address):
        return LocalFileSystem(), address
    if scheme_of(address) not in _SUPPORTED or "::" in address:
        raise UserError(
            f"{address}: addresses of this kind are not supported; expected a path, or an address such as "
            "s3://bucket/film.mp4"
        )
    try:
        return url_to_fs(address)
    except ImportError as error:
        raise UserError(f"{address}: {error}; pip install 'avsf-det[cloud]' brings what s3:// and gs:// need") from None
    except ValueError as error:
        raise UserError(f"{address}: {error}; expected a path, or an address such as s3://bucket/film.mp4") from None
    except Exception as error:  # each kind of storage has its own
        raise _unreachable(address, error) from None


def _unreachable(address: str, error: Exception) -> UserError:
    reason = "nothing is there" if isinstance(error, FileNotFoundError) else f"{type(error).__name__}: {error}"
    return UserError(f"{address}: cannot be reached ({reason}); check the address and your credentials")


class Storage:
    """The folder that results go to, on this machine or by address; whatever is written appears whole or not at all.

    Attributes:
        local: its path; None if it is an address.
    """

    def __init__(self, address: str | Path) -> None:
        self._address = str(address).removeprefix("file://").rstrip("/")
        self.local = None if is_url(self._address) else Path(self._address).absolute()
        self._files, self._root = _filesystem(self._address if self.local is None else str(self.local))

    def place(self, name: str) -> str:
        """Where a file of the folder is, as people are shown it."""
        return f"{self._address}/{name}"

    def read(self, name: str) -> bytes | None:
        """What is in a file; None if it is not there.

        Raises:
            UserError: if the storage cannot be reached.
        """
        try:
            return self._files.cat_file(f"{self._root}/{name}")
        except FileNotFoundError:
            return None
        except Exception as error:
            raise _unreachable(self.place(name), error) from error

    def write(self, name: str, content: bytes) -> None:
        """Write a file; raises UserError if it cannot be written."""
        if self.local:
            write_whole(self.local / name, content)
        else:
            self._write(name, lambda target: self._files.pipe_file(target, content))

    def put(self, file: Path, name: str) -> None:
        """Copy a file of this machine there; raises UserError if it cannot be written."""
        self._write(name, lambda target: self._files.put_file(str(file), target))

    def _write(self, name: str, write_to: Callable[[str], object]) -> None:
        target = f"{self._root}/{name}"
        folder, _, last = target.rpartition("/")
        try:
            if self._address.partition("://")[0] in _OBJECT_STORES:
                write_to(target)
                return
            self._files.makedirs(folder, exist_ok=True)
            unfinished = f"{folder}/.{last}.{uuid.uuid4().hex}.part"
            try:
                write_to(unfinished)
                self._files.mv(unfinished, target)
            except BaseException:
                with suppress(Exception):
                    self._files.rm_file(unfinished)
                raise
        except Exception as error:
            raise _unreachable(self.place(name), error) from error

    def free_name(self, name: str, suffixes: Collection[str], taken: Collection[str], overwrite: bool) -> str:
        """A name for new results: this one, or numbered where a file of the name exists or is in `taken`."""
        for new in numbered(name):
            names = [f"{new}{suffix}" for suffix in suffixes]
            exists = any(self._files.exists(f"{self._root}/{one}") for one in names)
            if not any(one.lower() in taken for one in names) and (overwrite or not exists):
                return new
        raise AssertionError("numbers do not end")

    def remove(self, name: str) -> None:
        """Remove a file, if it exists."""
        with suppress(FileNotFoundError):
            self._files.rm_file(f"{self._root}/{name}")

    def remove_folder(self, name: str) -> None:
        """Remove a folder that has only files in it, if it exists."""
        with suppress(FileNotFoundError):
            for path in self._files.ls(f"{self._root}/{name}", detail=False):
                self._files.rm_file(path)
            self._files.rmdir(f"{self._root}/{name}")

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Whether files of these names are there, with so many bytes each."""
        try:
            return all(self._files.info(f"{self._root}/{name}")["size"] == size for name, size in sizes.items())
        except FileNotFoundError:
            return False
        except Exception as error:
            raise _unreachable(self._address, error) from error

    def remove_leftovers(self, name: str) -> None:
        """Remove what a killed process of this machine left half written of one video's results."""
        if self.local:
            remove_leftovers(self.local)
            remove_leftovers(self.local / STATE_FOLDER / name)


class Attempts:
    """How often each video was begun, counted where all workers see it, and before it can kill the one that does it.

    Args:
        storage: the folder of the results.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage, self._folder = storage, f"{STATE_FOLDER}/.attempts"

    def begin(self, name: str) -> int:
        """Count once more; how often it was begun, with this time.

        Raises:
            UserError: if that cannot be written.
        """
        try:
            before = int(self._storage.read(f"{self._folder}/{name}") or 0)
        except ValueError:
            before = 0
        self._storage.write(f"{self._folder}/{name}", str(before + 1).encode())
        return before + 1

    def end(self, name: str) -> None:
        """Forget it: the video is done, or given up."""
        self._storage.remove(f"{self._folder}/{name}")

    def clear(self) -> None:
        """Forget all: whatever is not done was not the fault of its video."""
        self._storage.remove_folder(self._folder)
