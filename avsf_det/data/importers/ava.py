"""Tables in AVA's manner and its dialects: any delimiter, with a header or without, pixels or shares, any times."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from avsf_det.data.importers.clock import EITHER, FRAMES, SECONDS, Clock
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

NAME = "AVA csv"
BEYOND = 2.0  # a coordinate above twice the picture is in pixels
DELIMITERS = (",", ";", "\t", "|", None)  # None is any white space
EXPECTED = "video,timestamp,x1,y1,x2,y2,action[,person]"
_NAMES = {
    "video": "video video_id video_name videoid name file filename file_name clip clip_id clip_name youtube_id image",
    "time": "time timestamp second seconds sec t time_s middle_frame_timestamp keyframe",
    "frame": "frame frame_id frame_no frame_num frame_number frame_index frame_idx frameid framenumber",
    "x1": "x1 xmin x_min left xtl bbox_x1 x",
    "y1": "y1 ymin y_min top ytl bbox_y1 y",
    "x2": "x2 xmax x_max right xbr bbox_x2",
    "y2": "y2 ymax y_max bottom ybr bbox_y2",
    "w": "w width box_width bbox_w bbox_width",
    "h": "h height box_height bbox_h bbox_height",
    "action": "action actions action_id action_name label labels label_id label_name class class_id class_name "
    "activity category behavior behaviour",
    "person": "person person_id personid track track_id trackid entity entity_id actor actor_id object_id instance_id "
    "id",
    "start": "start start_time begin from",
    "end": "end end_time stop to",
    "split": "split subset set",
}
_MEANING = {name: meaning for meaning, names in _NAMES.items() for name in names.split()}
_POSITIONS = ("video", "time", "x1", "y1", "x2", "y2", "action", "person")
_BOX = {"x1", "y1", "x2", "y2"}
_EMPTY_WORDS = {"id", "name", "no", "num", "number", "index", "idx", "label", "value", "bbox", "box", "px", "s", "sec"}
_SAMPLE = 200  # rows by which the delimiter is chosen


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
    in_frames: bool | None = None


def recognises(document: Document) -> bool:
    """Whether this is such a file: some row of it, read with some delimiter, holds."""
    if document.suffix not in (".csv", ".tsv", ".txt") or "excluded" in document.stem:
        return False
    return _dialect(document)[2] > 0


def read(document: Document) -> Export:
    """Its rows. Rows of two columns, moments without anybody, are passed over.

    Whole numbers for times of which the header does not say what they count may be frame numbers; that is seen from
    the videos. Boxes with a coordinate above 2 anywhere in the file are in pixels.
    """
    export = Export(NAME)
    delimiter, columns, _ = _dialect(document)
    rows = []
    for line, cells in _rows(document.text, delimiter):
        try:
            row = None if _is_header(cells) else _parse(line, cells, columns, delimiter)
        except ValueError as error:
            export.bad.append(f"{document.name}:{line}: {error}")
            continue
        rows += [row] if row else []
    boxes = [row.box for row in rows if row.box]
    picture = PIXELS if any(max(box) > BEYOND for box in boxes) else SHARES
    by_person: dict[tuple[str, str], list[_Row]] = {}
    videos: dict[str, ExportedVideo] = {}
    whole = all(row.place == round(row.place) for row in rows if row.place is not None)
    for row in rows:
        if row.video not in videos:
            unit = EITHER if row.in_frames is None and whole else FRAMES if row.in_frames else SECONDS
            split = split_of(row.split) or split_of(document.stem)
            where = f"{document.name}:{row.line}"
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


def _dialect(document: Document) -> tuple[str | None, Mapping[str, int], int]:
    """Delimiter, column of each meaning, and how many of the first rows then hold; the one by which most do."""
    best = (",", {}, 0)
    for delimiter in DELIMITERS:
        good, columns = 0, {}
        for number, (line, cells) in enumerate(_rows(document.text, delimiter)):
            if number >= _SAMPLE:
                break
            if number == 0:
                columns = _columns(cells)
                if _is_header(cells):
                    continue
            try:
                good += _parse(line, cells, columns, delimiter) is not None
            except ValueError:
                continue
        if good > best[2]:
            best = delimiter, columns, good
    return best


def _rows(text: str, delimiter: str | None) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells of the rows that are not blank, and not comments."""
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
        if any(cells) and not (cells[0].startswith("#") and not _is_header(cells)):
            yield reader.line_num, cells


def _meanings(cells: list[str]) -> list[str]:
    """What each cell of a header means, "" for nothing.

    `Time (s)`, `# Video ID` and `x-min [px]` are known too, and `Action_Label`, whose words mean one thing together.
    """
    plain = [re.sub(r"\(.*?\)|\[.*?\]", "", cell).lower() for cell in cells]
    return [_meaning(re.sub(r"[^a-z0-9]+", "_", cell).strip("_")) for cell in plain]


def _meaning(name: str) -> str:
    words = [word for word in name.split("_") if word not in _EMPTY_WORDS]
    meant = {_MEANING.get(word, "") for word in words}
    return _MEANING.get(name) or _MEANING.get("_".join(words)) or (meant.pop() if len(meant) == 1 else "")


def _is_header(cells: list[str]) -> bool:
    found = set(_meanings(cells))
    return "video" in found and len(found - {""}) >= min(3, len(cells))


def _columns(cells: list[str]) -> Mapping[str, int]:
    """Meaning -> column, by the header or, without one, AVA's order; so too where the header has another language's
    word for time or action where AVA has these."""
    if not _is_header(cells):
        return {meaning: column for column, meaning in enumerate(_POSITIONS)}
    columns: dict[str, int] = {}
    meanings = _meanings(cells)
    for column, meaning in enumerate(meanings):
        if meaning:
            columns.setdefault(meaning, column)
    if columns.keys() >= _BOX:
        for column, meaning in enumerate(_POSITIONS[: len(cells)]):
            known = columns.keys() & ({"time", "frame"} if meaning == "time" else {meaning})
            if meaning in ("time", "action") and not known and not meanings[column]:
                columns[meaning] = column
    return columns


def _parse(line: int, cells: list[str], columns: Mapping[str, int], delimiter: str | None) -> _Row | None:
    """What a row holds; None for a moment without anybody. Raises ValueError if it is bad."""
    while len(cells) > len(columns) and not cells[-1]:
        cells = cells[:-1]
    given = {meaning: cells[column] for meaning, column in columns.items() if column < len(cells)}
    has_box = "x1" in columns
    video, action = given.get("video", ""), given.get("action", "")
    if has_box and len(cells) == 2 and video and _number(cells[1], delimiter) is not None:
        return None
    if not video:
        raise ValueError(f"got {','.join(cells)}, expected a video's name first: {EXPECTED}")
    if not has_box:
        if not action:
            raise ValueError(f"got {','.join(cells)}, expected video,start,end,action")
        span = tuple(_number(given.get(key, ""), delimiter) for key in ("start", "end"))
        return _Row(line, video, None, None, action, split=given.get("split", ""), span=span, in_frames=False)
    if _is_positional(columns) and len(cells) not in (7, 8):
        raise ValueError(f"got {len(cells)} columns, expected {EXPECTED}")
    key = "time" if "time" in given else "frame"
    place, in_frames = _number(given.get(key, ""), delimiter), True if key == "frame" else None
    picture = picture_place(video, "") if place is None else None
    if picture and picture[0]:
        video, place, in_frames = picture[0], float(picture[1]), True
    if place is None:
        raise ValueError(f"got {given.get(key, '')!r} for the time, expected seconds or a frame number")
    size = "w" in given and not {"x2", "y2"} <= set(given)
    keys = ("x1", "y1", "w", "h") if size else ("x1", "y1", "x2", "y2")
    box = [_number(given.get(key, ""), delimiter) for key in keys]
    if None in box:
        raise ValueError(f"got {','.join(given.get(k, '') for k in keys)} for the box, expected four numbers")
    if size:
        box = [box[0], box[1], box[0] + box[2], box[1] + box[3]]
    if not action:
        raise ValueError("no action; expected its id or its name")
    person = given.get("person", "")
    number = _number(person, delimiter)
    person = "" if number == -1 else f"{number:.0f}" if number is not None and number == round(number) else person
    if ":" in given.get(key, ""):
        in_frames = False
    return _Row(line, video, place, tuple(box), action, person, given.get("split", ""), in_frames=in_frames)


def _is_positional(columns: Mapping[str, int]) -> bool:
    return tuple(columns) == _POSITIONS


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
