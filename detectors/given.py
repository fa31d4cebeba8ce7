"""Boxes that are known already: detected by others, or drawn by annotators."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from pathlib import Path
from typing import NamedTuple

import numpy as np

from avsf_det.errors import UserError, printable
from avsf_det.structures import VIDEO_SUFFIXES, Keyframe, Persons
from detectors.files import file_sha256

logger = logging.getLogger(__name__)

COLUMNS = (
    "video, second, x1, y1, x2, y2 (shares of the picture's width and height), then label, then score or person id"
)
PIXELS = 2.0  # a coordinate beyond twice the picture is in pixels
AVA_SPACING = 1.0  # seconds between AVA's keyframes


@dataclass(frozen=True)
class VideoBoxes:
    """The given persons of one video: `found[i]` at `times[i]` seconds, times ascending, best score first."""

    times: np.ndarray
    found: list[list[tuple[float, tuple[float, ...], int]]]  # score, box, id

    def persons(self, row: int) -> Persons:
        """The persons at `times[row]`."""
        scores, boxes, ids = zip(*self.found[row]) if self.found[row] else ((), (), ())
        return Persons(np.array(boxes), np.array(scores), np.array(ids))


class GivenBoxes:
    """A person detector that looks boxes up in an AVA-style csv.

    A keyframe gets the boxes of the nearest time that the csv has for its video, if that is near enough.

    Args:
        path: the csv; see `read_boxes`.
        score_threshold: lowest score of a person.
        tolerance: largest distance in seconds to a given time; without one, half of the csv's own spacing, and at most
            half of AVA's second.

    Raises:
        UserError: if the csv cannot be used.
    """

    def __init__(self, path: str | Path, score_threshold: float = 0.0, tolerance: float | None = None) -> None:
        self._path = path
        self._videos = read_boxes(path)
        self._score_threshold = score_threshold
        self._tolerance = _spacing(self._videos) / 2 if tolerance is None else tolerance
        self._unknown: set[str] = set()
        self.identity = f"boxes-{file_sha256(path)[:16]}-{score_threshold:g}-{self._tolerance:g}"

    def detect(self, frames: Sequence[Keyframe]) -> list[Persons]:
        """The given persons of each keyframe, best score first; the pictures are not looked at."""
        return [self._look_up(video_name(frame.video_id), frame.time) for frame in frames]

    def warn_of_times_beyond(self, video_id: str, duration: float) -> None:
        """Warn if boxes of a video have times after its end, as frame numbers do.

        Args:
            video_id: name of the video.
            duration: seconds that it lasts.
        """
        given = self._videos.get(video_name(video_id))
        beyond = int((given.times > duration + AVA_SPACING).sum()) if given else 0
        if not beyond:
            return
        numbers = np.array_equal(given.times, np.round(given.times))
        hint = "are they frame numbers? Divide them by the frame rate" if numbers else "expected seconds of this file"
        logger.warning(
            "%s: %d of %d times of video '%s' are beyond its end: it lasts %.1f s and they go up to %g; %s",
            *(self._path, beyond, len(given.times), video_name(video_id), duration, given.times[-1], hint),
        )

    def _look_up(self, video: str, time: float) -> Persons:
        if video not in self._videos:
            self._warn_once(video)
            return Persons.none()
        given = self._videos[video]
        nearest = int(np.abs(given.times - time).argmin())
        if abs(given.times[nearest] - time) > self._tolerance + 1e-6:
            return Persons.none()
        persons = given.persons(nearest)
        return persons[persons.scores >= self._score_threshold]

    def _warn_once(self, video: str) -> None:
        if video not in self._unknown:
            self._unknown.add(video)
            logger.warning(
                "%s: no boxes for video '%s'; it has %s",
                self._path,
                printable(video),
                ", ".join(list(self._videos)[:3]),
            )


def read_boxes(path: str | Path) -> dict[str, VideoBoxes]:
    """The persons that an AVA-style csv without a header gives, by video id.

    Rows begin with video, second, x1, y1, x2, y2, the box as shares of the picture's width and height. What may follow:
      - nothing, or a label;
      - a label, which may be empty, and a score: PySlowFast's predicted boxes, AVA's result files;
      - a label and a person id: AVA's ground truth. The last column holds ids if it is an integer, and the label is
        there, in every row.
    A row of two columns says that nobody is there at that time (AVA-Kinetics). Rows that repeat a person with another
    label are one person, with the best of their scores. The video may be a file name, with its suffix or without.

    A malformed row is left out and named in a warning; a box that reaches beyond the picture is clipped, and counted
    in a warning.

    Raises:
        UserError: if the file cannot be read, has no good row, or has boxes in pixels or turned inside out.
    """
    rows, malformed = _parse(path)
    if not rows:
        reason = f"{malformed[0]}, and no row is better" if malformed else f"{path}: the file is empty"
        raise UserError(f"{reason}; expected {COLUMNS}")
    if malformed:
        some = "; ".join(malformed[:5]) + ("; …" if malformed[5:] else "")
        logger.warning("left out %d malformed rows: %s", len(malformed), some)
    last_is_id = all(row.label and _is_integer(row.last) for row in rows if row.box)
    found: dict[str, dict[float, dict[tuple, float]]] = {}  # video -> time -> (box, id) -> score
    clipped = 0
    for row in rows:
        persons = found.setdefault(row.video, {}).setdefault(row.time, {})
        if row.box:
            box = _clip(path, row)
            clipped += box != row.box
            person, score = (int(row.last), 1.0) if last_is_id else (-1, _score(path, row))
            persons[box, person] = max(score, persons.get((box, person), 0.0))
    if clipped:
        logger.warning("%s: clipped %d boxes that reach beyond the picture", path, clipped)
    return {video: _in_order(times) for video, times in found.items()}


@cache
def video_name(file_name: str) -> str:
    """The video id of a file name: without its folders and its suffix."""
    name = file_name.rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    return stem if dot + suffix.lower() in VIDEO_SUFFIXES else name


class _Row(NamedTuple):
    line: int
    video: str
    time: float
    box: tuple[float, ...]  # empty if nobody is there
    label: str
    last: str  # a score or a person id, or empty


def _parse(path: str | Path) -> tuple[list[_Row], list[str]]:
    """The good rows, and a line of text on each malformed one."""
    rows, malformed = [], []
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            for fields in filter(None, reader):
                try:
                    rows.append(_parse_row(reader.line_num, fields))
                except ValueError as error:
                    malformed.append(f"{path}:{reader.line_num}: {error}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error}); expected a csv of {COLUMNS}") from None
    return rows, malformed


def _parse_row(line: int, fields: list[str]) -> _Row:
    """Raises ValueError if the row is malformed."""
    if len(fields) not in (2, 6, 7, 8):
        raise ValueError(f"{len(fields)} columns; expected 2, 6, 7 or 8")
    time, *box = map(float, fields[1:6])
    if not isfinite(time + sum(box)):
        raise ValueError("a number that is not finite")
    if box and (box[0] >= 1 or box[1] >= 1 or box[2] <= 0 or box[3] <= 0) and max(box) <= PIXELS:
        raise ValueError(f"box {box} is outside the picture")
    if len(fields) == 8 and not float(fields[7]) >= -1:
        raise ValueError(f"'{fields[7]}' is neither a score nor a person id")
    label, last = (*fields[6:], "", "")[:2]
    return _Row(line, video_name(fields[0]), time, tuple(box), label, last)


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _clip(path: str | Path, row: _Row) -> tuple[float, ...]:
    """The part of the row's box that is within the picture."""
    x1, y1, x2, y2 = row.box
    if max(row.box) > PIXELS:
        raise UserError(f"{path}:{row.line}: box {row.box} looks like pixels; divide by the picture's size")
    if x1 >= x2 or y1 >= y2:
        raise UserError(f"{path}:{row.line}: box {row.box} is turned inside out; expected x1 < x2 and y1 < y2")
    return max(0.0, x1), max(0.0, y1), min(1.0, x2), min(1.0, y2)


def _score(path: str | Path, row: _Row) -> float:
    score = float(row.last or 1.0)
    if not 0.0 <= score <= 1.0:
        raise UserError(
            f"{path}:{row.line}: score {row.last} is not within 0..1; "
            "if the last column holds person ids, every row needs a label and an integer id"
        )
    return score


def _in_order(times: dict[float, dict[tuple, float]]) -> VideoBoxes:
    moments = sorted(times)
    found = [sorted(((score, *person) for person, score in times[time].items()), reverse=True) for time in moments]
    return VideoBoxes(np.array(moments), found)


def _spacing(videos: dict[str, VideoBoxes]) -> float:
    """The usual distance in seconds between a time and the next of the same video; at most AVA's."""
    gaps = np.concatenate([np.diff(video.times) for video in videos.values()])
    return min(AVA_SPACING, float(np.median(gaps))) if len(gaps) else AVA_SPACING
