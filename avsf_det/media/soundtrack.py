"""The sound track of a written mp4: copied from a file where possible, encoded as AAC otherwise."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from functools import lru_cache
from math import ceil

import av
import numpy as np

from avsf_det.media.audio import decode_span
from avsf_det.media.channels import aac_layout, is_unknown
from avsf_det.media.track import Track

logger = logging.getLogger(__name__)

# Codecs that mp4 carries and ordinary players play.
_COPIED = ("aac", "mp3", "mp3float")
# Sample rates of FFmpeg's AAC encoder.
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_AAC_BIT_RATE_PER_CHANNEL = 96_000
# Whole seconds that are decoded at a time for encoding.
_BLOCK = 8


def copy_sound(
    output: av.container.OutputContainer, path: str | os.PathLike[str], duration: float | None
) -> Iterator[tuple[float, av.Packet]]:
    """Give `output` the sound of the file at `path`, on that file's clock.

    Args:
        output: an mp4 that is being written.
        path: the file with the sound; one without is no error.
        duration: seconds on the clock at which the sound is cut; None is never.

    Returns:
        An iterator over (seconds on the clock, packet to mux).

    Raises:
        UserError: the file is missing, empty or not media.
    """
    with closing(Track(path, "audio")) as sound:
        if sound.stream is None:
            return iter(())
        codec = sound.stream.codec_context
        if codec.name not in _COPIED or (codec.name == "aac" and not codec.extradata):
            end = sound.end() if duration is None else min(sound.end(), duration)
            layout, channels = codec.layout.name, codec.channels
            _log_layout(os.fspath(path), layout, channels)
            return encode_sound(output, _blocks(path, end), codec.sample_rate, layout, channels)
        return _copied(output.add_stream_from_template(sound.stream), path, duration)


def _copied(stream: av.AudioStream, path: str | os.PathLike[str], duration: float | None) -> Iterator:
    with closing(Track(path, "audio")) as sound:
        origin = round(sound.origin / sound.stream.time_base)
        last = None
        for packet in sound.packets():
            stamp = packet.dts if packet.pts is None else packet.pts
            if stamp is None or (last is not None and stamp <= last):  # no place on the clock: mp4 cannot hold it
                continue
            last = stamp
            time = sound.seconds(stamp)
            if duration is not None and time >= duration:
                return
            packet.pts = packet.dts = stamp - origin
            packet.stream = stream
            yield time, packet


def _blocks(path: str | os.PathLike[str], end: float) -> Iterator[np.ndarray]:
    """(S, C) float32 pieces of the sound of a file from time 0 to `end`, with zeros where there is none."""
    for start in range(0, ceil(end), _BLOCK):
        samples, rate = decode_span(path, start, min(start + _BLOCK, ceil(end)))
        yield samples[: round((end - start) * rate)]


def encode_sound(
    output: av.container.OutputContainer, pieces: Iterator[np.ndarray], rate: int, layout: str, channels: int
) -> Iterator[tuple[float, av.Packet]]:
    """Give `output` an AAC track of (S, C) float32 `pieces` that follow each other from time 0.

    Args:
        output: an mp4 that is being written.
        pieces: the samples in -1..1.
        rate: samples per second; resampled to 48 kHz if AAC does not have it.
        layout, channels: of the pieces; see `aac_layout` for what they become.

    Returns:
        An iterator over (seconds on the clock, packet to mux).
    """
    target, weights = aac_layout(layout, channels)
    if weights is not None:
        pieces, channels = (piece @ weights for piece in pieces), weights.shape[1]
    stream = output.add_stream("aac", rate=rate if rate in _AAC_RATES else 48000, layout=target)
    stream.bit_rate = _AAC_BIT_RATE_PER_CHANNEL * channels
    return _encoded(stream, pieces, rate)


@lru_cache(maxsize=256)
def _log_layout(path: str, layout: str, channels: int) -> None:
    """Log once per file what its audio becomes, if not itself."""
    target, weights = aac_layout(layout, channels)
    if weights is not None:
        mixed = f"{channels} audio channels" if is_unknown(layout) else f"{channels} audio channels ({layout})"
        logger.info("%s: %s are mixed to %s in the annotated video", path, mixed, target)
    elif is_unknown(layout) and channels > 2:
        lfe = "; of channel 4 (LFE) only low frequencies remain" if target.endswith(".1") else ""
        logger.info("%s: the layout of %d audio channels is unknown; written as %s%s", path, channels, target, lfe)


def _encoded(stream: av.AudioStream, pieces: Iterator[np.ndarray], rate: int) -> Iterator:
    position = 0
    for piece in pieces:
        # interleaved, because PyAV writes past the end of a frame of eight or more separate channels
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(piece, dtype=np.float32).reshape(1, -1), format="flt", layout=stream.layout
        )
        frame.sample_rate = rate
        frame.time_base = Fraction(1, rate)
        frame.pts = position
        position += len(piece)
        for packet in stream.encode(frame):
            yield float(packet.pts * packet.time_base), packet
    for packet in stream.encode(None):
        yield float(packet.pts * packet.time_base), packet
