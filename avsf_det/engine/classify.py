"""What is done when in videos of any length, by a model of whole clips: a csv and a timeline of each."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count, takewhile
from math import ceil
from pathlib import Path

import numpy as np
from tqdm import tqdm

from avsf_det.engine.annotate import read_envelope
from avsf_det.engine.clip_predictor import ClipPredictor
from avsf_det.engine.each_video import process_each
from avsf_det.engine.output import make_output
from avsf_det.engine.question import Question, questions
from avsf_det.engine.result_cache import Owner, ResultCache
from avsf_det.errors import UserError, printable
from avsf_det.files import software_versions
from avsf_det.media.video import VideoInfo, probe
from avsf_det.processes import trim_memory
from avsf_det.visual.class_timeline import ClassBand, draw_class_timeline
from detectors.files import write_whole

ENDING = "_classes"  # of results' names, so that they may lie beside those of `detect`
SUFFIXES = {"csv": ".csv", "timeline": ".png"}
CHUNK = 64  # windows after which scores are kept
MAX_ROWS = 30  # of a timeline
LONGEST_STRIDE = 1.0  # seconds


@dataclass(frozen=True)
class ClassifyOptions:
    """How `classify` goes about a video.

    Attributes:
        stride: seconds from one window's start to the next one's; None is the window's own span, and at most 1 s.
            Windows of usual models last 2.1 s and more, so that what happens where one ends is in the middle of
            another.
        top_k: classes told of each window and of the video.
        threshold: score from which a class is reported.
        overwrite: whether files that were not written for the same video may be replaced.
    """

    stride: float | None = None
    top_k: int = 5
    threshold: float = 0.0
    overwrite: bool = False


@dataclass(frozen=True)
class VideoClasses:
    """What came out of one video.

    Attributes:
        files: written, by output.
        windows: how many were scored.
        best: of each question its name and the best classes of the video, of each of which its name, its score, and
            what sound added to it, None where that was not asked.
        has_audio: whether there is a sound track.
        missing: seconds that the video promises and does not have.
        reused: whether all was there from an earlier run, and nothing had to be done.
    """

    files: dict[str, Path]
    windows: int
    best: list[list]
    has_audio: bool
    missing: float
    reused: bool = False

    def summary(self) -> str:
        """What was looked at, and a line for each question."""
        there = " (there already)" if self.reused else ""
        windows = "1 window" if self.windows == 1 else f"{self.windows} windows"
        lines = [f"{windows}{'' if self.has_audio else ', no sound'} -> {self.files['csv']}{there}"]
        for name, classes in self.best:
            told = ", ".join(
                f"{answer} {score:.2f}" + ("" if added is None or not self.has_audio else f" (sound {added:+.2f})")
                for answer, score, added in classes
            )
            lines.append(f"  {name}: {told or 'no class reaches the threshold'}")
        return "\n".join(lines)


@dataclass(frozen=True)
class _Windows:
    """The windows of a video: (W,) seconds, (W, K) scores, and these without sound where that was asked."""

    starts: np.ndarray
    ends: np.ndarray
    scores: np.ndarray
    silent: np.ndarray | None


def classify_videos(
    videos: Sequence[Path], output: Path, predictor: ClipPredictor, options: ClassifyOptions
) -> tuple[dict[Path, VideoClasses], dict[Path, str]]:
    """Classify each video in turn; one that fails is skipped.

    Returns:
        The results, and for each video that failed, or is not whole, the reason.

    Raises:
        UserError: if `output` cannot be written, or the disk is full.
    """
    make_output(output, "--output")

    def classify(path: Path, stem: Path, title: str) -> VideoClasses:
        return classify_video(path, stem, predictor, options, title)

    return process_each(videos, output, SUFFIXES.values(), classify, options.overwrite, ENDING)


def classify_video(
    path: Path,
    stem: Path,
    predictor: ClipPredictor,
    options: ClassifyOptions,
    title: str = "",
    progress_bar: Callable[..., tqdm] = tqdm,
) -> VideoClasses:
    """Classify one video and write `stem`.csv and `stem`.png, a timeline.

    Scores are kept beside the results, and what is there is not computed again; see `engine.detect.detect_video`.

    Args:
        path: the video.
        stem: path of the results without suffix.
        predictor: scores windows.
        options: how to go about it.
        title: put before the file's name in the progress bar.
        progress_bar: makes it, as tqdm does.

    Raises:
        UserError: if the video cannot be read, the files not be written, or the model gives no numbers.
    """
    info, span = probe(path), predictor.spec.duration
    stride, video = options.stride or min(span, LONGEST_STRIDE), Owner.of(path)
    key = repr(("classes", software_versions(), video.content, predictor.identity, stride))
    files = {name: Path(f"{stem}{suffix}") for name, suffix in SUFFIXES.items()}
    names, how = [file.name for file in files.values()], repr(replace(options, overwrite=False))
    with ResultCache(stem, video, key, names, options.overwrite) as cache:
        if note := cache.finished(how):
            return VideoClasses(files, **note, reused=True)
        starts, name = window_starts(info, span, stride), printable(path.name)
        scores, silent = _score(path, starts + span / 2, predictor, cache, f"{title} {name}".strip(), progress_bar)
        if not np.isfinite(scores).all():
            raise UserError(f"{path}: the model's scores are NaN or inf; check the checkpoint's weights")
        windows = _Windows(starts, np.minimum(starts + span, info.duration), scores, silent)
        asked = questions(predictor.heads)
        with cache.writing(files["csv"]):
            write_whole(files["csv"], _csv(printable(path.stem), windows, asked, options).encode())
        bands = [_band(question, windows, options, MAX_ROWS // len(asked)) for question in asked]
        envelope = read_envelope(path, info)
        with cache.writing(files["timeline"]):
            draw_class_timeline(files["timeline"], windows.starts, windows.ends, bands, info.duration, envelope, name)
        best = [[question.name, _best(question, windows, options)] for question in asked]
        result = VideoClasses(files, len(starts), best, info.has_audio, info.missing)
        note = {name: value for name, value in asdict(result).items() if name not in ("files", "reused")}
        cache.finish(how, files.values(), note)
        return result


def window_starts(info: VideoInfo, span: float, stride: float) -> np.ndarray:
    """(W,) seconds at which windows begin: from the first picture on every `stride`, the last to end with the video.

    A video that is shorter than a window has one, which begins with it.

    Args:
        info: what the video holds.
        span: seconds of a window.
        stride: seconds, above 0.
    """
    slack = max(info.duration - info.picture_start - span, 0.0)
    steps = np.arange(ceil(slack / stride - 1e-6) + 1) * stride
    return info.picture_start + np.minimum(steps, slack)


def _score(
    path: Path,
    centers: np.ndarray,
    predictor: ClipPredictor,
    kept: ResultCache,
    name: str,
    progress_bar: Callable[..., tqdm],
) -> tuple[np.ndarray, np.ndarray | None]:
    """(W, K) scores of all windows, and without sound; chunks that are kept are not computed again."""
    chunks = [centers[first : first + CHUNK] for first in range(0, len(centers), CHUNK)]
    scored = list(takewhile(bool, map(kept.arrays, range(len(chunks)))))
    progress = {"total": len(centers), "initial": sum(len(one["scores"]) for one in scored), "unit": "window"}
    with progress_bar(**progress, desc=name, disable=None) as bar:
        for number, chunk in zip(count(len(scored)), chunks[len(scored) :]):
            scores, silent = predictor.score_video(path, chunk.tolist(), bar.update)
            scored.append({"scores": scores} | ({} if silent is None else {"silent": silent}))
            kept.keep_arrays(number, scored[-1])
            trim_memory()
    silent = np.concatenate([one["silent"] for one in scored]) if predictor.explain_audio else None
    return np.concatenate([one["scores"] for one in scored]), silent


def _csv(video: str, windows: _Windows, asked: Sequence[Question], options: ClassifyOptions) -> str:
    """A row for each window, question and one of its best classes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    explained = ["score_without_sound", "sound_added"] if windows.silent is not None else []
    writer.writerow(["video", "start", "end", "head", "rank", "class", "score", *explained])
    rows = [_rows(question, windows, options) for question in asked]
    for window in zip(windows.starts, windows.ends, *rows):
        start, end, *answers = window
        for question, best in zip(asked, answers):
            for rank, (number, score, *silent) in enumerate(best, 1):
                numbers = (score, *silent, *(score - without for without in silent))
                told = [f"{value:.6f}" for value in numbers]
                writer.writerow(
                    [video, f"{start:.3f}", f"{end:.3f}", question.name, rank, question.answer(number), *told]
                )
    return text.getvalue()


def _rows(question: Question, windows: _Windows, options: ClassifyOptions) -> Iterator[list[tuple]]:
    """Of each window the best classes from the threshold on: number, score, and if known the score without sound."""
    best = question.best(windows.scores, options.top_k)
    columns = [question.scores(scores, best) for scores in (windows.scores, windows.silent) if scores is not None]
    for numbers, *values in zip(best.tolist(), *(column.tolist() for column in columns)):
        yield [row for row in zip(numbers, *values) if row[1] >= options.threshold]


def _band(question: Question, windows: _Windows, options: ClassifyOptions, rows: int) -> ClassBand:
    """Of the classes in the csv those of the highest scores, and of equal ones the first."""
    best = question.best(windows.scores, options.top_k)
    scores = question.scores(windows.scores, best)
    numbers, which = np.unique(best, return_inverse=True)
    highest = np.zeros(len(numbers), dtype=scores.dtype)
    np.maximum.at(highest, which.ravel(), scores.ravel())
    told = [i for i in np.argsort(-highest, kind="stable") if highest[i] >= options.threshold]
    chosen = numbers[told[: rows if len(told) <= rows else rows - 1]]  # a row says how many are left out
    return ClassBand(
        question.name,
        [question.answer(number) for number in chosen],
        question.scores(windows.scores, chosen),
        None if windows.silent is None else question.scores(windows.silent, chosen),
        len(told) - len(chosen),
    )


def _best(question: Question, windows: _Windows, options: ClassifyOptions) -> list[list]:
    """The best classes of the whole video: name, score, and what sound added."""
    scores = question.overall(windows.scores)
    added = None if windows.silent is None else scores - question.overall(windows.silent)
    best = [i for i in np.argsort(-scores, kind="stable")[: options.top_k] if scores[i] >= options.threshold]
    return [[question.answer(i), float(scores[i]), None if added is None else float(added[i])] for i in best]
