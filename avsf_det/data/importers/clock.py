"""From an export's frame numbers and timestamps to seconds of the file: the one place where this is reckoned."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from avsf_det.media.frame_folder import frame_names
from avsf_det.media.source import CUT_LENGTHS, CUT_START, VideoSource
from avsf_det.media.track import Track
from avsf_det.media.video import ROUNDING, VideoInfo

SECONDS, FRAMES, EITHER = "seconds", "frames", "either"


@dataclass(frozen=True)
class Clock:
    """What the places in a video's annotations mean.

    Attributes:
        unit: "seconds", "frames", or "either": whole numbers of which the file does not say what they count.
        first: number of the first frame; None for numbers of pictures, which count from 0 where there is a 0, else 1.
        rate: frames a second that the tool counted, whatever the file has; None for the file's own frames.
        default_rate: the rate where neither the export nor the user states one; None for the file's own frames.
    """

    unit: str
    first: int | None = 0
    rate: float | None = None
    default_rate: float | None = None

    def settled(self, in_frames: bool) -> Clock:
        """Without "either"."""
        return replace(self, unit=FRAMES if in_frames else SECONDS) if self.unit == EITHER else self


class VideoClock:
    """Seconds of one video.

    Args:
        source: the video.
        info: what it holds.
        clock: what the places mean; settled.
        places: all places that there are.

    Attributes:
        period: seconds between two frames.
        end: places later than this second are beyond the video.
    """

    def __init__(self, source: VideoSource, info: VideoInfo, clock: Clock, places: np.ndarray) -> None:
        self.period, self.end = 1 / float(clock.rate or info.fps), info.duration
        self._unit, self._first = clock.unit, clock.first
        self._times, self._origin = np.zeros(0), 0.0 if source.path.is_dir() else info.picture_start
        if clock.unit == SECONDS:
            self._start = film_start(info.duration, places)
            return
        if clock.first is None:
            in_folder = frame_names(source.path).origin if source.path.is_dir() else 1
            self._first = min(in_folder, int(places.min())) if len(places) else in_folder
        if clock.rate is None:
            self._times = frame_times(source, info)
            if len(self._times) > 1:
                self.period = float(np.median(np.diff(self._times)))  # some headers state another rate
        self.end -= self.period / 2

    def seconds(self, places: np.ndarray) -> np.ndarray:
        """(N,) seconds of the file for (N,) places; for infinity, the end."""
        places = np.asarray(places, dtype=np.float64)
        if self._unit == SECONDS:
            return places - self._start
        numbers = places - self._first
        if len(self._times):
            last = len(self._times) - 1
            seconds = np.interp(numbers, np.arange(last + 1), self._times)
            seconds = seconds + (np.maximum(numbers - last, 0) + np.minimum(numbers, 0)) * self.period
        else:
            seconds = self._origin + numbers * self.period
        return np.where(np.isinf(places), self.end, seconds)

    def within(self, seconds: np.ndarray) -> np.ndarray:
        """(N,) bool, which seconds are of the video."""
        return (seconds >= -ROUNDING) & (seconds <= self.end + ROUNDING)


def film_start(duration: float, seconds: np.ndarray) -> float:
    """The second of the film at which a file begins: 900 where the film's timestamps fit AVA's cut, 0 elsewhere.

    A cut lasts as long as AVA's (`CUT_LENGTHS`), or all its timestamps are beyond the file and, 900 seconds earlier,
    most are within it.
    """
    if not len(seconds):
        return 0.0
    is_cut = CUT_LENGTHS[0] <= duration <= CUT_LENGTHS[1] and np.median(seconds) > duration
    moved = duration < CUT_START <= seconds.min() and np.median(seconds) <= CUT_START + duration + 1
    return CUT_START if is_cut or moved else 0.0


def fitting(places: np.ndarray, source: VideoSource, info: VideoInfo) -> np.ndarray:
    """How many of a video's places fit it as seconds, how many as frame numbers, and how many there are: (3,) int."""
    as_seconds = int((places <= film_start(info.duration, places) + info.duration + 1).sum())
    if as_seconds == len(places):
        return np.array((as_seconds, as_seconds, as_seconds))  # no need to look through the file
    count = len(frame_times(source, info)) or info.duration * float(info.fps)
    as_frames = int(((places == np.round(places)) & (places <= count + 1)).sum())
    return np.array((as_seconds, as_frames, len(places)))


def count_frames(fits: Sequence[np.ndarray]) -> bool:
    """Whether places count frames, by what fits each of the videos they are of.

    Frame numbers of all of a video are mostly beyond its seconds; a few places beyond are just wrong.
    """
    as_seconds, as_frames, count = np.sum(fits, axis=0) if fits else (0, 0, 0)
    return bool(as_frames > as_seconds and as_seconds < count / 2)


def frame_times(source: VideoSource, info: VideoInfo) -> np.ndarray:
    """(F,) when each frame of a file is shown, by its packets; empty for folders and where packets do not tell.

    Files of a varying frame rate are why the average rate is not enough.
    """
    if source.path.is_dir() or info.codec in ("mpeg2video", "mpeg1video"):
        return np.zeros(0)
    with closing(Track(source.path, "video")) as track:
        stamps = [packet.pts for packet in track.packets()]
        if track.by_decoding_time or None in stamps or not stamps:
            return np.zeros(0)
        times = np.unique([track.seconds(stamp) for stamp in stamps])
    return times[np.searchsorted(times, info.picture_start - ROUNDING) :]
