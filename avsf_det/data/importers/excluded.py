"""Lists of excluded timestamps, such as AVA's: keyframes that neither training nor evaluation uses."""

from __future__ import annotations

import re
from typing import NamedTuple

from avsf_det.data.importers import cells
from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import split_of
from avsf_det.data.importers.tables import split_rows

_WORDS = re.compile(r"[_ .-]*excluded?(?:[_ .-]*time(?:stamp)?s?)?", re.IGNORECASE)


class ExcludedTime(NamedTuple):
    """A keyframe that does not count.

    Attributes:
        video: its name.
        place: when, as the export's boxes of the video say it.
        split: the split that the list is of, "" for any.
        where: file and line.
    """

    video: str
    place: float
    split: str
    where: str


def is_excluded_name(stem: str) -> bool:
    """Whether a file of this name lists excluded timestamps."""
    return "exclude" in stem.lower()


def is_of_list(stem: str, labels: str) -> bool:
    """Whether a list called `stem` belongs to the labels in a file called `labels`."""
    return _WORDS.sub("", stem).lower() == labels.lower()


def read_excluded(document: Document) -> tuple[list[ExcludedTime], list[str]]:
    """The timestamps of a list with rows video,timestamp, and a line on each bad row; a list may be empty.

    Raises:
        UserError: if it cannot be split into cells.
    """
    found, bad = [], []
    delimiter = max(",;\t", key=document.text.count)
    for number, (line, row) in enumerate(split_rows(document.name, document.text.replace("\0", ""), delimiter)):
        where = f"{document.name}:{line}"
        try:
            place = cells.time(row[1], delimiter != ",") if len(row) > 1 and row[0] else None
        except ValueError:
            place = None
        if place is not None:
            found.append(ExcludedTime(row[0], place[0], split_of(document.stem), where))
        elif number or len(row) != 2:  # the first row may be a header
            bad.append(f"{where}: got {','.join(row)}, expected video,timestamp")
    return found, bad
