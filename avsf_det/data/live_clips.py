"""Clips of a stream: put together while it runs, from no more than the last seconds of it."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np

from avsf_det.data.clip import Clip, ClipSpec, log_mel_of
from avsf_det.media.stream import Picture, Stream
from avsf_det.media.video import FROZEN, ROUNDING

LATE_SOUND = 1.0  # seconds for which a clip whose frames are there waits for its sound
# Audio that runs this many seconds ahead of the last frame means that it stays on display; or so many frames, for
# decoders hold some back.
LATE_FRAMES = 10.0, 20


@dataclass(frozen=True)
class LiveClip:
    """A keyframe of a stream.

    Attributes:
        time: seconds on the stream's clock.
        image: (H, W, 3) uint8 RGB, at full size.
        clip: frames and sound around it.
        complete: `time.monotonic()` when the last of it had come.
    """

    time: float
    image: np.ndarray
    clip: Clip
    complete: float


class LiveClips:
    """The clips of a stream at a number of keyframes a second, in the order of their times; read them once.

    They are what `avsf_det.data.clip.read_clips` reads at the same times from the stream's recording, but for sound
    that comes later than `LATE_SOUND`, which is silence. Memory holds a clip's span. While no frame comes and audio
    goes on, the last frame stays on display, and there are keyframes `LATE_FRAMES` behind the audio.

    Args:
        stream: just opened.
        spec: what clips are made of.
        rate: keyframes a second.
    """

    def __init__(self, stream: Stream, spec: ClipSpec, rate: float) -> None:
        self._stream, self._spec, self._rate = stream, spec, rate
        self._keyframes = 0  # whose picture was seen so far
        self._pending: deque[tuple[float, np.ndarray]] = deque()
        self._times: list[float] = []
        self._frames: list[np.ndarray] = []
        self._last: av.VideoFrame | None = None
        self._image: np.ndarray | None = None  # of the last frame, if a keyframe shows it
        seconds, frames = LATE_FRAMES
        self._late = max(seconds, frames / float(stream.fps))
        self._sound = _Window(spec.sample_rate)

    def __iter__(self) -> Iterator[LiveClip]:
        for piece in self._stream.pieces():
            if not isinstance(piece, Picture):
                self._sound.add(piece.time, piece.samples)
                self._see_keyframes(self._sound.end - self._late)
            elif not self._times or piece.time > self._times[-1]:
                self._add(piece)
            while self._pending and self._complete(self._pending[0][0]):
                yield self._next()
        if self._times:
            frozen = self._sound.end > self._times[-1] + FROZEN
            self._see_keyframes(self._sound.end if frozen else self._times[-1])
        while self._pending:
            yield self._next()

    def _add(self, picture: Picture) -> None:
        self._see_keyframes(picture.time - 2 * ROUNDING)
        self._times.append(picture.time)
        self._frames.append(self._stream.image(picture.frame, self._spec.short_side))
        self._last, self._image = picture.frame, None

    def _see_keyframes(self, until: float) -> None:
        """Take the last frame's picture for the keyframes at which it is on display, up to a time."""
        while self._last is not None and (center := self._keyframes / self._rate) <= until + ROUNDING:
            if self._image is None:
                self._image = self._stream.image(self._last)
            self._pending.append((center, self._image))
            self._keyframes += 1

    def _complete(self, center: float) -> bool:
        newest, heard = max(self._times[-1], self._sound.end - self._late), self._spec.sound_span(center)[1]
        if newest <= self._spec.frame_times(center)[-1] + ROUNDING:
            return False
        return not self._stream.has_audio or self._sound.end >= heard or newest > heard + LATE_SOUND

    def _next(self) -> LiveClip:
        center, image = self._pending.popleft()
        rows = [max(bisect_right(self._times, t + ROUNDING) - 1, 0) for t in self._spec.frame_times(center)]
        frames = np.stack([self._frames[row] for row in rows])
        log_mel = None
        if self._stream.has_audio:
            log_mel = log_mel_of(self._sound.read(*self._spec.sound_span(center)), self._spec).numpy()
        self._forget((self._pending[0][0] if self._pending else self._keyframes / self._rate) - self._spec.duration)
        return LiveClip(center, image, Clip(frames, log_mel), time.monotonic())

    def _forget(self, before: float) -> None:
        """Let go of what no clip at later keyframes needs."""
        first = max(bisect_right(self._times, before) - 1, 0)
        del self._times[:first], self._frames[:first]
        self._sound.forget(before - self._spec.duration)


class _Window:
    """The last seconds of a sound.

    Attributes:
        end: seconds on the clock until which it has come.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate, self.end = sample_rate, 0.0
        self._pieces: deque[tuple[int, np.ndarray]] = deque()

    def add(self, start: float, samples: np.ndarray) -> None:
        self._pieces.append((round(start * self._rate), samples))
        self.end = start + len(samples) / self._rate

    def read(self, start: float, end: float) -> np.ndarray:
        """(S,) float32; zeros where nothing came."""
        first = round(start * self._rate)
        found = np.zeros(round((end - start) * self._rate), dtype=np.float32)
        for place, samples in self._pieces:
            place -= first
            into = slice(min(max(place, 0), len(found)), max(min(place + len(samples), len(found)), 0))
            if into.start < into.stop:
                found[into] = samples[into.start - place : into.stop - place]
        return found

    def forget(self, before: float) -> None:
        while self._pieces and self._pieces[0][0] + len(self._pieces[0][1]) < before * self._rate:
            self._pieces.popleft()
