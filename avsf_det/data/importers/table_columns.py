"""Whether the columns of a table can be understood with certainty, by their titles and by what is in them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from avsf_det.data.importers import cells
from avsf_det.data.importers.columns import LISTS
from avsf_det.data.importers.rows import EXPECTED
from avsf_det.data.importers.tables import Table
from avsf_det.data.importers.titles import is_flag_title, is_metadata
from avsf_det.errors import UserError

RENAME = "rename the columns, or say --columns TITLE=NAME,..."


def with_classes(table: Table, content: Sequence[tuple[int, list[str]]]) -> Table:
    """With columns of zeros and ones as classes, where no column is the action."""
    columns = table.columns
    if "action" in columns.places or not columns.titles:
        return table
    classes, vary = {}, False
    for column, title in columns.unused.items():
        own = [row[column] for _, row in content if column < len(row) and row[column].lower() not in cells.EMPTY]
        if own and all(map(cells.is_flag, own)) and not is_flag_title(title) and not is_metadata(title):
            classes[column] = title
            vary |= len(own) < len(content) or len({cell.lower() in cells.TRUE for cell in own}) > 1
    if len(classes) < 2 or not vary:  # numbers that happen to be 0 or 1
        return table
    unused = {column: title for column, title in columns.unused.items() if column not in classes}
    return replace(table, columns=replace(columns, classes=classes, unused=unused))


def negative_column(table: Table, content: Sequence[tuple[int, list[str]]]) -> int | None:
    """A column of 1 and -1 beside the action's: as in HACS, -1 marks what does not show it."""
    for column in table.columns.unused if "action" in table.columns.places else ():
        own = {row[column] for _, row in content if column < len(row)}
        if "-1" in own and own <= {"1", "-1"}:
            return column
    return None


def check_columns(table: Table, content: Sequence[tuple[int, list[str]]], ignored: Collection[str]) -> None:
    """Raises UserError if the columns do not make boxes, spans or labels of whole videos, or may be something else.

    Args:
        table: the table.
        content: its rows.
        ignored: titles of columns that are neither, as the user says.
    """
    columns, titles = table.columns, ",".join(table.header)
    if columns.fault:
        raise UserError(f"{table.name}: {columns.fault}; {RENAME}")
    if columns.lacking and columns.titles:
        raise UserError(
            f"{table.name}: no column of {titles} is known for {columns.lacking}; name them as in {EXPECTED} or "
            "video,start,end,action, or say --columns TITLE=NAME,..."
        )
    for meaning in [meaning for meaning, unit in columns.units.items() if unit in ("ms", "frames")]:
        at = columns.places.get(meaning)
        own = [row[at] for _, row in content if at is not None and at < len(row) and row[at]]
        if own and all(map(cells.has_dotted_thousands, own)):
            raise UserError(
                f"{table.name}: {own[0]!r} and all others in {table.title(meaning)} may have a point for thousands or "
                "for decimals; write them without it"
            )
    if columns.has_box or columns.has_span or "status" in columns.places:
        return
    numeric = [columns.titles.get(m, m) for m in ("time", "frame", "w", "h", "duration") if m in columns.places]
    known = set(columns.places.values()) | set(columns.classes)
    width = max((len(own) for _, own in content), default=0)
    for column in range(width):
        title = table.header[column] if column < len(table.header) else ""
        own = [row[column] for _, row in content if column < len(row) and row[column].lower() not in cells.EMPTY]
        if column == columns.places.get("action"):  # times may be among the labels
            own = [cell for cell in own if any(map(str.isalpha, cell))]
        elif column in known or title.casefold() in ignored or (is_metadata(title) and (title or _counts(own))):
            continue
        if own and 2 * sum(map(cells.holds_numbers, own)) >= len(own):
            numeric.append(title or f"number {column + 1}")
    if numeric:
        raise UserError(
            f"{table.name}: no column is known for a box, or for a start and an end, and {', '.join(numeric)} may be "
            f"such; {RENAME} (TITLE=ignore for what is neither)"
        )


def _counts(own: Sequence[str]) -> bool:
    """Whether cells are the numbers of the rows."""
    return all(cell.isdecimal() for cell in own) and len({int(cell[:9]) - i for i, cell in enumerate(own)}) == 1


def list_order(table: Table, content: Sequence[tuple[int, list[str]]]) -> str:
    """What the four numbers in a column of lists are: corners, or a corner and a size.

    Raises:
        UserError: if they may be either.
    """
    meaning = next((meaning for meaning in LISTS if meaning in table.columns.places), "")
    if meaning != "box":
        return meaning or "xyxy"
    at = table.columns.places[meaning]
    boxes = [found for _, own in content if at < len(own) and (found := cells.coordinates(own[at]))]
    corners = all(a < c and b < d for a, b, c, d in boxes)
    fractions = all(max(box) <= 1 for box in boxes)
    sizes = all(c > 0 and d > 0 and not (fractions and (a + c > 1.001 or b + d > 1.001)) for a, b, c, d in boxes)
    if corners == sizes and boxes:
        title = table.columns.titles.get("box", "")
        raise UserError(
            f"{table.name}: the numbers in column {title!r} may be x1,y1,x2,y2 or x,y,width,height; say --columns "
            f"'{title}=xyxy' or '{title}=xywh'"
        )
    return "xywh" if sizes and boxes else "xyxy"
