"""Lists of videos and class numbers, as PySlowFast has them for Kinetics; for any dataset of one class a video."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from avsf_det.data.classification.clips import MAX_CLASSES, ClipRow, Head
from avsf_det.data.classification.kinetics import read_class_names
from avsf_det.data.classification.layout import SPLIT_NAMES, Layout, read_lines, whole_number
from avsf_det.errors import UserError

EXPECTED = "a path and a class number, with a blank or comma between"
_ROW = re.compile(r"(.+)[\s,;]([^\s,;]+)")
HEADERS = ("label", "class", "class_id", "label_id")
"""What the first row may say in place of a class number."""
_TRIED = 20  # first rows, of which one must be of a list


class PathLabels(Layout):
    """`<split>.csv` or `.txt` with rows `path label`; paths are under the folder of videos, or absolute.

    Classes are numbered from 0 to the highest number in any of the folder's lists. Their names are those of a json (see
    `read_class_names`), or those of the folders that their videos are in, if each class has a folder of its own.
    """

    def is_there(self) -> bool:
        """Whether the folder has annotation files of this layout."""
        lists = self._lists()
        return any(self._of_split(lists, split) for split in SPLIT_NAMES)

    def _lists(self) -> list[Path]:
        files = self._files(r".*\.(csv|txt)")
        return [path for path in files if "exclude" not in path.stem.lower() and self._is_list(path)]

    def _is_list(self, path: Path) -> bool:
        try:
            rows = [_fields(line) for (_, line), _ in zip(read_lines(path), range(_TRIED))]
        except UserError:
            return False
        return any(name and label.isdecimal() and "," not in name for name, label in rows)

    def path(self, split: str) -> Path:
        """The list of a split.

        Raises:
            UserError: if there is none.
        """
        found = self._of_split(self._lists(), split)
        if found is None:
            raise UserError(f"{self.root}: no list of the split {split!r}; expected {split}.csv, a row {EXPECTED}")
        return found

    def _read_heads(self) -> tuple[Head, ...]:
        folders: dict[int, set[str]] = defaultdict(set)
        lists = self._lists()
        for path in {self._of_split(lists, split) for split in SPLIT_NAMES} - {None}:
            for _, line in read_lines(path):
                name, label = _fields(line)
                if name and label.isdecimal() and int(label) < MAX_CLASSES:
                    folders[int(label)].add(name.rpartition("/")[0].rpartition("/")[2])
        names = read_class_names(self._files(r".*classnames.*\.json"))
        count = max(len(names), max(folders, default=-1) + 1)
        own = ["".join(folders[i]) if len(folders.get(i, ())) == 1 else "" for i in range(count)]
        if not names and len({*own} - {""}) == len(folders):
            names = [name or f"class {i}" for i, name in enumerate(own)]
        return (Head("action", (*names, *(f"class {i}" for i in range(len(names), count)))),)

    def _rows(self, split: str) -> Iterator[tuple[str, int, str]]:
        path = self.path(split)
        for number, line in read_lines(path):
            if number > 1 or _fields(line)[1].lower() not in HEADERS:
                yield str(path), number, line

    def _clip(self, line: int, content: str) -> ClipRow:
        name, label = _fields(content)
        if not name:
            raise ValueError(f"got {content!r}, expected {EXPECTED}")
        return ClipRow(line, name, [(0, whole_number(label, "class", len(self._all_heads[0].classes)))])

    def _video(self, name: str) -> str | None:
        return name if self.videos.has(name) else None


def _fields(line: str) -> tuple[str, str]:
    """Path and class number of a row; no path where it has one field only."""
    row = _ROW.fullmatch(line)
    return (row[1].strip(' \t,;"'), row[2]) if row else ("", line)
