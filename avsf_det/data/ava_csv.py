"""Rows of AVA's csv files as columns: clean files at the speed of pandas, bad rows of any file named one by one."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsf_det.errors import UserError

GROUNDTRUTH = "video,timestamp,x1,y1,x2,y2,action_id,person_id with boxes in 0..1"
PREDICTED = "video,timestamp,x1,y1,x2,y2,label or nothing,score with boxes in 0..1"
PIXELS = 2.0  # a coordinate beyond twice the picture is in pixels
IN_PIXELS, IS_EMPTY, WITHOUT_BOX = "looks like pixels", "is empty or outside the picture", "has no box"
"""What the text of a bad row says where it is one of these kinds."""
SHOWN = 5  # bad rows named in full
FAST_BYTES = 1 << 20  # below this, importing pandas takes longer than it saves


@dataclass(frozen=True)
class BoxTable:
    """The R good rows of a csv of boxes, in the order of the file.

    Attributes:
        path: the file.
        video_names: the different videos.
        videos: (R,) int32, index into `video_names`.
        times: (R,) float64, seconds.
        boxes: (R, 4) float64, x1 y1 x2 y2 in 0..1.
        actions: (R,) int64, action ids; 0 throughout for predicted boxes.
        persons: (R,) int64, person ids, -1 where there is none; -1 throughout for predicted boxes.
        scores: (R,) float64; 1 throughout for ground truth.
        lines: (R,) int64, the line of the file, from 1 on.
        outside: (R,) float64, how far the box reached beyond the picture before it was clipped, as a share of its side.
        bad: a line of text on each bad row.
    """

    path: Path
    video_names: list[str]
    videos: np.ndarray
    times: np.ndarray
    boxes: np.ndarray
    actions: np.ndarray
    persons: np.ndarray
    scores: np.ndarray
    lines: np.ndarray
    outside: np.ndarray
    bad: list[str]

    def __len__(self) -> int:
        return len(self.times)


def read_boxes(path: Path, predicted: bool = False) -> BoxTable:
    """The rows of an AVA csv of boxes.

    Ground truth is video,timestamp,x1,y1,x2,y2,action_id[,person_id]. Predicted persons, as PySlowFast has them, are
    video,timestamp,x1,y1,x2,y2,label,score; the label, which may be -1 or empty, is not looked at. Rows of two columns,
    keyframes without persons, are passed over. A box that reaches beyond the picture is clipped.

    Raises:
        UserError: if the file cannot be read or has no good row.
    """
    try:
        text = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read as csv: {error}") from None
    table = _parse_columns(path, text, predicted) or _parse_rows(path, text, predicted)
    if not len(table):
        first = f"; first: {table.bad[0]}" if table.bad else ""
        raise UserError(f"{path}: no usable row; expected {PREDICTED if predicted else GROUNDTRUTH}{first}")
    return table


def join(tables: Sequence[BoxTable]) -> BoxTable:
    """The rows of several tables, one after the other."""
    if len(tables) == 1:
        return tables[0]
    codes: dict[str, int] = {}
    videos = []
    for table in tables:
        own = [codes.setdefault(name, len(codes)) for name in table.video_names]
        videos.append(np.array(own, dtype=np.int32)[table.videos])
    names = ("times", "boxes", "actions", "persons", "scores", "lines", "outside")
    columns = [[getattr(table, name) for table in tables] for name in names]
    bad = [row for table in tables for row in table.bad]
    return BoxTable(tables[0].path, list(codes), np.concatenate(videos), *map(np.concatenate, columns), bad)


def read_timestamps(path: Path) -> Iterator[tuple[str, float]]:
    """The (video, seconds) of a csv of excluded timestamps.

    Raises:
        UserError: if it cannot be read; the first bad row is named.
    """
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read as csv: {error}") from None
    for number, row in _rows(path, text):
        try:
            yield row[0], float(row[1])
        except (IndexError, ValueError):
            raise UserError(f"{path}:{number}: got {','.join(row)}, expected video,timestamp") from None


def some(items: list[str]) -> str:
    """The first few of many."""
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return "; ".join(items[:SHOWN]) + more


def _parse_columns(path: Path, text: bytes, predicted: bool) -> BoxTable | None:
    """All rows at once, those of doubtful value one by one; None if the file is small or not all plain rows."""
    if len(text) < FAST_BYTES:
        return None
    text = text.removeprefix(b"\xef\xbb\xbf")
    num_rows = text.count(b"\n") + (not text.endswith(b"\n"))
    width, rest = divmod(text.count(b","), num_rows)
    width += 1
    if rest or width not in (7, 8) or any(mark in text for mark in (b'"', b"\0", b"\r")):
        return None
    import pandas as pd

    kinds = dict.fromkeys(range(1, 6), "float64") | {0: "category", 6: "category", 7: "float64"}
    is_exact = tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1)  # by default, whence the option is deprecated
    try:
        frame = pd.read_csv(
            io.BytesIO(text),
            header=None,
            names=range(width),
            dtype={column: kinds[column] for column in range(width)},
            na_filter=False,
            float_precision=None if is_exact else "round_trip",
            skip_blank_lines=False,
            low_memory=False,
        )
    except (ValueError, OverflowError):
        return None
    names, labels = frame[0].cat.categories, frame[6].cat.categories
    if len(frame) != num_rows or not isinstance(frame.index, pd.RangeIndex):
        return None
    if labels.dtype.kind not in "iuOT" or not all(isinstance(name, str) for name in names):
        return None  # pandas took 12.0 for 12, or a video called 007 for 7
    actions = np.array([_action(label) for label in labels], dtype=np.int64)[frame[6].cat.codes.to_numpy()]
    times, boxes = frame[1].to_numpy(), frame[[2, 3, 4, 5]].to_numpy()
    last = frame[7].to_numpy() if width == 8 else np.full(num_rows, 1.0 if predicted else -1.0)
    inner = boxes.clip(0.0, 1.0)
    good = np.isfinite(times) & np.isfinite(boxes).all(axis=1) & (boxes.max(axis=1) <= PIXELS)
    good &= (inner[:, 0] < inner[:, 2]) & (inner[:, 1] < inner[:, 3])
    if predicted:
        good &= (last >= 0) & (last <= 1) & (width == 8)
    else:
        good &= (actions != _NO_ACTION) & (np.abs(last) < 2.0**63) & (last == np.round(last))
    bad = []
    if not good.all():
        lines = text.split(b"\n")
        for row in np.flatnonzero(~good):
            try:
                _parse(next(csv.reader([lines[row].decode("utf-8", "replace")])), predicted)
            except ValueError as error:
                bad.append(f"{path}:{row + 1}: {error}")
    kept = int(good.sum())
    return BoxTable(
        path,
        list(names),
        frame[0].cat.codes.to_numpy().astype(np.int32)[good],
        times[good],
        inner[good],
        np.zeros(kept, dtype=np.int64) if predicted else actions[good],
        np.full(kept, -1) if predicted else last[good].astype(np.int64),
        last[good] if predicted else np.ones(kept),
        np.flatnonzero(good) + 1,
        np.abs(boxes - inner).max(axis=1)[good],
        bad,
    )


_NO_ACTION = np.iinfo(np.int64).min


def _action(label: object) -> int:
    try:
        return max(int(label), _NO_ACTION + 1)
    except (ValueError, OverflowError):
        return _NO_ACTION


def _parse_rows(path: Path, text: bytes, predicted: bool) -> BoxTable:
    """Row by row."""
    codes: dict[str, int] = {}
    rows, bad = [], []
    for number, row in _rows(path, text):
        if len(row) == 2:
            continue
        try:
            parsed = _parse(row, predicted)
        except ValueError as error:
            bad.append(f"{path}:{number}: {error}")
        else:
            rows.append((number, codes.setdefault(row[0], len(codes)), *parsed))
    lines, videos, times, boxes, actions, last, outside = zip(*rows) if rows else [()] * 7
    kept = len(rows)
    return BoxTable(
        path,
        list(codes),
        np.array(videos, dtype=np.int32),
        np.array(times, dtype=np.float64),
        np.array(boxes, dtype=np.float64).reshape(-1, 4),
        np.array(actions, dtype=np.int64),
        np.full(kept, -1) if predicted else np.array(last, dtype=np.int64),
        np.array(last, dtype=np.float64) if predicted else np.ones(kept),
        np.array(lines, dtype=np.int64),
        np.array(outside, dtype=np.float64),
        bad,
    )


def _parse(row: list[str], predicted: bool) -> tuple[float, tuple[float, ...], int, float | int, float]:
    """Time, box, action and person id, or score, of a row, and how far its box reaches beyond the picture.

    Raises:
        ValueError: if the row is bad.
    """
    widths, columns = ((8,), PREDICTED) if predicted else ((7, 8), GROUNDTRUTH)
    if len(row) not in widths:
        raise ValueError(f"got {len(row)} columns, expected {columns}")
    if not any(value.strip() for value in row[2:6]):
        raise ValueError(f"label {row[6]} {WITHOUT_BOX}, expected x1,y1,x2,y2 of who does it")
    try:
        time, *box = (float(value) for value in row[1:6])
    except ValueError:
        raise ValueError(f"got {','.join(row[1:6])} for timestamp and box, expected five numbers") from None
    if not all(map(math.isfinite, (time, *box))):
        raise ValueError(f"got {','.join(row[1:6])}, expected finite numbers")
    if max(box) > PIXELS:
        raise ValueError(f"box {','.join(row[2:6])} {IN_PIXELS}, expected shares of the picture within 0..1")
    written, box = box, tuple(min(max(value, 0.0), 1.0) for value in box)
    if box[0] >= box[2] or box[1] >= box[3]:
        raise ValueError(f"box {','.join(row[2:6])} {IS_EMPTY}, expected x1 < x2 and y1 < y2")
    outside = max(abs(a - b) for a, b in zip(written, box))
    return (time, box, *((0, _score(row[7])) if predicted else _labels(row)), outside)


def _labels(row: list[str]) -> tuple[int, int]:
    try:
        action, person = int(row[6]), float(row[7]) if len(row) == 8 and row[7] else -1.0
        if person != int(person):
            raise ValueError
        person = int(person)
    except (ValueError, OverflowError):
        raise ValueError(
            f"got {','.join(row[6:])} for action and person, expected whole numbers and not, say, a score"
        ) from None
    for what, number in (("action", action), ("person", person)):
        if abs(number) >= 2**63:
            raise ValueError(f"{what} id {number} is too large, expected at most 64 bits")
    return action, person


def _score(text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not 0.0 <= score <= 1.0:
        raise ValueError(f"got {text!r} for the score, expected a number within 0..1 and not, say, a person id")
    return score


def _rows(path: Path, text: bytes) -> Iterator[tuple[int, list[str]]]:
    try:
        reader = csv.reader(io.StringIO(text.decode("utf-8-sig"), newline=""))
        for row in reader:
            if row:
                yield reader.line_num, row
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as csv: {error}") from None
