"""A stream: picture and sound as they come, from a camera or a server, or from a file that is still being written."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from avsf_det.errors import UserError
from avsf_det.media.address import open_address, scheme_of, without_password
from avsf_det.media.audio import GAP, MonoResampler
from avsf_det.media.channels import is_ambisonic, omnidirectional
from avsf_det.media.frame_convert import FrameConverter, Orientation
from avsf_det.media.selection import best_stream, check_frame_size, check_sample_rate, frame_rate, report_choice
from avsf_det.media.timeline import ContinuousClock, longest_gap
from avsf_det.media.video import sample_aspect, scaled
from avsf_det.media.writer import X264

logger = logging.getLogger(__name__)

SILENCE = 10.0
"""Seconds without anything new after which a stream is taken to have ended."""
# Time stamps that go back by more than this many seconds restart the clock, as where a camera restarts.
_RESTART = 1.0
# Shifts of the clock that are remembered, so that each is reported once.
_PARTS = 8
# A first picture without a time stamp waits for this many to know its own: the one shown next may come that late.
_PICTURES = 8


class Picture(NamedTuple):
    """A frame: seconds on the stream's clock, and the frame itself; see `Stream.image`."""

    time: float
    frame: av.VideoFrame


class Sound(NamedTuple):
    """A piece of sound: seconds on the stream's clock of its first sample, and (S,) float32 mono samples."""

    time: float
    samples: np.ndarray


class Stream:
    """The frames and audio of a stream, on a clock that reads 0 at the first frame. A context manager.

    Where the clock of the stream restarts, or jumps ahead in all tracks, time goes on without a gap, and audio and
    video stay in sync.

    Attributes:
        name: the address as messages show it.
        fps: frames a second, as it says.
        has_audio: whether there is a sound track that can be decoded.
        can_wait: whether nothing is lost where it is read slowly: a file, or one that a server knows the length of.
        ended: why there is no more, once `pieces` has ended.
    """

    def __init__(
        self, address: str, sample_rate: int = 16000, recording: Path | None = None, silence: float = SILENCE
    ) -> None:
        """Open it.

        Args:
            address: a URL, a device, or a file, which is read on as it grows.
            sample_rate: samples a second of the sound that it gives.
            recording: Matroska file to which everything is copied as it comes, on the same clock.
            silence: seconds without anything new after which it has ended.

        Raises:
            UserError: if it cannot be opened, has no picture that can be decoded, or has frames too large or too
                elongated.
        """
        self.name, self.sample_rate, self._silence = without_password(address), sample_rate, silence
        self.ended = ""
        self._container = open_address(address, silence)
        self._video, self._audio = (best_stream(self._container, kind) for kind in ("video", "audio"))
        if self._video is None:
            self._container.close()
            raise UserError(f"{self.name}: no picture that can be decoded; expected a stream of video")
        self._video.thread_type = "AUTO"
        self.has_audio = self._audio is not None
        self.fps = frame_rate(self._video)[0]
        self.can_wait = scheme_of(address) not in ("rtsp", "rtsps") and self._container.size > 0
        self._converter = FrameConverter(self.name)
        self._origin: Fraction | None = None
        self._clock = ContinuousClock(longest_gap(self._container), _RESTART)
        self._shift = Fraction(0)
        self._parts = [self._shift]
        try:
            tracks = [track for track in (self._video, self._audio) if track]
            for track in tracks:
                report_choice(self.name, track)
            codec = self._video.codec_context
            if codec.width and codec.height:
                check_frame_size(self.name, *self._size(codec.height, codec.width))
            if self._audio:
                check_sample_rate(self.name, self._audio.codec_context.sample_rate)
            self._recorder = None if recording is None else _Recorder(recording, tracks, self.fps)
        except UserError:
            self._container.close()
            raise

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._recorder:
            self._recorder.close()
            if self._recorder.failed:
                logger.warning("%s: the recording ends early (%s)", self.name, self._recorder.failed)
        self._container.close()

    def image(self, frame: av.VideoFrame, short_side: int | None = None) -> np.ndarray:
        """(H, W, 3) uint8 RGB: a frame upright and with square pixels, at full size or scaled to a shorter side.

        Raises:
            UserError: frames of this size or pixel format are not supported.
        """
        height, width = Orientation.of(frame).size(*self._size(frame.height, frame.width))
        check_frame_size(self.name, height, width)
        return self._converter(frame, *scaled(height, width, short_side))

    def _size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of stored frames with square pixels."""
        return height, max(round(width * sample_aspect(self._video)), 1)

    def pieces(self) -> Iterator[Picture | Sound]:
        """Pictures and sound in the order in which they come, until the stream ends; what is broken is left out."""
        resample = self._audio and _Resampler(self._audio, self.sample_rate)
        for packet in self._packets():
            with suppress(av.error.InvalidDataError, av.error.ArgumentError):
                frames = packet.decode()
                if packet.stream is self._video:
                    yield from self._pictures(frames)
                else:
                    yield from (Sound(*piece) for frame in frames for piece in resample(frame))
        with suppress(av.error.InvalidDataError):
            yield from self._pictures(self._video.codec_context.decode(None))  # those that were still being decoded

    def _pictures(self, frames: list[av.VideoFrame]) -> Iterator[Picture]:
        unit = self._video.time_base  # a frame drained at the end does not know it
        return (Picture(float(f.pts * unit), f) for f in frames if f.pts is not None and not f.is_corrupt)

    def _packets(self) -> Iterator[av.Packet]:
        try:
            for packet in self._dated(self._container.demux(*filter(None, (self._video, self._audio)))):
                if packet.size and self._place(packet):
                    yield packet
                    if self._recorder:
                        self._recorder.write(packet)
            self.ended = "it ended"
        except av.error.ExitError:
            self.ended = f"nothing new came for {self._silence:g} s"
        except av.error.FFmpegError as error:
            # a server that tells no length ends with what looks like an error
            ended = error.errno == errno.EIO and self.name.startswith("http") and not self.can_wait
            self.ended = "it ended" if ended else f"it broke off ({error.strerror})"

    def _dated(self, packets: Iterator[av.Packet]) -> Iterator[av.Packet]:
        """The packets; the first picture gets its time stamp from those after it where it has none, as by RTSP."""
        held: list[av.Packet] = []
        for packet in packets:
            starts = packet.stream is self._video and packet.is_keyframe and packet.pts is packet.dts is None
            if self._origin is None and (held or starts):
                held.append(packet)
                pictures = [packet for packet in held if packet.stream is self._video]
                if len(pictures) < _PICTURES:
                    continue
                self._count_back(pictures)
                yield from held
                held = []
            else:
                yield packet
        yield from held

    def _count_back(self, pictures: list[av.Packet]) -> None:
        """Give the first of some pictures its time stamps, a frame's duration apart, if the others have them."""
        frame = round(1 / (self.fps * self._video.time_base))
        shown = [picture.pts for picture in pictures if picture.pts is not None]
        decoded = [(number, picture.dts) for number, picture in enumerate(pictures) if picture.dts is not None]
        if shown and decoded:
            number, dts = decoded[0]
            pictures[0].pts = min(shown) - frame
            for back, picture in enumerate(reversed(pictures[:number]), 1):
                picture.dts = dts - back * frame if picture.pts is None else min(dts - back * frame, picture.pts)

    def _place(self, packet: av.Packet) -> bool:
        """Put a packet on the clock; False for what comes before the first picture that can be decoded."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None:
            return False
        if self._origin is None:
            if packet.stream is not self._video or not packet.is_keyframe:
                return False
            self._origin = (packet.pts if packet.pts is not None else stamp) * packet.time_base
        shift = self._clock.shift(packet)
        if shift != self._shift:
            self._report(shift)
        ticks = round((shift - self._origin) / packet.time_base)
        packet.dts = None if packet.dts is None else packet.dts + ticks
        packet.pts = packet.dts if packet.pts is None else packet.pts + ticks
        return packet.pts >= 0

    def _report(self, shift: Fraction) -> None:
        """Log a part of the stream whose clock starts elsewhere, when the first packet of it has come."""
        if shift not in self._parts:
            logger.warning(
                "%s: the clock %s after %.1f s; what follows is put behind what came before",
                self.name,
                "restarts" if shift > self._shift else "jumps ahead",
                self._clock.ahead - float(self._origin),
            )
            self._parts.append(shift)
            del self._parts[:-_PARTS]
        self._shift = shift


class _Resampler:
    """Frames of sound to mono pieces at another rate; the mean of all channels, as `AudioReader` has it.

    Time stamps may be rounded to milliseconds: a piece follows the one before unless there is a gap between them.
    """

    def __init__(self, track: av.AudioStream, rate: int) -> None:
        codec = track.codec_context
        self._to = codec.layout.name, codec.sample_rate
        self._form: tuple[str, str, int] | None = None  # of the frames that come, which may change
        self._rate = MonoResampler(rate)
        self._end = -1.0  # of the last piece

    def __call__(self, frame: av.AudioFrame) -> Iterator[tuple[float, np.ndarray]]:
        layout, rate = self._to
        if self._form != (form := (frame.format.name, frame.layout.name, frame.sample_rate)):
            self._form, self._float = form, av.AudioResampler("flt", layout, rate)
        for whole in self._float.resample(frame):
            channels = whole.to_ndarray().reshape(whole.samples, -1)
            if is_ambisonic(layout):
                channels = omnidirectional(channels, layout)
            mono = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(channels.mean(axis=1, dtype=np.float32)[None]), format="flt", layout="mono"
            )
            mono.sample_rate, mono.pts, mono.time_base = whole.sample_rate, whole.pts, whole.time_base
            for piece in self._rate.resample(mono):
                time = self._end if abs(piece.time - self._end) < GAP else piece.time
                self._end = time + piece.samples / piece.sample_rate
                yield time, piece.to_ndarray()[0]


class _Recorder:
    """A copy of a stream's packets in a Matroska file, which can be read up to its last packet whatever happens.

    A camera's raw pictures, which would fill the disk and which Matroska does not take, become H.264.

    Raises:
        UserError: if the file cannot be made.
    """

    def __init__(self, path: Path, tracks: Sequence[av.VideoStream | av.AudioStream], fps: Fraction) -> None:
        self.failed = ""
        self._encoder: av.VideoStream | None = None
        try:
            self._file = av.open(f"file:{path}", "w", format="matroska")
            self._tracks = {track.index: self._add(track, fps) for track in tracks}
            self._file.start_encoding()
        except (av.error.FFmpegError, OSError, ValueError) as error:  # the last for codecs that Matroska does not take
            path.unlink(missing_ok=True)
            reason = getattr(error, "strerror", None) or error
            raise UserError(
                f"{path}: the stream cannot be recorded ({reason}); do without what is made from the "
                "recording: --outputs csv,jsonl"
            ) from None

    def _add(self, track: av.VideoStream | av.AudioStream, fps: Fraction) -> av.VideoStream | av.AudioStream:
        if track.codec_context.name != "rawvideo":
            return self._file.add_stream_from_template(track, opaque=True)
        self._encoder = self._file.add_stream("libx264", rate=fps, options=X264)
        self._encoder.width, self._encoder.height = track.width // 2 * 2, track.height // 2 * 2
        self._encoder.pix_fmt, self._encoder.codec_context.time_base = "yuv420p", track.time_base
        return self._encoder

    def write(self, packet: av.Packet) -> None:
        if self.failed:
            return
        track = self._tracks[packet.stream.index]
        try:
            if track is self._encoder:
                self._file.mux([coded for frame in packet.decode() for coded in track.encode(frame)])
            else:
                packet.stream = track
                self._file.mux(packet)
        except ValueError:  # time stamps out of order: this packet is left out
            return
        except OSError as error:  # the disk is full
            self.failed = error.strerror

    def close(self) -> None:
        with suppress(OSError, ValueError):
            if self._encoder:
                self._file.mux(self._encoder.encode(None))
        with suppress(OSError):
            self._file.close()
