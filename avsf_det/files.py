"""Atomic writes, folders, and the versions that caches go by."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from avsf_det import __version__

RESULTS_VERSION = 2
"""To be raised whenever the same video, model and options give other boxes, scores or tracks than before."""
# Packages whose versions may change what is decoded, detected or scored.
_SOFTWARE = ("av", "torch", "torchvision", "torchaudio", "onnxruntime", "opencv-python-headless", "detectron2")

_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]
_UNFINISHED = re.compile(rf"\.{_HOST}-(\d+)\.part(\.\w+)?$")
_SCRATCH = ".avsf-det-scratch"


def cache_folder() -> Path:
    """Where downloads and caches are: `$AVSF_CACHE`, else `avsf_det` in `$XDG_CACHE_HOME`, else in `~/.cache`."""
    if own := os.environ.get("AVSF_CACHE"):
        return Path(own)
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))  # the standard says to ignore one that is not absolute
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "avsf_det"


@lru_cache(maxsize=1)
def software_versions() -> str:
    """Versions of everything that may change results; part of the key of each cache of boxes and scores."""
    versions = [f"avsf-det {__version__}.{RESULTS_VERSION}"]
    for package in _SOFTWARE:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{package} {importlib.metadata.version(package)}")
    return ", ".join(versions)


def unfinished_path(path: Path) -> Path:
    """Where this process writes what is to become `path`: a hidden file beside it, of the same suffix."""
    return path.with_name(f".{path.stem}.{_HOST}-{os.getpid()}.part{path.suffix}")


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path beside `path`, of the same suffix, to write to; the file there becomes `path` if the block ends well.

    The folder is made if need be. Whatever is raised, `path` is left as it was and nothing half written stays.
    """
    unfinished = unfinished_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        os.replace(unfinished, path)
    finally:
        with suppress(OSError):
            unfinished.unlink()


def make_scratch(folder: Path) -> Path:
    """Make a folder for temporary files, with the marker that lets `remove_scratch` remove it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _SCRATCH).touch()
    return folder


def remove_scratch(folder: Path) -> None:
    """Remove a folder with all that is in it, if `make_scratch` made it; any other folder stays."""
    if not folder.is_symlink() and (folder / _SCRATCH).is_file():
        shutil.rmtree(folder, ignore_errors=True)


def walk_folder(folder: str | os.PathLike[str]) -> Iterator[tuple[Path, list[str]]]:
    """Each folder below one, and itself, with the names of its files in order; hidden ones are skipped.

    Links are followed, but each folder is visited only once, since links may form a loop.
    """
    visited = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if real not in visited else []
        if real not in visited:
            visited.add(real)
            yield Path(parent), sorted(name for name in names if not name.startswith("."))


def remove_leftovers(folder: Path) -> None:
    """Remove what processes of this machine that were killed have left half written in a folder."""
    for path in folder.glob(".*.part*"):
        found = _UNFINISHED.search(path.name)
        if found and not _runs(int(found[1])):
            with suppress(OSError):
                path.unlink()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's; no process at all, but what is it then?
        pass
    return True
