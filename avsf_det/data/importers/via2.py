"""VIA 2's JSON, a project or its annotations alone: regions of images that are frames.

Format: https://www.robots.ox.ac.uk/~vgg/software/via/docs/userguide.html and the project file of VIA 2.0 in
https://gitlab.com/vgg/via/-/blob/via-2.x.y/CodeDoc.md.
"""

from __future__ import annotations

from collections import Counter

from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import LABEL, Export, Values, numbers, texts
from avsf_det.data.importers.frames import FrameVideos

NAME = "VIA 2 JSON"


def recognises(document: Document) -> bool:
    """Whether this is such a file."""
    return bool(_images(document.json))


def _images(data: object) -> dict[str, dict]:
    images = data.get("_via_img_metadata", data) if isinstance(data, dict) else {}
    images = images if isinstance(images, dict) else {}
    is_via = bool(images) and all(isinstance(v, dict) and {"filename", "regions"} <= v.keys() for v in images.values())
    return images if is_via else {}


def read(document: Document) -> Export:
    """Its rectangles, in pixels of the images; other shapes are named."""
    export, others = Export(NAME), Counter()
    frames = FrameVideos(export, document.name, document.stem)
    for key, image in _images(document.json).items():
        regions = image["regions"]
        regions = list(regions.values()) if isinstance(regions, dict) else regions if isinstance(regions, list) else []
        if not regions:
            continue
        where = f"{document.name}: {key}"
        frame = frames.frame(str(image["filename"]), where)
        for order, region in enumerate(regions if frame else ()):
            parts = region if isinstance(region, dict) else {}
            shape, given = parts.get("shape_attributes"), parts.get("region_attributes")
            shape = shape if isinstance(shape, dict) else {}
            box = numbers([shape.get(name) for name in ("x", "y", "width", "height")], 4)
            if shape.get("name") != "rect" or box is None:
                what = str(shape.get("name"))[:40]
                export.bad.append(f"{where}, region {order}: got a {what}, expected a rect with x, y, width, height")
                continue
            x, y, width, height = box
            values = _values(given if isinstance(given, dict) else {})
            person = next((values[k][0] for k in ("track_id", "person_id", "id") if values.get(k)), "")
            frame.add((x, y, x + width, y + height), values, f"{where}, region {order}", person)
        attributes = image.get("file_attributes")
        others["file_attributes"] += bool(isinstance(attributes, dict) and any(attributes.values()))
    if others["file_attributes"]:
        export.notes.append(f"{document.name}: attributes of {others['file_attributes']} images are ignored")
    frames.finish()
    return export


def _values(given: dict) -> Values:
    """Attributes; of a checkbox, which holds {option: true}, the options that are ticked."""
    values: Values = {LABEL: ()}
    for name, value in given.items():
        chosen = [option for option, is_on in value.items() if is_on] if isinstance(value, dict) else value
        values[LABEL if name in ("label", "class", "name", "type") else str(name)] = texts(chosen)
    return values
