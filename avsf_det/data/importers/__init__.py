"""Exports of annotation tools and published annotations, made into a dataset in the project's own plain format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ava_eval.label_map import LabelMap, parse_label_map
from avsf_det.data.importers import ava, coco, cvat, label_studio, tubes, ucf101_24, via3
from avsf_det.data.importers.documents import Document, documents_in
from avsf_det.data.importers.export import Export
from avsf_det.errors import UserError


class Format(NamedTuple):
    """A format: how it is recognised by what is in a file, and how that is read."""

    recognises: Callable[[Document], bool]
    read: Callable[[Document], Export]


FORMATS = {
    cvat.NAME: Format(cvat.recognises, cvat.read),
    via3.NAME: Format(via3.recognises, via3.read),
    label_studio.NAME: Format(label_studio.recognises, label_studio.read),
    coco.NAME: Format(coco.recognises, coco.read),
    ucf101_24.NAME: Format(ucf101_24.recognises, ucf101_24.read),
    tubes.NAME: Format(tubes.recognises, tubes.read),
    ava.NAME: Format(ava.recognises, ava.read),
}
"""By their names; the first that recognises a file reads it."""


class Reading(NamedTuple):
    """All that was read.

    Attributes:
        exports: one a file.
        bad: a line on each file that cannot be used, or part of one.
        passed_over: files that hold nothing to import.
    """

    exports: list[Export]
    bad: list[str]
    passed_over: list[str]


def read_export(path: Path) -> Reading:
    """What an export holds: a file, a zip, or a folder of such.

    A label map beside the file, or in the folder, and UCF101's `trainlist01.txt` and `testlist01.txt` are used.

    Raises:
        UserError: if it is missing, or nothing of it is of a known format.
    """
    reading, maps, lists = Reading([], [], []), {}, {}
    for document in _with_neighbours(path):
        if not document.content.strip():
            reading.bad.append(f"{document.name}: the file is empty")
        elif document.suffix == ".pbtxt" or document.path.endswith(".pbtxt.txt"):
            maps[document.name] = parse_label_map(document.text, document.name)
        elif document.stem.lower().startswith(("trainlist", "testlist")):
            if document.stem.lower().endswith(("01", "list")):  # of three ways to split, the first
                lists |= _listed(document)
        else:
            _read(document, reading)
    if not reading.exports:
        first = f"; first: {reading.bad[0]}" if reading.bad else ""
        raise UserError(f"{path}: not recognised{first}; expected {', '.join(FORMATS)}, as a file, a zip or a folder")
    own: LabelMap | None = next(iter(maps.values())) if len(maps) == 1 else None
    for export in reading.exports:
        export.label_map = export.label_map or own
        for video in export.videos:
            video.split = video.split or next((lists[_last(n)] for n in video.names if _last(n) in lists), "")
    return reading


def _read(document: Document, reading: Reading) -> None:
    taken_for = "an export"
    try:
        for name, format in FORMATS.items():
            if format.recognises(document):
                taken_for = name
                export = format.read(document)
                reading.exports.append(export)
                reading.bad.extend(export.bad)
                return
    except UserError as error:
        reading.bad.append(str(error))
        return
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # of another structure than it should be
        what = f"{type(error).__name__}: {error}".partition("\n")[0]
        reading.bad.append(f"{document.name}: taken for {taken_for}, but not written as such ({what}); export it again")
        return
    reading.passed_over.append(document.name)


def _with_neighbours(path: Path) -> list[Document]:
    found = list(documents_in(path))
    if path.is_file():
        beside = [*path.parent.glob("*.pbtxt"), *path.parent.glob("*.pbtxt.txt")]
        beside += [*path.parent.glob("*list01.txt"), *path.parent.glob("split*/*list01.txt")]
        found += [document for other in sorted(beside) if other != path for document in documents_in(other)]
    return found


def _listed(document: Document) -> dict[str, str]:
    """Video -> split, of a list such as `Basketball/v_Basketball_g01_c01.avi 1`."""
    split = "test" if document.stem.lower().startswith("test") else "train"
    return {_last(line.split()[0]): split for line in document.text.splitlines() if line.strip()}


def _last(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".avi")
