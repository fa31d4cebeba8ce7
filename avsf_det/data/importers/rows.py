"""A row of a table as a labelled box or span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from avsf_det.data.importers import cells
from avsf_det.data.importers.clock import EITHER, FRAMES, SECONDS
from avsf_det.data.importers.columns import LISTS
from avsf_det.data.importers.export import picture_place
from avsf_det.data.importers.tables import Table, TableOptions

EXPECTED = "video,timestamp,x1,y1,x2,y2,action[,person]"
_FACTORS = {"ms": 0.001, "min": 60.0}


@dataclass
class Row:
    """What a row holds.

    Attributes:
        line: of the file.
        video: its name.
        actions: its labels.
        start: when: a number of what `unit` says; None for the video's start.
        end: when it ends; None for a box at one moment, and for a span up to the video's end.
        unit: "seconds", "frames", or "either" for whole numbers of which nothing says what they count.
        box: x1, y1, x2, y2; None for a span.
        picture: width and height of the frame that the box is in pixels of.
        person, split, score, status: as written, "" for none.
    """

    line: int
    video: str
    actions: tuple[str, ...]
    start: float | None = None
    end: float | None = None
    unit: str = SECONDS
    box: tuple[float, ...] | None = None
    picture: tuple[float, float] | None = None
    person: str = ""
    split: str = ""
    score: str = ""
    status: str = ""


class RowParser:
    """Reads the rows of one table.

    Args:
        table: the table.
        options: what the user says of it.
        splitter: splits cells of several labels.
        video: name of the video where no column has it.
        order: what the numbers of a column of lists are, "xyxy", "xywh" or "cxcywh".
    """

    def __init__(
        self, table: Table, options: TableOptions, splitter: cells.LabelSplitter, video: str = "", order: str = "xyxy"
    ) -> None:
        self._table, self._options, self._splitter = table, options, splitter
        self._video, self._columns = video, table.columns
        places = table.columns.places
        self._list = next((meaning for meaning in LISTS if meaning in places), "")
        self._order = order if self._list == "box" else self._list
        self._width = max(places.values(), default=0) + 1

    def parse(self, line: int, own: Sequence[str]) -> Row | None:
        """The row; None for a keyframe without people.

        Raises:
            ValueError: if it cannot be used.
        """
        columns = self._columns
        limit = len(self._table.header) or self._width
        while len(own) > limit and not own[-1]:
            own = own[:-1]
        given = {meaning: own[i] for meaning, i in columns.places.items() if i < len(own)}
        for meaning, cell in given.items():
            if meaning not in ("video", "picture") and cell.lower() in cells.EMPTY:
                given[meaning] = ""
        video = given.get("video") or given.get("picture") or ("" if "video" in columns.places else self._video)
        if columns.has_box and len(own) == 2 and video and cells.number(own[1]) is not None:
            return None
        if not video:
            raise ValueError(f"got {','.join(own)}, expected a video's name in {self._name_of('video')}")
        if len(own) > limit or (not columns.titles and columns.has_box and len(own) < limit - 1):
            raise ValueError(f"got {len(own)} columns, expected {EXPECTED if not columns.titles else limit}")
        actions = self._actions(given, own)
        row = Row(line, video, actions, split=given.get("split", ""), status=given.get("status", ""))
        row.person, row.score = self._person(given.get("person", "")), given.get("score", "")
        if not columns.has_box:
            self._place_span(row, given)
            return row
        self._place_box(row, given)
        row.box = self._box(given)
        size = self._number("picture_width", given), self._number("picture_height", given)
        row.picture = size if all(size) else None
        return row

    def _name_of(self, meaning: str) -> str:
        return self._table.title(meaning) if meaning in self._columns.places else "some column"

    def _actions(self, given: dict[str, str], own: Sequence[str]) -> tuple[str, ...]:
        if self._columns.classes:
            return tuple(
                title for i, title in self._columns.classes.items() if i < len(own) and own[i].lower() in cells.TRUE
            )
        actions = tuple(action for action in self._splitter.split(given.get("action", "")) if action != "-1")
        if not actions:
            raise ValueError(f"no action; expected its id or its name in {self._name_of('action')}")
        return actions

    def _person(self, text: str) -> str:
        value = cells.number(text)
        if value == -1:
            return ""
        return f"{value:.0f}" if value is not None and value == round(value) else text

    def _number(self, meaning: str, given: dict[str, str]) -> float | None:
        return cells.number(given.get(meaning, ""), self._table.decimal_comma)

    def _time(self, meaning: str, text: str) -> tuple[float, str]:
        """A time and its unit. Raises ValueError if it is none."""
        unit = self._columns.units.get(meaning, "")
        try:
            found = cells.time(text, self._table.decimal_comma, self._options.frame_rate)
        except ValueError as error:
            raise ValueError(f"{self._name_of(meaning)}: {error}") from None
        if found is None:
            what = "a frame number" if unit == "frames" else "seconds or a frame number"
            raise ValueError(f"got {text!r} for the time in {self._name_of(meaning)}, expected {what}")
        value, says_seconds = found
        if says_seconds:
            return value, SECONDS
        if unit == "frames":
            return value, FRAMES
        return value * _FACTORS.get(unit, 1.0), SECONDS if unit else EITHER

    def _place_span(self, row: Row, given: dict[str, str]) -> None:
        if given.get("range"):
            both = cells.time_range(given["range"])
            if both is None:
                raise ValueError(f"got {given['range']!r} in {self._name_of('range')}, expected a start and an end")
            (row.start, unit), (row.end, other) = (self._time("range", text) for text in both)
            row.unit = _joint(unit, other)
            return
        units = []
        if row.status and not given.get("end"):  # START and STOP are rows of their own
            key = next((key for key in ("start", "time", "frame") if given.get(key)), "time")
            row.start, row.unit = self._time(key, given.get(key, ""))
            return
        for meaning in ("start", "end", "duration"):
            if given.get(meaning):
                value, unit = self._time(meaning, given[meaning])
                units.append(unit)
                if meaning == "start":
                    row.start = value
                else:
                    row.end = value + (row.start or 0.0) * (meaning == "duration")
        row.unit = _joint(*units) if units else SECONDS

    def _place_box(self, row: Row, given: dict[str, str]) -> None:
        if not any(given.get(key) for key in ("time", "frame")) and (given.get("start") or given.get("range")):
            self._place_span(row, given)  # a box that lasts
            return
        key = next((key for key in ("time", "frame") if given.get(key)), "")
        if key and not (key == "frame" and picture_place(given[key], row.video)):
            row.start, row.unit = self._time(key, given[key])
            return
        for name in (given.get("picture", ""), given.get("frame", ""), row.video):
            found = picture_place(name, row.video)
            if found and found[0]:
                row.video = found[0] if name == row.video or not given.get("video") else row.video
                row.start, row.unit = float(found[1]), FRAMES
                return
        raise ValueError("no time; expected seconds or a frame number")

    def _box(self, given: dict[str, str]) -> tuple[float, ...]:
        """x1, y1, x2, y2 of whatever the columns are. Raises ValueError if it is no box."""
        if self._list:
            four, keys = cells.coordinates(given.get(self._list, "")), (self._list,)
            order = self._order
        else:
            sized = "w" in given and "h" in given
            centre = "cx" in given and "cy" in given and sized and "x1" not in given
            keys = (*(("cx", "cy") if centre else ("x1", "y1")), *(("w", "h") if sized else ("x2", "y2")))
            four = [self._number(key, given) for key in keys]
            order = "cxcywh" if centre else "xywh" if sized else "xyxy"
        if four is None or None in four:
            names = ", ".join(self._table.title(key) for key in keys if key in self._columns.places)
            raise ValueError(
                f"got {','.join(given.get(key, '') for key in keys)} for the box ({names}), expected four numbers"
            )
        a, b, c, d = four
        if order != "xyxy" and (c <= 0 or d <= 0):
            raise ValueError(f"got a box of {c:g} x {d:g}, expected a width and a height above 0")
        if order == "cxcywh":
            a, b = a - c / 2, b - d / 2
        return (a, b, c, d) if order == "xyxy" else (a, b, a + c, b + d)


def _joint(*units: str) -> str:
    """The unit of two times of a row. Raises ValueError if they differ."""
    known = set(units) - {EITHER}
    if len(known) > 1:
        raise ValueError("one time is in seconds and the other a frame number")
    return known.pop() if known else EITHER
