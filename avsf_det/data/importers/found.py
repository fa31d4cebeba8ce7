"""Exported videos that are on disk: where, at how many pictures a second, and what their annotations' times count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from avsf_det.data.importers.clock import EITHER, FRAMES, SECONDS, counts_frames, film_start
from avsf_det.data.importers.export import Export, ExportedVideo
from avsf_det.data.importers.videos import VideoFolder
from avsf_det.errors import UserError
from avsf_det.media.frame_folder import frame_names
from avsf_det.media.source import CUT_LENGTHS, CUT_START, VideoSource, probe_source
from avsf_det.media.video import VideoInfo

DEFAULT_RATE = 30.0  # pictures a second of folders of frames, as AVA's have
_RATES = (60.0, 50.0, 30.0, 25.0, 24.0, 20.0, 15.0, 12.0, 10.0, 8.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.5)
_FIT = 0.95  # of the times that have to be within the videos for a rate to be believed
_NEAR = 0.02  # by which a rate reckoned from the sound may differ from a usual one
_SPARSE = 5  # whole numbers farther apart than this count frames, not seconds


@dataclass
class Found:
    """An exported video that is on disk."""

    exported: ExportedVideo
    source: VideoSource
    info: VideoInfo

    @property
    def places(self) -> np.ndarray:
        """(N,) places of all boxes."""
        return np.concatenate([track.places for track in self.exported.tracks] or [np.zeros(0)])


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
    for export, video in progress(videos, len(videos)):
        try:
            source = folder.find(video.names)
            by_export[id(export)].append(Found(video, source, probe_source(source)))
        except UserError as error:
            bad.append(f"{video.where}: {error}")
    found = [one for some in by_export.values() for one in some]
    if not rate:
        _settle_rates([one for one in found if one.source.path.is_dir()], notes)
    for some in by_export.values():
        _settle_clocks(some, rate, notes)
    return found


def _settle_rates(folders: list[Found], notes: list[str]) -> None:
    """Give folders of frames their pictures a second: by their sound, else by the times that they have to hold."""
    silent, heard, unusual = [], defaultdict(list), []
    for one in folders:
        length = one.info.audio_end - one.info.audio_start
        if not one.info.has_audio or length < 1:
            silent.append(one)
        elif rate := rate_by_sound(_pictures(one), length):
            heard[rate].append(one)
        else:
            unusual.append(one)
    if heard:  # the others are like most
        heard[max(heard, key=lambda rate: len(heard[rate]))] += unusual
    else:
        silent += unusual
    for rate, some in sorted(heard.items()):
        _give_rate(some, rate, "by how long their sound lasts", notes)
    fitted = rate_by_times([(_pictures(one), one.places) for one in silent if _is_in_seconds(one)])
    why = "for nothing says otherwise" if fitted == DEFAULT_RATE else "for at more their times would not fit"
    _give_rate(silent, fitted, why, notes)


def _give_rate(folders: list[Found], rate: float, why: str, notes: list[str]) -> None:
    if not folders:
        return
    for one in folders:
        if rate != one.source.fps:
            one.source = replace(one.source, fps=rate)
            one.info = probe_source(one.source)
    notes.append(f"{len(folders)} folders of frames are taken for {rate:g} pictures a second, {why} (--frame-rate)")


def _pictures(one: Found) -> int:
    names = frame_names(one.source.path)
    return int(names.numbers[-1]) - names.origin + 1


def _is_in_seconds(one: Found) -> bool:
    """Whether a video's places are seconds, or may be: whole numbers that are not far apart."""
    steps = np.diff(np.unique(one.places))
    may = one.exported.clock.unit == EITHER and not (len(steps) and np.median(steps) > _SPARSE)
    return len(one.places) > 0 and (may or one.exported.clock.unit == SECONDS)


def rate_by_sound(pictures: int, seconds: float) -> float | None:
    """The usual rate at which so many pictures last about as long as their sound; None where none does."""
    usual = min(_RATES, key=lambda rate: abs(pictures / seconds - rate))
    return usual if abs(pictures / seconds - usual) <= _NEAR * usual else None


def rate_by_times(videos: Sequence[tuple[int, np.ndarray]]) -> float:
    """The most pictures a second, of usual rates up to 30, at which the times of the videos lie within them.

    Args:
        videos: number of pictures, and (N,) seconds, of each.
    """
    if not videos:
        return DEFAULT_RATE
    rates = [rate for rate in _RATES if rate <= DEFAULT_RATE]
    shares = []
    for rate in rates:
        inside = [_within(places, pictures / rate) for pictures, places in videos]
        shares.append(sum(part.sum() for part in inside) / sum(map(len, inside)))
    return next((rate for rate, share in zip(rates, shares) if share >= _FIT * max(shares)), DEFAULT_RATE)


def _within(places: np.ndarray, duration: float) -> np.ndarray:
    start = CUT_START if places.min() >= CUT_START else 0.0
    return places - start <= duration


def _settle_clocks(found: list[Found], rate: float, notes: list[str]) -> None:
    """Give the videos of one file clocks that say what they count."""
    open_ = [one for one in found if one.exported.clock.unit == EITHER]
    in_frames = sum(counts_frames(one.places, one.source, one.info) for one in open_) > 0
    if open_:
        unit = "frame numbers" if in_frames else "seconds"
        notes.append(f"{open_[0].exported.where.rpartition(':')[0]}: times are {unit}, by what fits the videos")
    for one in found:
        clock = one.exported.clock.settled(in_frames)
        one.exported.clock = replace(clock, rate=clock.rate or rate or None)
    films = [one for one in found if one.exported.clock.unit != FRAMES and film_start(one.info.duration, one.places)]
    short = [one for one in films if one.info.duration < CUT_LENGTHS[0]]
    if short:
        notes.append(
            f"times of {len(short)} videos, such as {short[0].exported.names[0]}, begin at second {CUT_START:g} as "
            "AVA's do: it is taken for the first of the video"
        )
