"""The rows of an AVA csv as columns, and how they are made from data that is already in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ava_eval.errors import InputError

# AVA's csv (research.google.com/ava/download.html): a frame without boxes is given by the first two columns alone.
COLUMNS = ("video", "timestamp", "x1", "y1", "x2", "y2", "action id", "score")
WIDTHS = (2, 7, 8)
MAX_SECONDS = 9e12  # what 64 bits hold in microseconds


@dataclass(frozen=True)
class Table:
    """R rows of a ground-truth, detection or excluded-timestamp table.

    Attributes:
        source: what the user calls it: the file's path, or "detections".
        lines: (R,) int64, the line of the file (or row of the array) each row came from, counted from 1.
        video_names: the V different videos.
        videos: (R,) int32, index into `video_names`.
        microseconds: (R,) int64, the timestamp; the official key has six decimals, so this is exactly it.
        has_box: (R,) bool, False for rows that only name a frame; their box, action and score are 0.
        boxes: (R, 4) float64, x1 y1 x2 y2 in the unit of the file.
        actions: (R,) int64, class ids.
        scores: (R,) float64; 1.0 where the file has no eighth column. In AVA's ground truth it is the person id.
        skipped: how many blank lines the file has.
        notes: what the user should know about how the file was read, a line each.
    """

    source: str
    lines: np.ndarray
    video_names: list[str]
    videos: np.ndarray
    microseconds: np.ndarray
    has_box: np.ndarray
    boxes: np.ndarray
    actions: np.ndarray
    scores: np.ndarray
    skipped: int = 0
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, row: int) -> str:
        """The place of a row, for messages: "det.csv:17"."""
        return f"{self.source}:{self.lines[row]}"


def microseconds(seconds: np.ndarray, source: str, lines: np.ndarray) -> np.ndarray:
    """(R,) int64 from (R,) float64 seconds, rounded as "%.6f" rounds.

    Raises:
        InputError: naming the source and line of the first that is NaN or does not fit.
    """
    bad = ~(np.abs(seconds) < MAX_SECONDS)
    if bad.any():
        row = bad.argmax()
        raise InputError(f"{source}:{lines[row]}: the timestamp is {seconds[row]}, expected seconds")
    scaled = seconds * 1e6
    rounded = np.rint(scaled)
    result = rounded.astype(np.int64)
    doubtful = (np.abs(scaled - rounded) > 0.49) | (np.abs(scaled) > 2**50)  # the product itself was rounded: ask %
    for row in np.flatnonzero(doubtful):
        result[row] = int(f"{seconds[row]:.6f}".replace(".", ""))
    return result


def check_values(table: Table, *, is_ground_truth: bool) -> None:
    """Refuses numbers on which every comparison is false.

    Raises:
        InputError: naming the first row whose score is NaN (the official code ranks it above every other score), or
            whose box is NaN (dropped, or matched by no detection), or whose ground-truth box is infinite.
    """
    bad = np.isnan(table.scores)
    if bad.any():
        raise InputError(f"{table.where(bad.argmax())}: the last column is NaN, expected a number")
    bad = (~np.isfinite(table.boxes) if is_ground_truth else np.isnan(table.boxes)).any(axis=1)
    if bad.any():
        box = ", ".join(map(str, table.boxes[bad.argmax()].tolist()))
        raise InputError(f"{table.where(bad.argmax())}: the box is {box}, expected finite numbers")


def table_from_memory(data: object, source: str) -> Table:
    """A table from a pandas DataFrame, a 2-D array or a list of equally long rows: 2, 7 or 8 columns, by position.

    In a DataFrame or list, a row whose columns after the timestamp are all empty (None or NaN) only names a frame.

    Raises:
        InputError: if it has another number of columns, or naming the first row that cannot be read.
    """
    if hasattr(data, "iloc"):
        columns = [data.iloc[:, i].to_numpy() for i in range(data.shape[1])]
    else:
        try:
            array = data if isinstance(data, np.ndarray) else np.array(list(data), dtype=object)
        except (TypeError, ValueError):
            raise InputError(f"{source}: expected a path, a DataFrame or rows of equal length") from None
        if array.size == 0 and array.ndim < 2:
            array = np.zeros((0, WIDTHS[-1]))
        if array.ndim != 2:
            raise InputError(f"{source}: expected a 2-D array, got the shape {array.shape}")
        columns = list(array.T)
    if len(columns) not in WIDTHS:
        raise InputError(f"{source}: got {len(columns)} columns, expected 2, 7 or 8 ({', '.join(COLUMNS)})")
    names, videos = _encode_videos(columns[0])
    rows = len(videos)
    numbers = np.empty((rows, len(columns) - 1))
    for i, column in enumerate(columns[1:]):
        numbers[:, i] = _as_numbers(column, source, COLUMNS[i + 1])
    return _assemble(source, names, videos, numbers)


def table_from_columns(
    source: str,
    videos: Sequence[str],
    seconds: np.ndarray,
    boxes: np.ndarray,
    actions: np.ndarray,
    scores: np.ndarray,
    notes: Sequence[str] = (),
) -> Table:
    """A table of rows that all have a box, from (R,) columns and (R, 4) boxes."""
    code_of: dict[str, int] = {}
    codes = np.array([code_of.setdefault(name, len(code_of)) for name in videos], dtype=np.int32)
    lines = np.arange(1, len(codes) + 1)
    times = microseconds(np.asarray(seconds, dtype=np.float64), source, lines)
    has_box = np.ones(len(codes), dtype=bool)
    actions = actions.astype(np.int64)
    return Table(source, lines, list(code_of), codes, times, has_box, boxes, actions, scores, notes=tuple(notes))


def _assemble(source: str, names: list[str], videos: np.ndarray, numbers: np.ndarray) -> Table:
    rows, width = len(numbers), numbers.shape[1]
    has_box = np.zeros(rows, dtype=bool) if width == 1 else ~np.isnan(numbers[:, 1:]).all(axis=1)
    boxes, actions, scores = np.zeros((rows, 4)), np.zeros(rows, dtype=np.int64), has_box.astype(np.float64)
    lines = np.arange(1, rows + 1)
    times = microseconds(numbers[:, 0], source, lines)
    if width > 1:
        boxes[has_box] = numbers[has_box, 1:5]
        ids = numbers[:, 5]
        bad = has_box & ~((np.abs(ids) < 2**53) & (np.floor(ids) == ids))
        if bad.any():
            row = bad.argmax()
            raise InputError(f"{source}:{row + 1}: the action id is {ids[row]}, expected a whole number")
        actions[has_box] = ids[has_box].astype(np.int64)
        if width == 7:
            scores[has_box] = numbers[has_box, 6]
    return Table(source, lines, names, videos, times, has_box, boxes, actions, scores)


def _encode_videos(column: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Names and (R,) int32 codes; a whole number counts as its digits, as a csv would have it."""
    code_of: dict[str, int] = {}
    codes = np.empty(len(column), dtype=np.int32)
    for row, value in enumerate(column.tolist()):
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        codes[row] = code_of.setdefault(str(value), len(code_of))
    return list(code_of), codes


def _as_numbers(column: Sequence[object], source: str, name: str) -> np.ndarray:
    """(R,) float64; None is NaN and strings are parsed as a csv's are."""
    try:
        return np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError):
        for row, value in enumerate(column):
            try:
                np.asarray([value], dtype=np.float64)
            except (TypeError, ValueError):
                raise InputError(f"{source}:{row + 1}: the {name} is {value!r}, expected a number") from None
        raise
