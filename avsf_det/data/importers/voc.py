"""Pascal VOC's XML, one a frame: objects with a name, a box in pixels, and attributes or actions.

Format: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html; attributes are as CVAT writes them,
https://docs.cvat.ai/docs/dataset_management/formats/format-voc/.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from avsf_det.data.importers.class_lists import ClassList
from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import LABEL, Export, Values, number, picture_place, rotated, texts
from avsf_det.data.importers.frames import FrameVideos

NAME = "Pascal VOC XML"
_EDGES = ("xmin", "ymin", "xmax", "ymax")


def recognises(document: Document) -> bool:
    """Whether this is such a file."""
    root = document.xml
    return root is not None and root.tag == "annotation" and (root.find("object") is not None or _has_size(root))


def _has_size(root: Element) -> bool:
    return root.find("size") is not None and root.find("filename") is not None


def read(documents: Sequence[Document], others: Sequence[Document], classes: ClassList | None) -> Export:
    """The boxes of all files."""
    export, first = Export(NAME), documents[0]
    frames = FrameVideos(export, first.name[: -len(first.path)].rstrip("/:") or first.name, first.stem)
    for document in documents:
        root = document.xml
        name = (root.findtext("filename") or "").strip()
        if picture_place(name if "." in name else f"{name}.PNG", "") is None:
            name = f"{document.path[: -len(document.suffix)]}.jpg"
        elif "/" not in name and (picture_place(name, "") or ("",))[0] == "":
            folders = document.path.rpartition("/")[0] or (root.findtext("folder") or "").strip()
            name = f"{folders}/{name}" if folders and not name.startswith("frame_") else name
        size = number(root.findtext("size/width")), number(root.findtext("size/height"))
        frame = frames.frame(name, document.name, size if all(v and v > 0 for v in size) else None)
        for order, item in enumerate(root.iter("object") if frame else ()):
            where = f"{document.name}: object {order}"
            box = [number((item.findtext(f"bndbox/{edge}") or "").strip()) for edge in _EDGES]
            if None in box:
                export.bad.append(f"{where}: no bndbox with xmin, ymin, xmax and ymax")
                continue
            values = _values(item)
            turn = number(next(iter(values.pop("rotation", ())), "0")) or 0.0
            person = next(iter(values.get("track_id", ())), "")
            frame.add(rotated(box, turn), values, where, person)
    frames.finish()
    return export


def _values(item: Element) -> Values:
    values = {LABEL: texts(item.findtext("name"))}
    for attribute in item.iterfind("attributes/attribute"):
        values[(attribute.findtext("name") or "").strip()] = texts(attribute.findtext("value"))
    actions = item.find("actions")
    if actions is not None:
        values["action"] = tuple(a.tag for a in actions if (a.text or "").strip() in ("1", "1.0", "true"))
    return values
