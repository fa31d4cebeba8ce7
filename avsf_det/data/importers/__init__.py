"""Exports of annotation tools and published annotations, made into a dataset in the project's own plain format."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ava_eval.label_map import SHIPPED, read_label_map
from avsf_det.data.importers import (
    activitynet,
    ava,
    class_folders,
    coco,
    cvat,
    datumaro,
    elan,
    label_studio,
    mot,
    tubes,
    ucf101_24,
    via2,
    via3,
)
from avsf_det.data.importers.class_lists import LISTS, ClassList, read_class_list
from avsf_det.data.importers.documents import Document, documents_in
from avsf_det.data.importers.excluded import ExcludedTime, is_excluded_name, is_of_list, read_excluded
from avsf_det.data.importers.export import LABEL, Export
from avsf_det.data.importers.file_groups import FORMATS_OF_FILES, WRONG_STRUCTURE, read_together, wrong_structure
from avsf_det.data.importers.tables import FIND_OUT, TableOptions
from avsf_det.data.importers.tables import SUFFIXES as TABLES
from avsf_det.data.importers.videos import without_suffix
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
    activitynet.NAME: Format(activitynet.recognises, activitynet.read),
    elan.NAME: Format(elan.recognises, elan.read),
    mot.NAME: Format(mot.recognises, mot.read),
    ava.NAME: Format(ava.recognises, ava.read),
}
"""By their names; the first that recognises a file reads it."""


class Reading(NamedTuple):
    """All that was read.

    Attributes:
        exports: one a file.
        bad: a line on each file that cannot be used, or part of one.
        passed_over: files that hold nothing to import.
        notes: what was assumed, a line each.
        excluded: timestamps that are left out of training and evaluation.
    """

    exports: list[Export]
    bad: list[str]
    passed_over: list[str]
    notes: list[str]
    excluded: list[ExcludedTime]


def read_export(path: Path, classes: str | None = None, options: TableOptions = FIND_OUT) -> Reading:
    """What an export holds: a file, a zip, or a folder of such.

    A list of classes beside the file, or in the folder, and UCF101's `trainlist01.txt` and `testlist01.txt` are used.

    Args:
        path: the export.
        classes: file with a list of classes to use instead, or the name of a label map that comes with the package.
        options: what the user says of tables.

    Raises:
        UserError: if it is missing, or nothing of it is of a known format.
    """
    own = _class_list(classes) if classes else None
    exports, bad, notes, rest = read_together(_with_neighbours(path), own)
    reading, found, lists, unknown = Reading(exports, bad, [], notes, []), {}, {}, ""
    for document, is_beside in rest:
        if is_excluded_name(document.stem):
            times, wrong = read_excluded(document)
            reading.excluded.extend(times)
            reading.bad.extend(wrong)
        elif not document.content.strip():
            reading.bad.extend([] if is_beside else [f"{document.name}: the file is empty"])
        elif document.stem.lower().startswith(("trainlist", "testlist")):
            if document.stem.lower().endswith(("01", "list")):  # of three ways to split, the first
                lists |= _listed(document)
        elif not _read(document, reading, is_beside, options):
            listed = read_class_list(document)
            if listed:
                found[document.name] = listed
            elif not is_beside:
                reading.passed_over.append(document.name)
                unknown = unknown or (ava.describe(document) if document.suffix in TABLES else "")
    if not reading.exports and path.is_dir() and not reading.bad:
        reading.exports.extend(class_folders.read(path))
    if not reading.exports:
        if why := reading.bad[0] if reading.bad else unknown:
            raise UserError(f"{path}: not recognised; first: {why}")
        known = f"{', '.join([*FORMATS, *FORMATS_OF_FILES])}, as a file, a zip or a folder, or a folder of videos"
        raise UserError(f"{path}: not recognised; expected {known} for each class")
    _leave_out_predictions(reading)
    _use_classes(reading, {classes: own} if own else found)
    for export in reading.exports:
        for video in export.videos:
            video.split = video.split or next((lists[_last(n)] for n in video.names if _last(n) in lists), "")
    return reading


def _leave_out_predictions(reading: Reading) -> None:
    """Leave out boxes with scores, which a model predicted, of videos that other files have labels of."""

    def names_of(export: Export) -> set[str]:
        return {_last(without_suffix(video.names[0])).casefold() for video in export.videos}

    labelled = set().union(*(names_of(export) for export in reading.exports if not export.has_scores))
    for export in [export for export in reading.exports if export.has_scores]:
        if not labelled & names_of(export):
            continue
        reading.exports.remove(export)
        file = export.videos[0].where.rpartition(":")[0]
        reading.notes.append(
            f"{file}: its boxes have scores, so they are predictions beside the labels of other files; left out "
            "(copy it to the dataset's annotations and name it in AVA.TRAIN_PREDICT_BOX_LISTS to train on them)"
        )


def _read(document: Document, reading: Reading, is_beside: bool, options: TableOptions) -> bool:
    """Read a file as the first format that recognises it, unless it lies but beside; whether one does."""
    taken_for = "an export"
    table = Format(partial(ava.recognises, options=options), partial(ava.read, options=options))
    try:
        for name, format in (FORMATS | {ava.NAME: table}).items():
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
    except WRONG_STRUCTURE as error:
        reading.bad.extend([] if is_beside else [wrong_structure(document, taken_for, error)])
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
        beside = [p for p in beside if not is_excluded_name(p.stem) or is_of_list(p.stem, path.stem)]
        found += [(document, True) for other in sorted(beside) for document in documents_in(other)]
    return found


def _listed(document: Document) -> dict[str, str]:
    """Video -> split, of a list such as `Basketball/v_Basketball_g01_c01.avi 1`."""
    split = "test" if document.stem.lower().startswith("test") else "train"
    return {_last(line.split()[0]): split for line in document.text.splitlines() if line.strip()}


def _last(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".avi")
