"""From the tracks of a video to the boxes on its keyframes, at a chosen rate on the video's own clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from avsf_det.data.importers.clock import VideoClock
from avsf_det.data.importers.export import ExportedVideo, Track, Values
from avsf_det.media.video import ROUNDING

DENSE = 0.6  # boxes closer together than this share of the keyframes' period are more than are wanted


@dataclass(frozen=True)
class Sighting:
    """A box on a keyframe.

    Attributes:
        time: seconds.
        box: x1 y1 x2 y2 as shares of the picture, within it.
        values: its labels and attributes.
        track: the number of its track in the video.
        where: file and element.
    """

    time: float
    box: tuple[float, float, float, float]
    values: Values
    track: int
    where: str


def sightings(
    video: ExportedVideo, clock: VideoClock, size: tuple[float, float], rate: float
) -> tuple[list[Sighting], list[str]]:
    """The boxes on a video's keyframes.

    Keyframes are at whole multiples of 1 / rate seconds from the first on, since a clip around second 0 lies half
    before its video. Tracks that move between their boxes are interpolated there. Where there are only boxes on single
    frames, the nearest to each multiple are taken, or all if they are no closer than that. A track that is on none is
    taken at its middle.

    Args:
        video: what was exported.
        clock: seconds of its places.
        size: width and height that its boxes are in units of.
        rate: keyframes a second.

    Returns:
        The boxes in the order of time and track, and a line on each part that cannot be used.
    """
    bad, times = [], []
    for track in video.tracks:
        seconds = clock.seconds(track.places)
        outside = ~clock.within(seconds) & track.shown
        if outside.any():
            first = track.places[np.flatnonzero(outside)[0]]
            bad.append(
                f"{_where(track, first)}: {outside.sum()} boxes beyond the video, which ends at second {clock.end:.2f}"
            )
        times.append(np.where(outside, np.nan, seconds))
    keyframes = _keyframes(video.tracks, times, clock, rate)
    found = []
    for number, (track, seconds) in enumerate(zip(video.tracks, times)):
        for time, row, corners in _at(track, seconds, keyframes, clock):
            box = (np.asarray(corners) / (*size, *size)).clip(0.0, 1.0)
            where = _where(track, track.places[row])
            if not (box[0] < box[2] and box[1] < box[3]):  # NaN is neither
                text = ",".join(f"{value:g}" for value in corners)
                bad.append(f"{where}: box {text} is empty or outside the picture of {size[0]:g}x{size[1]:g}")
            else:
                found.append(Sighting(time, tuple(box.tolist()), track.values[row], number, where))
    return sorted(found, key=lambda one: (one.time, one.track)), bad


def _where(track: Track, place: float) -> str:
    return track.where if len(track.places) == 1 else f"{track.where} at {place:g}"


def _keyframes(tracks: list[Track], times: list[np.ndarray], clock: VideoClock, rate: float) -> np.ndarray:
    """(F,) ascending seconds."""
    grid = np.arange(1, int(clock.end * rate + ROUNDING) + 1) / rate
    single = [seconds for track, seconds in zip(tracks, times) if not track.interpolated]
    chosen = grid[[_any_at(tracks, times, time, clock) for time in grid]] if len(single) < len(tracks) else grid[:0]
    if single:
        there = np.concatenate(single)
        there = np.unique(there[~np.isnan(there)])
        spacing = np.percentile(np.diff(there), 50, method="higher") if len(there) > 1 else np.inf
        if spacing < DENSE / rate:
            nearest = there[np.abs(there - grid[:, None]).argmin(axis=1)] if len(grid) else there[:0]
            near = np.unique(nearest[np.abs(nearest - grid) < 0.75 * spacing])
            there = near if len(near) else there[len(there) // 2 :][:1]
        chosen = np.concatenate((chosen, there))
    for track, seconds in zip(tracks, times):
        on = seconds[track.shown & ~np.isnan(seconds)]
        if len(on) > (not track.interpolated) and next(_at(track, seconds, chosen, clock), None) is None:
            chosen = np.append(chosen, on[len(on) // 2])
    return np.unique(chosen)


def _any_at(tracks: list[Track], times: list[np.ndarray], time: float, clock: VideoClock) -> bool:
    at = np.array([time])
    pairs = zip(tracks, times)
    return any(t.interpolated and next(_at(t, s, at, clock), None) is not None for t, s in pairs)


def _at(
    track: Track, seconds: np.ndarray, keyframes: np.ndarray, clock: VideoClock
) -> Iterator[tuple[float, int, np.ndarray]]:
    """A track on keyframes: time, the row whose values are in force, and the box."""
    rows = np.flatnonzero(~np.isnan(seconds))
    own = seconds[rows]
    if not len(rows):
        return
    span = np.searchsorted(keyframes, (own[0] - ROUNDING, own[-1] + clock.period))
    for time in keyframes[slice(*span)].tolist():
        at = int(np.searchsorted(own, time + ROUNDING, side="right")) - 1
        if at < 0 or not track.shown[rows[at]]:
            continue
        row, late = int(rows[at]), time - own[at]
        if late <= ROUNDING:
            yield time, row, track.boxes[row]
        elif track.interpolated and at + 1 < len(rows):
            following = int(rows[at + 1])
            share = late / (own[at + 1] - own[at]) if track.shown[following] else 0.0
            yield time, row, track.boxes[row] + share * (track.boxes[following] - track.boxes[row])
        elif track.interpolated and late < clock.period - ROUNDING:  # the last frame is still on display
            yield time, row, track.boxes[row]
