"""What `detect` and `classify` keep beside their results: killed runs go on, finished videos are passed over."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from avsf_det.media.shots import as_array
from avsf_det.structures import Persons
from detectors.files import write_whole

FOLDER = ".avsf-det"
"""Within the output folder; it may be deleted at any time, and then all is computed again."""
_COLUMNS = tuple(field.name for field in fields(Persons))


class Kept:
    """The scored chunks of one video, and the note that it is finished.

    All of it was made from inputs that `key` stands for; where the key is another, it is removed and begun anew.

    Args:
        stem: path of the video's results without suffix.
        key: a text that changes whenever persons or scores could.
    """

    def __init__(self, stem: Path, key: str) -> None:
        self._folder = stem.parent / FOLDER / stem.name
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        if _text(self._folder / "key") != digest:
            shutil.rmtree(self._folder, ignore_errors=True)
            write_whole(self._folder / "key", digest.encode())

    def chunk(self, number: int) -> tuple[list[Persons], np.ndarray] | None:
        """What `keep_chunk` kept; None if nothing was, or what is there is damaged."""
        found = self.arrays(number)
        if found is None:
            return None
        try:
            columns = [np.split(found[name], found["ends"][:-1]) for name in _COLUMNS]
            return [Persons(*arrays) for arrays in zip(*columns, strict=True)], as_array(found["changes"])
        except (ValueError, KeyError, IndexError):
            return None

    def keep_chunk(self, number: int, persons: Sequence[Persons], changes: np.ndarray) -> None:
        """Keep the persons of a chunk, at least one keyframe, and what (F, 6) changed meanwhile.

        Raises:
            UserError: if they cannot be written.
        """
        columns = {name: np.concatenate([getattr(found, name) for found in persons]) for name in _COLUMNS}
        ends = np.cumsum([len(found) for found in persons])
        self.keep_arrays(number, {"ends": ends, "changes": changes, **columns})

    def arrays(self, number: int) -> dict[str, np.ndarray] | None:
        """What `keep_arrays` kept as a chunk; None if nothing was, or what is there is damaged."""
        try:
            with np.load(self._chunk_path(number), allow_pickle=False) as file:
                return dict(file)
        except (OSError, ValueError, KeyError, EOFError, IndexError, zipfile.BadZipFile):
            return None

    def keep_arrays(self, number: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep arrays, by their names, as a chunk; raises UserError if they cannot be written."""
        content = io.BytesIO()
        np.savez(content, **arrays)
        write_whole(self._chunk_path(number), content.getvalue())

    def finished(self, how: str) -> dict | None:
        """What was noted when the results were finished in the way that `how` tells; None if one is not as it was."""
        note = _json(self._folder / "finished.json")
        if not isinstance(note, dict) or note.get("how") != how or not isinstance(note.get("files"), dict):
            return None
        return note["result"] if all(_state(Path(path)) == state for path, state in note["files"].items()) else None

    def keep_finished(self, how: str, files: Mapping[str, Path], result: Mapping[str, object]) -> None:
        """Note that the result files are written, and what to say of them; raises UserError if it cannot be noted."""
        states = {str(path): _state(path) for path in files.values()}
        note = {"how": how, "files": states, "result": dict(result)}
        write_whole(self._folder / "finished.json", json.dumps(note).encode())

    def _chunk_path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.npz"


def _state(path: Path) -> list[int] | None:
    """Size and date of a file; None if it is not there."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def _json(path: Path) -> object:
    try:
        return json.loads(_text(path) or "null")
    except (ValueError, RecursionError):
        return None
