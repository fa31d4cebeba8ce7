"""YOLO's text files, one a frame: class, center and size as fractions of the image; confidence and track id may follow.

Formats: https://docs.ultralytics.com/datasets/detect/ and, for predictions and tracks, `save_txt` of
https://docs.ultralytics.com/reference/engine/results/. Classes count from 0; their names are in data.yaml, obj.names or
classes.txt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from avsf_det.data.importers.class_lists import ClassList
from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import LABEL, Export, number, picture_place
from avsf_det.data.importers.frames import FrameVideos
from avsf_det.errors import UserError

NAME = "YOLO txt"
_BEYOND = 1.05  # predictions may reach a little beyond the image
_LISTS = ("classes", "labels", "names", "obj")
_ID = "track id"


def recognises(document: Document) -> bool:
    """Whether this is such a file: its name has a frame number, and all of its lines are of this form."""
    if document.suffix != ".txt" or not picture_place(f"{document.stem}.jpg", ""):
        return False
    rows = [_numbers(line) for line in document.text.splitlines()[:50] if line.strip()]
    return bool(rows) and all(row and len(row) >= 5 and row[0] >= 0 and row[0] % 1 == 0 for row in rows) and _fits(rows)


def _numbers(line: str) -> list[float]:
    row = [number(cell) for cell in line.split()]
    return [] if None in row else row


def _fits(rows: Sequence[list[float]]) -> bool:
    reach = [edge for row in rows for edge in _corners(row)] if all(len(r) < 8 for r in rows) else []
    return all(0 <= value <= _BEYOND for row in rows for value in row[1:5]) and all(
        1 - _BEYOND <= edge <= _BEYOND for edge in reach
    )


def _corners(row: list[float]) -> tuple[float, ...]:
    _, x, y, width, height = row[:5]
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def read(documents: Sequence[Document], others: Sequence[Document], classes: ClassList | None) -> Export:
    """The boxes of all files.

    Args:
        documents: the files.
        others: the other files of the export and beside it, among which may be the names of the classes.
        classes: classes that the user gives instead.
    """
    export, first = Export(NAME), documents[0]
    folder = first.name[: -len(first.path)] or first.name
    frames = FrameVideos(export, folder.rstrip("/:") or first.name, first.stem, in_fractions=True)
    names = dict(enumerate(classes.label_map.names)) if classes else _names(others, export)
    rows = {document.path: _rows(document, export) for document in documents}
    sixth = [[row[5] for _, row in own if len(row) == 6] for own in rows.values()]
    are_ids = all(value >= 1 and value % 1 == 0 for own in sixth for value in own)
    are_ids = are_ids and all(len(set(own)) == len(own) for own in sixth)
    unknown: Counter[str] = Counter()
    for document in documents:
        suffix = ".PNG" if document.path.startswith("obj_train_data/") else ".jpg"  # CVAT's
        frame = frames.frame(f"{document.path[: -len(document.suffix)]}{suffix}", document.name)
        for line, row in rows[document.path] if frame else ():
            if names and int(row[0]) not in names:
                unknown[f"{row[0]:g}"] += 1
                continue
            label = names.get(int(row[0]), f"class {row[0]:g}")
            person = row[6] if len(row) == 7 else row[5] if len(row) == 6 and are_ids else None
            text = "" if person is None or person < 0 else f"{person:g}"
            frame.add(_corners(row), {LABEL: (label,)}, f"{document.name}:{line}", text)
    if not names:
        export.notes.append(
            f"{first.name}: nothing names the classes; put classes.txt or data.yaml beside the labels, or give it as "
            "--label-map"
        )
    if unknown:
        export.bad.append(
            f"{first.name}: class ids {', '.join(sorted(unknown))} are not among the {len(names)} named classes; "
            f"{sum(unknown.values())} boxes left out"
        )
    meaning = "track ids" if are_ids else "confidences, which are ignored"
    if any(sixth):
        export.notes.append(f"{first.name} and others: numbers in column 6 are {meaning}")
    frames.finish()
    return export


def _rows(document: Document, export: Export) -> list[tuple[int, list[float]]]:
    found = []
    for line, text in enumerate(document.text.splitlines(), 1):
        row = _numbers(text)
        if not text.strip():
            continue
        if len(row) in (5, 6, 7) and row[0] >= 0 and row[0] % 1 == 0 and row[3] > 0 and row[4] > 0:
            found.append((line, row))
        else:
            what = "a polygon or keypoints" if len(row) > 7 else f"got {text[:80]!r}"
            export.bad.append(f"{document.name}:{line}: {what}; expected class x y width height [confidence] [{_ID}]")
    return found


def _names(others: Sequence[Document], export: Export) -> dict[int, str]:
    """Class number -> name, by the first file that lists classes."""
    for document in sorted(others, key=lambda d: (d.suffix not in (".yaml", ".yml"), d.suffix != ".names", d.path)):
        names = {}
        if document.suffix in (".yaml", ".yml"):
            names = _of_yaml(document)
        elif document.suffix == ".names" or (document.suffix == ".txt" and document.stem.lower() in _LISTS):
            lines = [line.strip() for line in document.text.splitlines()]
            names = dict(enumerate(line for line in lines if line))
        if names:
            export.notes.append(f"{document.name}: names of {len(names)} classes, counted from 0")
            return names
    return {}


def _of_yaml(document: Document) -> dict[int, str]:
    import yaml

    try:
        content = yaml.safe_load(document.text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(f"{document.name}: not YAML ({str(error).splitlines()[0]})") from None
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(str(key).isdecimal() and len(str(key)) < 6 for key in names):
        return {}
    return {int(key): str(name) for key, name in names.items() if isinstance(name, str | int)}
