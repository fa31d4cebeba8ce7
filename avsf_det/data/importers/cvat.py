"""CVAT's XML 1.1, "for video" (tracks) and "for images", of a task, a job or a project.

Format: https://docs.cvat.ai/docs/other/xml_format. Frame numbers are those of the file, from 0,
also where a task or a job took a part of the frames, or every so many.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from avsf_det.data.importers.clock import FRAMES, Clock
from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import (
    LABEL,
    Export,
    ExportedVideo,
    Span,
    Track,
    Values,
    number,
    picture_place,
    rotated,
    split_of,
    texts,
)
from avsf_det.data.importers.frames import join_boxes, join_spans

NAME = "CVAT XML"
_SHAPES = ("polygon", "polyline", "points", "mask", "ellipse", "cuboid", "skeleton")


@dataclass
class _Task:
    """A task, as the head of the file describes it."""

    id: str
    names: tuple[str, ...]
    subset: str
    picture: tuple[float, float] | None
    is_video: bool
    step: int
    unnamed: str


def recognises(document: Document) -> bool:
    """Whether this is such a file."""
    root = document.xml
    return root is not None and root.tag == "annotations" and any(root.find(t) is not None for t in _PARTS)


_PARTS = ("track", "image", "meta", "version")


def read(document: Document) -> Export:
    """Its boxes and tags; other shapes are named. Turned boxes become the boxes that enclose them."""
    export = Export(NAME)
    tasks = _tasks(document)
    videos: dict[tuple, ExportedVideo] = {}
    for track in document.xml.iter("track"):
        where = f"{document.name}: track {track.get('id', '?')}"
        task = _task_of(track, tasks)
        if (task.id, "tracks") not in videos and not task.is_video:
            export.notes.append(f"{where}: frames of a task of images are its images in their order, from 0")
        video = videos.setdefault(
            (task.id, "tracks"),
            ExportedVideo(task.names, where, Clock(FRAMES), task.picture, _split(track, task), unnamed=task.unnamed),
        )
        _read_track(track, where, video, export)
    turned = Counter(_is_turned(box) for box in document.xml.iter("box"))[True]
    if turned:
        export.notes.append(
            f"{document.name}: {turned} boxes are rotated; the boxes that enclose them are taken, and interpolated"
        )
    for image in document.xml.iter("image"):
        _read_image(image, document, tasks, videos, export)
    export.videos = list(videos.values())
    for video in export.videos:
        video.tracks, video.spans = join_boxes(video.tracks), join_spans(video.spans)
    return export


def _tasks(document: Document) -> list[_Task]:
    found = []
    meta = document.xml.find("meta")
    elements = [] if meta is None else [*meta.iter("task"), *meta.iter("job")]
    for element in elements:
        source, size = element.findtext("source") or document.xml.findtext("meta/source"), None
        names = [name for name in (source, element.findtext("name"), document.stem) if name]
        width = number(element.findtext("original_size/width") or document.xml.findtext("meta/original_size/width"))
        height = number(element.findtext("original_size/height") or document.xml.findtext("meta/original_size/height"))
        if width and height and width > 0 and height > 0:
            size = width, height
        is_video = bool(source) or bool(size) or element.findtext("mode") == "interpolation"
        step = re.search(r"step\s*=\s*(\d{1,6})", element.findtext("frame_filter") or "")
        unnamed = "" if source else document.name if element.tag == "task" else "the jobs"
        id, subset = element.findtext("id") or "", element.findtext("subset") or ""
        found.append(_Task(id, tuple(names), subset, size, is_video, max(int(step[1]), 1) if step else 1, unnamed))
    is_video = document.xml.find("track") is not None
    return found or [_Task("", (document.stem,), "", None, is_video, 1, document.name)]


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
        frame, corners = number(box.get("frame")), _corners(box)
        if frame is None or corners is None:
            export.bad.append(
                f"{where}, frame {box.get('frame')}: got {_text(box)}, expected frame, xtl, ytl, xbr, ybr"
            )
            continue
        places.append(frame)
        boxes.append(corners)
        shown.append(box.get("outside") not in ("1", "true", "True"))
        values.append(_values(track, box))
    if places:
        person = next((p for v in values for p in v.get("track_id", ())), track.get("id", ""))
        video.tracks.append(Track(places, boxes, values, where, person, shown, interpolated=True))


def _read_image(image: Element, document: Document, tasks: list[_Task], videos: dict, export: Export) -> None:
    name, task = image.get("name", ""), _task_of(image, tasks)
    where = f"{document.name}: image {name}"
    found = picture_place(name if "." in name else f"{name}.png", "")
    own, place = found or ("", number(image.get("id")))
    if place is None or (found is None and not task.is_video):
        export.bad.append(f"{where}: no frame number in its name, expected such as <video>/000012.jpg")
        return
    names = (own, *task.names) if own else task.names
    clock = Clock(FRAMES, 0 if task.is_video and not own else None)
    width, height = number(image.get("width")), number(image.get("height"))
    size = (width, height) if width and height and width > 0 and height > 0 else None
    video = videos.setdefault(
        (task.id, own), ExportedVideo(names, where, clock, size, unnamed="" if own else task.unnamed)
    )
    video.split = video.split or _split(image, task) or split_of(*name.split("/")[:-1])
    scale = np.tile(np.array(video.picture) / size, 2) if size and video.picture else np.ones(4)
    counts = Counter(child.tag for child in image)
    for shape in _SHAPES:
        lines = [f"{where}: got a shape of type {shape}, expected a box; draw it as a rectangle"] * counts[shape]
        export.bad.extend(lines)
    for order, box in enumerate(image.iter("box")):
        corners = _corners(box)
        if corners is None:
            export.bad.append(f"{where}, box {order}: got {_text(box)}, expected xtl, ytl, xbr, ybr")
            continue
        values = _values(box, box)
        person = next(iter(values.get("track_id", ())), "")
        video.tracks.append(Track([place], [np.array(corners) * scale], [values], where, person))
    step = task.step if task.is_video and not own else 1
    for tag in image.iter("tag"):
        video.spans.append(Span(place, place + step, _values(tag, tag), where))


def _values(labelled: Element, element: Element) -> Values:
    values = {LABEL: texts(labelled.get("label"))}
    for attribute in [*labelled.findall("attribute"), *element.findall("attribute")]:
        values[attribute.get("name", "")] = texts(attribute.text)
    return values


def _corners(box: Element) -> tuple[float, ...] | None:
    corners = tuple(number(box.get(name)) for name in ("xtl", "ytl", "xbr", "ybr"))
    if None in corners:
        return None
    return rotated(corners, number(box.get("rotation")) or 0.0)


def _is_turned(box: Element) -> bool:
    return bool((number(box.get("rotation")) or 0.0) % 360)


def _text(element: Element) -> str:
    return ",".join(f"{key}={value}" for key, value in element.attrib.items())
