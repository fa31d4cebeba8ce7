"""The rows of a table as a whole: their units, and rows that do not fit the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from avsf_det.data.importers import cells
from avsf_det.data.importers.clock import EITHER, SECONDS
from avsf_det.data.importers.export import PERCENT, PIXELS, SHARES, Export
from avsf_det.data.importers.rows import Row
from avsf_det.data.importers.tables import Table, TableOptions
from avsf_det.errors import UserError

BEYOND = 2.0  # boxes that reach beyond twice the frame are in pixels or percent
PERCENT_REACH = 105.0  # boxes in percent reach no further, but for slips
_INVERTED = 0.1  # of the rows, of which the second of two numbers is then something else


def paired(rows: list[Row], name: str, export: Export) -> list[Row]:
    """Spans of rows that say START and STOP; rows of points have no length."""
    if not any(row.status.upper() in ("START", "STOP", "POINT") for row in rows):
        return rows
    spans, begun = [], {}
    for row in rows:
        key, status = (row.video, row.person, row.actions), row.status.upper()
        if status == "START" and key not in begun:
            begun[key] = row
        elif status == "STOP" and key in begun:
            first = begun.pop(key)
            spans.append(replace(first, end=row.start))
        elif row.end is not None and status not in ("START", "STOP", "POINT"):
            spans.append(row)
        else:
            what = "is a point in time and has no end" if status == "POINT" else f"{row.status} without its other half"
            export.bad.append(f"{name}:{row.line}: {', '.join(row.actions)} at {row.start or 0:g} {what}")
    for row in begun.values():
        export.bad.append(f"{name}:{row.line}: {', '.join(row.actions)} starts at {row.start:g} and never stops")
    return spans


def settle_units(rows: list[Row], name: str, export: Export) -> list[Row]:
    """Give the rows of a video one unit; whole numbers beside fractions or seconds are seconds."""
    places = [place for row in rows if row.unit == EITHER for place in (row.start, row.end) if place is not None]
    whole = all(place == round(place) for place in places)
    by_video: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        row.unit = row.unit if row.unit != EITHER or whole else SECONDS
        by_video[row.video].add(row.unit)
    kept = []
    for row in rows:
        if row.unit == EITHER and SECONDS in by_video[row.video]:
            row.unit = SECONDS
        if len(by_video[row.video]) > 1 and row.unit != SECONDS:
            export.bad.append(f"{name}:{row.line}: a frame number, where other rows of {row.video} have seconds")
        else:
            kept.append(row)
    return kept


def settle_order(rows: list[Row], table: Table, export: Export, name: str) -> list[Row]:
    """Without spans that end before they start.

    Raises:
        UserError: if they are so many that the second of two numbers is a size or a duration.
    """
    boxes = [row for row in rows if row.box]
    turned = [row for row in boxes if row.box[2] < row.box[0] or row.box[3] < row.box[1]]
    if _many(turned, boxes):
        if table.columns.titles:
            right, low = (table.columns.titles.get(side, side) for side in ("x2", "y2"))
            columns = f"say --columns '{right}=w,{low}=h'"
        else:
            columns = "say --columns 1=video,2=time,3=x,4=y,5=w,6=h,7=action"
        raise UserError(
            f"{name}:{turned[0].line}: in {len(turned)} of {len(boxes)} rows the right or lower side of the box is "
            f"before its left or upper one; are they a width and a height? Then {columns}"
        )
    timed = [row for row in rows if row.start is not None and row.end is not None]
    short = [row for row in timed if row.end < row.start]
    if _many(short, timed):
        raise UserError(
            f"{name}:{short[0].line}: in {len(short)} of {len(timed)} rows the end is before the start; is it a "
            f"duration? Then say --columns {table.columns.titles.get('end', 'TITLE')}=duration"
        )
    for row in short:
        export.bad.append(f"{name}:{row.line}: ends at {row.end:g}, before it starts at {row.start:g}")
    out = {id(row) for row in short}
    return [row for row in rows if id(row) not in out]


def _many(some: Sequence[Row], of_all: Sequence[Row]) -> bool:
    return len(some) * 3 > len(of_all) or (len(some) > 1 and len(some) > _INVERTED * len(of_all))


def settle_boxes(
    rows: list[Row], table: Table, options: TableOptions, export: Export, name: str
) -> tuple[list[Row], tuple[float, float] | None]:
    """Without rows in another unit than most, boxes of sized frames as fractions; and the size that boxes are in."""
    boxes = [row for row in rows if row.box]
    if not boxes:
        return rows, PIXELS
    said = options.box_units or table.columns.units.get("box", "")
    reach = np.array([max(row.box) for row in boxes])
    unit = said or ("pixels" if np.median(reach) > BEYOND else "fraction")
    export.box_units_guessed = unit == "pixels" and not said and bool(reach.max() <= PERCENT_REACH)
    sized, kept = unit == "pixels" and any(row.picture for row in boxes), []
    for row in rows:
        if not row.box:
            kept.append(row)
            continue
        text = ",".join(f"{value:g}" for value in row.box)
        if unit == "fraction" and max(row.box) > BEYOND:
            fault = f"box {text} reaches beyond 2, where boxes are fractions of the frame"
        elif unit == "pixels" and max(row.box) <= 1 and any(value % 1 for value in row.box):
            fault = f"box {text} is within 0..1, where boxes are in pixels"
        elif unit == "percent" and max(row.box) > 2 * PERCENT_REACH:
            fault = f"box {text} reaches beyond 200, where boxes are in percent"
        elif sized and not row.picture:
            fault = "no width and height of the frame, which other rows have"
        else:
            if sized:
                row.box = tuple(np.divide(row.box, (*row.picture, *row.picture)).tolist())
            kept.append(row)
            continue
        export.bad.append(f"{name}:{row.line}: {fault}")
    export.box_units_guessed &= not sized
    return kept, SHARES if sized else {"fraction": SHARES, "percent": PERCENT, "pixels": PIXELS}[unit]


def settle_persons(rows: Sequence[Row], table: Table, export: Export, name: str) -> None:
    """Take scores and other numbers for no person ids."""
    ids = [(row.person, cells.number(row.person)) for row in rows if row.person]
    fractions = [value for _, value in ids if value is not None and value % 1]
    export.has_scores = any(row.score for row in rows)
    if fractions and "person" not in table.columns.titles:
        export.has_scores = True
        why = f"holds scores ({min(fractions):g} to {max(fractions):g}), not person ids"
    else:
        boxes: dict[tuple, dict[tuple, set[str]]] = defaultdict(lambda: defaultdict(set))
        for row in rows:
            if row.box and row.person:
                boxes[row.video, row.start][row.box].add(row.person)
        several = [list(own.values()) for own in boxes.values() if len(own) > 1]
        shared = sum(len(set().union(*own)) < len(own) for own in several)
        if 2 * shared <= len(several):
            return
        why = f"has the same value for several boxes of a moment ({shared} of {len(several)}): no person ids"
    export.notes.append(f"{name}: {table.title('person')} {why}; people have no ids")
    for row in rows:
        row.person = ""
