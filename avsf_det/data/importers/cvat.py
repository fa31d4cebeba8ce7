"""CVAT's XML 1.1, "for video" (tracks) and "for images", of a task, a job or a project."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element

from avsf_det.data.importers.clock import FRAMES, Clock
from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import (
    LABEL,
    Export,
    ExportedVideo,
    Span,
    Track,
    Values,
    picture_place,
    split_of,
    texts,
)

NAME = "CVAT XML"


@dataclass
class _Task:
    """A task, as the head of the file describes it."""

    id: str
    names: tuple[str, ...]
    subset: str
    picture: tuple[float, float] | None
    is_video: bool


def recognises(document: Document) -> bool:
    """Whether this is such a file."""
    root = document.xml
    return root is not None and root.tag == "annotations" and any(root.find(t) is not None for t in _PARTS)


_PARTS = ("track", "image", "meta", "version")


def read(document: Document) -> Export:
    """Its boxes and tags. Frame numbers are those of the file, from 0, also where a task took a part of the frames."""
    export = Export(NAME)
    tasks = _tasks(document)
    videos: dict[tuple, ExportedVideo] = {}
    for track in document.xml.iter("track"):
        where = f"{document.name}: track {track.get('id', '?')}"
        task = _task_of(track, tasks)
        video = videos.setdefault(
            (task.id, "tracks"),
            ExportedVideo(task.names, where, Clock(FRAMES), task.picture, _split(track, task)),
        )
        _read_track(track, where, video, export)
    for image in document.xml.iter("image"):
        _read_image(image, document, tasks, videos, export)
    export.videos = list(videos.values())
    for video in export.videos:
        video.spans = _joined(video.spans)
    return export


def _tasks(document: Document) -> list[_Task]:
    found = []
    for element in [*document.xml.iter("task"), *document.xml.iter("job")]:
        source, size = element.findtext("source") or document.xml.findtext("meta/source"), None
        names = [name for name in (source, element.findtext("name"), document.stem) if name]
        width = element.findtext("original_size/width") or document.xml.findtext("meta/original_size/width")
        height = element.findtext("original_size/height") or document.xml.findtext("meta/original_size/height")
        if _number(width) and _number(height):
            size = _number(width), _number(height)
        is_video = bool(source) or bool(size) or element.findtext("mode") == "interpolation"
        found.append(
            _Task(element.findtext("id") or "", tuple(names), element.findtext("subset") or "", size, is_video)
        )
    return found or [_Task("", (document.stem,), "", None, document.xml.find("track") is not None)]


def _task_of(element: Element, tasks: list[_Task]) -> _Task:
    return next((task for task in tasks if task.id == element.get("task_id")), tasks[0])


def _split(element: Element, task: _Task) -> str:
    return split_of(element.get("subset") or task.subset)


def _read_track(track: Element, where: str, video: ExportedVideo, export: Export) -> None:
    places, boxes, shown, values = [], [], [], []
    shapes = {child.tag for child in track} - {"box", "attribute"}
    if shapes:
        export.bad.append(f"{where}: a {', '.join(sorted(shapes))}, expected boxes; draw it as a rectangle")
    for box in track.iter("box"):
        frame, corners = _number(box.get("frame")), _corners(box)
        if frame is None or corners is None:
            export.bad.append(
                f"{where}, frame {box.get('frame')}: got {_text(box)}, expected frame, xtl, ytl, xbr, ybr"
            )
            continue
        places.append(frame)
        boxes.append(corners)
        shown.append(box.get("outside") != "1")
        values.append(_values(track, box))
    if places:
        person = next((p for v in values for p in v.get("track_id", ())), track.get("id", ""))
        video.tracks.append(Track(places, boxes, values, where, person, shown, interpolated=True))


def _read_image(image: Element, document: Document, tasks: list[_Task], videos: dict, export: Export) -> None:
    name, task = image.get("name", ""), _task_of(image, tasks)
    where = f"{document.name}: image {name}"
    found = picture_place(name if "." in name else f"{name}.png", "")
    if found is None and not task.is_video:
        export.bad.append(f"{where}: no frame number in its name, expected such as <video>/000012.jpg")
        return
    own, number = found or ("", 0)
    if task.is_video and not own:
        number = int(_number(image.get("id")) if found is None else number)
    names = (own, *task.names) if own else task.names
    clock = Clock(FRAMES, 0 if task.is_video and not own else None)
    width, height = _number(image.get("width")), _number(image.get("height"))
    video = videos.setdefault(
        (task.id, own),
        ExportedVideo(names, where, clock, (width, height) if width and height else None),
    )
    video.split = video.split or _split(image, task) or split_of(*name.split("/")[:-1])
    for order, box in enumerate(image.iter("box")):
        corners = _corners(box)
        if corners is None:
            export.bad.append(f"{where}, box {order}: got {_text(box)}, expected xtl, ytl, xbr, ybr")
            continue
        values = _values(box, box)
        person = next(iter(values.get("track_id", ())), "")
        video.tracks.append(Track([number], [corners], [values], where, person))
    for tag in image.iter("tag"):
        video.spans.append(Span(number, number + 1, _values(tag, tag), where))


def _joined(spans: list[Span]) -> list[Span]:
    """Spans of tagged frames, one for each run of neighbours with the same labels."""
    joined: dict[tuple, Span] = {}
    kept = []
    for span in sorted(spans, key=lambda span: span.start):
        key = tuple(sorted(span.values.items()))
        last = joined.get(key)
        if last and last.end == span.start:
            last.end = span.end
        else:
            joined[key] = span
            kept.append(span)
    return kept


def _values(labelled: Element, element: Element) -> Values:
    values = {LABEL: texts(labelled.get("label"))}
    for attribute in [*labelled.findall("attribute"), *element.findall("attribute")]:
        values[attribute.get("name", "")] = texts(attribute.text)
    return values


def _corners(box: Element) -> tuple[float, ...] | None:
    corners = tuple(_number(box.get(name)) for name in ("xtl", "ytl", "xbr", "ybr"))
    return None if None in corners else corners


def _number(text: str | None) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if abs(value) < float("inf") else None


def _text(element: Element) -> str:
    return ",".join(f"{key}={value}" for key, value in element.attrib.items())
