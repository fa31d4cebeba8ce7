"""Label Studio's JSON and JSON-MIN: video rectangles, timeline labels, spans on audio, choices, and boxes of images.

Format: https://labelstud.io/guide/export and https://labelstud.io/tags/video. Frames count from 1, at the rate of the
Video tag, which is 24 unless the labeling config says otherwise, whatever the file has.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree.ElementTree import Element

from avsf_det.data.importers.clock import FRAMES, SECONDS, Clock
from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import (
    PERCENT,
    UPLOAD,
    Export,
    ExportedVideo,
    Values,
    number,
    split_of,
    texts,
)
from avsf_det.data.importers.frames import FrameVideos
from avsf_det.data.importers.label_studio_results import Results, stated_rate
from avsf_det.media.frame_folder import PICTURE_SUFFIXES
from avsf_det.structures import VIDEO_SUFFIXES

NAME = "Label Studio JSON"
RATE = 24.0  # of the Video tag
_MIN = {"annotator", "annotation_id", "lead_time"}  # keys of JSON-MIN


def recognises(document: Document) -> bool:
    """Whether this is such a file."""
    tasks = document.json
    tasks = tasks if isinstance(tasks, list) else [tasks]
    dicts = [task for task in tasks if isinstance(task, dict)]
    return any(("annotations" in t and isinstance(t.get("data"), dict)) or any(_regions(t)) for t in dicts)


def config_rate(document: Document) -> str:
    """The frame rate in a labeling config, such as "30" or "$fps" for that of each task; "" if there is none."""
    root = document.xml if document.suffix == ".xml" else None
    if root is None or root.tag != "View":
        return ""
    return next((rate for tag in root.iter("Video") if (rate := _attribute(tag, "framerate"))), "")


def _attribute(tag: Element, name: str) -> str:
    return next((value.strip() for key, value in tag.items() if key.lower() == name), "")


def read(document: Document) -> Export:
    """Its regions and labels.

    Of several annotations of a task, one counts: the ground truth if there is one, else the latest that was submitted.
    Skipped ones and predictions do not count.
    """
    return _Reader(document).read()


class _Reader:
    """One file."""

    def __init__(self, document: Document) -> None:
        self._document, self._export = document, Export(NAME)
        self._frames = FrameVideos(self._export, document.name, document.stem)
        self._counts: Counter[str] = Counter()
        self._assumed = 0

    def read(self) -> Export:
        export, name = self._export, self._document.name
        tasks = self._document.json if isinstance(self._document.json, list) else [self._document.json]
        tasks = _latest_of_min(tasks, self._counts)
        videos: list[ExportedVideo] = []
        for order, task in enumerate(tasks):
            where = f"{name}: task {task.get('id', order) if isinstance(task, dict) else order}"
            try:
                videos += self._read_task(task, where)
            except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
                export.bad.append(f"{where}: not as Label Studio writes it ({type(error).__name__}: {error})"[:300])
        self._frames.finish()
        export.videos += videos
        if self._assumed:
            export.notes.append(
                f"{name}: nothing states the frame rate of {self._assumed} tasks; Label Studio's default of {RATE:g} "
                "frames per second is assumed; if the Video tag has another frameRate, give it as --frame-rate"
            )
        export.notes += [f"{name}: {count} {what}" for what, count in self._counts.items()]
        return export

    def _read_task(self, task: object, where: str) -> list[ExportedVideo]:
        if not isinstance(task, dict):
            self._export.bad.append(f"{where}: got {type(task).__name__}, expected a task with data and annotations")
            return []
        data = task["data"] if isinstance(task.get("data"), dict) else task
        results = self._results(task, where)
        split = split_of(*texts(data.get("split")))
        reader = Results(results, where, self._export, self._counts)
        names = _names(data, task.get("file_upload"))
        if image := _image(data, task.get("file_upload")) if not names or reader.has_image_boxes else "":
            reader.add_to_frame(self._frames.frame(image, where, None, split))
            return []
        if not names:
            self._export.bad.append(
                f"{where}: no video in its data, expected such as {{'video': '/data/upload/clip.mp4'}}"
            )
            return []
        rate = stated_rate(results, where, self._export) or self._config_rate(data)
        clock = Clock(FRAMES, 1, rate, None if rate else RATE)
        video = ExportedVideo(names, where, clock, PERCENT, split)
        in_seconds = ExportedVideo(names, where, Clock(SECONDS), split=split)
        reader.add_to_video(video, in_seconds)
        uses_frames = video.tracks or any(span.start is not None for span in video.spans)
        self._assumed += bool(uses_frames and not rate)
        return [video, in_seconds] if in_seconds.spans else [video]

    def _config_rate(self, data: dict) -> float | None:
        stated = self._document.frame_rate
        rate = number(data.get(stated[1:]) if stated.startswith("$") else stated)
        return rate if rate and 0.1 <= rate <= 1000 else None

    def _results(self, task: dict, where: str) -> list[dict]:
        """The results of the annotation that counts."""
        annotations = task.get("annotations")
        if not isinstance(annotations, list):
            return [
                {"type": _kind(value), "value": value, "id": str(order), "from_name": key}
                for order, (key, value) in enumerate(_regions(task))
            ]
        submitted = [a for a in annotations if isinstance(a, dict) and not a.get("was_cancelled")]
        self._counts["skipped (cancelled) annotations are ignored"] += sum(
            bool(isinstance(a, dict) and a.get("was_cancelled")) for a in annotations
        )
        with_results = [a for a in submitted if isinstance(a.get("result"), list) and a["result"]]
        if not with_results:
            self._counts["tasks have no submitted annotation with results"] += 1
            predictions = task.get("predictions")
            if isinstance(predictions, list) and predictions:
                self._counts["tasks have predictions only, which are ignored"] += 1
            self._counts = +self._counts
            return []
        truths = [a for a in with_results if a.get("ground_truth") is True]
        _, chosen = max(enumerate(truths or with_results), key=lambda item: (_submitted(item[1]), item[0]))
        if len(with_results) > 1:
            which = "marked as ground truth" if truths else "submitted last"
            self._export.notes.append(
                f"{where}: has {len(with_results)} annotations; that {which} is used (id {chosen.get('id')}, by "
                f"{_author(chosen)}), the others are ignored"
            )
        self._counts = +self._counts
        return [result for result in chosen["result"] if isinstance(result, dict)]


def _submitted(annotation: dict) -> str:
    return str(annotation.get("updated_at") or annotation.get("created_at") or "")


def _author(annotation: dict) -> str:
    author = annotation.get("completed_by")
    return str(author.get("email") or author.get("id") if isinstance(author, dict) else author)


def _latest_of_min(tasks: list, counts: Counter[str]) -> list:
    """Tasks; of several rows of JSON-MIN for a task, which are by different annotators, the latest."""
    latest: dict[object, dict] = {}
    others = []
    for order, task in enumerate(tasks):
        if not isinstance(task, dict) or "annotations" in task or not _MIN & task.keys():
            others.append(task)
            continue
        key = str(task.get("id", f"row {order}"))
        counts["rows of JSON-MIN are earlier annotations of the same task and are ignored"] += key in latest
        if key not in latest or _submitted(task) >= _submitted(latest[key]):
            latest[key] = task
        counts["values of JSON-MIN, such as choices, are ignored, for data has the same form; export JSON"] += sum(
            isinstance(value, str) and key not in {"created_at", "updated_at", "video", "image", "annotator"}
            for key, value in task.items()
        ) * (not any(_regions(task)))
    for what in [what for what, count in counts.items() if not count]:
        del counts[what]
    return [*others, *latest.values()]


def _regions(task: dict) -> Iterator[tuple[str, Values]]:
    """The regions of JSON-MIN: those that a list in the task itself holds."""
    for key, value in task.items():
        for region in value if isinstance(value, list) and key not in ("annotations", "predictions") else ():
            if isinstance(region, dict) and _kind(region):
                yield key, region


def _kind(region: dict) -> str:
    """The type of result that a region of JSON-MIN is."""
    if isinstance(region.get("sequence"), list):
        return "videorectangle"
    if isinstance(region.get("ranges"), list) and "timelinelabels" in region:
        return "timelinelabels"
    if "rectanglelabels" in region:
        return "rectanglelabels"
    return "labels" if {"start", "end", "labels"} <= region.keys() else ""


def _addresses(data: dict, upload: object) -> list[str]:
    return [value for value in (*data.values(), upload) if isinstance(value, str)]


def _names(data: dict, upload: object) -> tuple[str, ...]:
    """What the file may be called, from its address."""
    addresses = _addresses(data, upload)
    videos = [a for a in addresses if _path(a).lower().endswith(VIDEO_SUFFIXES)]
    keys = [data[key] for key in ("video", "video_url", "url") if isinstance(data.get(key), str)]
    names = []
    for address in [key for key in keys if not _path(key).lower().endswith(PICTURE_SUFFIXES)] + videos:
        path = _path(address)
        last = unquote(path.replace("\\", "/").rpartition("/")[2])
        names += [path, last, UPLOAD.sub("", last)]
    return tuple(dict.fromkeys(name for name in names if name))


def _image(data: dict, upload: object) -> str:
    """The path of a task's image, without the prefix of uploads; "" if it has none."""
    images = [_path(a) for a in _addresses(data, upload) if _path(a).lower().endswith(PICTURE_SUFFIXES)]
    if not images:
        return ""
    folder, slash, last = images[0].replace("\\", "/").rpartition("/")
    is_upload = bool(re.search(r"(^|/)data/upload/\d+$", folder))
    return UPLOAD.sub("", last) if is_upload else folder.rpartition("/")[2] + slash + UPLOAD.sub("", last)


def _path(address: str) -> str:
    """The path in an address; of `/data/local-files/?d=PATH`, that path."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    if not parts.scheme and "?" not in address:
        return address
    return unquote(parse_qs(parts.query).get("d", [parts.path])[0])
