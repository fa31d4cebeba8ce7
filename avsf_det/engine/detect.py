"""Detection on videos: each becomes an annotated mp4, an AVA csv, JSON lines, a timeline and a page to play it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice, takewhile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from avsf_det.data.clip import Clip
from avsf_det.data.film import Film, Moment
from avsf_det.data.video_table import VIDEO_TABLE, recorded_frame_rates
from avsf_det.engine.each_video import process_each
from avsf_det.engine.evaluate import CHUNK
from avsf_det.engine.output import make_output
from avsf_det.engine.persons import BATCH, link_persons, smooth_actions
from avsf_det.engine.pipeline import ahead
from avsf_det.engine.predictor import Predictor, groups_of
from avsf_det.engine.result_cache import Owner, ResultCache, written_files
from avsf_det.engine.results import AUDIO_SUFFIX, SUFFIXES, Detections, write_results
from avsf_det.errors import UserError, printable
from avsf_det.files import software_versions
from avsf_det.media.shots import Change, as_array, cuts_of, resume_times
from avsf_det.media.source import VideoSource, as_source, find_sources, probe_source
from avsf_det.media.video import VideoInfo
from avsf_det.processes import trim_memory
from avsf_det.structures import VIDEO_SUFFIXES, Keyframe, Persons
from detectors import CachedDetector, GivenBoxes, PersonDetector

logger = logging.getLogger(__name__)

READ_AHEAD = 4  # moments that may be read, and others on which persons may be found, before they are needed


@dataclass(frozen=True)
class DetectOptions:
    """How `detect` goes about a video.

    Attributes:
        rate: keyframes a second.
        threshold: score from which an action is shown, one for all classes or K; csv and JSON lines have all scores.
        top_k: actions shown for a person at most.
        cache: folder that remembers found persons, or None.
        smooth: standard deviation in seconds of the Gaussian that a person's scores are averaged with over time; 0
            leaves them as they are.
        outputs: what to write, of `avsf_det.engine.results.SUFFIXES`.
        overwrite: whether files that were not written for the same video may be replaced.
    """

    rate: float = 2.0
    threshold: float | tuple[float, ...] = 0.3
    top_k: int = 3
    cache: Path | None = None
    smooth: float = 0.0
    outputs: tuple[str, ...] = tuple(SUFFIXES)
    overwrite: bool = False

    def suffixes(self, explain_audio: bool) -> list[str]:
        """What is put behind the name of a video's results, for each file that is written."""
        suffixes = [SUFFIXES[name] for name in self.outputs]
        return suffixes + ([AUDIO_SUFFIX] if explain_audio and "csv" in self.outputs else [])


@dataclass(frozen=True)
class VideoResult:
    """What came out of one video.

    Attributes:
        files: written, by output.
        keyframes: moments looked at.
        busy_keyframes: those with at least one person.
        persons: different person ids.
        missing: seconds that the video promises and does not have.
        reused: whether all was there from an earlier run, and nothing had to be done.
    """

    files: dict[str, Path]
    keyframes: int
    busy_keyframes: int
    persons: int
    missing: float
    reused: bool = False

    def summary(self) -> str:
        """One line."""
        where = f"-> {next(iter(self.files.values()))}" + (" (there already)" if self.reused else "")
        if not self.persons:
            return f"no person found in {self.keyframes} keyframes {where}"
        people = "1 person" if self.persons == 1 else f"{self.persons} persons"
        return f"{people}, in {self.busy_keyframes} of {self.keyframes} keyframes {where}"


def find_videos(inputs: Sequence[str | Path]) -> list[Path | VideoSource]:
    """The videos meant: files that are named, whatever they are, and in named folders all that have a video's suffix.

    The folder of an imported dataset stands for all its videos, and frames for theirs. In a folder, hidden files and
    results of earlier runs are skipped, and files with other suffixes are named in the log.

    Raises:
        UserError: if a folder holds no video.
    """
    videos: list[Path | VideoSource] = []
    for path in map(Path, inputs):
        videos += _videos_within(path) if path.is_dir() else [path]
    distinct = {os.path.abspath(as_source(video).path): video for video in videos}
    return list(distinct.values())


def _videos_within(folder: Path) -> list[Path | VideoSource]:
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror}); check its permissions") from None
    videos = [name for name in names if name.lower().endswith(VIDEO_SUFFIXES) and not (folder / name).is_dir()]
    results = written_files(folder)
    own = [name for name in videos if name in results]
    if own:
        logger.warning("%s: skipped %d results of earlier runs: %s", folder, len(own), _some(own))
    if found := [folder / name for name in videos if name not in results]:
        others = [name for name in names if name not in (*videos, *results) and not (folder / name).is_dir()]
        if others:
            logger.warning("%s: ignored %d files without a video's suffix: %s", folder, len(others), _some(others))
        return found
    if imported := _imported(folder):
        return imported
    only = ", only results of earlier runs" if own else ""
    raise UserError(
        f"{folder}: no video in this folder{only}; known suffixes: {' '.join(VIDEO_SUFFIXES)}; folders of frames "
        "are known where `avsf-det data import` made a dataset of them"
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _imported(folder: Path) -> list[VideoSource]:
    """The videos in a folder that is, or is part of, an imported dataset."""
    folder = folder.absolute()
    root = next((path for path in (folder, *folder.parents[:2]) if (path / VIDEO_TABLE).is_file()), None)
    if root is None:
        return []
    rates = recorded_frame_rates(root / VIDEO_TABLE)
    found = find_sources(root / "videos", root / "frames", root / "sounds", rates=rates)
    return [source for _, source in sorted(found.items()) if source.path.is_relative_to(folder)]


def detect_videos(
    videos: Sequence[Path | VideoSource],
    output: Path,
    predictor: Predictor,
    detector: PersonDetector,
    options: DetectOptions,
) -> tuple[dict[Path | VideoSource, VideoResult], dict[Path | VideoSource, str]]:
    """Detect on each video in turn; one that fails is skipped.

    Returns:
        The results, and for each video that failed, or is not whole, the reason.

    Raises:
        UserError: if `output` cannot be written, or the disk is full.
    """
    make_output(output, "--output")

    def detect(path: Path | VideoSource, stem: Path, title: str) -> VideoResult:
        return detect_video(path, stem, predictor, detector, options, title)

    suffixes = options.suffixes(predictor.explain_audio)
    return process_each(videos, output, suffixes, detect, options.overwrite)


def detect_video(
    path: Path | VideoSource,
    stem: Path,
    predictor: Predictor,
    detector: PersonDetector,
    options: DetectOptions,
    title: str = "",
    progress_bar: Callable[..., tqdm] = tqdm,
    owner: str = "",
) -> VideoResult:
    """Detect on one video and write `stem`.mp4 and so on.

    Scores are kept in chunks of keyframes beside the results (`avsf_det.engine.result_cache`): an interrupted run
    resumes from them, with the same results. If a run with the same video, model, boxes and options finished, and its
    files are unchanged, nothing is computed.

    Args:
        path: the video.
        stem: path of the results without suffix.
        predictor: scores actions.
        detector: finds people.
        options: how to go about it.
        title: put before the file's name in the progress bars.
        progress_bar: makes the bar of each stage, as tqdm does.
        owner: what the results belong to, if not to the file at `path`: the address that it was fetched from.

    Raises:
        UserError: if the video cannot be read, or the files cannot be written or would replace others.
    """
    info = probe_source(path)
    if as_source(path).path.is_dir() and "page" in options.outputs and "mp4" not in options.outputs:
        raise UserError(f"{path}: a page cannot play a folder of frames; add mp4 to --outputs, which it plays instead")
    video = Owner.of(path)
    key = repr((software_versions(), video.content, predictor.identity, detector.identity, options.rate))
    names = [f"{stem.name}{suffix}" for suffix in options.suffixes(predictor.explain_audio)]
    how = repr(replace(options, cache=None, overwrite=False))
    with ResultCache(stem, replace(video, name=owner or video.name), key, names, options.overwrite) as cache:
        if note := cache.finished(how):
            files = {name: Path(f"{stem}{suffix}") for name, suffix in SUFFIXES.items() if name in options.outputs}
            return VideoResult(files, **note, reused=True)
        times, name = keyframe_times(info, options.rate), f"{title} {printable(as_source(path).path.name)}".strip()
        persons, changes = _score(path, times, predictor, detector, options.cache, cache, name, progress_bar)
        if not all(np.isfinite(found.actions).all() for found in persons):
            raise UserError(f"{path}: the model's scores are NaN or inf; check the checkpoint's weights")
        cuts = cuts_of(changes)
        persons = link_persons(persons, times, cuts)
        if options.smooth:
            persons = smooth_actions(persons, times, options.smooth)
        found = Detections(path, info, times, persons, cuts, printable(as_source(path).path.name))
        shown = options.outputs, options.threshold, options.top_k
        drawn = len(times) if "mp4" in options.outputs else 0
        with progress_bar(total=drawn, desc=f"{name}: results", unit="keyframe", disable=None) as bar:
            files = write_results(stem, found, predictor.label_map, *shown, bar.update, cache.writing)
        result = VideoResult(
            {output: file for output, file in files.items() if output in SUFFIXES},
            keyframes=len(times),
            busy_keyframes=sum(len(found) > 0 for found in persons),
            persons=len({int(i) for found in persons for i in found.ids}),
            missing=info.missing,
        )
        note = {name: value for name, value in asdict(result).items() if name not in ("files", "reused")}
        cache.finish(how, files.values(), note)
        return result


def _score(
    path: Path | VideoSource,
    times: Sequence[float],
    predictor: Predictor,
    detector: PersonDetector,
    cache: Path | None,
    kept: ResultCache,
    name: str,
    progress_bar: Callable[..., tqdm],
) -> tuple[list[Persons], np.ndarray]:
    """The persons of all keyframes with action scores, and (F, 6) changes; chunks that are kept are not made again.

    One pass over the film: while some clips go through the network, persons are looked for on the next keyframes, and
    those after them are decoded.
    """
    chunks = [times[start : start + CHUNK] for start in range(0, len(times), CHUNK)]
    known = list(takewhile(bool, map(kept.chunk, range(len(chunks)))))
    scored = list(chain.from_iterable(persons for persons, _ in known))
    changes = [as_array([]), *(changes for _, changes in known)]
    looks = not isinstance(detector, GivenBoxes)
    if not looks:
        detector.warn_of_times_beyond(as_source(path).stem, probe_source(path).duration)
    if looks and cache:
        detector = CachedDetector(detector, path, cache)
    film = Film(path, predictor.spec, times, predictor.shifts, pictures=looks)
    moments = ahead(film.moments(len(scored), resume_times(np.concatenate(changes))), READ_AHEAD)
    found = ahead(_find_persons(moments, detector, as_source(path).stem), READ_AHEAD)
    progress = {"total": len(times), "initial": len(scored), "desc": f"{name}: actions", "unit": "keyframe"}
    with closing(moments), closing(found), progress_bar(**progress, disable=None) as bar:
        for number in range(len(known), len(chunks)):
            fresh: list[Change] = []
            persons = predictor.score_keyframes(_noted(islice(found, len(chunks[number])), fresh), bar.update)
            kept.keep_chunk(number, persons, as_array(fresh))
            trim_memory()
            changes.append(as_array(fresh))
            scored += persons
    return scored, np.concatenate(changes)


def _noted(
    found: Iterator[tuple[Moment, Persons]], changes: list[Change]
) -> Iterator[tuple[Persons, Callable[[], list[Clip]]]]:
    """The persons of each moment and what gives its clips; what changed is added to a list."""
    for moment, persons in found:
        changes += moment.changes
        yield persons, moment.clips


def _find_persons(
    moments: Iterator[Moment], detector: PersonDetector, video_id: str
) -> Iterator[tuple[Moment, Persons]]:
    """Each moment, its image let go, with the persons on it."""
    for some in groups_of(moments, BATCH):
        found = detector.detect([Keyframe(video_id, moment.time, moment.image) for moment in some])
        for moment, persons in zip(some, found):
            moment.image = None
            yield moment, persons


def keyframe_times(info: VideoInfo, rate: float) -> list[float]:
    """Seconds 0, 1/rate, 2/rate ... at which the picture is there; at least one."""
    times = [i / rate for i in range(int(info.duration * rate) + 1)]
    return [t for t in times if info.picture_start <= t < info.duration] or [info.picture_start]
