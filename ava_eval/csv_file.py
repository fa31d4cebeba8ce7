"""AVA csv files, plain or gzipped, into tables: every number parsed exactly, every refusal with its line."""

from __future__ import annotations

import csv
import gzip
import io
import os
import zlib
from collections.abc import Iterator

import numpy as np

from ava_eval.errors import InputError
from ava_eval.table import COLUMNS, WIDTHS, Table, microseconds

BLOCK_BYTES = 1 << 24
BOM = b"\xef\xbb\xbf"
FORMATS = {  # first bytes -> what such a file is
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
    b"PK\x03\x04": "a zip archive or Excel workbook",
    b"\x80": "a pickle or other binary file (name a pickle .pkl)",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"PAR1": "a Parquet file",
    b"SQLite": "a database",
    b"{": "JSON",
    b"[": "JSON",
    b"<": "HTML or XML",
}
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}
ORDERS = {  # other orders of the columns after the timestamp -> where x1, y1, x2, y2, action id and score are in them
    "x1, y1, x2, y2, score, action id": (0, 1, 2, 3, 5, 4),
    "action id, x1, y1, x2, y2, score": (1, 2, 3, 4, 0, 5),
    "score, x1, y1, x2, y2, action id": (1, 2, 3, 4, 5, 0),
    "action id, score, x1, y1, x2, y2": (2, 3, 4, 5, 0, 1),
    "score, action id, x1, y1, x2, y2": (2, 3, 4, 5, 1, 0),
}
PANDAS_BYTES = 1 << 20  # below this, importing pandas takes longer than it saves


def read_csv(path: str | os.PathLike[str]) -> Table:
    """Reads a csv (or .csv.gz) of rows with 2, 7 or 8 columns; blank lines are skipped and counted.

    A block of the file whose rows are all of 7 or all of 8 plain columns is parsed by pandas, anything else row by row
    with Python's csv, float and int, which is what the official code does; both give the same bits.

    Raises:
        InputError: if the file cannot be read, or naming file:line of the first row that is not of that form.
    """
    path = os.fspath(path)
    video_codes: dict[str, int] = {}
    parts: list[tuple[np.ndarray, ...]] = []
    line, skipped = 1, 0
    notes: list[str] = []
    for block in _blocks(path, notes):
        columns = _parse_with_pandas(block) or _parse_row_by_row(block, path, line)
        names, lines, videos, seconds, *others = columns
        codes = np.array([video_codes.setdefault(name, len(video_codes)) for name in names], dtype=np.int32)
        lines += line
        parts.append((lines, codes[videos], microseconds(seconds, path, lines), *others))
        lines_in_block = _count_lines(block)
        skipped += lines_in_block - len(lines)
        line += lines_in_block
    if not parts:
        parts = [_columns([], {})[1:]]
    columns = []
    for i in range(len(parts[0])):  # column by column, so that only one is held twice
        columns.append(np.concatenate([part[i] for part in parts]))
        parts = [(*part[:i], None, *part[i + 1 :]) for part in parts]
    lines, videos, times, has_box, boxes, actions, scores = columns
    return Table(path, lines, list(video_codes), videos, times, has_box, boxes, actions, scores, skipped, tuple(notes))


def _count_lines(block: bytes) -> int:
    return block.count(b"\n") + (not block.endswith(b"\n"))


def _blocks(path: str, notes: list[str]) -> Iterator[bytes]:
    """Whole lines, some 16 MiB at a time, with line ends as \\n and without a byte order mark."""
    try:
        with open(path, "rb") as raw:
            is_gzip = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if is_gzip or path.endswith(".gz") else open(path, "rb") as file:
            first = True
            while block := file.read(BLOCK_BYTES):
                block += file.readline()
                if first:
                    _refuse_other_formats(block, path)
                    if block.startswith(BOM):
                        block = block.removeprefix(BOM)
                        notes.append(
                            f"{path}: starts with a byte order mark, which is skipped here; the official code takes it "
                            "for a part of the first row's video id and so miscounts that row"
                        )
                    first = False
                if b"\r" in block:
                    block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
                yield block
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot read the file: {reason}") from None


def _refuse_other_formats(start: bytes, path: str) -> None:
    """Names formats that people mistake for a csv.

    Raises:
        InputError: if the first bytes of the file are one's.
    """
    for magic, what in FORMATS.items():
        if start.startswith(magic):
            raise InputError(f"{path}:1: the file is {what}, expected a csv in UTF-8: {', '.join(COLUMNS)}")


def _parse_with_pandas(block: bytes) -> tuple | None:
    """The block's videos and columns, or None if it is small or holds anything but plain rows of one width."""
    if len(block) < PANDAS_BYTES:
        return None
    rows = _count_lines(block)
    width, rest = divmod(block.count(b","), rows)
    width += 1
    if rest or width not in (7, 8) or b'"' in block or b"\0" in block:
        return None
    import pandas as pd

    types = dict.fromkeys(range(width), "float64") | {0: "category", 6: "category"}
    is_exact = tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1)  # by default, whence the option is deprecated
    try:
        frame = pd.read_csv(
            io.BytesIO(block),
            header=None,
            names=range(width),
            dtype=types,
            na_filter=False,
            float_precision=None if is_exact else "round_trip",
            skip_blank_lines=False,
            low_memory=False,
        )
        names, ids = frame[0].cat.categories, frame[6].cat.categories
        if len(frame) != rows or not isinstance(frame.index, pd.RangeIndex):
            return None
        if ids.dtype.kind in "fb" or not all(isinstance(name, str) for name in names):
            return None  # pandas took 12.0 for 12, or a video called 007 for 7
        ids = np.array([int(class_id) for class_id in ids], dtype=np.int64)
    except (ValueError, OverflowError):
        return None
    return (
        list(names),
        np.arange(rows),
        frame[0].cat.codes.to_numpy(),
        frame[1].to_numpy(),
        np.ones(rows, dtype=bool),
        frame[[2, 3, 4, 5]].to_numpy(),
        ids[frame[6].cat.codes.to_numpy()],
        frame[7].to_numpy() if width == 8 else np.ones(rows),
    )


def _parse_row_by_row(block: bytes, path: str, line: int) -> tuple:
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError as error:
        line += block.count(b"\n", 0, error.start)
        raise InputError(f"{path}:{line}: the file is not text in UTF-8") from None
    reader = csv.reader(text.split("\n"))
    video_codes: dict[str, int] = {}
    rows = []
    try:
        for row in reader:
            if not row:
                continue
            if len(row) not in WIDTHS:
                raise InputError(
                    f"{path}:{line + reader.line_num - 1}: got {len(row)} column{'s' * (len(row) > 1)}, expected 7 or "
                    f"8 ({', '.join(COLUMNS)}), or 2 for a frame without boxes{_hint(row)}"
                )
            try:
                seconds = float(row[1])
                numbers = (True, *map(float, row[2:6]), int(row[6])) if len(row) > 2 else (False, 0, 0, 0, 0, 0)
                score = float(row[7]) if len(row) == 8 else float(len(row) == 7)
            except ValueError:
                raise InputError(f"{path}:{line + reader.line_num - 1}: {_complaint(row)}") from None
            video = video_codes.setdefault(row[0], len(video_codes))
            rows.append((reader.line_num - 1, video, seconds, *numbers, score))
    except csv.Error as error:
        raise InputError(f"{path}:{line + reader.line_num - 1}: not a csv row: {error}") from None
    try:
        return _columns(rows, video_codes)
    except OverflowError:
        row = next(row for row in rows if not -(2**63) <= row[8] < 2**63)
        raise InputError(f"{path}:{line + row[0]}: the action id is out of range") from None


def _columns(rows: list[tuple], video_codes: dict[str, int]) -> tuple:
    """Videos; line, video, seconds, has_box, box, action and score as arrays."""
    line, video, seconds, has_box, x1, y1, x2, y2, action, score = zip(*rows) if rows else [()] * 10
    return (
        list(video_codes),
        np.array(line, dtype=np.int64),
        np.array(video, dtype=np.int32),
        np.array(seconds, dtype=np.float64),
        np.array(has_box, dtype=bool),
        np.array((x1, y1, x2, y2), dtype=np.float64).T,
        np.array(action, dtype=np.int64),
        np.array(score, dtype=np.float64),
    )


def _complaint(row: list[str]) -> str:
    """What is wrong with the first field of the row that is not of its kind, and how that usually comes about."""
    for name, text in zip(COLUMNS[1:], row[1:]):
        kind, expected = (int, "a whole number") if name == "action id" else (float, "a number")
        if not _is(kind, text):
            shown = text if len(text) <= 40 else text[:40] + "..."
            return f"the {name} is {shown!r}, expected {expected}{_hint(row)}"
    raise AssertionError("the row has no such field")


def _is(kind: type, text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _hint(row: list[str]) -> str:
    """A likely cause of a row that cannot be read, as the end of a sentence; empty if none is likely."""
    if len(row) == 1:
        for separator, name in SEPARATORS.items():
            if len(row[0].strip().split(separator)) in WIDTHS:
                return f"; the columns are separated by {name}, expected commas"
        return ""
    if not any(_is(float, text) for text in row[1:]):
        return "; if this is a header, remove it"
    if len(row) == 9 and row[0].strip().isdigit() and not _is(float, row[1]) and _is(float, row[2]):
        return "; the first column looks like a row number: write the file without an index"
    if len(row) == 14 and all(text.strip().lstrip("-").isdigit() for text in row[1:13]):
        return "; the numbers look like they have decimal commas, expected decimal points"
    if len(row) in WIDTHS and _is(float, row[0]) and not _is(float, row[1]):
        return "; the first column is no video: expected video, timestamp, without a row number before them"
    if len(row) == 8:
        return _order_hint(row[2:])
    return ""


def _order_hint(fields: list[str]) -> str:
    """Other orders of the last six columns in which the row makes sense."""
    if not all(_is(float, text) for text in fields):
        return ""
    fitting = []
    for name, places in ORDERS.items():
        x1, y1, x2, y2, action, score = (fields[place] for place in places)
        is_box = float(x1) < float(x2) and float(y1) < float(y2)
        if is_box and _is(int, action) and int(action) >= 0 and 0 <= float(score) <= 1:
            fitting.append(name)
    return f"; the columns may be video, timestamp, {', or video, timestamp, '.join(fitting)}" if fitting else ""
