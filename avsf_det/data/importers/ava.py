"""Tables in AVA's manner and its dialects: any delimiter, with a header or without, pixels or shares, any times."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np

from avsf_det.data.importers.clock import EITHER, FRAMES, SECONDS, Clock
from avsf_det.data.importers.columns import Columns, by_header, in_order, is_number
from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import (
    LABEL,
    PIXELS,
    SHARES,
    Export,
    ExportedVideo,
    Span,
    Track,
    picture_place,
    split_of,
    texts,
)
from avsf_det.errors import UserError

NAME = "AVA csv"
BEYOND = 2.0  # boxes that reach beyond twice the picture are in pixels
DELIMITERS = (",", ";", "\t", "|", None)  # None is any white space
EXPECTED = "video,timestamp,x1,y1,x2,y2,action[,person]"
_EMPTY = ("", "nan", "n/a", "na", "null", "<na>")  # what tables write for nothing
_SAMPLE = 200  # rows by which the dialect is chosen


@dataclass
class _Row:
    """A row that holds: a box or, without one, a span."""

    line: int
    video: str
    place: float | None
    box: tuple[float, ...] | None
    action: str
    person: str = ""
    split: str = ""
    span: tuple[float | None, float | None] = (None, None)
    unit: str = EITHER
    picture: tuple[float, float] | None = None


@dataclass(frozen=True)
class _Dialect:
    """How a table is written.

    Attributes:
        delimiter: what parts the cells; None for white space.
        columns: which is what.
        header: the cells of its first row where that is a header, else none.
        good: how many of the first rows hold, read so.
    """

    delimiter: str | None
    columns: Columns
    header: tuple[str, ...] = ()
    good: int = 0


def recognises(document: Document) -> bool:
    """Whether this is such a file: some row of it, read with some delimiter, holds, or its header names boxes."""
    if document.suffix not in (".csv", ".tsv", ".txt") or "excluded" in document.stem:
        return False
    dialect = _dialect(document)
    return dialect.good > 0 or (bool(dialect.columns.titles) and dialect.columns.has_box)


def read(document: Document) -> Export:
    """Its rows. Rows of two columns, moments without anybody, are passed over.

    Whole numbers for times of which the header does not say what they count may be frame numbers; that is seen from
    the videos. Boxes are in pixels if most of them reach beyond 2.

    Raises:
        UserError: if its header lacks a column that is needed.
    """
    export, dialect, rows = Export(NAME), _dialect(document), []
    if dialect.columns.has_box and dialect.columns.lacking:
        raise UserError(
            f"{document.name}: no column of {','.join(dialect.header)} is known for {dialect.columns.lacking}; name "
            f"them as in {EXPECTED}"
        )
    for line, cells in _rows(document.text, dialect.delimiter):
        try:
            row = None if _is_again(cells, dialect) else _parse(line, cells, dialect)
        except ValueError as error:
            export.bad.append(f"{document.name}:{line}: {error}")
            continue
        rows += [row] if row else []
    if not rows and not export.bad:
        export.bad.append(f"{document.name}: a header and no rows")
    reach = [max(row.box) for row in rows if row.box]
    in_pixels = bool(reach) and float(np.median(reach)) > BEYOND
    if dialect.header:
        known = dialect.columns.text() or f"in AVA's order, for {','.join(dialect.header)} is not understood"
        unit = f"; boxes are in {'pixels' if in_pixels else 'shares of the picture'}" if reach else ""
        export.notes.append(f"{document.name}: columns {known}{unit}")
    by_person: dict[tuple[str, str], list[_Row]] = {}
    videos: dict[str, ExportedVideo] = {}
    whole = all(row.place == round(row.place) for row in rows if row.place is not None)
    for row in rows:
        if row.video not in videos:
            unit = row.unit if row.unit != EITHER or whole else SECONDS
            split = split_of(row.split) or split_of(document.stem)
            where = f"{document.name}:{row.line}"
            picture = (row.picture or PIXELS) if in_pixels else SHARES
            videos[row.video] = ExportedVideo((row.video,), where, Clock(unit, None), picture, split)
        if row.box is None:
            where = f"{document.name}:{row.line}"
            videos[row.video].spans.append(Span(*row.span, {LABEL: texts(row.action)}, where))
        else:
            by_person.setdefault((row.video, row.person or f"\0{row.line}"), []).append(row)
    for (video, _), found in by_person.items():
        for row in found:
            where = f"{document.name}:{row.line}"
            values = {LABEL: texts(row.action)}
            videos[video].tracks.append(Track([row.place], [row.box], [values], where, row.person))
    export.videos = list(videos.values())
    return export


def _dialect(document: Document) -> _Dialect:
    """The one by which most of the first rows hold."""
    best = _Dialect(",", in_order())
    for delimiter in DELIMITERS:
        rows = list(islice(_rows(document.text, delimiter), _SAMPLE))
        header = rows[0][1] if rows and not any(map(is_number, rows[0][1])) else []
        rows = rows[bool(header) :]
        named = by_header(header)
        columns = named or in_order(first=int(_is_counted(rows)))
        found = [_parsed(line, cells, _Dialect(delimiter, columns)) for line, cells in rows]
        boxes = [row.box for row in found if row and row.box]
        if header and not named and sum(a < c and b < d for a, b, c, d in boxes) < len(boxes):
            continue  # the order is another
        good = sum(row is not None for row in found)
        if (good, bool(named)) > (best.good, bool(best.columns.titles)):
            best = _Dialect(delimiter, columns, tuple(header), good)
    return best


def _is_counted(rows: list[tuple[int, list[str]]]) -> bool:
    """Whether the first column is but the number of the row, and the second a name."""
    cells = [own for _, own in rows if len(own) > 1]
    numbers = [int(own[0]) for own in cells if own[0].isdecimal()]
    steps = {b - a for a, b in pairwise(numbers)}
    return len(numbers) == len(cells) and steps == {1} and not any(is_number(own[1]) for own in cells)


def _parsed(line: int, cells: list[str], dialect: _Dialect) -> _Row | None:
    try:
        return _parse(line, cells, dialect)
    except ValueError:
        return None


def _is_again(cells: list[str], dialect: _Dialect) -> bool:
    """Whether a row is the header, which files that were put together have again."""
    return bool(dialect.header) and tuple(cells) == dialect.header


def _rows(text: str, delimiter: str | None) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells of the rows that are not blank, not comments, and not Excel's `sep=;`."""
    text = text.replace("\0", "")
    if delimiter is None:
        for line, row in enumerate(text.splitlines(), 1):
            if row.strip() and not row.startswith("#"):
                yield line, row.split()
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    while True:
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error:
            continue  # a field beyond the largest; the row is nothing
        remark = bool(cells) and ((cells[0].startswith("#") and not by_header(cells)) or cells[0].startswith("sep="))
        if any(cells) and not remark:
            yield reader.line_num, cells


def _parse(line: int, cells: list[str], dialect: _Dialect) -> _Row | None:
    """What a row holds; None for a moment without anybody. Raises ValueError if it is bad."""
    columns, delimiter = dialect.columns, dialect.delimiter
    width = max(columns.places.values()) + 1
    while len(cells) > width and not cells[-1]:
        cells = cells[:-1]
    given = {meaning: cells[column] for meaning, column in columns.places.items() if column < len(cells)}
    given |= {meaning: "" for meaning in ("action", "person") if given.get(meaning, "").lower() in _EMPTY}

    def number(meaning: str) -> float | None:
        return _number(given.get(meaning, ""), delimiter)

    video, action, split = (
        given.get("video") or given.get("picture", ""),
        given.get("action", ""),
        given.get("split", ""),
    )
    if columns.has_box and len(cells) == 2 and video and _number(cells[1], delimiter) is not None:
        return None
    if not video:
        raise ValueError(f"got {','.join(cells)}, expected a video's name: {EXPECTED}")
    if not columns.has_box:
        if not action:
            raise ValueError(f"got {','.join(cells)}, expected video,start,end,action")
        return _Row(line, video, None, None, action, split=split, span=(number("start"), number("end")), unit=SECONDS)
    if not columns.titles and len(cells) not in (width - 1, width):
        raise ValueError(f"got {len(cells)} columns, expected {EXPECTED}")
    video, place, unit = _moment(given, video, number)
    box = _box(given, number)
    if not action:
        raise ValueError("no action; expected its id or its name")
    size = number("picture_width"), number("picture_height")
    person, value = given.get("person", ""), number("person")
    person = "" if value == -1 else f"{value:.0f}" if value is not None and value == round(value) else person
    return _Row(line, video, place, box, action, person, split, unit=unit, picture=size if all(size) else None)


def _moment(given: dict[str, str], video: str, number: Callable[[str], float | None]) -> tuple[str, float, str]:
    """The video, and when: in seconds, frames or either. Raises ValueError if nothing says so."""
    key = next((key for key in ("time", "ms", "frame", "start") if given.get(key)), "time")
    place = number(key)
    if place is not None:
        unit = FRAMES if key == "frame" else SECONDS if key != "time" or ":" in given[key] else EITHER
        return video, place / 1000 if key == "ms" else place, unit
    for name in (given.get("picture", ""), video):
        found = picture_place(name, video)
        if found and found[0]:
            own = found[0] if name == video or not given.get("video") else video
            return own, float(found[1]), FRAMES
    raise ValueError(f"got {given.get(key, '')!r} for the time, expected seconds or a frame number")


def _box(given: dict[str, str], number: Callable[[str], float | None]) -> tuple[float, ...]:
    """x1, y1, x2, y2 of corners, of a corner and a size, or of a centre and a size. Raises ValueError if it is bad."""
    sized = "w" in given and "h" in given
    corner = ("cx", "cy") if "cx" in given and sized and "x1" not in given else ("x1", "y1")
    keys = (*corner, *(("w", "h") if sized else ("x2", "y2")))
    a, b, c, d = box = [number(key) for key in keys]
    if None in box:
        raise ValueError(f"got {','.join(given.get(k, '') for k in keys)} for the box, expected four numbers")
    if corner[0] == "cx":
        a, b = a - c / 2, b - d / 2
    return (a, b, a + c, b + d) if sized else (a, b, c, d)


def _number(text: str, delimiter: str | None) -> float | None:
    """A finite number, with a comma for the point where commas do not part cells; or seconds of 1:02:03.5."""
    text = text if delimiter == "," else text.replace(",", ".")
    try:
        total = 0.0
        for part in text.split(":"):
            total = total * 60 + float(part)
    except ValueError:
        return None
    return total if math.isfinite(total) else None
