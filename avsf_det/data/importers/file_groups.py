"""Exports that are many files: a file for each frame, or files that belong together; read before the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from avsf_det.data.importers import fiftyone, label_studio, labelme, voc, yolo
from avsf_det.data.importers.class_lists import ClassList
from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import Export
from avsf_det.errors import UserError

FORMATS_OF_FILES = {module.NAME: module for module in (voc, labelme, fiftyone, yolo)}
"""By their names; all of an export's files of one are read together."""

WRONG_STRUCTURE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What reading raises of a file of another structure than it should have."""


class Together(NamedTuple):
    """What was read, and what is left.

    Attributes:
        exports: one for each format.
        bad: a line on each file, or part of one, that cannot be used.
        notes: what was assumed, a line each.
        rest: the other files, with whether they are only beside the export; with what configs state for them.
    """

    exports: list[Export]
    bad: list[str]
    notes: list[str]
    rest: list[tuple[Document, bool]]


def read_together(documents: Sequence[tuple[Document, bool]], classes: ClassList | None) -> Together:
    """Read the formats of many files.

    Args:
        documents: all files, with whether they are only beside the export.
        classes: classes that the user gives.
    """
    exports, bad, rest = [], [], list(documents)
    for name, module in FORMATS_OF_FILES.items():
        own = [document for document, is_beside in rest if not is_beside and _is(module.recognises, document)]
        if not own:
            continue
        used = {id(document) for document in own}
        others = [document for document, _ in rest if id(document) not in used]
        try:
            export = module.read(own, others, classes)
            exports.append(export)
            bad += export.bad
            if not export.videos and not export.bad:
                bad.append(f"{own[0].name}: {name} without a single box or label")
        except UserError as error:
            bad.append(str(error))
        except WRONG_STRUCTURE as error:
            bad.append(wrong_structure(own[0], name, error))
        if module is yolo:  # frames without boxes have empty files
            used |= {id(d) for d in others if not d.content.strip() and d.suffix == ".txt"}
            used |= {id(d) for d in others if d.suffix in (".yaml", ".yml", ".names") or d.stem == "classes"}
        rest = [(document, is_beside) for document, is_beside in rest if id(document) not in used]
    notes, rest = _with_configs(rest)
    return Together(exports, bad, notes, rest)


def _with_configs(documents: Sequence[tuple[Document, bool]]) -> tuple[list[str], list[tuple[Document, bool]]]:
    """Notes, and files: each content once, with the frame rate of a labeling config of Label Studio."""
    notes, kept, seen = [], [], {}
    rates = {id(d): label_studio.config_rate(d) for d, _ in documents if _is(label_studio.config_rate, d)}
    stated = sorted(set(rates.values()))
    if len(stated) > 1:
        notes.append(f"labeling configs state frame rates {', '.join(stated)}; none is used")
    for document, is_beside in documents:
        document.frame_rate = stated[0] if len(stated) == 1 else ""
        is_annotations = document.suffix in (".json", ".xml") and not is_beside and document.content
        same = seen.setdefault(hashlib.sha256(document.content).digest(), document) if is_annotations else document
        if same is not document:
            notes.append(f"{document.name}: the same as {same.name}, so it is read once")
        elif id(document) not in rates:
            kept.append((document, is_beside))
    return notes, kept


def _is(recognises: Callable[[Document], object], document: Document) -> bool:
    try:
        return bool(recognises(document))
    except (UserError, *WRONG_STRUCTURE):
        return False


def wrong_structure(document: Document, taken_for: str, error: Exception) -> str:
    """A line on a file that is not written as its format is."""
    what = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
    return f"{document.name}: taken for {taken_for}, but not written as such ({what}); export it again"
