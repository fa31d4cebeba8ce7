"""Which of a file's tracks are read, and how many frames a second they have."""

from __future__ import annotations

import logging
import os
from fractions import Fraction
from itertools import islice

import av
from av.stream import Disposition

from avsf_det.errors import UserError
from avsf_det.media.channels import plain_layout

logger = logging.getLogger(__name__)

# Codecs of cover images, which some files store as a track like any other.
_IMAGES = ("mjpeg", "png", "bmp", "gif", "webp", "tiff", "jpegls", "jpeg2000")
# Packets of a file among which a track of images that moves has more than one.
_FIRST_PACKETS = 500
# Audio that describes or comments on the video.
_SECONDARY = Disposition.comment | Disposition.hearing_impaired | Disposition.visual_impaired | Disposition.dub
# Frame rates beyond this are clock ticks that a header gives in place of a frame rate.
_FASTEST_FRAMES = 1000
_ASSUMED = Fraction(25)
# Frames of more pixels than this, or longer than the shorter side by more than this factor, are refused.
MAX_PIXELS, MAX_ASPECT = 2**25, 32
# Sample rates of audio that exist, in Hz.
SAMPLE_RATES = (1000, 768000)

# Titles that are not UTF-8 are no reason to refuse a video; PyAV takes them as they are since 19, where this is gone.
LENIENT = {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "ignore"}

_reported: set[tuple[str, str]] = set()


def playable(container: av.container.InputContainer) -> list[av.VideoStream | av.AudioStream]:
    """The video and audio tracks that FFmpeg can decode; cover images are not tracks."""
    tracks = [
        stream
        for stream in (*container.streams.video, *container.streams.audio)
        if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic
    ]
    for track in tracks:
        if track.type == "audio":
            plain_layout(track.codec_context)
    return tracks


def best_stream(container: av.container.InputContainer, kind: str) -> av.VideoStream | av.AudioStream | None:
    """The track of a kind, "video" or "audio", that the `ffmpeg` command takes.

    It is the one flagged as default, then the one with the most pixels or channels, then the first. A track of a
    single image is taken only where there is no other, and audio for the impaired or of commentators last.

    Its decoder fails on frames of more than `MAX_PIXELS`, which may also begin in the middle of a file.
    """
    tracks = [stream for stream in playable(container) if stream.type == kind]
    best = max(tracks, key=_rank, default=None)
    if best is not None and kind == "video":
        best.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    return best


def _rank(stream: av.VideoStream | av.AudioStream) -> tuple[bool, bool, bool, int]:
    codec, default = stream.codec_context, bool(stream.disposition & Disposition.default)
    if stream.type == "video":
        return not _is_image(stream), default, True, codec.width * codec.height
    return True, default, not stream.disposition & _SECONDARY, codec.channels


def _is_image(stream: av.VideoStream) -> bool:
    """Whether a track is a single image."""
    if stream.disposition & (Disposition.still_image | Disposition.timed_thumbnails):
        return True
    if stream.codec_context.name not in _IMAGES:
        return False
    return stream.frames == 1 or (len(stream.container.streams.video) > 1 and not _moves(stream))


def _moves(stream: av.VideoStream) -> bool:
    """Whether a track whose header does not count its frames has more than one among the first packets of the file."""
    if len(stream.index_entries) > 1:
        return True
    path = stream.container.name.removeprefix("file:")
    if not os.path.isfile(path):
        return False
    try:
        with av.open(f"file:{path}", options={"protocol_whitelist": "file"}, **LENIENT) as file:
            packets = islice(file.demux(), _FIRST_PACKETS)
            return sum(packet.stream.index == stream.index and packet.size > 0 for packet in packets) > 1
    except av.error.FFmpegError:
        return False


def report_choice(path: str, chosen: av.VideoStream | av.AudioStream) -> None:
    """Log, once per file, which track was taken if there are several of its kind."""
    tracks = [stream for stream in playable(chosen.container) if stream.type == chosen.type]
    if len(tracks) < 2 or (path, chosen.type) in _reported:
        return
    _reported.add((path, chosen.type))
    codec = chosen.codec_context
    tags = [codec.name, f"{codec.width}x{codec.height}" if chosen.type == "video" else f"{codec.channels} channels"]
    tags += [chosen.metadata[tag] for tag in ("language", "title") if chosen.metadata.get(tag)]
    tags += ["default"] if chosen.disposition & Disposition.default else []
    logger.warning(
        "%s: using %s track %d of %d (%s)", path, chosen.type, tracks.index(chosen) + 1, len(tracks), ", ".join(tags)
    )


def frame_rate(stream: av.VideoStream) -> tuple[Fraction, bool]:
    """Frames per second, and whether the file states it; 25 where what it states is no frame rate."""
    stated = stream.codec_context.framerate
    if stream.container.format.name in ("h264", "hevc", "vvc"):  # FFmpeg's average is an assumption here
        candidates = (stated,)
    else:
        candidates = (stream.average_rate, stream.guessed_rate, stated)
    for rate in candidates:
        if rate and 0 < rate <= _FASTEST_FRAMES:
            return Fraction(rate), True
    return _ASSUMED, False


def check_frame_size(path: str | os.PathLike[str], height: int, width: int) -> None:
    """Raise UserError for frames of more than `MAX_PIXELS`, or more elongated than `MAX_ASPECT` to 1.

    A small file may claim huge frames, and frames scaled to a shorter side are as elongated as the original ones.
    """
    short, long = sorted((height, width))
    if height * width > MAX_PIXELS or long > MAX_ASPECT * short:
        raise UserError(
            f"{path}: its frames are {width}x{height} pixels; expected at most {MAX_PIXELS:,} pixels (8K is 7680x4320) "
            f"and at most {MAX_ASPECT} times as wide as high, or as high as wide; re-encode or scale it first"
        )


def check_sample_rate(path: str, rate: int) -> None:
    """Raise UserError if a header claims a sample rate that no audio has."""
    lowest, highest = SAMPLE_RATES
    if not lowest <= rate <= highest:
        raise UserError(
            f"{path}: the audio track claims a sample rate of {rate} Hz; expected {lowest} to {highest}; the file is "
            "damaged: re-encode its audio, or remove it (ffmpeg -i FILE -c copy -an OUTPUT)"
        )
