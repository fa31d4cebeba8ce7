"""The sound as a lane under the picture: its outline, and a play head."""

from __future__ import annotations

from array import array

import numpy as np

from avsf_det.visual.palette import DARK, GREY, WHITE, mix
from avsf_det.visual.text import MIN_SIZE, clock, overlay, text_picture

_BINS_PER_SECOND = 200  # of the outline; an hour takes 6 MB
_WHOLE = 20.0  # seconds; the lane shows all of a video up to this length
_WINDOW = 10.0  # seconds of a longer one that are seen at a time
_QUIET = 0.05  # of full scale; sound that stays below is not magnified any further
_PLAYED, _TO_COME = (86, 180, 233), (120, 128, 140)


class Envelope:
    """The lowest and highest sample of each 5 ms of a sound, gathered chunk by chunk: memory stays small for hours.

    Args:
        sample_rate: samples a second.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._bins = array("f")
        self._rest = np.zeros(0, dtype=np.float32)
        self._start = 0  # the sample at which `_rest` begins

    def add(self, samples: np.ndarray) -> None:
        """Append (A,) mono samples within -1..1; the very first one is at the file's second 0."""
        rest = np.concatenate((self._rest, np.asarray(samples, dtype=np.float32)))
        first, last = len(self._bins) // 2, (self._start + len(rest)) * _BINS_PER_SECOND // self.sample_rate
        if last > first:
            edges = np.arange(first, last + 1) * self.sample_rate // _BINS_PER_SECOND - self._start
            done, rest = rest[: edges[-1]], rest[edges[-1] :].copy()
            self._bins.frombytes(_extremes(done, edges[:-1]).tobytes())
            self._start += int(edges[-1])
        self._rest = rest

    def columns(self, seconds: float, count: int) -> np.ndarray:
        """(count, 2) float32 lowest and highest sample of `count` columns of `seconds` each; 0 after the sound's end.

        The last, unfinished 5 ms are left out.
        """
        bins = np.array(self._bins, dtype=np.float32).reshape(-1, 2)
        edges = (np.arange(count) * seconds * _BINS_PER_SECOND).astype(int)
        end = int(np.ceil(count * seconds * _BINS_PER_SECOND))
        bins = np.pad(bins, ((0, max(0, end - len(bins))), (0, 0)))[:end]
        return _extremes(bins, edges)


def _extremes(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(len(edges), 2) lowest and highest of `values` (along the first axis) from each edge to the next."""
    values = values.reshape(len(values), -1)
    low, high = np.minimum.reduceat(values[:, 0], edges), np.maximum.reduceat(values[:, -1], edges)
    return np.stack((low, high), axis=1)


def draw_outline(image: np.ndarray, columns: np.ndarray, colours: np.ndarray, gain: float) -> None:
    """Draw a (W, 2) outline with (W, 3) colours over an (h, W, 3) image, in place; at least a thin line everywhere."""
    height = len(image)
    middle, thin = height / 2, max(1, height // 50) / 2
    top = middle - np.maximum(columns[:, 1] * gain * 0.45 * height, thin)
    bottom = middle - np.minimum(columns[:, 0] * gain * 0.45 * height, -thin)
    y = np.arange(height)[:, None] + 0.5
    inside = (y >= top) & (y < bottom)
    np.copyto(image, colours.astype(np.uint8), where=inside[..., None])


def loudness_gain(columns: np.ndarray) -> float:
    """The factor that lets the loudest sample fill the lane; near-silence is left looking like near-silence."""
    return 1 / max(float(np.abs(columns).max(initial=0)), _QUIET)


class WaveformLane:
    """The lane of one video.

    All of a video up to 20 s is shown with the play head moving over it. Of a longer one 10 s are seen at a time:
    the play head stays in the middle and the sound passes, except near the start and the end.

    Args:
        envelope: the whole sound; None if the file has no sound track, which the lane then says.
        duration: of the video, in seconds, above 0.
        width: of the lane, in pixels.
        height: of the lane, in pixels; see `lane_height`.
    """

    def __init__(self, envelope: Envelope | None, duration: float, width: int, height: int) -> None:
        self.duration = duration
        self.width = width
        self.height = height
        self._column = (duration if duration <= _WHOLE else _WINDOW) / width  # seconds
        count = max(width, round(duration / self._column))
        self._columns = None if envelope is None else envelope.columns(self._column, count)
        self._gain = 1.0 if envelope is None else loudness_gain(self._columns)
        self._last = count - width
        self._size = max(MIN_SIZE, height // 5)

    def draw(self, t: float) -> np.ndarray:
        """The (height, width, 3) uint8 RGB lane at second `t`."""
        image = np.full((self.height, self.width, 3), DARK, dtype=np.uint8)
        head = t / self._column
        first = min(max(0, round(head - self.width / 2)), self._last)
        shown = np.arange(first, first + self.width)
        seconds = shown * self._column
        tick = np.floor(seconds) > np.floor(seconds - self._column)
        image[-max(2, self.height // 12) :, tick] = mix(GREY, DARK, 0.4)

        if self._columns is None:
            words = text_picture("no sound", self._size, GREY)
            overlay(image, words, (self.width - words.shape[1]) // 2, (self.height - len(words)) // 2)
        else:
            colours = np.where(shown[:, None] <= head, _PLAYED, _TO_COME)
            draw_outline(image, self._columns[first : first + self.width], colours, self._gain)

        self._draw_time(image, t)
        thick = max(2, self.height // 40)
        left = min(max(0, round(head) - first - thick // 2), self.width - thick)
        image[:, left : left + thick] = WHITE
        return image

    def _draw_time(self, image: np.ndarray, t: float) -> None:
        words = text_picture(f"{clock(t, 1)} / {clock(self.duration, 1)}", self._size, WHITE)
        margin = self._size // 4
        region = image[: len(words) + margin, : words.shape[1] + 2 * margin]
        region[:] = region // 4
        overlay(image, words, margin, margin // 2)


def lane_height(frame_height: int) -> int:
    """A fitting height for the lane under a picture of `frame_height` pixels."""
    return max(36, frame_height // 9)


def stack(frame: np.ndarray, lane: np.ndarray) -> np.ndarray:
    """The lane under the frame, both of one width; an odd width or height gets its last line twice.

    The sizes of the result are even, as H.264 in yuv420p wants them.
    """
    (above, width, _), height = frame.shape, len(frame) + len(lane)
    image = np.empty((height + height % 2, width + width % 2, 3), dtype=np.uint8)
    image[:above, :width] = frame
    image[above:height, :width] = lane
    image[height:] = image[height - 1]
    image[:, width:] = image[:, width - 1 : width]
    return image
