"""Read the picture of a video by time."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import partial
from typing import NamedTuple

import av
import numpy as np

from avsf_det.errors import UserError
from avsf_det.media import known
from avsf_det.media.frame_convert import FrameConverter, Orientation
from avsf_det.media.known import FileState
from avsf_det.media.selection import check_frame_size
from avsf_det.media.track import Track

# Within this many seconds, decoding on is taken to be cheaper than a seek, which empties the decoder's pipeline.
_NEAR = 1.0
# A frame counts as due this many seconds before its time: Matroska rounds times to milliseconds.
ROUNDING = 0.0006
FROZEN = 2.0
"""Seconds of audio after the last frame from which on that frame is on display until the audio ends."""
# A header that promises this many seconds more than there are belongs to a file cut off.
_CUT_OFF = 1.0
# Sample aspect ratios beyond this, or below its inverse, are taken for an error in the file and ignored.
_WIDEST_SAMPLE = 4
# No video lasts longer than this many seconds, a week: the time stamps are damaged.
_LONGEST = 7 * 86400.0
# What probing found out in this process; `known` has it for all.
_INFOS: dict[FileState, VideoInfo] = {}


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds; times are seconds on the file's clock.

    Attributes:
        path: the file.
        duration: until when the last frame is on display: its end, or that of audio that goes on for more than
            `FROZEN` seconds after it.
        picture_start: when the first frame is shown.
        fps: the average frame rate.
        width, height: the picture as a player shows it: turned upright, and with square pixels (a picture whose
            samples are wider or narrower than high is stretched in width).
        rotation: degrees by which the stored frame is turned counterclockwise for display: 0, 90, 180 or 270.
        codec: FFmpeg's name of the picture's codec.
        has_audio: whether there is a sound track that can be decoded.
        audio_start, audio_end: when the sound starts and ends; 0 without sound.
        sample_rate, channels: of the sound as stored; 0 without sound.
        missing: seconds that the file's header promises and that are not there, as in a file cut off; else 0.
        mirrored: whether the stored frame is flipped left to right for display, before it is turned.
    """

    path: str
    duration: float
    picture_start: float
    fps: Fraction
    width: int
    height: int
    rotation: int
    codec: str
    has_audio: bool
    audio_start: float
    audio_end: float
    sample_rate: int
    channels: int
    missing: float = 0.0
    mirrored: bool = False


class DecodedFrame(NamedTuple):
    """A frame of the picture.

    Attributes:
        time: seconds on the clock from which it is on display.
        image: gives it at a (height, width) as (height, width, 3) uint8 RGB.
    """

    time: float
    image: Callable[[int, int], np.ndarray]


def probe(path: str | os.PathLike[str]) -> VideoInfo:
    """What the file at `path` holds, from its headers, its first frame and its last packets.

    Raises:
        UserError: the file is missing, empty, cut off, not media, has no picture that can be decoded, or has frames
            too large or too elongated.
    """
    with suppress(OSError):
        if info := _known(os.fspath(path), FileState.of(path)):
            return info
    with closing(Track(path, "video")) as picture:
        return _info(picture)


class VideoReader:
    """The frames of a video by time, as a player displays them, RGB and of one size. A context manager.

    Attributes:
        info: what the file holds.
        height, width: of the frames it returns, in pixels.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        short_side: int | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        """Open the video at `path`.

        Args:
            path: the file.
            short_side: scale frames so that their shorter side has this many pixels, keeping their proportions.
            size: scale frames to exactly this (height, width) instead.

        Raises:
            UserError: as `probe`.
        """
        self._picture = Track(path, "video")
        try:
            self.info = _info(self._picture)
        except BaseException:
            self._picture.close()
            raise
        self.height, self.width = size or scaled(self.info.height, self.info.width, short_side)
        self._cursor = _Cursor(self._picture, self.info)
        self._image = FrameConverter(self.info.path)
        self._passes_broken: set[int | None] = set()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._picture.close()

    @property
    def damaged(self) -> int:
        """How many broken frames were met and skipped so far."""
        return len(self._picture.broken | self._passes_broken)

    def frames(self, start: float = 0.0, end: float | None = None) -> Iterator[tuple[float, np.ndarray]]:
        """Yield (time, (H, W, 3) uint8 RGB) of every frame with start <= time < end, in display order.

        Spans that join repeat no frame and miss none. Times are compared as in `frames_at`.

        Each pass has a decoder of its own, so passes and `frames_at` do not disturb each other.
        """
        for time, image in self.decoded(start):
            if end is not None and time + ROUNDING >= end:
                return
            if time + ROUNDING >= start or start <= 0:
                yield time, image(self.height, self.width)

    def decoded(self, start: float = 0.0) -> Iterator[DecodedFrame]:
        """Yield the frames in display order, from one at or before `start` seconds on; each pass has its own decoder.

        A frame becomes an image only where it is asked for one, and until the next one is taken.
        """
        with closing(Track(self.info.path, "video")) as track:
            track.broken = self._passes_broken
            for time, frame in track.decode(start):
                yield DecodedFrame(time, partial(self._image, frame))

    def frames_at(self, times: Sequence[float] | np.ndarray) -> np.ndarray:
        """The frames on display at the given times.

        Ascending times, also over several calls, decode each part of the video only once.

        Args:
            times: T seconds on the clock in any order. A frame is on display from its time (less half a
                millisecond, for files that round) until the next one's; the first also before, the last also after.

        Returns:
            (T, H, W, 3) uint8 RGB.

        Raises:
            UserError: nothing can be decoded there.
        """
        times = np.asarray(times, dtype=np.float64)
        images = np.empty((len(times), self.height, self.width, 3), dtype=np.uint8)
        shown = image = None
        order = np.argsort(times, kind="stable")
        self._cursor.want(times[order])
        for i in order:
            frame = self._cursor.at(float(times[i]))
            if frame is not shown:
                shown, image = frame, self._image(frame, self.height, self.width)
            images[i] = image
        return images


class _Cursor:
    """A place in the picture that moves forward by decoding and elsewhere by seeking."""

    def __init__(self, picture: Track, info: VideoInfo) -> None:
        self._picture = picture
        self._info = info
        self._frames: Iterator[tuple[float, av.VideoFrame]] = iter(())
        self._current: tuple[float, av.VideoFrame] | None = None
        self._next: tuple[float, av.VideoFrame] | None = None
        self._patience = _NEAR

    def want(self, times: np.ndarray) -> None:
        """Let other frames than those of the (T,) ascending times that are asked for next be left out."""
        self._picture.want(np.maximum(times + ROUNDING, self._info.picture_start).tolist())

    def at(self, time: float) -> av.VideoFrame:
        """The frame on display at `time`, clamped to the picture."""
        time = max(time + ROUNDING, self._info.picture_start)
        if self._current is None or time < self._current[0] or self._keyframe_ahead(time):
            self._seek(time)
        self._move_on(time)
        skipped = self._picture.skipped
        if bisect_right(skipped, time) > bisect_right(skipped, self._current[0]):  # the one wanted was broken
            self._picture.want(())
            self._seek(time)
            self._move_on(time)
        return self._current[1]

    def _move_on(self, time: float) -> None:
        while self._next is not None and self._next[0] <= time:
            self._current, self._next = self._next, next(self._frames, None)

    def _seek(self, time: float) -> None:
        left = self._current[0] if self._current else None
        self._frames = self._picture.decode(min(time, self._info.duration))
        self._current = next(self._frames, None)
        if self._current is None:
            raise UserError(f"{self._info.path}: no frame can be decoded at or before {time:.2f} s; re-encode the file")
        self._next = next(self._frames, None)
        if left is not None and self._current[0] <= left < time:  # in vain: keyframes are further apart
            self._patience *= 2

    def _keyframe_ahead(self, time: float) -> bool:
        """Whether a seek would skip decoding: by the file's index where it has one, else by the distance."""
        here = self._current[0]
        if time - here <= _NEAR:
            return False
        indexed = self._picture.keyframe_between(here + _NEAR, time)
        return time - here > self._patience if indexed is None else indexed


def _info(picture: Track) -> VideoInfo:
    """What the file of a track just opened holds; looked for once, as long as the file does not change."""
    state = FileState.of(picture.path)
    if info := _known(picture.path, state):
        return info
    info = _INFOS[state] = _probe(picture)
    known.CACHE.tell(state, asdict(info) | {"fps": str(info.fps)})
    return info


def _known(path: str, state: FileState) -> VideoInfo | None:
    """What is known of a file in this state."""
    if state not in _INFOS:
        try:
            found = known.CACHE.get(state)
            _INFOS[state] = VideoInfo(**found | {"fps": Fraction(found["fps"]), "path": path})
        except (TypeError, ValueError, KeyError):  # nothing, or nothing that makes sense
            return None
    info = _INFOS[state]
    check_frame_size(path, info.height, info.width)
    return info if info.path == path else replace(info, path=path)


def _probe(picture: Track) -> VideoInfo:
    stream, path = picture.stream, picture.path
    if stream is None:
        raise UserError(f"{path}: no picture that can be decoded; expected a whole video, not only sound or data")
    stored = stream.codec_context
    if stored.width and stored.height:  # before a frame takes memory
        check_frame_size(path, stored.height, max(round(stored.width * sample_aspect(stream)), 1))
    first = next(picture.decode(), None)
    if first is None:
        raise UserError(f"{path}: the picture track has no frame that can be decoded; the file may be cut off")
    start, frame = first
    fps = picture.rate
    counted = stream.frames  # by the header; `end` may open the file anew, and then this stream tells no more
    orientation = Orientation.of(frame)
    height, width = orientation.size(frame.height, max(round(frame.width * sample_aspect(stream)), 1))
    check_frame_size(path, height, width)
    delay = start if picture.by_decoding_time else 0.0
    duration = max(start + float(1 / fps), picture.end() + delay)
    codec = stream.codec_context.name
    with closing(Track(path, "audio")) as sound:
        audio = sound.stream
        known = audio is not None and audio.start_time is not None
        audio_end = sound.end() if audio else 0.0
        if audio_end > duration + FROZEN:
            duration = audio_end
        if not 0 < duration <= _LONGEST:
            raise UserError(
                f"{path}: its time stamps span {duration:.0f} s; expected at most {_LONGEST:.0f} s, and more than 0; "
                "they are damaged: re-encode the file (ffmpeg -i FILE OUTPUT)"
            )
        # AVI's header counts frames; FFmpeg guesses such a file's duration by its size
        in_avi = picture.container.format.name == "avi"
        promised = float(counted / fps) if in_avi else picture.promised
        missing = promised - max(duration, audio_end)
        return VideoInfo(
            path=path,
            duration=duration,
            picture_start=start,
            fps=fps,
            width=width,
            height=height,
            rotation=orientation.rotation,
            codec=codec,
            has_audio=audio is not None,
            audio_start=sound.seconds(audio.start_time) if known else 0.0,
            audio_end=audio_end,
            sample_rate=audio.codec_context.sample_rate if audio else 0,
            channels=audio.codec_context.channels if audio else 0,
            missing=missing if missing > _CUT_OFF else 0.0,
            mirrored=orientation.mirrored,
        )


def sample_aspect(stream: av.VideoStream) -> Fraction:
    """Width of a sample over its height."""
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or Fraction(1)
    return aspect if Fraction(1, _WIDEST_SAMPLE) <= aspect <= _WIDEST_SAMPLE else Fraction(1)


def scaled(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """(height, width) with the shorter side made `short_side`, in proportion."""
    if short_side is None:
        return height, width
    scale = short_side / min(height, width)
    return max(round(height * scale), 1), max(round(width * scale), 1)
