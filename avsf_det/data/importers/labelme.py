"""LabelMe's JSON, one a frame: shapes with a label; rectangles are read.

Format: https://github.com/wkentaro/labelme/blob/main/labelme/_label_file.py. X-AnyLabeling writes the same, with
attributes and with the track in `group_id`: https://github.com/CVHub520/X-AnyLabeling/blob/main/docs/en/user_guide.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from avsf_det.data.importers.class_lists import ClassList
from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import LABEL, Export, Values, numbers, picture_place, texts
from avsf_det.data.importers.frames import FrameVideos

NAME = "LabelMe JSON"


def recognises(document: Document) -> bool:
    """Whether this is such a file."""
    data = document.json
    return isinstance(data, dict) and isinstance(data.get("shapes"), list) and "imagePath" in data


def read(documents: Sequence[Document], others: Sequence[Document], classes: ClassList | None) -> Export:
    """The rectangles of all files; other shapes are named."""
    export, first, has_groups = Export(NAME), documents[0], False
    frames = FrameVideos(export, first.name[: -len(first.path)].rstrip("/:") or first.name, first.stem)
    for document in documents:
        data = document.json
        folder, own = document.path.rpartition("/")[0], str(data.get("imagePath")).replace("\\", "/").rpartition("/")[2]
        if picture_place(own, "") is None:
            own = f"{document.stem}.jpg"
        if folder and (picture_place(own, "") or ("",))[0] == "":
            own = f"{folder}/{own}"
        size = numbers([data.get("imageWidth"), data.get("imageHeight")], 2)
        frame = frames.frame(own, document.name, tuple(size) if size and min(size) > 0 else None)
        for order, shape in enumerate(data["shapes"] if frame else ()):
            where = f"{document.name}: shape {order}"
            kind = shape.get("shape_type", "polygon") if isinstance(shape, dict) else type(shape).__name__
            points = [numbers(p, 2) for p in _list(shape.get("points"))] if isinstance(shape, dict) else []
            if kind != "rectangle" or len(points) not in (2, 4) or None in points:
                export.bad.append(f"{where}: got a {str(kind)[:40]} of {len(points)} points, expected a rectangle")
                continue
            xs, ys = zip(*points)
            group = shape.get("group_id")
            has_groups = has_groups or group is not None
            person = "" if group is None else str(group)
            frame.add((min(xs), min(ys), max(xs), max(ys)), _values(shape), where, person)
    if has_groups:
        export.notes.append(f"{first.name} and others: group_id is taken for the id of the person")
    frames.finish()
    return export


def _list(value: object) -> list:
    return value if isinstance(value, list) else []


def _values(shape: dict) -> Values:
    values = {LABEL: texts(shape.get("label"))}
    for part in ("flags", "attributes"):
        given = shape.get(part)
        for name, value in given.items() if isinstance(given, dict) else ():
            values[str(name)] = texts(value) if not isinstance(value, dict) else ()
    return values
