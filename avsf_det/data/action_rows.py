"""The rows of person, action and score that a csv has for one video, whichever AVA code wrote it."""

from __future__ import annotations

import csv
import difflib
import math
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from ava_eval.label_map import LabelMap
from avsf_det.errors import UserError
from avsf_det.structures import VIDEO_SUFFIXES

PIXELS = 2.0  # boxes that reach beyond twice the picture are in pixels
OUTSIDE = 1.05  # boxes in pixels that reach farther than this, in pictures, are of a picture of another size
EXPECTED = "video, second, x1, y1, x2, y2, then action, then score or person id"
_COLUMNS = ("video", "second", "x1", "y1", "x2", "y2", "action")
# What headers call the columns, in lower case and without blanks and underscores.
_HEADERS = {
    **dict.fromkeys(("video", "videoid", "videoname", "filename"), "video"),
    **dict.fromkeys(("second", "seconds", "sec", "time", "timestamp", "frametimestamp"), "second"),
    **dict.fromkeys(("x1", "xmin", "left", "entityboxx1"), "x1"),
    **dict.fromkeys(("y1", "ymin", "top", "entityboxy1"), "y1"),
    **dict.fromkeys(("x2", "xmax", "right", "entityboxx2"), "x2"),
    **dict.fromkeys(("y2", "ymax", "bottom", "entityboxy2"), "y2"),
    **dict.fromkeys(("action", "actionid", "label", "labelid", "class", "classid", "actionname"), "action"),
    **dict.fromkeys(("score", "confidence", "probability"), "score"),
    **dict.fromkeys(("person", "personid", "entityid", "trackid"), "person"),
}


@dataclass(frozen=True)
class ActionRows:
    """The R rows of one video, in the order of the file.

    Attributes:
        path: the file.
        label_map: its K classes: those given, else those that the rows name.
        times: (R,) float64, seconds of the csv's clock.
        boxes: (R, 4) float64, x1 y1 x2 y2 as shares of the picture.
        classes: (R,) int64, positions in the label map; -1 for a person without an action.
        scores: (R,) float64 within 0..1; 1 where the file has none.
        persons: (R,) int64, person ids; -1 where the file has none.
        keyframes: (F,) float64, rising, the times that the file names, also those with nobody there.
        bad: a line of text on each row that was left out.
    """

    path: Path
    label_map: LabelMap
    times: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    persons: np.ndarray
    keyframes: np.ndarray
    bad: list[str]

    def __len__(self) -> int:
        return len(self.times)


class _Row(NamedTuple):
    """A row as it is written: no box where nobody is there, and empty texts for what it has not."""

    line: int
    time: float
    box: tuple[float, ...]
    action: str
    score: float
    person: int


def read_action_rows(
    path: str | Path, video: str, size: tuple[int, int], label_map: LabelMap | None = None, truth: bool = False
) -> ActionRows:
    """The rows of one video.

    Columns are separated by commas, tabs or semicolons. A header says which is which; without one the order is
    `EXPECTED`, and what comes after the box may be absent. A last column holds person ids if all of it are whole
    numbers and no two boxes of a keyframe share one; otherwise scores; of two the other one holds the scores. A row of
    two columns names a keyframe with nobody there. Actions are ids or names. Boxes are in pixels if most reach beyond
    twice the picture, else shares of it; what sticks out is cut off.

    Args:
        path: the csv.
        video: id of the video; the csv may have its folder and suffix too.
        size: width and height of its picture in pixels.
        label_map: the classes; None takes those that the rows name.
        truth: it is ground truth, whose whole numbers are person ids in any case.

    Raises:
        UserError: if the file cannot be read, or has no usable row of the video.
    """
    path, bad = Path(path), []
    rows = _parse(path, _of_video(path, video), truth, bad)
    boxed = [row for row in rows if row.box]
    if not rows:
        first = f"; first: {bad[0]}" if bad else ""
        raise UserError(f"{path}: no usable row of video {video!r}; expected {EXPECTED}{first}")
    boxes = _shares(path, boxed, size)
    label_map = label_map or _named_classes(path, boxed)
    position = {str(action_id): i for i, action_id in enumerate(label_map.ids)}
    position |= {name: i for i, name in enumerate(label_map.names)} | {"": -1}
    good = []
    for number, (row, box) in enumerate(zip(boxed, boxes)):
        if box[0] >= box[2] or box[1] >= box[3]:
            bad.append(f"{path}:{row.line}: box {_text(row.box)} is empty or outside the picture")
        elif row.action not in position:
            bad.append(f"{path}:{row.line}: action {row.action!r} is not in the label map")
        else:
            good.append(number)
    return ActionRows(
        path,
        label_map,
        times=np.array([boxed[i].time for i in good]),
        boxes=boxes[good],
        classes=np.array([position[boxed[i].action] for i in good], dtype=np.int64),
        scores=np.array([boxed[i].score for i in good]),
        persons=np.array([boxed[i].person for i in good], dtype=np.int64),
        keyframes=np.unique([row.time for row in rows]),
        bad=bad,
    )


def _of_video(path: Path, video: str) -> list[tuple[int, dict[str, str] | list[str]]]:
    """Line and fields of the rows of one video; by column if there is a header.

    Raises:
        UserError: if there are none; it names the videos that there are.
    """
    found, others, header = [], set(), None
    for line, fields in _lines(path):
        if line == 1 and (header := _header(fields)):
            continue
        fields = [field.strip() for field in fields]
        name = fields[header.index("video")] if header and len(fields) == len(header) else fields[0]
        if _stem(name) == video:
            found.append((line, dict(zip(header, fields)) if header else fields))
        else:
            others.add(name)
    if not found and not others:
        raise UserError(f"{path}: the file is empty; expected {EXPECTED}")
    if not found:
        near = difflib.get_close_matches(video, others, n=3, cutoff=0.4) or sorted(others)[:3]
        raise UserError(
            f"{path}: no row of video {video!r} among those of {len(others)} videos, such as "
            f"{', '.join(map(repr, near))}; say with --video-id which of them this is"
        )
    return found


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of each row that is not blank."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(",\t;", key=first.count))
            yield from ((reader.line_num, fields) for fields in reader if fields)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as csv ({error}); expected {EXPECTED}") from None


def _header(fields: list[str]) -> list[str] | None:
    """The columns that a header names, or None if the row is no header."""
    columns = [_HEADERS.get(re.sub(r"[\s_]", "", field.lower()), field) for field in fields]
    return columns if set(_COLUMNS[:6]) <= set(columns) else None


def _stem(name: str) -> str:
    """The video id of a file name: without its folders and its suffix."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.stem if path.suffix.lower() in VIDEO_SUFFIXES else path.name


def _parse(path: Path, rows: list[tuple[int, dict[str, str] | list[str]]], truth: bool, bad: list[str]) -> list[_Row]:
    """The good rows; a line of text on each other one is added to `bad`."""
    last = () if rows and isinstance(rows[0][1], dict) else _last_columns([fields for _, fields in rows], truth)
    parsed = []
    for line, fields in rows:
        try:
            if isinstance(fields, list):
                if len(fields) != 2 and not 6 <= len(fields) <= 7 + len(last):
                    raise ValueError(f"got {len(fields)} columns, expected {EXPECTED}")
                fields = dict(zip((*_COLUMNS, *last), fields))
            parsed.append(_row(line, fields))
        except ValueError as error:
            bad.append(f"{path}:{line}: {error}")
    return parsed


def _last_columns(rows: list[list[str]], truth: bool) -> tuple[str, ...]:
    """What the columns behind the action are, of rows without a header."""
    width = min(max(map(len, rows)), 9)
    ids = [column for column in range(7, width) if _are_ids(rows, column, truth)]
    columns = ["score"] * (width - 7)
    if ids:
        columns[ids[-1] - 7] = "person"
    return tuple(columns)


def _are_ids(rows: list[list[str]], column: int, truth: bool) -> bool:
    boxes: dict[tuple[str, str], list[str]] = {}
    for fields in rows:
        if len(fields) > column:
            if not re.fullmatch(r"-?\d+", fields[column]) or not (fields[6] or truth):
                return False
            if not truth and boxes.setdefault((fields[1], fields[column]), fields[2:6]) != fields[2:6]:
                return False
    return True


def _row(line: int, fields: dict[str, str]) -> _Row:
    """Raises ValueError if it is bad."""
    try:
        time = float(fields["second"])
        box = tuple(float(fields[side]) for side in ("x1", "y1", "x2", "y2") if fields.get(side))
    except ValueError:
        written = ",".join(fields[column] for column in _COLUMNS[1:6] if column in fields)
        raise ValueError(f"got {written} for second and box, expected numbers") from None
    if len(box) not in (0, 4) or not all(map(math.isfinite, (time, *box))):
        raise ValueError(f"got second {time:g} and box {_text(box)}, expected finite numbers, of a box four or none")
    action = fields.get("action", "")
    score, person = fields.get("score", ""), fields.get("person", "")
    if score and not 0.0 <= _number(score) <= 1.0:
        raise ValueError(f"got {score!r} for the score, expected a number within 0..1")
    if person and not abs(_number(person)) < 2**53:
        raise ValueError(f"got {person!r} for the person id, expected a whole number")
    if re.fullmatch(r"\d+\.0*|0\d+|-1", action):
        action = "" if action == "-1" else str(int(float(action)))
    return _Row(line, time, box, action, _number(score or "1"), int(_number(person or "-1")))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _shares(path: Path, rows: list[_Row], size: tuple[int, int]) -> np.ndarray:
    """(R, 4) boxes as shares of the picture, within it.

    Raises:
        UserError: if they are pixels of a larger picture.
    """
    boxes = np.array([row.box for row in rows]).reshape(-1, 4)
    if len(boxes) and np.median(boxes.max(axis=1)) > PIXELS:
        boxes = boxes / (*size, *size)
        if np.quantile(boxes.max(axis=1), 0.9) > OUTSIDE:
            row = rows[int(boxes.max(axis=1).argmax())]
            raise UserError(
                f"{path}:{row.line}: box {_text(row.box)} is outside the picture of {size[0]} x {size[1]} pixels, as "
                "are others; expected pixels of this video, or shares of the picture within 0..1"
            )
    return boxes.clip(0.0, 1.0)


def _named_classes(path: Path, rows: list[_Row]) -> LabelMap:
    return class_map({row.action for row in rows} - {""}, path)


def class_map(actions: Set[str], path: Path) -> LabelMap:
    """A label map of ids, or of names, as a csv has them.

    Raises:
        UserError: if some are ids and others names.
    """
    numbers = {action for action in actions if re.fullmatch(r"\d+", action)}
    if numbers and numbers != actions:
        name = min(actions - numbers)
        raise UserError(f"{path}: actions are ids as well as names, such as {name!r}; give a --label-map that has both")
    if numbers:
        ids = sorted(map(int, actions))
        return LabelMap(tuple(ids), tuple(f"action {action_id}" for action_id in ids))
    names = sorted(actions) or ["no action"]
    return LabelMap(tuple(range(1, len(names) + 1)), tuple(names))


def join_classes(first: ActionRows, second: ActionRows) -> LabelMap:
    """One label map of the classes that two files name.

    Raises:
        UserError: if one has ids and the other names.
    """
    actions = set()
    for label_map in (first.label_map, second.label_map):
        written = {name: str(i) if name == f"action {i}" else name for i, name in zip(label_map.ids, label_map.names)}
        actions |= set(written.values()) - {"no action"}
    return class_map(actions, second.path)


def _text(box: tuple[float, ...]) -> str:
    return ",".join(f"{value:g}" for value in box)
