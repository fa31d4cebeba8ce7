"""Charades: videos of half a minute in which several of 157 actions happen, each for a while."""

from __future__ import annotations

from pathlib import Path

from avsf_det.data.classification.clips import ClipRow, Head
from avsf_det.data.classification.layout import TableLayout, read_lines, seconds, whole_number

NUM_CLASSES = 157
CLASSES_FILE = "Charades_v1_classes.txt"


class Charades(TableLayout):
    """`Charades_v1_train.csv` and `Charades_v1_test.csv` with id, actions `c092 11.90 21.20;...`, length and more.

    A clip is a whole video, `<id>.mp4` at any depth. Validation is on the test csv, for there is no other. The names of
    classes are those of Charades_v1_classes.txt where it is there, else their numbers.
    """

    folders = ("annotations", "Charades")
    columns = ("id", "actions", "length")
    example = "Charades_v1_{split}.csv"

    def path(self, split: str) -> Path:
        """The csv of a split.

        Raises:
            UserError: if there is none.
        """
        return self._of_split(self._tables(), split) or super().path("test" if split == "val" else split)

    def _read_heads(self) -> tuple[Head, ...]:
        names = [f"c{number:03d}" for number in range(NUM_CLASSES)]
        for path in self._files(CLASSES_FILE):
            for _, line in read_lines(path):
                code, _, name = line.partition(" ")
                if code in names:
                    names[names.index(code)] = name.strip() or code
        return (Head("action", tuple(names), multi_label=True),)

    def _clip(self, line: int, content: dict[str, str]) -> ClipRow:
        if not content.get("id"):
            raise ValueError("no id, expected that of a video")
        labels = []
        for action in filter(str.strip, content.get("actions", "").split(";")):
            code, *span = action.split()
            if len(span) != 2:
                raise ValueError(f"got action {action!r}, expected c000 to c156 and two numbers of seconds")
            number = whole_number(code.removeprefix("c"), "action", NUM_CLASSES)
            labels.append((0, number, *seconds(*span)))
        return ClipRow(line, content["id"], labels)
