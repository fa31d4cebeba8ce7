"""Which column of a table is what: by its header, however that names them, or in AVA's order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from avsf_det.data.importers.cells import is_number
from avsf_det.data.importers.titles import (
    MAX_TITLE,
    PEOPLE,
    RANKS,
    SIDE,
    TIMES,
    UNIT_RANK,
    box_unit,
    is_video_title,
    list_order,
    plain_title,
    time_unit,
)

LISTS = ("xyxy", "xywh", "cxcywh", "box")  # columns whose cells hold all four numbers
_PAIRS = {"t1": "t2", "sf": "ef"}  # a start and an end, where both are there
_PAIRS_MEAN = {"t1": "start", "t2": "end", "sf": "startframe", "ef": "endframe"}
ORDER = ("video", "time", "x1", "y1", "x2", "y2", "action", "person")


@dataclass(frozen=True)
class Columns:
    """The columns of a table.

    Attributes:
        places: meaning -> number of the column.
        titles: meaning -> what the header calls it; empty where there is none that is understood.
        units: meaning -> "s", "ms", "min" or "frames" of times, and "fraction", "pixels" or "percent" under "box",
            where the header says so.
        unused: number of the column -> title, of the others.
        classes: number of the column -> title, of columns that each stand for a class.
        fault: why the header cannot be used; "" if it can.
    """

    places: Mapping[str, int]
    titles: Mapping[str, str]
    units: Mapping[str, str] = field(default_factory=dict)
    unused: Mapping[int, str] = field(default_factory=dict)
    classes: Mapping[int, str] = field(default_factory=dict)
    fault: str = ""

    @property
    def has_box(self) -> bool:
        """Whether some column is a part of a box; rows are spans where none is."""
        return bool({"x1", "y1", "cx", "cy", "x2", "y2", *LISTS} & set(self.places))

    @property
    def has_span(self) -> bool:
        """Whether rows begin and end somewhere."""
        return "range" in self.places or bool({"start", "end"} & set(self.places))

    @property
    def lacking(self) -> str:
        """What a table of its kind needs and this one has not, in words; "" for nothing."""
        there = set(self.places)
        needs = {"the action": {"action"}} if not self.classes else {}
        if self.has_box:
            needs |= {
                "the video": {"video", "picture", "time", "frame", "start", "range"},  # or it is called as the file
                "the time or the frame": {"time", "frame", "start", "range", "picture", "video"},
            }
            if not there & set(LISTS):
                needs |= {
                    "the left side of the box": {"x1", "cx"},
                    "the right side of the box": {"x2", "w"},
                    "the top of the box": {"y1", "cy"},
                    "the bottom of the box": {"y2", "h"},
                }
        elif self.has_span and "range" not in there:
            needs |= {"the start": {"start"}, "the end": {"end", "duration"} | ({"status"} & there)}
        return " and ".join(what for what, any_of in needs.items() if not there & any_of)

    def text(self) -> str:
        """Which column is what, for a note."""
        parts = []
        for meaning, title in self.titles.items():
            unit = self.units.get(meaning)
            parts.append(f"{meaning} <- {title}{f' ({unit})' if unit and f'({unit})' not in title else ''}")
        if self.classes:
            parts.append(f"classes <- {', '.join(self.classes.values())}")
        ignored = (
            f"; ignored: {', '.join(title or 'untitled' for title in self.unused.values())}" if self.unused else ""
        )
        return ", ".join(parts) + ignored


def in_order(first: int = 0) -> Columns:
    """The columns of a table without a header: AVA's, from the column `first` on."""
    return Columns({meaning: first + column for column, meaning in enumerate(ORDER)}, {})


def by_header(cells: Sequence[str], given: Mapping[str, str] | None = None) -> Columns | None:
    """The columns that a header names: `Time (s)`, `# Video ID`, `x-min [px]` and `TrackID` are known too.

    Args:
        cells: the header.
        given: title -> name to use instead, or "ignore".

    Returns:
        None if the cells are no header, or name neither a video, a box nor a span.
    """
    given = {title.casefold().strip(): name for title, name in (given or {}).items()}
    named = [given.get(cell.casefold().strip(), "") for cell in cells]
    titles = [own if own and own != "ignore" else cell for own, cell in zip(named, cells)]
    plain = ["" if own == "ignore" else list_order(title) or plain_title(title) for own, title in zip(named, titles)]
    for start, end in _PAIRS.items():
        if {start, end} <= set(plain):
            plain = [_PAIRS_MEAN.get(cell, cell) if cell in (start, end) else cell for cell in plain]
    places, units, fault = {}, {}, ""
    for meaning, ranks in RANKS.items():
        known = [(not named[i], ranks[cell], i) for i, cell in enumerate(plain) if cell in ranks]
        if known:
            best = min(known)
            places[meaning] = best[2]
            if sum(item[:2] == best[:2] for item in known) > 1:
                fault = fault or f"two columns are called {cells[best[2]]!r}"
    if set(places) & set(LISTS[:3]):
        places.pop("box", None)
    sides, units["box"], side_fault = _sides(titles, plain, named)
    if not set(places) & set(LISTS) or {"x1", "y1", "x2", "y2"} <= set(sides):
        for meaning in ("box", "xyxy", "xywh", "cxcywh") if sides else ():
            places.pop(meaning, None)
        places |= sides
        fault = fault or side_fault
    times, time_units, time_fault = _times(titles, plain, named, places)
    places |= {meaning: column for meaning, column in times.items() if column not in places.values()}
    units |= {meaning: unit for meaning, unit in time_units.items() if unit and meaning in places}
    has_box = bool({"x1", "cx", *LISTS} & set(places))
    spans = {"start", "end", "range"} & set(places)
    known = {"video", "picture"} & set(places) or has_box or (spans and "action" in places)
    is_certain = "video" in places and is_video_title(titles[places["video"]])
    enough = 1 if is_certain else 3 - bool(spans)
    if not known or len(places) < min(enough, len(cells)) or sum(map(is_number, cells)) > 1:
        return None
    places = _used(places)
    used = set(places.values())
    unused = {i: cell for i, cell in enumerate(cells) if i not in used and cell}
    titles = {m: cells[i] for m, i in sorted(places.items(), key=lambda item: item[1])}
    return Columns(places, titles, units, unused, fault=fault or time_fault)


def _used(places: dict[str, int]) -> dict[str, int]:
    """Without columns that rows of this kind, boxes, spans or labels of videos, have no use for."""
    has_box = bool({"x1", "y1", "cx", "cy", "x2", "y2", *LISTS} & set(places))
    useless: set[str] = {"tier"}
    if has_box and {"time", "frame"} & set(places):
        useless = {"tier", "start", "end", "duration", "range", "status"}
    elif not has_box and "status" not in places and {"start", "end", "range"} & set(places):
        useless = {"tier", "time", "frame", "person", "w", "h", "picture_width", "picture_height"}
    return {meaning: column for meaning, column in places.items() if meaning not in useless}


def _sides(titles: Sequence[str], plain: Sequence[str], named: Sequence[str]) -> tuple[dict[str, int], str, str]:
    """The columns of the sides of a box, their unit, and what is wrong; of several boxes in a row, a person's."""
    owners: dict[str, dict[str, list[int]]] = {}
    units: dict[int, str] = {}
    for column, cell in enumerate(plain):
        for meaning, pattern in SIDE.items():
            if len(cell) <= MAX_TITLE and (found := pattern.fullmatch(cell)):
                owner = re.sub(r"(?:bounding|bnd|bbox|bb|box|b)+$", "", found["owner"])
                owners.setdefault("" if named[column] else owner, {}).setdefault(meaning, []).append(column)
                units[column] = box_unit(titles[column], found["unit"] or found["before"])
                break
    groups = {owner: _one_box(own) for owner, own in owners.items()}
    whole = {owner: own for owner, own in groups.items() if _is_whole(own)}
    people = {owner: own for owner, own in whole.items() if owner.startswith(PEOPLE)}
    fault, chosen = "", next(iter(whole.values()), {})
    if len(whole) > 1:
        chosen = next(iter((people or whole).values())) if len(people) == 1 or "" not in whole else whole[""]
        if len(people) != 1 and "" not in whole:
            fault = f"rows have several boxes ({', '.join(whole)})"
    elif not whole:
        joined: dict[str, list[int]] = {}
        for own in owners.values():
            for meaning, columns in own.items():
                joined.setdefault(meaning, []).extend(columns)
        chosen = _one_box(joined)
        if set(chosen) <= {"w", "h"}:
            chosen = {f"picture_{'width' if m == 'w' else 'height'}": column for m, column in chosen.items()}
    else:
        owner = next(iter(whole))
        twice = [meaning for meaning, columns in owners[owner].items() if len(columns) > 1 and meaning in chosen]
        same = [m for m in twice if len({plain[c] for c in owners[owner][m]}) < len(owners[owner][m])]
        if same:
            fault = f"two columns are called {titles[chosen[same[0]]]!r}"
    if {"x2", "y2"} <= set(chosen):  # a width beside both corners is that of the picture
        for own, picture in (("w", "picture_width"), ("h", "picture_height")):
            if own in chosen:
                chosen[picture] = chosen.pop(own)
    said = {units[column] for meaning, column in chosen.items() if not meaning.startswith("picture")} - {""}
    return chosen, said.pop() if len(said) == 1 else "", fault


def _one_box(columns: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """The first column of each side; plain x and y are a corner where no other is named."""
    found = {meaning: own[0] for meaning, own in columns.items()}
    for axis in "xy":  # corners 0 and 1
        first = found.pop(f"{axis}0", None)
        if first is not None and f"{axis}1" in found and f"{axis}2" not in found:
            found[f"{axis}2"], found[f"{axis}1"] = found[f"{axis}1"], first
    for plain, corner, centre in (("x", "x1", "cx"), ("y", "y1", "cy")):
        column = found.pop(plain, None)
        if column is not None and corner not in found and centre not in found:
            found[corner] = column
    if {"x1", "y1"} <= set(found):
        found.pop("cx", None)
        found.pop("cy", None)
    return found


def _is_whole(sides: Mapping[str, int]) -> bool:
    there = set(sides)
    return bool(there & {"x1", "cx"} and there & {"y1", "cy"} and there & {"x2", "w"} and there & {"y2", "h"})


def _times(
    titles: Sequence[str], plain: Sequence[str], named: Sequence[str], taken: Mapping[str, int]
) -> tuple[dict[str, int], dict[str, str], str]:
    """The columns of times, what each counts where that is said, and what is wrong."""
    found: dict[str, list[tuple[bool, int, int, str]]] = {}
    for column, cell in enumerate(plain):
        if not cell or len(cell) > MAX_TITLE or column in taken.values() or cell.startswith("timeoffset"):
            continue
        for meaning, pattern in TIMES.items():
            if match := pattern.fullmatch(cell):
                words = "".join(word or "" for word in match.groupdict().values())
                unit = time_unit(titles[column], words, meaning)
                found.setdefault(meaning, []).append((not named[column], UNIT_RANK[unit], column, unit))
                break
    if "start" not in found and "end" in found and "duration" in found:  # onset, as some call it
        offsets = [item for item in found["end"] if "offset" in plain[item[2]]]
        if offsets:
            found["start"], found["end"] = offsets, [item for item in found["end"] if item not in offsets]
            found = {meaning: items for meaning, items in found.items() if items}
    if "duration" in found and "time" in found and not {"start", "end"} & set(found):
        found["start"] = found.pop("time")
    fault = ""
    for items in found.values():
        cells = [plain[item[2]] for item in items if item[:2] == min(items)[:2]]
        if len(set(cells)) < len(cells):
            fault = f"two columns are called {titles[min(items)[2]]!r}"
    best = {meaning: min(items) for meaning, items in found.items()}
    if "end" in best:
        best.pop("duration", None)
    for meaning in ("end", "duration"):
        if "start" in best and meaning in best:
            start, other = best["start"], best[meaning]
            if start[3] != other[3] and "frames" in (start[3], other[3]):
                fault = fault or f"{titles[start[2]]!r} and {titles[other[2]]!r} do not both count frames"
    if "start" not in best and "end" not in best:
        best.pop("duration", None)
    return {m: item[2] for m, item in best.items()}, {m: item[3] for m, item in best.items()}, fault
