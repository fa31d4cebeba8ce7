"""Exported videos that are on disk: where, at how many frames a second, and what their annotations' times count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from avsf_det.data.importers.clock import EITHER, FRAMES, SECONDS, count_frames, film_start, fitting
from avsf_det.data.importers.export import Export, ExportedVideo
from avsf_det.data.importers.videos import VideoFolder
from avsf_det.errors import UserError
from avsf_det.media.source import CUT_START, VideoSource, probe_source
from avsf_det.media.video import VideoInfo

FRAME_RATE = 30.0  # of folders of frames where nothing says: PySlowFast's
_RATES = (60.0, 50.0, 30.0, 25.0, 24.0, 20.0, 15.0, 12.0, 10.0, 8.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.5)
_SLOWEST = 10.0  # frames a second, where numbers that are not one after the other may count frames
_NEAR = 0.02  # share by which the rate that a sound's length makes may differ from a usual one
_FIT = 0.9  # share of the times that could fit at any rate which has to at the one taken


@dataclass
class Found:
    """An exported video that is on disk."""

    exported: ExportedVideo
    source: VideoSource
    info: VideoInfo

    @property
    def places(self) -> np.ndarray:
        """(N,) places of all boxes or, without any, of all ends of spans."""
        if not self.exported.tracks:
            return span_places(self.exported)
        return np.concatenate([track.places for track in self.exported.tracks])


def span_places(video: ExportedVideo) -> np.ndarray:
    """(N,) places at which spans start or end."""
    places = [place for span in video.spans for place in (span.start, span.end) if place is not None]
    return np.array(places, dtype=np.float64)


def find_videos(
    exports: Sequence[Export],
    folder: VideoFolder,
    rate: float,
    progress: Callable[[Iterable, int], Iterable],
    bad: list[str],
    notes: list[str],
) -> list[Found]:
    """The videos of exports that are there, with clocks that say what they count.

    Args:
        exports: what to find the videos of.
        folder: where they are.
        rate: frames a second that numbers count and folders of frames have; 0 to find out.
        progress: wraps what is done for each of so many videos in a progress bar.
        bad: gets a line on each video that is missing or does not open.
        notes: gets what was assumed.
    """
    videos = [(export, video) for export in exports for video in export.videos]
    by_export: dict[int, list[Found]] = {id(export): [] for export in exports}
    only = folder.only() if len({video.unnamed for _, video in videos} - {""}) == 1 else None
    for export, video in progress(videos, len(videos)):
        try:
            try:
                source = folder.find(video.names)
            except UserError as error:
                if not video.unnamed:
                    raise
                if only is None:
                    raise UserError(
                        f"the export does not name its video, and {error}; import it alone, with that video as --videos"
                    ) from None
                source = only
                notes.append(f"{video.where}: the export does not name its video; {only.path} is taken, the only one")
            by_export[id(export)].append(Found(video, source, probe_source(source)))
        except UserError as error:
            bad.append(f"{video.where}: {error}")
    found = [one for some in by_export.values() for one in some]
    if not rate:
        _settle_rates([one for one in found if one.source.path.is_dir()], notes)
    for some in by_export.values():
        _settle_clocks(some, rate, notes)
    return found


def _settle_rates(folders: Sequence[Found], notes: list[str]) -> None:
    """Give folders their frames a second: by their sound, else as most have by theirs, else by their times."""
    by_sound = [rate_by_sound(_count(one), one.info.audio_end) for one in folders]
    most = Counter(filter(None, by_sound)).most_common(1)
    other, why = most[0][0] if most else rate_by_times(folders), "as most have by their sound"
    if not most:
        why = "as nothing says otherwise" if other == FRAME_RATE else "as at more some times would be beyond their end"
    taken = Counter((rate, "by their sound") if rate else (other, why) for rate in by_sound)
    for one, rate in zip(folders, by_sound):
        if one.source.fps != (rate or other):
            one.source = replace(one.source, fps=rate or other)
            one.info = probe_source(one.source)
    for (rate, reason), count in taken.items():
        are = f"folders of frames are taken for {rate:g} frames a second"
        notes.append(f"{are}, {reason} ({count} of {len(folders)}); --frame-rate says otherwise")


def _count(one: Found) -> float:
    """Frames of a folder, those that are missing too."""
    return one.info.duration * one.source.fps


def rate_by_sound(count: float, seconds: float) -> float | None:
    """The usual rate at which so many frames last as long as their sound; None where none does."""
    if seconds < 1:
        return None
    usual = min(_RATES, key=lambda rate: abs(count / seconds - rate))
    return usual if abs(count / seconds - usual) <= _NEAR * usual else None


def rate_by_times(folders: Sequence[Found]) -> float:
    """The most frames a second, of usual rates up to 30, at which the times of boxes lie within their folders.

    Where most do so at none, they are frame numbers, and it is 30.
    """
    shares = {rate: np.zeros(2) for rate in _RATES if rate <= FRAME_RATE}
    for one in folders:
        places, unit = one.places, one.exported.clock.unit
        if unit == FRAMES or not len(places):
            continue
        apart = unit == EITHER and np.median(np.diff(np.unique(places)).tolist() or [1]) > 1
        start = CUT_START if places.min() >= CUT_START else 0.0
        for rate, share in shares.items():
            if not apart or rate >= _SLOWEST:
                share += ((places - start <= _count(one) / rate).sum(), len(places))
    fits = {rate: inside / count for rate, (inside, count) in shares.items() if count}
    best = max(fits.values(), default=0.0)
    return next((rate for rate, fit in fits.items() if fit >= _FIT * best), FRAME_RATE) if best > 0.5 else FRAME_RATE


def _settle_clocks(found: Sequence[Found], rate: float, notes: list[str]) -> None:
    """Give the videos of one file clocks that say what they count."""
    open_ = [one for one in found if one.exported.clock.unit == EITHER]
    in_frames = count_frames([fitting(one.places, one.source, one.info) for one in open_])
    if open_:
        unit = "frame numbers" if in_frames else "seconds"
        notes.append(f"{open_[0].exported.where.rpartition(':')[0]}: times are {unit}, by what fits the videos")
    for one in found:
        clock = one.exported.clock.settled(in_frames)
        one.exported.clock = replace(clock, rate=clock.rate or rate or clock.default_rate or None)
    moved = [o for o in found if o.exported.clock.unit == SECONDS and film_start(o.info.duration, o.places)]
    if moved:
        of = f"{len(moved)} videos, such as {moved[0].exported.names[0]}"
        notes.append(f"times of {of}, are of a film, of which the video begins at second {CUT_START:g}, as AVA's do")
