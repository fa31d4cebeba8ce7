"""Charades: videos of half a minute in which several of 157 actions happen, each for a while."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from avsf_det.data.classification.clips import ClipRow, Head
from avsf_det.data.classification.layout import Layout, TableLayout, header_of, read_lines, second, whole_number
from avsf_det.data.frame_lists import HEADER
from avsf_det.errors import UserError

NUM_CLASSES = 157
CLASSES_FILE = "Charades_v1_classes.txt"
FPS = 24  # of the frames that Charades gives away


class Charades(TableLayout):
    """`Charades_v1_train.csv` and `Charades_v1_test.csv` with id, actions `c092 11.90 21.20;...`, length and more.

    A clip is a whole video, `<id>.mp4` at any depth. Validation is on the test csv, for there is no other. The names of
    classes are those of Charades_v1_classes.txt where it is there, else their numbers. An action that ends where it
    begins, or before, is one of that moment: to a whole video it is as good as any.
    """

    folders = ("annotations", "Charades")
    columns = ("id", "actions", "length")
    example = "Charades_v1_{split}.csv"

    def _read_heads(self) -> tuple[Head, ...]:
        return (_head(self._files(CLASSES_FILE)),)

    def _clip(self, line: int, content: dict[str, str]) -> ClipRow:
        if not content.get("id"):
            raise ValueError("no id, expected that of a video")
        labels = []
        for action in filter(str.strip, content.get("actions", "").split(";")):
            code, *span = action.split()
            if len(span) != 2:
                raise ValueError(f"got action {action!r}, expected c000 to c156 and two numbers of seconds")
            number = whole_number(code.removeprefix("c"), "action", NUM_CLASSES)
            labels.append((0, number, *sorted(map(second, span))))
        return ClipRow(line, content["id"], labels)


class CharadesFrames(Layout):
    """PySlowFast's `train.csv` and `val.csv`: a row for each frame, `original_vido_id video_id frame_id path labels`.

    The frames need not be there: pictures and sound are those of `<original_vido_id>.mp4`, as with `Charades`.
    """

    folders = ("annotations", "frame_lists")

    def is_there(self) -> bool:
        """Whether the folder has annotation files of this layout."""
        return bool(self._lists())

    def _lists(self) -> list[Path]:
        return [path for path in self._files(r".*\.csv") if header_of(path) == [HEADER]]

    def path(self, split: str) -> Path:
        """The list of a split.

        Raises:
            UserError: if there is none.
        """
        found = self._of_split(self._lists(), split)
        if found is None:
            raise UserError(f"{self.root}: no list of the split {split!r}; expected {split}.csv with {HEADER}")
        return found

    def _read_heads(self) -> tuple[Head, ...]:
        return (_head(self._files(CLASSES_FILE)),)

    def _rows(self, split: str) -> Iterator[tuple[str, int, list[list[str]]]]:
        path = self.path(split)
        rows = ((number, line.split(maxsplit=4)) for number, line in read_lines(path) if number > 1)
        for _, frames in groupby(rows, key=lambda row: row[1][0]):
            (first, fields), *others = frames
            yield str(path), first, [fields, *(fields for _, fields in others)]

    def _clip(self, line: int, content: list[list[str]]) -> ClipRow:
        short = next((i for i, fields in enumerate(content) if len(fields) != 5), None)
        if short is not None:
            raise ValueError(f"frame {short} of {content[0][0]} has {len(content[short])} columns, expected five")
        labels, running = [], {}
        for frame, held in enumerate([*(fields[4].strip('"') for fields in content), ""]):
            now = {whole_number(label, "action", NUM_CLASSES) for label in held.split(",") if label}
            labels += [(0, label, running.pop(label) / FPS, frame / FPS) for label in sorted(running.keys() - now)]
            running |= dict.fromkeys(now - running.keys(), frame)
        return ClipRow(line, content[0][0], labels)


def _head(paths: list[Path]) -> Head:
    names = [f"c{number:03d}" for number in range(NUM_CLASSES)]
    for path in paths:
        for _, line in read_lines(path):
            code, _, name = line.partition(" ")
            if code in names:
                names[names.index(code)] = name.strip() or code
    return Head("action", tuple(names), multi_label=True)
