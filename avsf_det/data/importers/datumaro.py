"""Datumaro's JSON, which CVAT exports too: items that are frames, with boxes and labels.

Format: https://openvinotoolkit.github.io/datumaro/latest/docs/data-formats/datumaro_format.html and
https://docs.cvat.ai/docs/dataset_management/formats/format-datumaro/.
"""

from __future__ import annotations

from collections import Counter

from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import LABEL, Export, Values, number, numbers, rotated, split_of, texts
from avsf_det.data.importers.frames import FrameVideos

NAME = "Datumaro JSON"


def recognises(document: Document) -> bool:
    """Whether this is such a file."""
    data = document.json
    return isinstance(data, dict) and isinstance(data.get("items"), list) and isinstance(data.get("categories"), dict)


def read(document: Document) -> Export:
    """Its boxes, in pixels, and labels of frames; other shapes are named."""
    export, data, ignored = Export(NAME), document.json, Counter()
    frames = FrameVideos(export, document.name, document.stem)
    names = _names(data["categories"])
    split = split_of(document.stem)
    for order, item in enumerate(data["items"]):
        where = f"{document.name}: item {item.get('id', order) if isinstance(item, dict) else order}"
        if not isinstance(item, dict):
            export.bad.append(f"{where}: got {type(item).__name__}, expected an item with id and annotations")
            continue
        annotations = item.get("annotations")
        annotations = [a for a in annotations if isinstance(a, dict)] if isinstance(annotations, list) else []
        if not annotations:
            continue
        attr = item.get("attr")
        count = number(attr.get("frame")) if isinstance(attr, dict) else None
        frame = frames.frame(f"{item.get('id', '')}.PNG", where, _size(item), split, count)
        for annotation in annotations if frame else ():
            kind, at = annotation.get("type"), f"{where}, annotation {annotation.get('id', '?')}"
            values = _values(annotation, names)
            if kind == "label":
                frame.tag(values, at)
            elif kind == "bbox" and (box := numbers(annotation.get("bbox"), 4)):
                x, y, width, height = box
                turn = number(next(iter(values.pop("rotation", ())), "0")) or 0.0
                ignored["rotated boxes are replaced by the boxes that enclose them"] += bool(turn % 360)
                person = next(iter(values.get("track_id", ())), "")
                frame.add(rotated((x, y, x + width, y + height), turn), values, at, person)
            else:
                export.bad.append(f"{at}: got {str(kind)[:40]}, expected a bbox x y w h or a label")
    export.notes += [f"{document.name}: {count} {what}" for what, count in ignored.items() if count]
    frames.finish()
    return export


def _names(categories: dict) -> list[str]:
    label = categories.get("label")
    labels = label.get("labels") if isinstance(label, dict) else None
    return [str(one.get("name", "")) for one in labels if isinstance(one, dict)] if isinstance(labels, list) else []


def _size(item: dict) -> tuple[float, float] | None:
    """Width and height, which are [height, width] in the file."""
    for key in ("image", "media"):
        size = numbers(item[key].get("size"), 2) if isinstance(item.get(key), dict) else None
        if size and min(size) > 0:
            return size[1], size[0]
    return None


def _values(annotation: dict, names: list[str]) -> Values:
    class_id, given = number(annotation.get("label_id")), annotation.get("attributes")
    is_known = class_id is not None and 0 <= class_id < len(names)
    values = {LABEL: texts(names[int(class_id)] if is_known else annotation.get("label_id"))}
    for name, value in given.items() if isinstance(given, dict) else ():
        values[str(name)] = texts(value) if not isinstance(value, dict) else ()
    return values
