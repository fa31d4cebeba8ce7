"""Boxes on disk, so that a video is never detected twice with the same detector."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avsf_det.files import software_versions
from avsf_det.media.source import VideoSource, as_source
from avsf_det.structures import Keyframe, Persons
from detectors.files import write_whole
from detectors.protocol import PersonDetector

Key = tuple[int, int, int]  # microseconds from the start of the video, height and width of the frame


class CachedDetector:
    """A detector that remembers what it found in one video.

    One small .npz file per video and detector, named after the video's content, the detector's identity and the
    versions of the software. Several processes may share the folder: a file is replaced atomically, with what others
    have added to it meanwhile; one that cannot be read is computed again.

    Args:
        detector: asked for the frames that are not in the cache.
        video: the file or source that the frames come from.
        folder: where the cache is kept; it is made if need be.

    Raises:
        UserError: if the video cannot be read; by `detect`, if the folder cannot be written.
    """

    def __init__(self, detector: PersonDetector, video: str | Path | VideoSource, folder: str | Path) -> None:
        self.identity = detector.identity
        self._detector = detector
        key = f"{as_source(video).identity()} {detector.identity} {software_versions()}"
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        self._path = Path(folder) / f"{name}.npz"
        self._found = _read(self._path)

    def detect(self, frames: Sequence[Keyframe]) -> list[Persons]:
        """The persons of each keyframe, best score first; only frames never seen before are detected."""
        keys = [_key(frame) for frame in frames]
        new = {key: frame for key, frame in zip(keys, frames) if key not in self._found}
        if new:
            self._found.update(zip(new, self._detector.detect(list(new.values()))))
            self._found = _read(self._path) | self._found
            _write(self._path, self._found)
        return [self._found[key] for key in keys]


def _key(frame: Keyframe) -> Key:
    height, width = (0, 0) if frame.image is None else frame.image.shape[:2]
    return round(frame.time * 1e6), height, width


def _read(path: Path) -> dict[Key, Persons]:
    try:
        with np.load(path, allow_pickle=False) as file:
            keys, ends = file["keys"], file["ends"]
            arrays = [np.split(file[name], ends[:-1]) for name in ("boxes", "scores", "ids")]
        return {tuple(key.tolist()): Persons(*persons) for key, *persons in zip(keys, *arrays, strict=True)}
    except Exception:  # not there yet, or damaged; there is no end to what numpy may raise then
        return {}


def _write(path: Path, found: dict[Key, Persons]) -> None:
    content = io.BytesIO()
    np.savez(
        content,
        keys=np.array(list(found)),
        ends=np.cumsum([len(persons) for persons in found.values()]),
        boxes=np.concatenate([persons.boxes for persons in found.values()]),
        scores=np.concatenate([persons.scores for persons in found.values()]),
        ids=np.concatenate([persons.ids for persons in found.values()]),
    )
    write_whole(path, content.getvalue())
