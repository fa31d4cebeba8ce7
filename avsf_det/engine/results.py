"""The files that come out of a video: an annotated mp4, an AVA csv, JSON lines, a timeline and a page to play it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from urllib.parse import quote

from ava_eval.label_map import LabelMap
from avsf_det.engine.annotate import annotate_video, cut_thumbnails, read_envelope
from avsf_det.engine.evaluate import audio_rows, detection_rows, write_detections
from avsf_det.errors import UserError, printable
from avsf_det.files import written_whole
from avsf_det.media.source import VideoSource, as_source
from avsf_det.media.video import VideoInfo
from avsf_det.structures import Persons
from avsf_det.visual.draw import Annotator
from avsf_det.visual.page import player_page
from avsf_det.visual.timeline import draw_timeline
from detectors.files import write_whole

SUFFIXES = {"mp4": ".mp4", "csv": ".csv", "jsonl": ".jsonl", "timeline": ".png", "page": ".html"}
"""The kinds of output, and how their files end."""
AUDIO_SUFFIX = "_audio.csv"
"""How the csv of what audio adds to each score ends, which is written beside the csv where that was asked for."""


@dataclass(frozen=True)
class Detections:
    """All that was found in one video.

    Attributes:
        path: the video.
        info: what it holds.
        times: seconds of the keyframes, rising.
        persons: of each keyframe, with ids and action scores.
        cuts: seconds at which new shots begin.
        title: the video's name as people are shown it.
    """

    path: Path | VideoSource
    info: VideoInfo
    times: Sequence[float]
    persons: Sequence[Persons]
    cuts: Sequence[float]
    title: str


def write_results(
    stem: Path,
    found: Detections,
    label_map: LabelMap,
    outputs: Sequence[str],
    threshold: float | Sequence[float],
    top_k: int,
    on_progress: Callable[[int], object] = lambda keyframes: None,
    writing: Callable[[Path], AbstractContextManager] = nullcontext,
) -> dict[str, Path]:
    """Write what is asked for, each file whole or not at all.

    Args:
        stem: path of the files without suffix.
        found: what there is to tell.
        label_map: the K classes.
        outputs: keys of `SUFFIXES`.
        threshold: the score from which an action is shown, in the mp4, the timeline and at first in the page: one for
            all, or K. The csv and the JSON lines have all scores.
        top_k: actions shown for a person at most.
        on_progress: called with the number of keyframes drawn since the last call.
        writing: gives a context in which a file is written.

    Returns:
        The files, by output.

    Raises:
        UserError: if the video cannot be read or a file not be written.
    """
    files = {name: Path(f"{stem}{suffix}") for name, suffix in SUFFIXES.items() if name in outputs}
    video_id, names, drawn = printable(found.path.stem), label_map.names, {"mp4", "timeline", "page"} & files.keys()
    envelope = read_envelope(found.path, found.info) if drawn else None
    if "mp4" in files:
        annotator = Annotator(names, label_map.groups, top_k, threshold)
        moments = found.times, found.persons, found.cuts
        with writing(files["mp4"]):
            thumbnails = annotate_video(
                found.path, files["mp4"], found.info, *moments, annotator, envelope, on_progress
            )
    elif drawn:
        thumbnails = cut_thumbnails(found.path, found.times, found.persons)
    if "csv" in files:
        with writing(files["csv"]):
            write_detections(files["csv"], csv_rows(video_id, found.times, found.persons, label_map))
        if any(persons.silent.size for persons in found.persons):
            files["audio"] = Path(f"{stem}{AUDIO_SUFFIX}")
            with writing(files["audio"]):
                write_detections(files["audio"], audio_rows(video_id, found.times, found.persons, label_map))
    if "jsonl" in files:
        with writing(files["jsonl"]):
            write_lines(files["jsonl"], (json_line(video_id, *one, names) for one in zip(found.times, found.persons)))
    duration = found.info.duration
    if "timeline" in files:
        shown = {"title": found.title, "threshold": threshold}
        with writing(files["timeline"]):
            draw_timeline(files["timeline"], found.times, found.persons, names, duration, envelope, thumbnails, **shown)
    if "page" in files:
        file = as_source(found.path).path
        sources = [] if file.is_dir() else [(relative_url(file, stem.parent), False)]
        if "mp4" in files:
            sources.append((relative_url(files["mp4"], stem.parent), True))
        page = player_page(
            sources,
            found.title,
            found.times,
            found.persons,
            names,
            label_map.groups,
            duration,
            found.cuts,
            envelope,
            thumbnails,
            threshold,
            top_k,
        )
        with writing(files["page"]):
            write_whole(files["page"], page.encode())
    return files


def csv_rows(video_id: str, times: Iterable[float], persons: Iterable[Persons], label_map: LabelMap) -> Iterator[tuple]:
    """AVA's result rows, keyframe after keyframe: memory does not grow with the video."""
    return chain.from_iterable(detection_rows(video_id, [t], [found], label_map) for t, found in zip(times, persons))


def json_line(video_id: str, time: float, persons: Persons, class_names: Sequence[str]) -> str:
    """One keyframe as a line of JSON: video, time in seconds, and of each person id, box in 0..1, the detector's score
    and the score of every action by its name."""
    people = [
        {
            "id": person_id,
            "box": [round(float(side), 6) for side in box],
            "score": round(float(score), 6),
            "scores": {name: round(float(value), 6) for name, value in zip(class_names, actions)},
        }
        for person_id, box, score, actions in zip(persons.ids.tolist(), persons.boxes, persons.scores, persons.actions)
    ]
    return json.dumps({"video": video_id, "time": round(float(time), 6), "persons": people}, allow_nan=False)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write lines of text, whole or not at all.

    Raises:
        UserError: if they cannot be written.
    """
    try:
        with written_whole(path) as unfinished, open(unfinished, "wb") as file:
            # file names may hold bytes that are no UTF-8; they appear as "\\udcff"
            file.writelines(f"{line}\n".encode(errors="backslashreplace") for line in lines)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}); free space or choose another folder") from None


def relative_url(path: Path, folder: Path) -> str:
    """The URL of a file as seen from a page in `folder`, whatever its name is made of."""
    return quote(os.fsencode(os.path.relpath(path.resolve(), folder.resolve())))
