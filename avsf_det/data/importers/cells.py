"""What a cell of a table holds: a number, a time, a list of coordinates, or one or more labels."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Sequence

EMPTY = ("", "nan", "n/a", "na", "null", "none", "<na>", "-", "undefined")
"""What tables write for nothing, in lower case."""
TRUE, FALSE = ("1", "1.0", "true", "yes", "x", "y", "t"), ("0", "0.0", "false", "no", "n", "f")

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?", re.IGNORECASE | re.ASCII)
_DOTTED_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:\.\d{3})+", re.ASCII)
_AMONG_TEXT = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:s|ms|px|%)?(?!\w)", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[-+]?(?:\d+,(?:\d{1,2}|\d{4,})|0,\d+)", re.ASCII)
_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)", re.ASCII)
_FRAME_CLOCK = re.compile(r"(\d+):(\d{1,2}):(\d{1,2})([:;])(\d{1,3})", re.ASCII)
_UNITS = re.compile(
    r"(?:(\d+(?:\.\d+)?)\s*h(?:ours?|rs?)?)?\s*(?:(\d+(?:\.\d+)?)\s*m(?:in(?:ute)?s?)?)?\s*"
    r"(?:(\d+(?:\.\d+)?)\s*s(?:ec(?:ond)?s?)?)?\s*(?:(\d+(?:\.\d+)?)\s*(?:ms|msecs?|milliseconds?))?",
    re.IGNORECASE | re.ASCII,
)
_ISO = re.compile(r"P(?:0+D)?T(?=\d)(?:([\d.]+)H)?(?:([\d.]+)M)?(?:([\d.]+)S)?", re.IGNORECASE | re.ASCII)
_LIST = re.compile(r"[\[({]?\s*([^\[\](){}]*?)\s*[\])}]?")
_RANGE = re.compile(r"[\[(]?\s*(\S+?)\s*(?:-|–|—|,|;|\.\.+|\bto\b|\s)\s*(\S+?)\s*[\])]?", re.IGNORECASE)
_OUTSIDE_BRACKETS = r"(?![^()]*\))"


def is_number(cell: str) -> bool:
    """Whether a cell holds a number, with a point or a comma for its decimals."""
    return number(cell, decimal_comma="," in cell) is not None


def uses_decimal_comma(cells: Sequence[str]) -> bool:
    """Whether some cells are numbers whose comma cannot separate thousands."""
    return any(_DECIMAL_COMMA.fullmatch(cell) for cell in cells)


def number(cell: str, decimal_comma: bool = False) -> float | None:
    """A finite number; None for anything else, such as `1,500` where commas are no decimal marks, or else `1.500`."""
    if decimal_comma and _DOTTED_THOUSANDS.fullmatch(cell):
        return None
    text = cell.replace(",", ".") if decimal_comma and "." not in cell and cell.count(",") == 1 else cell
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def has_dotted_thousands(cell: str) -> bool:
    """Whether a number has a point before each three digits: `1.500`, which may be 1500."""
    return bool(_DOTTED_THOUSANDS.fullmatch(cell))


def time(cell: str, decimal_comma: bool = False, frame_rate: float = 0.0) -> tuple[float, bool] | None:
    """A time, and whether the cell itself says that it is in seconds.

    Known are numbers, `1:02`, `00:01:02.5`, `PT1M2.5S`, `1 min 2 s`, `62.5s`, `1500 ms`, and with a frame rate
    `00:01:02:15`, whose last part counts frames.

    Raises:
        ValueError: if the cell counts frames and no rate is given, or its parts are no time of day.
    """
    plain = number(cell, decimal_comma)
    if plain is not None:
        return plain, False
    text = cell.replace(",", ".") if cell.count(",") == 1 else cell
    if found := _FRAME_CLOCK.fullmatch(cell):
        return _of_frame_clock(cell, found, frame_rate), True
    if found := _CLOCK.fullmatch(text):
        hours, minutes, seconds = (float(part or 0) for part in found.groups())
        if seconds >= 60 or (minutes >= 60 and found[1] is not None):
            raise ValueError(f"got {cell!r}, expected minutes and seconds below 60")
        return hours * 3600 + minutes * 60 + seconds, True
    for pattern in (_ISO, _UNITS):
        found = pattern.fullmatch(text)
        if found and any(found.groups()):
            try:
                parts = [float(part or 0) for part in found.groups()]
            except ValueError:
                return None
            return sum(value * size for value, size in zip(parts, (3600, 60, 1, 0.001))), True
    return None


def _of_frame_clock(cell: str, found: re.Match[str], rate: float) -> float:
    """Seconds of `hh:mm:ss:ff`."""
    if not rate:
        raise ValueError(f"got {cell!r}, whose last part counts frames: set --frame-rate")
    hours, minutes, seconds, frame = (int(found[i]) for i in (1, 2, 3, 5))
    nominal = round(rate) or 1
    if found[4] == ";":
        raise ValueError(f"got {cell!r}, a drop-frame time code, expected seconds or hh:mm:ss.fff")
    if minutes >= 60 or seconds >= 60 or frame >= nominal:
        raise ValueError(f"got {cell!r}, expected minutes and seconds below 60 and frames below {nominal}")
    return ((hours * 60 + minutes) * 60 + seconds) * nominal / rate + frame / rate


def time_range(cell: str) -> tuple[str, str] | None:
    """The two times of `[1, 4.5]`, `1.0-4.5` or `00:01 - 00:04`, as text."""
    found = _RANGE.fullmatch(cell)
    return (found[1], found[2]) if found and holds_numbers(found[1]) and holds_numbers(found[2]) else None


def coordinates(cell: str) -> list[float] | None:
    """The four numbers of `[10, 20, 30, 40]`, `10 20 30 40` or `10;20;30;40`."""
    found = _LIST.fullmatch(cell)
    parts = [part for part in re.split(r"[\s,;|]+", found[1]) if part] if found else []
    values = [number(part) for part in parts]
    return values if len(values) == 4 and None not in values else None


def holds_numbers(cell: str) -> bool:
    """Whether a cell holds a number or a time and nothing else, or several numbers among other text."""
    if len(_AMONG_TEXT.findall(cell)) > 1:
        return True
    if any(character.isdigit() for character in cell) and not any(character.isalpha() for character in cell):
        return True
    try:
        return time(cell) is not None
    except ValueError:
        return True


def is_flag(cell: str) -> bool:
    """Whether a cell is a 0 or 1, false or true, no or yes."""
    return cell.lower() in (*TRUE, *FALSE)


class LabelSplitter:
    """Splits cells that hold several labels: `run|sit`, `run;sit`, `["run", "sit"]`, and `run, sit` if that is clear.

    A comma, slash, plus or ampersand separates labels only where each of them is also the whole of some cell, or all
    are numbers: `talk, loudly` and `carry/hold` may be one class.

    Args:
        cells: all cells of the column.
        separator: what separates labels; "" finds out, "none" never splits.

    Attributes:
        separator: what separates labels, "" for nothing.
        unclear: a cell that may be one label or several; "" where there is none.
    """

    def __init__(self, cells: Sequence[str], separator: str = "") -> None:
        distinct = {cell for cell in cells if not cell.startswith("[")}
        self.separator, self.unclear = ("" if separator == "none" else separator), ""
        if separator:
            return
        self.separator = next((mark for mark in "|;" if any(mark in cell for cell in distinct)), "")
        if self.separator:
            return
        for mark in ",/+&":
            joined = sorted(cell for cell in distinct if re.search(re.escape(mark) + _OUTSIDE_BRACKETS, cell))
            alone = distinct - set(joined)
            unclear = next((cell for cell in joined if not self._all_known(self._parts(cell, mark), alone)), "")
            if joined and not unclear:
                self.separator = mark
                return
            if mark == ",":  # few names have one
                self.unclear = self.unclear or unclear

    @staticmethod
    def _all_known(parts: Sequence[str], alone: Collection[str]) -> bool:
        return all(part in alone or is_number(part) for part in parts)

    def split(self, cell: str) -> tuple[str, ...]:
        """The labels in a cell, each once."""
        if cell.startswith("[") and cell.endswith("]"):
            try:
                items = json.loads(cell.replace("'", '"'))
                parts = [str(item).strip() for item in items]
            except (ValueError, RecursionError):
                parts = [part.strip(" '\"") for part in cell[1:-1].split(",")]
        else:
            parts = self._parts(cell, self.separator) if self.separator else [cell.strip()]
        return tuple(dict.fromkeys(part for part in parts if part.lower() not in EMPTY))

    @staticmethod
    def _parts(cell: str, separator: str) -> list[str]:
        return [part.strip() for part in re.split(re.escape(separator) + _OUTSIDE_BRACKETS, cell) if part.strip()]
