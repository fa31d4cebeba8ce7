"""Where a video is on disk: a file or a folder of frames, with its own sound or another file's, whole or cut."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import numpy as np

from avsf_det.errors import UserError
from avsf_det.media.audio import AudioReader
from avsf_det.media.frame_folder import FrameFolderReader, frame_names
from avsf_det.media.known import content_key
from avsf_det.media.track import Track
from avsf_det.media.video import DecodedFrame, VideoInfo, VideoReader, probe
from avsf_det.structures import VIDEO_SUFFIXES

logger = logging.getLogger(__name__)

SOUND_SUFFIXES = (".wav", ".m4a", ".flac", ".mp3", ".aac", ".ogg", ".opus", *VIDEO_SUFFIXES)
"""What a file in a folder of sounds may end in."""
CUT_START = 900.0
"""Second of the film at which AVA's cut begins (PySlowFast datasets/DATASET.md: `ffmpeg -ss 900 -t 901`)."""
CUT_LENGTHS = (890.0, 910.0)
"""Seconds between which a file is taken for that cut; the films themselves last 1800 at least."""


@dataclass(frozen=True)
class VideoSource:
    """A video on disk, and where it lies on its dataset's clock.

    Attributes:
        path: the file, or the folder of its frames as pictures.
        start: second of the dataset's clock at which it begins; None is `CUT_START` for what lasts as long as AVA's
            cut (`CUT_LENGTHS`), and 0 for anything else.
        fps: pictures a second of a folder.
        sound: where the sound is if not in `path`; with a start of its own.
    """

    path: Path
    start: float | None = 0.0
    fps: float = 30.0
    sound: VideoSource | None = None

    def __str__(self) -> str:
        return str(self.path)

    @property
    def stem(self) -> str:
        """The video's id: the name of the folder, or that of the file without its suffix."""
        return self.path.name if self.path.is_dir() else self.path.stem

    def identity(self) -> str:
        """A hash that changes whenever what is read from the source could: its content and its place on the clock.

        Equal for copies of a video, whatever their names. See `avsf_det.media.known.content_key`.

        Raises:
            UserError: if it cannot be read.
        """
        rate = f" {self.fps}" if self.path.is_dir() else ""
        audio = f" {self.sound.identity()}" if self.sound else ""
        text = f"{content_key(self.path)} {self.start}{rate}{audio}"
        return hashlib.sha256(text.encode()).hexdigest()


def as_source(video: VideoSource | str | os.PathLike[str]) -> VideoSource:
    """A source; a plain path is one that begins at second 0 and has its own sound."""
    return video if isinstance(video, VideoSource) else VideoSource(Path(video))


def find_sources(
    videos: Path | None,
    frames: Path | None = None,
    sounds: Path | None = None,
    start: float | None = 0.0,
    fps: float = 30.0,
    rates: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, VideoSource]:
    """The videos of a dataset by their ids.

    A video with a folder of frames is read from that, else from its file. Its sound is that of its file in `sounds`,
    else its own, which for frames is that of its file in `videos`.

    Args:
        videos: folder of files `<video id>.<suffix>`.
        frames: folder of folders `<video id>/`.
        sounds: folder of files `<video id>.<suffix>`.
        start, fps: as in `VideoSource`.
        rates: video id -> fps of those that differ.
    """
    files = _by_stem(videos, VIDEO_SUFFIXES, start)
    others = _by_stem(sounds, SOUND_SUFFIXES, start)
    found = {name: replace(source, sound=others.get(name)) for name, source in files.items()}
    if frames and frames.is_dir():
        with os.scandir(frames) as entries:
            folders = sorted(entry.name for entry in entries if entry.is_dir())
        for name in folders:
            found[name] = VideoSource(frames / name, start, rates.get(name, fps), others.get(name) or files.get(name))
    return found


def _by_stem(folder: Path | None, suffixes: tuple[str, ...], start: float | None) -> dict[str, VideoSource]:
    if not folder or not folder.is_dir():
        return {}
    found: dict[str, VideoSource] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in suffixes or path.name.startswith("."):
            continue
        if path.stem in found:
            logger.warning("%s: ignored, because %s has the same name", path, found[path.stem].path.name)
        found.setdefault(path.stem, VideoSource(path, start))
    return found


def start_of(video: VideoSource | str | os.PathLike[str]) -> float:
    """The second of the dataset's clock at which a source begins.

    Raises:
        UserError: if that hangs on its length, and it cannot be read.
    """
    source = as_source(video)
    if source.start is not None:
        return source.start
    try:
        modified = source.path.stat().st_mtime_ns
    except OSError as error:
        raise UserError(f"{source.path}: cannot be opened ({error.strerror}); check the path") from None
    shortest, longest = CUT_LENGTHS
    return CUT_START if shortest <= _length(source.path, source.fps, modified) <= longest else 0.0


@lru_cache(maxsize=4096)
def _length(path: Path, fps: float, modified: int) -> float:
    """Seconds that a file's video, or else its audio, or a folder of frames lasts."""
    if path.is_dir():
        names = frame_names(path)
        return (int(names.numbers[-1]) - names.origin + 1) / fps
    for kind in ("video", "audio"):
        with closing(Track(path, kind)) as track:
            if track.stream is not None:
                return track.end()
    raise UserError(f"{path}: neither picture nor sound that can be decoded; expected a video or a sound file")


def probe_source(video: VideoSource | str | os.PathLike[str]) -> VideoInfo:
    """What a source holds, its times on the dataset's clock.

    Raises:
        UserError: if picture or sound cannot be read.
    """
    source = as_source(video)
    own = FrameFolderReader(source.path, source.fps).info if source.path.is_dir() else probe(source.path)
    info = _moved(own, start_of(source))
    if source.sound is None:
        return info
    with closing(Track(source.sound.path, "audio")) as sound:
        if sound.stream is None:
            return replace(info, has_audio=False, audio_start=0.0, audio_end=0.0, sample_rate=0, channels=0)
        codec, start = sound.stream.codec_context, start_of(source.sound)
        return replace(
            info,
            has_audio=True,
            audio_start=start + (0.0 if sound.stream.start_time is None else sound.seconds(sound.stream.start_time)),
            audio_end=start + sound.end(),
            sample_rate=codec.sample_rate,
            channels=codec.channels,
        )


def open_video(
    video: VideoSource | str | os.PathLike[str], short_side: int | None = None, size: tuple[int, int] | None = None
) -> VideoReader | FrameFolderReader | MovedVideo:
    """A reader of a source's frames, with times on the dataset's clock.

    Raises:
        UserError: if it cannot be read.
    """
    source = as_source(video)
    start = start_of(source)
    if source.path.is_dir():
        reader = FrameFolderReader(source.path, source.fps, short_side, size)
    else:
        reader = VideoReader(source.path, short_side, size)
    return MovedVideo(reader, start) if start else reader


def open_audio(
    video: VideoSource | str | os.PathLike[str], sample_rate: int = 16000
) -> AudioReader | Silence | MovedAudio:
    """A reader of a source's sound, with times on the dataset's clock; without sound its `has_audio` is False.

    Raises:
        UserError: if it cannot be read.
    """
    source = as_source(video)
    source = source.sound or source
    if source.path.is_dir():
        return Silence(sample_rate)
    start = start_of(source)
    reader = AudioReader(source.path, sample_rate)
    return MovedAudio(reader, start) if start else reader


def _moved(info: VideoInfo, start: float) -> VideoInfo:
    """The same with its times on a clock that reads `start` where the file begins."""
    heard = start if info.has_audio else 0.0
    return replace(
        info,
        duration=info.duration + start,
        picture_start=info.picture_start + start,
        audio_start=info.audio_start + heard,
        audio_end=info.audio_end + heard,
    )


class MovedVideo:
    """A reader of frames whose clock reads `start` where the file begins. A context manager.

    Attributes:
        info: what the file holds, on that clock.
        height, width: of the frames it returns, in pixels.
    """

    def __init__(self, reader: VideoReader | FrameFolderReader, start: float) -> None:
        self._reader, self._start = reader, start
        self.info = _moved(reader.info, start)
        self.height, self.width = reader.height, reader.width

    def __enter__(self) -> MovedVideo:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def frames_at(self, times: np.ndarray) -> np.ndarray:
        """The frames on display at the given times; as `VideoReader.frames_at`."""
        return self._reader.frames_at(np.asarray(times, dtype=np.float64) - self._start)

    def decoded(self, start: float = 0.0) -> Iterator[DecodedFrame]:
        """The frames in display order; as `VideoReader.decoded`."""
        for time, image in self._reader.decoded(start - self._start):
            yield DecodedFrame(time + self._start, image)


class MovedAudio:
    """A reader of sound whose clock reads `start` where the file begins. A context manager.

    Attributes:
        has_audio, sample_rate: as in `AudioReader`.
    """

    def __init__(self, reader: AudioReader, start: float) -> None:
        self._reader, self._start = reader, start
        self.has_audio, self.sample_rate = reader.has_audio, reader.sample_rate

    def __enter__(self) -> MovedAudio:
        return self

    def __exit__(self, *exception: object) -> None:
        self._reader.__exit__(*exception)

    def read(self, start: float, end: float) -> np.ndarray:
        """The sound between two seconds; as `AudioReader.read`."""
        return self._reader.read(start - self._start, end - self._start)


class Silence:
    """The sound of what has none. A context manager.

    Attributes:
        has_audio: False.
        sample_rate: samples per second of what it returns.
    """

    has_audio = False

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate

    def __enter__(self) -> Silence:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing is open."""

    def read(self, start: float, end: float) -> np.ndarray:
        """(S,) float32 zeros, S = round((end - start) * sample_rate)."""
        return np.zeros(round((end - start) * self.sample_rate), dtype=np.float32)
