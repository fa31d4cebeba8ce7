"""Label Studio's JSON and JSON-MIN of video tasks: rectangles with sequences of keyframes, labels, choices, spans."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, unquote, urlsplit

from avsf_det.data.importers.clock import FRAMES, Clock
from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import LABEL, PERCENT, Export, ExportedVideo, Span, Track, Values, split_of, texts
from avsf_det.structures import VIDEO_SUFFIXES

NAME = "Label Studio JSON"
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")  # put before the names of uploaded files


def recognises(document: Document) -> bool:
    """Whether this is such a file."""
    tasks = document.json
    tasks = tasks if isinstance(tasks, list) else [tasks]
    dicts = [task for task in tasks if isinstance(task, dict)]
    return any(("annotations" in t and isinstance(t.get("data"), dict)) or any(_sequences(t)) for t in dicts)


def read(document: Document) -> Export:
    """Its regions. Of several annotations of a task the first that was not skipped counts; predictions do not."""
    export = Export(NAME)
    tasks = document.json if isinstance(document.json, list) else [document.json]
    for number, task in enumerate(tasks):
        where = f"{document.name}: task {task.get('id', number) if isinstance(task, dict) else number}"
        if not isinstance(task, dict):
            export.bad.append(f"{where}: got {type(task).__name__}, expected a task with data and annotations")
            continue
        data = task["data"] if isinstance(task.get("data"), dict) else task
        names = _names(data, task.get("file_upload"))
        if not names:
            export.bad.append(f"{where}: no video in its data, expected such as {{'video': '/data/upload/clip.mp4'}}")
            continue
        results = _results(task)
        video = ExportedVideo(
            names, where, Clock(FRAMES, 1, _rate(results)), PERCENT, split_of(*texts(data.get("split")))
        )
        _read_results(results, where, video, export)
        export.videos.append(video)
    return export


def _sequences(task: dict) -> Iterator[tuple[str, dict]]:
    """The regions of JSON-MIN: those that a list in the task itself holds."""
    for key, value in task.items():
        for region in value if isinstance(value, list) else ():
            if isinstance(region, dict) and isinstance(region.get("sequence"), list):
                yield key, region


def _results(task: dict) -> list[dict]:
    if not isinstance(task.get("annotations"), list):
        results = [{"type": "videorectangle", "value": value, "id": f"{key}"} for key, value in _sequences(task)]
        for number, result in enumerate(results):
            result["id"] = str(number)
        return results
    for annotation in task["annotations"]:
        if isinstance(annotation, dict) and not annotation.get("was_cancelled") and annotation.get("result"):
            return [result for result in annotation["result"] if isinstance(result, dict)]
    return []


def _names(data: dict, upload: object) -> tuple[str, ...]:
    """What the file may be called, from its address."""
    addresses = [value for value in (*data.values(), upload) if isinstance(value, str)]
    videos = [a for a in addresses if urlsplit(a).path.lower().endswith(VIDEO_SUFFIXES) or "?d=" in a]
    videos = [data[key] for key in ("video", "video_url", "url") if isinstance(data.get(key), str)] + videos
    names = []
    for address in videos:
        parts = urlsplit(address)
        path = unquote(parse_qs(parts.query).get("d", [parts.path])[0]) if parts.scheme or "?" in address else address
        last = unquote(path.replace("\\", "/").rpartition("/")[2])
        names += [path, last, _UPLOAD.sub("", last)]
    return tuple(dict.fromkeys(name for name in names if name))


def _rate(results: list[dict]) -> float | None:
    """Frames a second that the tool counted: its own, 24 where nobody told it, and not the file's."""
    for result in results:
        value = result.get("value") or {}
        try:
            count, duration = float(value["framesCount"]), float(value["duration"])
        except (KeyError, TypeError, ValueError):
            continue
        if count > 0 and duration > 0:
            return count / duration
    return None


def _read_results(results: list[dict], where: str, video: ExportedVideo, export: Export) -> None:
    regions = {str(r.get("id")) for r in results if r.get("type") == "videorectangle"}
    attributes: dict[str, Values] = {}
    for result in results:
        value, kind = result.get("value") or {}, result.get("type", "")
        given = texts(value.get(kind) or value.get("choices") or [])
        if kind == "videorectangle" or not given:
            continue
        name = LABEL if kind == "labels" else str(result.get("from_name", kind))
        if kind == "timelinelabels":
            for span in value.get("ranges") or ():
                _read_span(span, {LABEL: given}, where, video, export)
        elif str(result.get("id")) in regions:
            values = attributes.setdefault(str(result.get("id")), {})
            values[name] = values.get(name, ()) + given
        else:
            video.spans.append(Span(None, None, {name: given}, where))
    for result in results:
        if result.get("type") == "videorectangle":
            _read_region(result, attributes.get(str(result.get("id")), {}), where, video, export)


def _read_span(span: dict, values: Values, where: str, video: ExportedVideo, export: Export) -> None:
    try:
        video.spans.append(Span(float(span["start"]), float(span["end"]) + 1, values, where))
    except (KeyError, TypeError, ValueError):
        export.bad.append(f"{where}: got {span!r} for a span, expected start and end in frames")


def _read_region(result: dict, attributes: Values, where: str, video: ExportedVideo, export: Export) -> None:
    value, where = result.get("value") or {}, f"{where}, region {result.get('id', '?')}"
    values = {LABEL: texts(value.get("labels") or value.get("rectanglelabels") or []), **attributes}
    places, boxes, shown = [], [], []
    for keyframe in value.get("sequence") or ():
        try:
            place, x, y, width, height = (float(keyframe[k]) for k in ("frame", "x", "y", "width", "height"))
        except (KeyError, TypeError, ValueError):
            export.bad.append(f"{where}: got {keyframe!r}, expected frame, x, y, width and height")
            continue
        if keyframe.get("rotation"):
            export.bad.append(f"{where}, frame {place:g}: turned by {keyframe['rotation']} degrees; draw it upright")
            continue
        places.append(place)
        boxes.append((x, y, x + width, y + height))
        shown.append(True)
        if keyframe.get("enabled") is False:  # the last frame that it is on
            places.append(place + 1)
            boxes.append(boxes[-1])
            shown.append(False)
    if places and shown[-1]:  # stays as it is to the end
        places.append(math.inf)
        boxes.append(boxes[-1])
        shown.append(True)
    if places:
        person = str(result.get("id", ""))
        video.tracks.append(Track(places, boxes, [values] * len(places), where, person, shown, interpolated=True))
