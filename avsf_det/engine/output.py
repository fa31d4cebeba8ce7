"""The folder that results go to, and names in it that are safe and belong to nothing else."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from avsf_det.errors import UserError
from avsf_det.files import remove_leftovers

# Bytes of a name without suffix: with what is put around it, as in `.NAME.1a2b3c-4194304.part.html`, `NAME_2` and
# `NAME_classes.csv`, it stays below the 255 that file systems allow.
_LONGEST = 200
# Separators of folders, and invisible characters that make a name look like another.
_UNSAFE = frozenset("/\\\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def make_output(folder: str | Path, setting: str) -> Path:
    """Make a folder if need be, check that files can be written there, and remove what killed runs left half written.

    Args:
        folder: where.
        setting: the option or config key that names it, for the message.

    Raises:
        UserError: if it cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable.{os.getpid()}"
        probe.touch()
        probe.unlink(missing_ok=True)  # another process may have had the same thought
        remove_leftovers(folder)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot write to {folder} ({reason}); choose another folder with {setting}") from None
    return folder


def safe_name(name: str, max_bytes: int = _LONGEST) -> str:
    """A name for the results of a video, made from the video's own: never hidden, never another folder's, not too long.

    Slashes, backslashes and control characters become `_`, bytes that are not UTF-8 their hexadecimal code; dots and
    spaces around the name go; names above `max_bytes` are cut and end in a hash of the whole.

    Example:
        >>> safe_name("my film"), safe_name(".."), safe_name("../etc/passwd")
        ('my film', 'video', '_etc_passwd')
    """
    text = re.sub("[\udc80-\udcff]", lambda byte: f"_{ord(byte[0]) - 0xDC00:02x}", name)
    kept = "".join("_" if c in _UNSAFE or unicodedata.category(c) in ("Cc", "Cs") else c for c in text)
    kept = kept.strip(". ") or "video"
    if len(kept.encode()) > max_bytes:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        kept = kept.encode()[: max_bytes - 17].decode("utf-8", "ignore").rstrip(". ") + f"-{digest}"
    return kept


def numbered(name: str, ending: str = "") -> Iterator[str]:
    """A name, and then the same with 2, 3, ... behind it, each with the same ending."""
    return (f"{name}{ending}" if number == 1 else f"{name}_{number}{ending}" for number in count(1))


def new_stem(name: str, output: Path) -> Path:
    """A path without suffix in `output` of which no file exists yet: the name, numbered if need be."""
    return next(output / new for new in numbered(name) if not any(output.glob(f"{glob.escape(new)}.*")))


def set_aside(*paths: Path) -> None:
    """Rename files and folders that exist, with a number behind their name, so that new ones can take it."""
    for path in paths:
        if path.exists():
            path.rename(next(new for n in count(1) if not (new := path.with_name(f"{path.name}.{n}")).exists()))
