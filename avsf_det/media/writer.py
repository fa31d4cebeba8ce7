"""Write a video as H.264 in mp4, with sound."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from avsf_det.errors import UserError
from avsf_det.files import unfinished_path
from avsf_det.media.soundtrack import copy_sound, encode_sound

# Ticks a second of the picture's time stamps: whole numbers of them for 24, 25, 30, 30000/1001, 50 and 60 fps.
_TICKS = 90_000
# x264: visually close to the source, at several times real time. Without B-frames, frames are stored in the order in
# which they are shown, and mp4 then says exactly how long each one is.
X264 = {"preset": "veryfast", "crf": "20", "bf": "0"}
# The index in front, so that playing can start before the whole file is there; edit lists, which say how much later
# than time 0 a track starts, as exact as the picture's time stamps.
_MP4 = {"movflags": "+faststart", "movie_timescale": str(_TICKS)}
# Frames at once. A number of its own, not the machine's, so that a file's bytes are the same on any machine.
THREADS = 4
# Rec. 709 in ITU-T H.273's numbers, for primaries, transfer and matrix alike.
_REC_709 = 1


class VideoWriter:
    """An mp4 (H.264, yuv420p) that appears at its path when it is whole, and not at all if anything fails.

    A context manager: leaving it finishes the file; leaving it by an exception removes what was written. Frames keep
    the times they are written with, and sound keeps its place beside them. Memory does not grow with the video.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        width: int,
        height: int,
        fps: float | Fraction,
        sound_from: str | os.PathLike[str] | None = None,
        duration: float | None = None,
        sound: tuple[np.ndarray, int] | None = None,
        threads: int = THREADS,
    ) -> None:
        """Begin a video.

        Args:
            path: the file to write; one that exists is replaced at the end.
            width, height: of the frames to come; odd sizes are made even by repeating the last column or row.
            fps: the usual frame rate; it guides the encoder and decides how long the last frame is shown.
            sound_from: a file whose sound is added, on its clock: AAC and MP3 as they are, others as AAC. A file
                without sound is no error.
            duration: seconds on the clock at which the sound is cut and until which the last frame is shown; None
                keeps all sound.
            sound: instead of `sound_from`, a waveform (S,) or (S, C) float32 in -1..1 that starts at time 0, and
                its sample rate.
            threads: of the encoder; the file's bytes depend on their number.

        Raises:
            UserError: the file cannot be written there, or `sound_from` cannot be read.
        """
        self._path = os.fspath(path)
        self._partial = os.fspath(unfinished_path(Path(self._path).absolute()))
        self._shape = (height, width, 3)
        self._frame_ticks = round(_TICKS / fps)
        self._end = None if duration is None else round(duration * _TICKS)
        self._reformatter = VideoReformatter()
        self._pending: av.VideoFrame | None = None
        self._packets: Iterator[tuple[float, av.Packet]] = iter(())
        with self._undone_on_failure():
            open(self._partial, "wb").close()  # FFmpeg would notice only later that it cannot write here
            self._file = av.open(f"file:{self._partial}", "w", format="mp4", options=_MP4)
            self._picture = self._add_picture(Fraction(fps).limit_denominator(1001), threads)
            if sound_from is not None:
                self._packets = copy_sound(self._file, sound_from, duration)
            elif sound is not None:
                self._packets = self._add_waveform(*sound, duration)
            self._sound = next(self._packets, None)

    def _add_picture(self, fps: Fraction, threads: int) -> av.VideoStream:
        height, width, _ = self._shape
        picture = self._file.add_stream("libx264", rate=fps, options=X264)
        picture.width, picture.height, picture.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        codec = picture.codec_context
        codec.thread_type, codec.thread_count = "FRAME", threads
        codec.time_base = Fraction(1, _TICKS)
        codec.flags |= Flags.frame_duration
        codec.color_range = ColorRange.MPEG
        codec.colorspace = codec.color_primaries = codec.color_trc = _REC_709
        return picture

    def _add_waveform(self, waveform: np.ndarray, rate: int, duration: float | None) -> Iterator:
        samples = np.asarray(waveform, dtype=np.float32)
        samples = samples.reshape(len(samples), -1)
        if duration is not None:
            samples = samples[: round(duration * rate)]
        seconds = (samples[start : start + rate] for start in range(0, len(samples), rate))
        channels = samples.shape[1]
        return encode_sound(self._file, seconds, rate, f"{channels} channels", channels)

    def __enter__(self) -> VideoWriter:
        return self

    def write(self, image: np.ndarray, time: float) -> None:
        """Add a frame.

        Args:
            image: (H, W, 3) uint8 RGB.
            time: seconds on the clock from which it is shown, later than the frame before.

        Raises:
            ValueError: the image is of another size or type, or the time is not later.
            UserError: the disk is full or the file cannot be written any more.
        """
        if image.shape != self._shape or image.dtype != np.uint8:
            raise ValueError(f"expected a frame of {self._shape} uint8, got {image.shape} {image.dtype}")
        height, width, _ = self._shape
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame = self._reformatter.reformat(
            frame, format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG, threads=1
        )
        frame.time_base = Fraction(1, _TICKS)
        frame.pts = round(time * _TICKS)
        if self._pending is not None and frame.pts <= self._pending.pts:
            raise ValueError(f"frame at {time} s comes after one at {self._pending.pts / _TICKS} s")
        self._encode_pending(frame.pts)
        self._pending = frame

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is not None:
            self._undo()
            return
        with self._undone_on_failure():
            if self._pending is None:
                raise UserError(f"{self._path}: not written, for there is no frame to write")
            until_end = self._end is not None and self._end > self._pending.pts
            self._encode_pending(self._end if until_end else self._pending.pts + self._frame_ticks)
            self._file.mux(self._picture.encode(None))
            self._mux_sound(float("inf"))
            self._file.close()
            os.replace(self._partial, self._path)

    def _encode_pending(self, end: int) -> None:
        """Encode the last frame written, now that it is known until when (in ticks) it is shown."""
        if self._pending is None:
            return
        with self._undone_on_failure():
            self._pending.duration = end - self._pending.pts
            self._file.mux(self._picture.encode(self._pending))
            self._mux_sound(self._pending.pts / _TICKS)

    def _mux_sound(self, until: float) -> None:
        while self._sound is not None and self._sound[0] <= until:
            self._file.mux(self._sound[1])
            self._sound = next(self._packets, None)

    @contextmanager
    def _undone_on_failure(self) -> Iterator[None]:
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            self._undo()
            reason = getattr(error, "strerror", None) or error
            raise UserError(
                f"{self._path}: cannot be written ({reason}); check the folder, its permissions and the free space"
            ) from error
        except BaseException:
            self._undo()
            raise

    def _undo(self) -> None:
        with suppress(av.error.FFmpegError, OSError, AttributeError):
            self._file.close()
        with suppress(FileNotFoundError):
            os.remove(self._partial)
