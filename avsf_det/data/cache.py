"""Decoded clips kept on disk, for datasets small enough that each clip need be decoded only once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from avsf_det.data.clip import Clip, ClipSpec, read_clips
from avsf_det.files import software_versions, written_whole
from avsf_det.media.source import VideoSource, as_source


class ClipCache:
    """Decoded clips on disk, one file each.

    Args:
        folder: where.
        spec: what clips are made of; other specs use other files.
    """

    def __init__(self, folder: Path, spec: ClipSpec) -> None:
        self._folder, self._spec = Path(folder), spec
        self._folder.mkdir(parents=True, exist_ok=True)

    def _file(self, path: Path | VideoSource, time: float) -> Path:
        key = f"{as_source(path).identity()}|{time!r}|{self._spec}|{software_versions()}"
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"

    def get(self, path: Path | VideoSource, time: float) -> Clip:
        """The clip at `time`, decoded now if it is not there yet."""
        file = self._file(path, time)
        if not file.is_file():
            self.fill(path, [time])
        with np.load(file) as arrays:
            return Clip(arrays["frames"], arrays.get("log_mel"))

    def fill(self, path: Path | VideoSource, times: Iterable[float]) -> None:
        """Decode the clips at `times` that are not there yet, in one pass over the file."""
        missing = [time for time in sorted(times) if not self._file(path, time).is_file()]
        for time, clip in zip(missing, read_clips(path, missing, self._spec) if missing else ()):
            arrays = {"frames": clip.frames} | ({} if clip.log_mel is None else {"log_mel": clip.log_mel})
            with written_whole(self._file(path, time)) as unfinished:
                np.savez(unfinished, **arrays)
