"""Files: what they hold in short, and writing them whole."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from avsf_det.errors import UserError
from avsf_det.files import written_whole
from avsf_det.media.source import VideoSource, as_source, start_of

SAMPLES = 16  # of a large file's bytes, evenly spread
SAMPLE_BYTES = 1 << 16


def file_sha256(path: str | Path) -> str:
    """The SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fingerprint(video: str | Path | VideoSource) -> str:
    """A hash of a large file's size and of samples of its bytes, for telling videos apart without reading them.

    That of a folder of frames is of their names and sizes. Where a source begins later than at second 0, that is in it.
    """
    source = as_source(video)
    digest, path = hashlib.sha256(), source.path
    if start_of(source):
        digest.update(f"{start_of(source)} ".encode())
    if path.is_dir():
        with os.scandir(path) as entries:
            frames = sorted(f"{entry.name} {entry.stat().st_size}" for entry in entries)
        digest.update("\n".join([str(source.fps), *frames]).encode())
        return digest.hexdigest()
    size = os.path.getsize(path)
    digest.update(str(size).encode())
    with open(path, "rb") as file:
        for sample in range(SAMPLES):
            file.seek(max(0, size - SAMPLE_BYTES) * sample // (SAMPLES - 1))
            digest.update(file.read(SAMPLE_BYTES))
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
