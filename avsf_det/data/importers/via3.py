"""Projects of VIA 3, the VGG video annotator: boxes at moments, segments, and attributes with options.

Format: https://gitlab.com/vgg/via/-/blob/via-3.x.y/via-3.x.y/CodeDoc.md.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from avsf_det.data.importers.clock import FRAMES, SECONDS, Clock
from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import (
    Export,
    ExportedVideo,
    Span,
    Track,
    Values,
    numbers,
    picture_place,
    split_of,
    texts,
)

NAME = "VIA 3 project"
TEXT, CHECKBOX = 1, 2  # `_VIA_ATTRIBUTE_TYPE` in VIA's _via_attribute.js; the others hold the id of one option
RECTANGLES = (2, 8)  # RECTANGLE and EXTREME_RECTANGLE of `_VIA_RSHAPE` in its _via_metadata.js
IMAGE = 2  # `_VIA_FILE_TYPE`


def recognises(document: Document) -> bool:
    """Whether this is such a file."""
    project = document.json
    return isinstance(project, dict) and all(isinstance(project.get(k), dict) for k in ("file", "view", "metadata"))


def read(document: Document) -> Export:
    """Its boxes, in pixels of the file at seconds of it, and its segments; videos in the order of the project."""
    export, project = Export(NAME), document.json
    attributes = project.get("attribute") or {}
    videos: dict[str, ExportedVideo] = {}
    for key, entry in project["metadata"].items():
        where = f"{document.name}: metadata {key}"
        try:
            file = project["file"][str(project["view"][str(entry["vid"])]["fid_list"][0])]
            times, shape = (numbers(entry.get(key) or [], len(entry.get(key) or [])) for key in ("z", "xy"))
            if times is None or shape is None:
                raise ValueError("a number of z or xy is none")
            values = _values(entry.get("av") or {}, attributes)
            name = str(file["fname"])
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            export.bad.append(f"{where}: {type(error).__name__} {error}; expected vid of a view with a file, z, xy, av")
            continue
        picture = picture_place(name, document.stem) if file.get("type") == IMAGE else None
        if file.get("type") == IMAGE and picture is None:
            export.bad.append(f"{where}: no frame number in {name}, expected such as <video>/000012.jpg")
            continue
        own = picture[0] if picture else name
        if own not in videos:
            clock = Clock(FRAMES, None) if picture else Clock(SECONDS)
            videos[own] = ExportedVideo(_names(own, file), where, clock, split=split_of(*name.split("/")[:-1]))
        times = [float(picture[1])] if picture else times
        _read_entry(times, shape, values, where, videos[own], export)
    export.videos = list(videos.values())
    return export


def _names(own: str, file: dict) -> tuple[str, ...]:
    source = str(file.get("src") or "")
    last = unquote(urlsplit(own).path) if "://" in own else own
    return tuple(dict.fromkeys(n for n in (own, last, unquote(urlsplit(source).path)) if n))


def _values(given: dict, attributes: dict) -> Values:
    values = {}
    for key, value in given.items():
        attribute = attributes.get(str(key)) or {}
        options, kind = attribute.get("options") or {}, attribute.get("type", TEXT)
        chosen = str(value).split(",") if kind == CHECKBOX else [value]
        if kind != TEXT:
            chosen = [options.get(str(option), option) for option in chosen]
        values[str(attribute.get("aname", key))] = texts(chosen)
    return values


def _read_entry(
    times: list[float], shape: list[float], values: Values, where: str, video: ExportedVideo, export: Export
) -> None:
    if not shape:
        if len(times) not in (0, 2):
            export.bad.append(f"{where}: a moment without a box; expected a box, or a segment of two times")
            return
        video.spans.append(Span(*(times or (None, None)), values, where))
    elif len(shape) != 5 or shape[0] not in RECTANGLES:
        export.bad.append(f"{where}: a shape of kind {shape[0]:g}, expected a rectangle")
    elif len(times) != 1:
        export.bad.append(f"{where}: a box at {len(times)} times, expected one")
    else:
        _, x, y, width, height = shape
        video.tracks.append(Track(times, [(x, y, x + width, y + height)], [values], where))
