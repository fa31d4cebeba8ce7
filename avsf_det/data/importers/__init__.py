"""Exports of annotation tools and published annotations, made into a dataset in the project's own plain format."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ava_eval.label_map import SHIPPED, read_label_map
from avsf_det.data.importers import (
    ava,
    coco,
    cvat,
    datumaro,
    fiftyone,
    label_studio,
    labelme,
    tubes,
    ucf101_24,
    via2,
    via3,
    voc,
    yolo,
)
from avsf_det.data.importers.class_lists import LISTS, ClassList, read_class_list
from avsf_det.data.importers.documents import Document, documents_in
from avsf_det.data.importers.export import LABEL, Export
from avsf_det.errors import UserError


class Format(NamedTuple):
    """A format: how it is recognised by what is in a file, and how that is read."""

    recognises: Callable[[Document], bool]
    read: Callable[[Document], Export]


FORMATS = {
    cvat.NAME: Format(cvat.recognises, cvat.read),
    via3.NAME: Format(via3.recognises, via3.read),
    via2.NAME: Format(via2.recognises, via2.read),
    datumaro.NAME: Format(datumaro.recognises, datumaro.read),
    label_studio.NAME: Format(label_studio.recognises, label_studio.read),
    coco.NAME: Format(coco.recognises, coco.read),
    ucf101_24.NAME: Format(ucf101_24.recognises, ucf101_24.read),
    tubes.NAME: Format(tubes.recognises, tubes.read),
    ava.NAME: Format(ava.recognises, ava.read),
}
"""By their names; the first that recognises a file reads it."""

FORMATS_OF_FILES = {module.NAME: module for module in (voc, labelme, fiftyone, yolo)}
"""Formats of many files, such as one a frame; all of an export's are read together, before the others."""


_WRONG = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What reading raises of a file of another structure than it should be."""


class Reading(NamedTuple):
    """All that was read.

    Attributes:
        exports: one a file.
        bad: a line on each file that cannot be used, or part of one.
        passed_over: files that hold nothing to import.
        notes: what was assumed, a line each.
    """

    exports: list[Export]
    bad: list[str]
    passed_over: list[str]
    notes: list[str]


def read_export(path: Path, classes: str | None = None) -> Reading:
    """What an export holds: a file, a zip, or a folder of such.

    A list of classes beside the file, or in the folder, and UCF101's `trainlist01.txt` and `testlist01.txt` are used.

    Args:
        path: the export.
        classes: file with a list of classes to use instead, or the name of a label map that comes with the package.

    Raises:
        UserError: if it is missing, or nothing of it is of a known format.
    """
    reading, found, lists = Reading([], [], [], []), {}, {}
    own = _class_list(classes) if classes else None
    for document, is_beside in _read_together(_with_neighbours(path), reading, own):
        if not document.content.strip():
            reading.bad.append(f"{document.name}: the file is empty")
        elif document.stem.lower().startswith(("trainlist", "testlist")):
            if document.stem.lower().endswith(("01", "list")):  # of three ways to split, the first
                lists |= _listed(document)
        elif not _read(document, reading, is_beside):
            listed = read_class_list(document)
            if listed:
                found[document.name] = listed
            elif not is_beside:
                reading.passed_over.append(document.name)
    if not reading.exports:
        first = f"; first: {reading.bad[0]}" if reading.bad else ""
        known = ", ".join([*FORMATS, *FORMATS_OF_FILES])
        raise UserError(f"{path}: not recognised{first}; expected {known}, as a file, a zip or a folder")
    _use_classes(reading, {classes: own} if own else found)
    for export in reading.exports:
        for video in export.videos:
            video.split = video.split or next((lists[_last(n)] for n in video.names if _last(n) in lists), "")
    return reading


def _read_together(
    documents: list[tuple[Document, bool]], reading: Reading, classes: ClassList | None
) -> list[tuple[Document, bool]]:
    """Read the formats of many files; what is left to be read file by file, with what configs beside say.

    Files of the same content are read once.
    """
    rest = documents
    for name, module in FORMATS_OF_FILES.items():
        own = [document for document, is_beside in rest if not is_beside and _is_of(document, module.recognises)]
        if not own:
            continue
        others = [document for document, _ in rest if document not in own]
        try:
            export = module.read(own, others, classes)
            reading.exports.append(export)
            reading.bad.extend(export.bad)
            if not export.videos and not export.bad:
                reading.bad.append(f"{own[0].name}: {name} without a single box or label")
        except UserError as error:
            reading.bad.append(str(error))
        except _WRONG as error:
            reading.bad.append(_wrong(own[0], name, error))
        used = {id(document) for document in own}
        if module is yolo:  # files of frames without boxes are empty
            used |= {id(d) for d in others if not d.content.strip() and d.suffix == ".txt"}
            used |= {id(d) for d in others if d.suffix in (".yaml", ".yml", ".names") or d.stem == "classes"}
        rest = [(document, is_beside) for document, is_beside in rest if id(document) not in used]
    rates = {id(d): label_studio.config_rate(d) for d, _ in rest if _is_of(d, label_studio.config_rate)}
    if len(set(rates.values())) > 1:
        reading.notes.append(
            f"labeling configs state frame rates {', '.join(sorted(set(rates.values())))}; none is used"
        )
    kept, seen = [], {}
    for document, is_beside in rest:
        document.frame_rate = next(iter(rates.values())) if len(set(rates.values())) == 1 else ""
        is_annotations = document.suffix in (".json", ".xml") and not is_beside and document.content
        same = seen.setdefault(hashlib.sha256(document.content).digest(), document) if is_annotations else document
        if same is not document:
            reading.notes.append(f"{document.name}: the same as {same.name}, so it is read once")
        elif id(document) not in rates:
            kept.append((document, is_beside))
    return kept


def _is_of(document: Document, recognises: Callable[[Document], object]) -> bool:
    try:
        return bool(recognises(document))
    except (UserError, *_WRONG):
        return False


def _wrong(document: Document, taken_for: str, error: Exception) -> str:
    what = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
    return f"{document.name}: taken for {taken_for}, but not written as such ({what}); export it again"


def _read(document: Document, reading: Reading, is_beside: bool) -> bool:
    """Read a file as the first format that recognises it, unless it lies but beside; whether one does."""
    taken_for = "an export"
    try:
        for name, format in FORMATS.items():
            if format.recognises(document):
                taken_for = name
                if not is_beside:
                    export = format.read(document)
                    reading.exports.append(export)
                    reading.bad.extend(export.bad)
                    if not export.videos and not export.bad:
                        reading.bad.append(f"{document.name}: {name} without a single box or label")
                return True
    except UserError as error:
        reading.bad.extend([] if is_beside else [str(error)])
        return True
    except _WRONG as error:
        reading.bad.extend([] if is_beside else [_wrong(document, taken_for, error)])
        return True
    return False


def _class_list(file: str) -> ClassList:
    if file in SHIPPED and not Path(file).exists():
        return ClassList(read_label_map(file))
    document = next(documents_in(Path(file)), None)
    found = read_class_list(document, is_named=True) if document else None
    if found is None:
        raise UserError(f"{file}: no list of classes; expected a pbtxt, or a name a line")
    return found


def _use_classes(reading: Reading, lists: dict[str, ClassList]) -> None:
    """Give exports that say no classes those of the one list there is, and their numbers the names they stand for."""
    lists = {name: own for name, own in lists.items() if ".pbtxt" in name} or lists
    if len(lists) > 1:
        reading.notes.append(
            f"there are several lists of classes, so none is used: {', '.join(lists)}; say --label-map"
        )
    if len(lists) != 1:
        return
    ((name, own),) = lists.items()
    exports = [export for export in reading.exports if not export.label_map]
    values = [one for e in exports for v in e.videos for t in v.tracks for one in t.values]
    values += [span.values for e in exports for v in e.videos for span in v.spans]
    texts = {text for one in values for text in one.get(LABEL, ())}
    own = own.settled(texts)
    for export in exports:
        export.label_map = own.label_map
    if not own.shift:
        return
    reading.notes.append(f"{name}: classes count from 0, so the ids of the dataset are one more")
    for one in {id(one): one for one in values}.values():
        one[LABEL] = tuple(own.name_of(text) for text in one.get(LABEL, ()))


def _with_neighbours(path: Path) -> list[tuple[Document, bool]]:
    """The files of an export and, of one that is a file, those beside it that may list classes or splits."""
    found = [(document, False) for document in documents_in(path)]
    if path.is_file():
        beside = [p for p in path.parent.iterdir() if p.is_file() and p.suffix.lower() in LISTS and p != path]
        beside += path.parent.glob("split*/*list01.txt")
        beside += [p for p in path.parent.glob("*.[xy]*ml") if p.suffix != ".xml" or "config" in p.stem.lower()]
        found += [(document, True) for other in sorted(beside) for document in documents_in(other)]
    return found


def _listed(document: Document) -> dict[str, str]:
    """Video -> split, of a list such as `Basketball/v_Basketball_g01_c01.avi 1`."""
    split = "test" if document.stem.lower().startswith("test") else "train"
    return {_last(line.split()[0]): split for line in document.text.splitlines() if line.strip()}


def _last(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".avi")
