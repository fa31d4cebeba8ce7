"""FiftyOne's JSON: a dataset's samples.json with frames.json, and temporal detections' labels.json.

Format: https://docs.voxel51.com/user_guide/export_datasets.html (FiftyOneDataset, FiftyOneTemporalDetectionDataset).
Frames count from 1; boxes are x y width height as fractions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from avsf_det.data.importers.class_lists import ClassList
from avsf_det.data.importers.clock import FRAMES, SECONDS, Clock
from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import (
    LABEL,
    SHARES,
    Export,
    ExportedVideo,
    Span,
    Track,
    Values,
    number,
    numbers,
    split_of,
    texts,
)
from avsf_det.data.importers.frames import FrameVideos, join_boxes, join_spans
from avsf_det.media.frame_folder import PICTURE_SUFFIXES

NAME = "FiftyOne JSON"
_DETECTION_KEYS = {"_id", "_cls", "tags", "attributes", "label", "bounding_box", "mask", "confidence", "index"}
_DETECTION_KEYS |= {"support"}


def recognises(document: Document) -> bool:
    """Whether this is such a file."""
    data = document.json
    if not isinstance(data, dict):
        return False
    samples, frames, labels = data.get("samples"), data.get("frames"), data.get("labels")
    if isinstance(samples, list):
        return any(isinstance(one, dict) and "filepath" in one for one in samples)
    if isinstance(frames, list):
        return document.stem == "frames"
    found = [one for own in labels.values() if isinstance(own, list) for one in own] if isinstance(labels, dict) else []
    return any(isinstance(one, dict) and {"label", "support"} <= one.keys() for one in found)


def read(documents: Sequence[Document], others: Sequence[Document], classes: ClassList | None) -> Export:
    """The boxes, temporal detections and classifications of all files."""
    return _Reader(documents).read()


class _Reader:
    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents, self._export = documents, Export(NAME)
        first = documents[0]
        self._frames = FrameVideos(self._export, first.name, first.stem, in_fractions=True)
        self._ignored: Counter[str] = Counter()

    def read(self) -> Export:
        export, by_id, videos = self._export, {}, []
        for document in self._documents:
            for order, sample in enumerate(_dicts(document.json.get("samples"))):
                where = f"{document.name}: sample {order}"
                path = str(sample.get("filepath", "")).replace("\\", "/")
                tags = [t for t in sample.get("tags") or () if isinstance(t, str)] if "tags" in sample else []
                if path.lower().endswith(PICTURE_SUFFIXES):
                    frame = self._frames.frame(path, where, None, split_of(*tags))
                    for name, one in _items(sample) if frame else ():
                        if one.get("_cls") == "Classification":
                            frame.tag(_values(name, one), where)
                        elif box := self._box(one, where):
                            frame.add(box, _values(name, one), where, _person(one))
                    continue
                names = (path, path.rpartition("/")[2]) if path else (where,)
                video = ExportedVideo(names, where, Clock(FRAMES, 1), SHARES, split_of(*tags))
                by_id[_id(sample.get("_id", sample.get("id")))] = video
                videos.append(video)
                self._add_sample(sample, video, where)
            videos += self._temporal(document)
        for document in self._documents:
            for order, frame in enumerate(_dicts(document.json.get("frames"))):
                where, video = f"{document.name}: frame {order}", by_id.get(_id(frame.get("_sample_id")))
                if video is None:
                    export.bad.append(f"{where}: its _sample_id is of no sample in samples.json")
                else:
                    self._add_frame(frame, frame.get("frame_number"), video, where)
        for video in videos:
            video.tracks, video.spans = join_boxes(video.tracks), join_spans(video.spans)
        self._frames.finish()
        export.videos += [video for video in videos if video.tracks or video.spans]
        export.notes += [f"{self._documents[0].name}: {count} {what}" for what, count in self._ignored.items()]
        return export

    def _add_sample(self, sample: dict, video: ExportedVideo, where: str) -> None:
        for name, one in _items(sample):
            if one.get("_cls") == "TemporalDetection":
                support = numbers(one.get("support"), 2)
                if support and support[0] <= support[1]:
                    video.spans.append(Span(support[0], support[1] + 1, _values(name, one), where))
                else:
                    self._export.bad.append(f"{where}: got support {str(one.get('support'))[:60]}, expected two frames")
            elif one.get("_cls") == "Classification":
                video.spans.append(Span(None, None, _values(name, one), where))
                self._ignored["classifications are of their whole videos"] += 1
        frames = sample.get("frames")
        for key, frame in frames.items() if isinstance(frames, dict) else ():
            if isinstance(frame, dict):
                self._add_frame(frame, frame.get("frame_number", key), video, f"{where}, frame {key}")

    def _add_frame(self, frame: dict, place: object, video: ExportedVideo, where: str) -> None:
        place = number(place)
        if place is None:
            self._export.bad.append(f"{where}: no frame_number")
            return
        for name, one in _items(frame):
            values = _values(name, one)
            if one.get("_cls") == "Classification":
                video.spans.append(Span(place, place + 1, values, where))
            elif box := self._box(one, where):
                video.tracks.append(Track([place], [box], [values], where, _person(one)))

    def _box(self, one: dict, where: str) -> tuple[float, ...] | None:
        box = numbers(one.get("bounding_box"), 4)
        if box is None:
            self._export.bad.append(f"{where}: got {str(one.get('_cls'))[:40]}, expected Detections with bounding_box")
            return None
        return box[0], box[1], box[0] + box[2], box[1] + box[3]

    def _temporal(self, document: Document) -> Iterator[ExportedVideo]:
        """The videos of a labels.json of temporal detections, by the names of their files."""
        data = document.json
        labels, classes = data.get("labels"), data.get("classes")
        for name, own in labels.items() if isinstance(labels, dict) else ():
            where, found = f"{document.name}: {name}", _dicts(own)
            in_seconds = bool(found) and all(numbers(one.get("timestamps"), 2) for one in found)
            video = ExportedVideo((name,), where, Clock(SECONDS) if in_seconds else Clock(FRAMES, 1))
            for one in found:
                ends = numbers(one.get("timestamps" if in_seconds else "support"), 2)
                label = one.get("label")
                if isinstance(classes, list) and isinstance(label, int) and 0 <= label < len(classes):
                    label = classes[label]
                if not ends or ends[0] > ends[1]:
                    self._export.bad.append(f"{where}: got support {str(one.get('support'))[:60]}, expected two frames")
                    continue
                video.spans.append(Span(ends[0], ends[1] + (not in_seconds), {LABEL: texts(label)}, where))
            yield video


def _dicts(items: object) -> list[dict]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _id(value: object) -> str:
    return str(value.get("$oid") if isinstance(value, dict) else value)


def _items(holder: dict) -> Iterator[tuple[str, dict]]:
    """The labels in the fields of a sample or a frame, those in lists one by one, with the fields' names."""
    for field, value in holder.items():
        if not isinstance(value, dict) or not isinstance(value.get("_cls"), str) or "Metadata" in value["_cls"]:
            continue
        inner = next((value[k] for k in ("detections", "classifications") if isinstance(value.get(k), list)), None)
        if inner is None and value["_cls"] in ("Detection", "Classification", "TemporalDetection"):
            inner = [value]
        for one in _dicts(inner) if inner is not None else [value]:
            yield field, one


def _values(field: str, one: dict) -> Values:
    """The label, under the field's name for classifications, and attributes."""
    values: Values = {(field if one.get("_cls") == "Classification" else LABEL): texts(one.get("label"))}
    attributes = one.get("attributes")
    for name, value in attributes.items() if isinstance(attributes, dict) else ():
        values[str(name)] = texts(value.get("value") if isinstance(value, dict) else value)
    for name, value in one.items():
        if name not in _DETECTION_KEYS and isinstance(value, str | list | bool):
            values[str(name)] = texts(value)
    return values


def _person(one: dict) -> str:
    return "" if one.get("index") is None else str(one["index"])
