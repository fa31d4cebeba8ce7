"""Writing files whole or not at all, and where those are that later runs find again."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]
_UNFINISHED = re.compile(rf"\.{_HOST}-(\d+)\.part(\.\w+)?$")


def cache_folder() -> Path:
    """Where what was fetched or found out is kept for later runs: `$AVSF_CACHE`, else `~/.cache/avsf_det`."""
    return Path(os.environ.get("AVSF_CACHE") or Path.home() / ".cache" / "avsf_det")


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
