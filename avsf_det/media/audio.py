"""Read the sound of a video by time."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import closing
from functools import lru_cache
from math import ceil

import av
import numpy as np

from avsf_det.media.channels import cancels, is_ambisonic, omnidirectional
from avsf_det.media.track import Track

logger = logging.getLogger(__name__)

# Sound is decoded in blocks of this many whole seconds, counted from time 0, each from a fresh start of the decoder.
_BLOCK = 8
# Decoding starts this many seconds before a block: codecs need what came before (Opus 80 ms, MP3's bit reservoir
# up to nine frames of 26 ms), and so does the resampling filter at both ends of a block.
_MARGIN = 1
# A step in the time stamps of more than this many seconds is a gap in the sound, not rounding.
GAP = 0.005
# Taps of libswresample's filter at the lower of the two rates: flat to within 1 % up to 7.3 of 8 kHz.
_FILTER_SIZE = 128
# Separate channels of a frame from which on PyAV reads past its end.
_MANY_CHANNELS = 8
# Blocks kept for the next reads, of all files together: half a megabyte each, at 16 kHz.
_KEPT = 8


class MonoResampler:
    """Changes the sample rate of mono float audio, by a longer filter than FFmpeg's usual one.

    PyAV's own resampler takes the length of its filter since version 18 only.
    """

    def __init__(self, new_rate: int) -> None:
        """Prepare to give `new_rate` samples per second."""
        self._new_rate = new_rate
        self._source: av.filter.FilterContext | None = None

    def resample(self, frame: av.AudioFrame | None) -> Iterator[av.AudioFrame]:
        """Yield what is ready after one more frame; all of one rate. None is the end."""
        if self._source is None:
            if frame is None or frame.sample_rate == self._new_rate:
                yield from () if frame is None else (frame,)
                return
            self._build(frame)
        self._source.push(frame)
        while True:
            try:
                yield self._sink.pull()
            except (BlockingIOError, EOFError):  # it needs more, or has ended
                return

    def _build(self, frame: av.AudioFrame) -> None:
        graph = av.filter.Graph()
        base = {} if frame.time_base is None else {"time_base": str(frame.time_base)}
        rate = str(frame.sample_rate)
        self._source = graph.add("abuffer", sample_rate=rate, sample_fmt="flt", channel_layout="mono", **base)
        resample = graph.add("aresample", filter_size=str(_FILTER_SIZE))
        form = graph.add("aformat", sample_rates=str(self._new_rate), sample_fmts="flt", channel_layouts="mono")
        self._sink = graph.add("abuffersink")
        self._source.link_to(resample)
        resample.link_to(form)
        form.link_to(self._sink)
        graph.configure()
        self._graph = graph


class AudioReader:
    """The sound of a file by time: mono, at one sample rate. A context manager.

    Sound is decoded and resampled in blocks on a fixed grid of the clock, so a sample has the same value in whatever
    span it is read, and memory does not grow with the file. The last blocks are kept for whoever opens the file next.

    Attributes:
        sample_rate: samples per second of what it returns.
    """

    def __init__(self, path: str | os.PathLike[str], sample_rate: int = 16000) -> None:
        """Open the file at `path`; raises UserError if it is missing, empty or not media."""
        self.sample_rate = sample_rate
        self._path = path
        with closing(Track(path, "audio")) as sound:
            self.has_audio = sound.stream is not None
        file = os.stat(path)
        self._version = file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def read(self, start: float, end: float) -> np.ndarray:
        """The sound from `start` to `end` seconds on the clock.

        Returns:
            (S,) float32 within about -1..1, S = round((end - start) * sample_rate): the mean of all channels. Zeros
            wherever the file has no sound.
        """
        first = round(start * self.sample_rate)
        samples = np.zeros(round((end - start) * self.sample_rate), dtype=np.float32)
        if not self.has_audio:
            return samples
        size = _BLOCK * self.sample_rate
        for index in range(max(first // size, 0), ceil((first + len(samples)) / size)):
            block_first = index * size - first
            into = slice(max(block_first, 0), min(block_first + size, len(samples)))
            block = _block(self._path, self._version, index, self.sample_rate)
            samples[into] = block[into.start - block_first : into.stop - block_first]
        return samples


@lru_cache(maxsize=_KEPT)
def _block(path: str | os.PathLike[str], version: tuple[int, ...], index: int, sample_rate: int) -> np.ndarray:
    """One block of a file; `version` changes when the file does."""
    start = index * _BLOCK - _MARGIN
    span, rate = decode_span(path, start, start + _BLOCK + 2 * _MARGIN)
    mono = sum(span.T) / np.float32(span.shape[1])
    if cancels(span, mono):
        _warn_of_cancellation(os.fspath(path))
    resampled = _resample(mono, rate, sample_rate)
    return resampled[_MARGIN * sample_rate :][: _BLOCK * sample_rate].copy()


@lru_cache(maxsize=_KEPT)
def _warn_of_cancellation(path: str) -> None:
    logger.warning(
        "%s: the two audio channels cancel each other (one is phase-inverted), so the mono mix is almost silent; "
        "keep one of them, for example: ffmpeg -i IN -c:v copy -af pan=mono|c0=c0 OUT.mp4",
        path,
    )


def decode_span(path: str | os.PathLike[str], start: int, end: int) -> tuple[np.ndarray, int]:
    """The sound between two whole seconds of the clock as stored, with zeros where there is none.

    The file is opened anew: decoders carry noise generators, and demuxers indexes, from what they met before, and
    the same span must be the same however it was come by.

    Returns:
        (S, C) float32 in -1..1 and its sample rate; S = (end - start) * rate, C the channels of the track.
    """
    with closing(Track(path, "audio")) as sound:
        rate = sound.stream.codec_context.sample_rate
        channels = sound.stream.codec_context.channels
        span = np.zeros(((end - start) * rate, channels), dtype=np.float32, order="F")  # as decoders give it
        for first, samples in _runs(sound, start - _MARGIN, end):
            first -= start * rate
            into = slice(min(max(first, 0), len(span)), max(min(first + len(samples), len(span)), 0))
            span[into] = samples[into.start - first :][: into.stop - into.start]
        return span, rate


def _runs(sound: Track, start: float, end: float) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (first sample on the clock, (S, C)) of each stretch of sound without a gap.

    Time stamps are often rounded to milliseconds; their mean over a stretch says where it starts.
    """
    rate = sound.stream.codec_context.sample_rate
    run: list[np.ndarray] = []
    first = length = drift = 0
    for time, samples in _float_frames(sound, start):
        if time >= end:
            break
        late = time * rate - first - length
        if run and abs(late - drift / len(run)) > GAP * rate:
            yield round(first + drift / len(run)), np.concatenate(run)
            run, length, drift = [], 0, 0
        if not run:
            first, late = time * rate, 0
        run.append(samples)
        length += len(samples)
        drift += late
    if run:
        yield round(first + drift / len(run)), np.concatenate(run)


def _float_frames(sound: Track, start: float) -> Iterator[tuple[float, np.ndarray]]:
    """Yield (time, (S, C) float32 in -1..1) of the frames from `start` on, whatever form each of them has.

    What is no float becomes one within FFmpeg, and what has many channels becomes interleaved there: PyAV reads past
    the end of a frame of eight or more separate ones. In ambisonic audio all channels become the mono mix.
    """
    codec = sound.stream.codec_context
    form = resampler = None
    layout = codec.layout.name
    to = codec.layout, codec.sample_rate  # before the first frame is decoded, which may change them
    plain = "fltp", layout, codec.sample_rate
    for time, frame in sound.decode(start):
        if plain == (frame.format.name, frame.layout.name, frame.sample_rate) and codec.channels < _MANY_CHANNELS:
            samples = frame.to_ndarray().T
            yield time, omnidirectional(samples, layout) if is_ambisonic(layout) else samples
            continue
        if form != (frame.format.name, frame.layout.name, frame.sample_rate):  # may change within a broadcast
            form = frame.format.name, frame.layout.name, frame.sample_rate
            resampler = av.AudioResampler("flt", *to)
        for piece in resampler.resample(frame):
            samples = piece.to_ndarray().reshape(piece.samples, -1)
            yield time, omnidirectional(samples, layout) if is_ambisonic(layout) else samples


def _resample(mono: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """(S,) float32 at another rate; sample 0 keeps its time."""
    if rate == new_rate:
        return mono
    frame = av.AudioFrame.from_ndarray(mono[None], format="flt", layout="mono")
    frame.sample_rate = rate
    resampler = MonoResampler(new_rate)
    pieces = [piece.to_ndarray()[0] for source in (frame, None) for piece in resampler.resample(source)]
    return np.concatenate(pieces)
