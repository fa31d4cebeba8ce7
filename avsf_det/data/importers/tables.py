"""The text of a table as rows of cells: its delimiter, its header, and where it cannot be split into cells."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, pairwise

from avsf_det.data.importers.cells import holds_numbers, is_number, number, uses_decimal_comma
from avsf_det.data.importers.columns import Columns, by_header, in_order
from avsf_det.data.importers.documents import Document
from avsf_det.errors import UserError
from avsf_det.structures import VIDEO_SUFFIXES

SUFFIXES = (".csv", ".tsv", ".txt")
DELIMITERS = (",", ";", "\t", "|", None)  # None is any white space
MAX_COLUMNS = 2000
SAMPLE = 200  # rows by which the delimiter is chosen
_CLOCK = re.compile(r"\d+:\d\d:\d\d(?:[.,]\d+)?")
_PREAMBLE = 40  # rows among which a header is looked for


@dataclass(frozen=True)
class TableOptions:
    """What a user says of tables.

    Attributes:
        columns: title, or number from 1 on, of a column -> name that it stands for, or "ignore".
        box_units: "pixels", "percent" or "fraction"; "" finds out.
        label_separator: what separates labels in a cell; "none" for nothing, "" finds out.
        frame_rate: frames a second of time codes that count frames; 0 where nothing says.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    box_units: str = ""
    label_separator: str = ""
    frame_rate: float = 0.0


FIND_OUT = TableOptions()
"""The user says nothing."""


@dataclass(frozen=True)
class Table:
    """A table whose columns are known, or whose header at least is.

    Attributes:
        name: the file's, for messages.
        delimiter: what separates cells; None for white space.
        columns: which is what.
        header: the titles; none where there are no titles.
        first: the line on which the header is, or the first row.
        decimal_comma: whether numbers have a comma for the point.
        text: all of it.
    """

    name: str
    delimiter: str | None
    columns: Columns
    header: tuple[str, ...]
    first: int
    decimal_comma: bool
    text: str = field(repr=False)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Line and cells of each row below the header; a header that is repeated is passed over."""
        for line, cells in split_rows(self.name, self.text, self.delimiter):
            if not self.header or (line > self.first and tuple(cells) != self.header):
                yield line, cells

    def title(self, meaning: str) -> str:
        """A column as messages name it: by its title or, without one, by its number."""
        title = self.columns.titles.get(meaning)
        return f"column {title!r}" if title else f"column {self.columns.places[meaning] + 1}"


def candidates(document: Document, options: TableOptions) -> Iterator[Table]:
    """The document as a table, with each delimiter that makes it one.

    Raises:
        UserError: if a quote is never closed, or there are more columns than any annotation has.
    """
    text, faults, width = document.text.replace("\0", ""), [], 0
    for delimiter in DELIMITERS:
        try:
            rows = list(islice(split_rows(document.name, text, delimiter), SAMPLE + _PREAMBLE))
        except UserError as error:
            faults.append((text.partition("\n")[0].count(delimiter) + 1, error))
            continue
        widest = max((len(cells) for _, cells in rows), default=0)
        if widest > MAX_COLUMNS:
            raise UserError(
                f"{document.name}: {widest} columns, expected at most {MAX_COLUMNS}; is it a table of labels?"
            )
        if widest < 2:
            continue
        width = max(width, len(rows[0][1]))
        named = _numbered(widest, options) if options.columns else None
        at, columns = next(
            (
                (row, found)
                for row, (_, cells) in enumerate(rows[:_PREAMBLE])
                if (found := by_header(cells, options.columns)) and (row == 0 or "action" in found.places)
            ),
            (-1, None),
        )
        comma = uses_decimal_comma([cell for _, cells in rows for cell in cells])
        if columns:
            header, first = tuple(rows[at][1]), rows[at][0]
        elif named:
            columns, header, first = named, (), 0
        else:
            titled = rows and not any(map(is_number, rows[0][1])) and len(rows) > 1
            columns = _without_titles([cells for _, cells in rows], delimiter)
            header, first = ((), 0) if columns or not titled else (tuple(rows[0][1]), rows[0][0])
            columns = columns or (Columns({}, {}) if header else in_order(first=int(_is_counted(rows))))
        yield Table(document.name, delimiter, columns, header, first, comma, text)
    for columns, error in faults:
        if columns > width:  # it is this delimiter that the table has
            raise error


def _numbered(width: int, options: TableOptions) -> Columns | None:
    """The columns of a table without a header that are given by their numbers."""
    if not all(key.isdecimal() for key in options.columns):
        return None
    return by_header([options.columns.get(str(column + 1), "") for column in range(width)])


def split_rows(name: str, text: str, delimiter: str | None) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells of the rows that are not blank, not comments, and not Excel's `sep=;`.

    Raises:
        UserError: if a quote is not closed, since it takes in the rows after it.
    """
    if delimiter is None:
        for line, row in enumerate(text.splitlines(), 1):
            if row.strip() and not row.startswith("#"):
                yield line, row.split()
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    line = 0
    while True:
        try:
            cells = [" ".join(cell.split()) for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(
                f"{name}:{line + 1}: a quote that opens here is not closed where its cell ends ({error}); close it, or "
                "double the quotes within a cell"
            ) from None
        begins, line = line + 1, reader.line_num
        if not any(cells):
            continue
        remark = cells[0].startswith("sep=") or (cells[0].startswith("#") and not by_header(cells))
        if not remark:
            yield begins, cells


def _without_titles(rows: list[list[str]], delimiter: str | None) -> Columns | None:
    """The columns of a table without a header that show by their cells: of lists of files, ELAN and Audacity."""
    if all(len(row) == 2 for row in rows):
        files = [row[0].lower().endswith(VIDEO_SUFFIXES) for row in rows]
        labels = [row[1] for row in rows]
        once = len({row[0] for row in rows}) == len(rows)
        if 2 * sum(files) > len(files) and (once or not any(map(holds_numbers, labels))):
            return Columns({"video": 0, "action": 1}, {})
        return None
    width = min(map(len, rows), default=0)
    if delimiter == "\t" and {len(row) for row in rows} == {3}:  # Audacity's labels
        ends = [(number(row[0]), number(row[1])) for row in rows]
        if all(None not in pair and pair[0] <= pair[1] for pair in ends) and not any(is_number(row[2]) for row in rows):
            return Columns({"start": 0, "end": 1, "action": 2}, {})
    clocks = [i for i in range(width) if all(_CLOCK.fullmatch(row[i]) for row in rows)]
    if len(clocks) < 2 or not all(row[clocks[0]] <= row[clocks[1]] for row in rows):
        return None
    texts = [
        i for i in range(width) if i not in clocks and not all(holds_numbers(row[i]) or not row[i] for row in rows)
    ]
    files = [i for i in texts if all(row[i].lower().endswith(VIDEO_SUFFIXES) for row in rows)]
    label = next((i for i in reversed(texts) if i not in files and i > clocks[0]), None)
    if label is None:
        return None
    places = {"start": clocks[0], "end": clocks[1], "action": label}
    return Columns(places | ({"video": files[0]} if files else {}), {})


def _is_counted(rows: list[tuple[int, list[str]]]) -> bool:
    """Whether the first column is but the number of the row, and the second a name."""
    cells = [own for _, own in rows if len(own) > 1]
    numbers = [int(own[0]) for own in cells if own[0].isdecimal() and len(own[0]) < 10]
    steps = {b - a for a, b in pairwise(numbers)}
    return len(numbers) == len(cells) and steps == {1} and not any(is_number(own[1]) for own in cells)
