"""Hashing files, and writing them atomically."""

from __future__ import annotations

import hashlib
from pathlib import Path

from avsf_det.errors import UserError
from avsf_det.files import written_whole


def file_sha256(path: str | Path) -> str:
    """The SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, and its folder if need be, whole or not at all.

    Raises:
        UserError: if it cannot be written.
    """
    try:
        with written_whole(path) as unfinished:
            unfinished.write_bytes(content)
    except OSError as error:
        raise UserError(
            f"cannot write {path} ({error.strerror}); free space or choose another folder (for caches: AVSF_CACHE)"
        ) from None
