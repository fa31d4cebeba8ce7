"""Detection on videos: each becomes an annotated mp4, an AVA csv, JSON lines, a timeline and a page to play it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import chain, islice, takewhile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from avsf_det import __version__
from avsf_det.data.clip import Clip
from avsf_det.data.film import Film, Moment
from avsf_det.data.video_table import VIDEO_TABLE, recorded_frame_rates
from avsf_det.engine.evaluate import CHUNK
from avsf_det.engine.output import make_output, result_stem
from avsf_det.engine.persons import BATCH, link_persons, smooth_actions
from avsf_det.engine.pipeline import ahead
from avsf_det.engine.predictor import Predictor, groups_of
from avsf_det.engine.results import SUFFIXES, Detections, write_results
from avsf_det.engine.resume import Kept
from avsf_det.errors import UserError
from avsf_det.media.shots import Change, cuts_of
from avsf_det.media.source import VideoSource, as_source, find_sources, probe_source
from avsf_det.media.video import VideoInfo
from avsf_det.processes import trim_memory
from avsf_det.structures import VIDEO_SUFFIXES, Keyframe, Persons
from detectors import CachedDetector, GivenBoxes, PersonDetector

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
    """

    rate: float = 2.0
    threshold: float | tuple[float, ...] = 0.3
    top_k: int = 3
    cache: Path | None = None
    smooth: float = 0.0
    outputs: tuple[str, ...] = tuple(SUFFIXES)


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

    Of a dataset that was imported, its folder is all its videos, and those of frames are meant by theirs.

    Raises:
        UserError: if a folder holds no video.
    """
    videos = []
    for path in map(Path, inputs):
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES) or _imported(path)
            if not inside:
                raise UserError(
                    f"{path}: no video in this folder; known suffixes: {' '.join(VIDEO_SUFFIXES)}; folders of frames "
                    "are known where `avsf-det data import` made a dataset of them"
                )
            videos += inside
        else:
            videos.append(path)
    return videos


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
    """Detect on each video in turn; one that fails is passed over.

    Returns:
        The results, and of the videos that failed, or are not whole, the reason.

    Raises:
        UserError: if `output` cannot be written.
    """
    make_output(output, "--output")
    results, failed, taken = {}, {}, {as_source(path).path.resolve() for path in videos}
    for number, path in enumerate(videos, 1):
        stem = result_stem(path, output, taken)
        taken.add(Path(f"{stem}.mp4").resolve())
        try:
            results[path] = detect_video(path, stem, predictor, detector, options, f"{number}/{len(videos)}")
            if results[path].missing:
                failed[path] = f"{path}: cut off, {results[path].missing:.1f} s are missing; the rest is annotated"
        except UserError as error:
            failed[path] = str(error)
    return results, failed


def detect_video(
    path: Path | VideoSource,
    stem: Path,
    predictor: Predictor,
    detector: PersonDetector,
    options: DetectOptions,
    title: str = "",
    progress_bar: Callable[..., tqdm] = tqdm,
) -> VideoResult:
    """Detect on one video and write `stem`.mp4 and so on.

    Scores are kept in chunks of keyframes beside the results (`avsf_det.engine.resume`): after an interruption it goes
    on from there, and gives the same. Where video, model, boxes and options are those of a run that was finished, and
    its files are as it left them, nothing is done.

    Args:
        path: the video.
        stem: path of the results without suffix.
        predictor: scores actions.
        detector: finds persons.
        options: how to go about it.
        title: put before the file's name in the progress bars.
        progress_bar: makes the bar of each stage, as tqdm does.

    Raises:
        UserError: if the video cannot be read or the files not be written.
    """
    info = probe_source(path)
    if as_source(path).path.is_dir() and "page" in options.outputs and "mp4" not in options.outputs:
        raise UserError(f"{path}: a page cannot play a folder of frames; add mp4 to --outputs, which it plays instead")
    inputs = __version__, as_source(path).identity(), predictor.identity, detector.identity, options.rate
    kept, how = Kept(stem, repr(inputs)), repr(options)
    if note := kept.finished(how):
        files = {name: Path(f"{stem}{suffix}") for name, suffix in SUFFIXES.items() if name in options.outputs}
        return VideoResult(files, **note, reused=True)
    times, name = keyframe_times(info, options.rate), f"{title} {as_source(path).path.name}".strip()
    persons, changes = _score(path, times, predictor, detector, options.cache, kept, name, progress_bar)
    cuts = cuts_of(changes)
    persons = link_persons(persons, times, cuts)
    if options.smooth:
        persons = smooth_actions(persons, times, options.smooth)
    found = Detections(path, info, times, persons, cuts, as_source(path).path.name)
    shown = options.outputs, options.threshold, options.top_k
    drawn = len(times) if "mp4" in options.outputs else 0
    with progress_bar(total=drawn, desc=f"{name}: results", unit="keyframe", disable=None) as bar:
        files = write_results(stem, found, predictor.label_map, *shown, bar.update)
    result = VideoResult(
        files,
        keyframes=len(times),
        busy_keyframes=sum(len(found) > 0 for found in persons),
        persons=len({int(i) for found in persons for i in found.ids}),
        missing=info.missing,
    )
    told = {name: value for name, value in asdict(result).items() if name not in ("files", "reused")}
    kept.keep_finished(how, files, told)
    return result


def _score(
    path: Path | VideoSource,
    times: Sequence[float],
    predictor: Predictor,
    detector: PersonDetector,
    cache: Path | None,
    kept: Kept,
    name: str,
    progress_bar: Callable[..., tqdm],
) -> tuple[list[Persons], np.ndarray]:
    """The persons of all keyframes with action scores, and (F, 3) changes; chunks that are kept are not made again.

    One pass over the film: while some clips go through the network, persons are looked for on the next keyframes, and
    those after them are decoded.
    """
    chunks = [times[start : start + CHUNK] for start in range(0, len(times), CHUNK)]
    known = list(takewhile(bool, map(kept.chunk, range(len(chunks)))))
    scored = list(chain.from_iterable(persons for persons, _ in known))
    changes = [np.zeros((0, 3)), *(changes for _, changes in known)]
    looks = not isinstance(detector, GivenBoxes)
    if not looks:
        detector.warn_of_times_beyond(as_source(path).stem, probe_source(path).duration)
    if looks and cache:
        detector = CachedDetector(detector, path, cache)
    film = Film(path, predictor.spec, times, predictor.shifts, pictures=looks)
    moments = ahead(film.moments(len(scored), np.concatenate(changes)[-2:, 0].tolist()), READ_AHEAD)
    found = ahead(_find_persons(moments, detector, as_source(path).stem), READ_AHEAD)
    progress = {"total": len(times), "initial": len(scored), "desc": f"{name}: actions", "unit": "keyframe"}
    with closing(moments), closing(found), progress_bar(**progress, disable=None) as bar:
        for number in range(len(known), len(chunks)):
            fresh: list[Change] = []
            persons = predictor.score_keyframes(_noted(islice(found, len(chunks[number])), fresh), bar.update)
            kept.keep_chunk(number, persons, np.array(fresh).reshape(-1, 3))
            trim_memory()
            changes.append(np.array(fresh).reshape(-1, 3))
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
