"""A video drawn: a copy with persons, actions and waveform in the picture, and what a timeline of it is made of."""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from avsf_det.media.source import VideoSource, as_source, open_audio, open_video
from avsf_det.media.video import VideoInfo
from avsf_det.media.writer import VideoWriter
from avsf_det.structures import Persons
from avsf_det.visual.draw import Annotator
from avsf_det.visual.interpolation import interpolate
from avsf_det.visual.legend import draw_legend
from avsf_det.visual.palette import Colour
from avsf_det.visual.text import text_size
from avsf_det.visual.thumbnail import Thumbnails
from avsf_det.visual.waveform import Envelope, WaveformLane, lane_height, stack

logger = logging.getLogger(__name__)

# Frames that come sooner than this many seconds after the one before are left out: a millisecond, less rounding.
_PAUSE = 1.0  # seconds that a frame stays on display from which on it is repeated
_SHORTEST_FRAME = 0.001 - 1e-5
SOUND_CHUNK = 30.0  # seconds of sound read at once for the waveform


def read_envelope(path: Path | VideoSource, info: VideoInfo) -> Envelope | None:
    """The outline of a file's sound from second 0 until the end of its picture; None without a sound track."""
    with open_audio(path) as audio:
        if not audio.has_audio:
            return None
        envelope = Envelope(audio.sample_rate)
        for start in np.arange(0, info.duration, SOUND_CHUNK):
            envelope.add(audio.read(float(start), min(float(start) + SOUND_CHUNK, info.duration)))
    return envelope


def annotate_video(
    path: Path | VideoSource,
    target: Path,
    info: VideoInfo,
    times: Sequence[float],
    persons: Sequence[Persons],
    cuts: Sequence[float],
    annotator: Annotator,
    envelope: Envelope | None,
    on_progress: Callable[[int], object] = lambda keyframes: None,
    legend: Sequence[tuple[Colour, str]] = (),
) -> dict[int, np.ndarray]:
    """Write a copy of a video with the persons drawn on it, the waveform below and the original sound.

    A legend, of colours and what they mean, comes between the two. Frames that come less than a millisecond after the
    one before, as of a file with a wrong frame rate, are left out. Where the video pauses on a frame, it is repeated at
    every keyframe, so that boxes and clock follow.

    Returns:
        Person id -> picture of the person's face and shoulders, as large as it was seen.
    """
    thumbnails = Thumbnails()
    upcoming, left_out, last = 0, 0, -np.inf
    sound = (as_source(path).sound or as_source(path)).path
    with open_video(path) as video:
        lane = WaveformLane(envelope, info.duration, video.width, lane_height(video.height))
        words = draw_legend(legend, video.width, text_size(video.width, video.height))

        def below(t: float) -> np.ndarray:
            return np.concatenate((words, lane.draw(t)))

        height, width = stack(np.zeros((video.height, video.width, 3), np.uint8), below(0.0)).shape[:2]
        with VideoWriter(target, width, height, info.fps, sound_from=None if sound.is_dir() else sound) as writer:
            for t, image in _with_still_frames(video.frames(), times, info.duration):
                while upcoming < len(times) and times[upcoming] <= t:
                    thumbnails.add(image, persons[upcoming])
                    upcoming += 1
                    on_progress(1)
                if t - last < _SHORTEST_FRAME:
                    left_out += 1
                    continue
                last = t
                drawn = annotator.draw(image, interpolate(times, persons, t, cuts))
                writer.write(stack(drawn, below(t)), t)
    if left_out:
        logger.warning(
            "%s: %d frames come less than a millisecond after the one before; they are not in %s",
            path,
            left_out,
            target.name,
        )
    on_progress(len(times) - upcoming)
    return thumbnails.images


def _with_still_frames(
    frames: Iterable[tuple[float, np.ndarray]], times: Sequence[float], end: float
) -> Iterator[tuple[float, np.ndarray]]:
    """The frames; one that stays on display for more than `_PAUSE` seconds is repeated at the times meanwhile."""
    shown: tuple[float, np.ndarray] | None = None
    for time, image in chain(frames, [(end, None)]):
        if shown is not None and time - shown[0] > _PAUSE:
            for again in times[bisect_right(times, shown[0]) : bisect_left(times, time)]:
                yield again, shown[1]
        if image is not None:
            yield time, image
            shown = time, image


def cut_thumbnails(
    path: Path | VideoSource, times: Sequence[float], persons: Sequence[Persons]
) -> dict[int, np.ndarray]:
    """As `annotate_video` returns them, without a copy of the video being made: only the frames that they are cut from
    are asked for."""
    sights, best, thumbnails = Thumbnails(), {}, Thumbnails()
    with open_video(path) as video:
        for number, found in enumerate(persons):
            best |= dict.fromkeys(sights.better(found, video.width, video.height), number)
        for number in sorted(set(best.values())):
            thumbnails.add(video.frames_at([times[number]])[0], persons[number])
    return thumbnails.images
