"""Anyone's detections drawn on a video: an AVA csv in, an annotated mp4 out, right and wrong told apart."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from ava_eval.label_map import LabelMap
from avsf_det.data.action_rows import ActionRows, join_classes, read_action_rows
from avsf_det.data.ava_csv import some
from avsf_det.engine.annotate import annotate_video, read_envelope
from avsf_det.engine.judgement import Judgement, judge, unfound, with_verdicts
from avsf_det.engine.persons import link_persons
from avsf_det.engine.result_cache import Owner, conflict, record_files
from avsf_det.errors import UserError
from avsf_det.media.shots import find_cuts
from avsf_det.media.source import VideoSource, start_of
from avsf_det.media.video import VideoInfo, probe
from avsf_det.structures import Persons
from avsf_det.visual.draw import Annotator
from avsf_det.visual.palette import Colour, group_colours
from avsf_det.visual.verdicts import COLOURS, MISSED, RIGHT, UNJUDGED, WRONG, VerdictAnnotator

logger = logging.getLogger(__name__)

LONGEST_SPACING = 1.0  # seconds between AVA's keyframes
_MEANINGS = ("no verdict", "✓ right", "✗ wrong", "○ missed")


@dataclass(frozen=True)
class DrawOptions:
    """How `draw` goes about a video.

    Attributes:
        label_map: the classes; None takes those that the csv names.
        video_id: the video's name in the csv; None is the file's own.
        start: second of the csv's clock at which the file begins; None is 900 for a file as long as AVA's cut, else 0.
        threshold: score from which an action is shown, and judged.
        top_k: detected actions shown for a person at most.
    """

    label_map: LabelMap | None = None
    video_id: str | None = None
    start: float | None = None
    threshold: float = 0.3
    top_k: int = 3


@dataclass(frozen=True)
class Drawing:
    """What was drawn.

    Attributes:
        video: the mp4 written.
        keyframes: of the csv, within the video.
        judgement: of the detections; None without ground truth.
    """

    video: Path
    keyframes: int
    judgement: Judgement | None

    def summary(self) -> str:
        """One line."""
        judged = f"; {self.judgement.summary()}" if self.judgement else ""
        return f"{self.keyframes} keyframes{judged} -> {self.video}"


def draw_detections(
    path: Path,
    detections: Path,
    target: Path,
    options: DrawOptions,
    groundtruth: Path | None = None,
    overwrite: bool = False,
) -> Drawing:
    """Draw the rows that a csv has for a video, and how they compare with ground truth.

    Boxes move between keyframes; persons without ids are linked by overlap. The sound is the video's own.

    Args:
        path: the video.
        detections: the csv; see `read_action_rows`.
        target: the mp4 to write.
        options: see there.
        groundtruth: a csv of labelled persons.
        overwrite: whether `target` may replace a file that was not drawn for the same video.

    Raises:
        UserError: if a file cannot be used, or has nothing for the video, or `target` exists.
    """
    if target.suffix.lower() != ".mp4" or target.resolve() == path.resolve():
        raise UserError(f"{target}: cannot be the output; expected a name that ends in .mp4 and is not the video's own")
    reason = conflict(target.parent, target.name, Owner.of(path), [target.name])
    if reason and not overwrite:
        raise UserError(f"{reason}; choose another name with --output, or replace it with --overwrite")
    info = probe(path)
    name = options.video_id or path.stem
    start = start_of(VideoSource(path, options.start))
    found, truth = _read(detections, groundtruth, name, (info.width, info.height), options.label_map)
    for rows in filter(None, (found, truth)):
        if rows.bad:
            logger.warning("left out %d rows: %s", len(rows.bad), some(rows.bad))
        _check_clock(rows, info, start)
    cuts = find_cuts(path)
    label_map = found.label_map
    persons, members = _persons(found, start, cuts)
    judgement, shown = None, persons
    if truth:
        judgement = judge(found, truth, options.threshold)
        shown = _judged(found, truth, judgement, persons, members)
        annotator = VerdictAnnotator(label_map.names, options.top_k, options.threshold)
    else:
        annotator = Annotator(label_map.names, label_map.groups, options.top_k, options.threshold)
    times, everyone = _filled({time - start: shown[time] for time in shown})
    envelope, legend = read_envelope(path, info), _legend(label_map, judgement)
    annotate_video(path, target, info, times, everyone, cuts, annotator, envelope, legend=legend)
    record_files(target, os.path.realpath(path), [target.name])
    return Drawing(target, sum(0 <= time - start <= info.duration for time in persons), judgement)


def _read(
    detections: Path, groundtruth: Path | None, name: str, size: tuple[int, int], label_map: LabelMap | None
) -> tuple[ActionRows, ActionRows | None]:
    """Both tables, by one label map."""
    found = read_action_rows(detections, name, size, label_map)
    if groundtruth is None:
        return found, None
    truth = read_action_rows(groundtruth, name, size, label_map, truth=True)
    if found.label_map == truth.label_map:
        return found, truth
    return _read(detections, groundtruth, name, size, join_classes(found, truth))


def _check_clock(rows: ActionRows, info: VideoInfo, start: float) -> None:
    """See that some keyframe lies within the video."""
    times = rows.keyframes - start
    if not ((times >= 0) & (times <= info.duration)).any():
        raise UserError(
            f"{rows.path}: its keyframes are at {rows.keyframes[0]:g} to {rows.keyframes[-1]:g} s, the video lasts "
            f"from {start:g} to {start + info.duration:g} s; if it begins elsewhere on the csv's clock say so with "
            "--start, as --start 900 for a video cut out of an AVA film"
        )


def _persons(
    rows: ActionRows, start: float, cuts: Sequence[float]
) -> tuple[dict[float, Persons], dict[float, tuple[np.ndarray, np.ndarray]]]:
    """For each of the csv's times the persons, linked; and the rows there, with the person that each is of."""
    order = np.argsort(rows.times, kind="stable")
    bounds = (
        np.searchsorted(rows.times[order], rows.keyframes, "left"),
        np.searchsorted(rows.times[order], rows.keyframes, "right"),
    )
    persons, members = [], []
    for first, last in zip(*bounds):
        here = order[first:last]
        keys = np.column_stack((rows.boxes[here], rows.persons[here])).reshape(-1, 5)
        unique, person_of = np.unique(keys, axis=0, return_inverse=True)
        person_of = person_of.reshape(-1)
        actions, scores = np.zeros((len(unique), len(rows.label_map))), np.zeros(len(unique))
        acts = rows.classes[here] >= 0
        np.maximum.at(actions, (person_of[acts], rows.classes[here][acts]), rows.scores[here][acts])
        np.maximum.at(scores, person_of, rows.scores[here])
        persons.append(Persons(unique[:, :4], scores, unique[:, 4], actions))
        members.append((here, person_of))
    linked = link_persons(persons, (rows.keyframes - start).tolist(), cuts)
    times = rows.keyframes.tolist()
    return dict(zip(times, linked)), dict(zip(times, members))


def _judged(
    found: ActionRows,
    truth: ActionRows,
    judgement: Judgement,
    persons: dict[float, Persons],
    members: dict[float, tuple[np.ndarray, np.ndarray]],
) -> dict[float, Persons]:
    """The persons of each time of either file, as `VerdictAnnotator` draws them."""
    shown = {}
    nobody = Persons.none().replace(actions=np.zeros((0, len(found.label_map))))
    for time in np.union1d(found.keyframes, truth.keyframes).tolist():
        here = persons.get(time, nobody)
        verdicts = np.full(here.actions.shape, UNJUDGED)
        if time in members:
            rows, person_of = members[time]
            judged = judgement.verdicts[rows] != UNJUDGED
            rows, person_of = rows[judged], person_of[judged]
            order = np.argsort(found.scores[rows], kind="stable")  # of rows that repeat a class, the best stays
            verdicts[person_of[order], found.classes[rows[order]]] = judgement.verdicts[rows[order]]
        lost, attached = unfound(truth, judgement.missed, here, time)
        shown[time] = with_verdicts(here, lost, attached, verdicts)
    return shown


def _filled(persons: dict[float, Persons]) -> tuple[list[float], list[Persons]]:
    """Rising times and their persons; where keyframes are left out, nobody is there: else people would glide across."""
    times = sorted(persons)
    gaps = np.diff(times)
    spacing = float(np.median(gaps)) if len(gaps) else LONGEST_SPACING
    spacing = min(spacing, LONGEST_SPACING)
    edges = [(times[0], -1), (times[-1], 1)] if times else []
    for before, after in pairwise(times):
        if after - before > 1.5 * spacing:
            edges += [(before, 1), (after, -1)]
    filled = {time + direction * spacing: Persons.none() for time, direction in edges} | persons
    return sorted(filled), [filled[time] for time in sorted(filled)]


def _legend(label_map: LabelMap, judgement: Judgement | None) -> list[tuple[Colour, str]]:
    """What the colours mean; empty where they mean nothing."""
    if judgement:
        words = list(_MEANINGS)
        for verdict in (RIGHT, WRONG):
            words[verdict] += f" {int((judgement.verdicts == verdict).sum())}"
        words[MISSED] += f" {int(judgement.missed.sum())}"
        return [(COLOURS[verdict], words[verdict]) for verdict in (RIGHT, WRONG, MISSED, UNJUDGED)]
    groups = dict(zip(label_map.groups, group_colours(label_map.groups, len(label_map))))
    return [(colour, group) for group, colour in groups.items()] if len(groups) > 1 else []
