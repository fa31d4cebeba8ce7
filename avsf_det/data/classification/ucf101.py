"""UCF101 and HMDB51: a class a video, divided into training and test in three ways."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from avsf_det.data.classification.clips import ClipRow, Head
from avsf_det.data.classification.layout import Layout, plain, read_lines
from avsf_det.errors import UserError

FOLDS = 3
TEST_SPLITS = ("val", "test")  # both are the test list: there is no other


class UCF101(Layout):
    """`classInd.txt`, and `trainlist01.txt` and `testlist01.txt` of each fold; rows are `<class>/<video>.avi`."""

    folders = ("annotations", "ucfTrainTestlist")

    def is_there(self) -> bool:
        """Whether the folder has annotation files of this layout."""
        return bool(self._files(r"classInd\.txt"))

    def path(self, split: str) -> Path:
        """The list of a split in this fold.

        Raises:
            UserError: if there is none.
        """
        name = f"{'test' if split in TEST_SPLITS else split}list{self.fold:02d}.txt"
        found = self._files(re.escape(name))
        if not found:
            raise UserError(f"{self.root}: no {name}; expected the lists of folds 1 to {FOLDS} (DATA.FOLD)")
        return found[0]

    def _read_heads(self) -> tuple[Head, ...]:
        (path, *_) = self._files(r"classInd\.txt")
        names = [line.split(maxsplit=1) for _, line in read_lines(path)]
        if any(len(fields) != 2 for fields in names):
            raise UserError(f"{path}: expected a number and a name on each line")
        return (Head("action", tuple(name for _, name in names)),)

    def _rows(self, split: str) -> Iterator[tuple[str, int, str]]:
        path = self.path(split)
        return ((str(path), number, line) for number, line in read_lines(path))

    def _clip(self, line: int, content: str) -> ClipRow:
        video = re.sub(r"\s+\d+$", "", content)  # in training lists the class number follows
        name = video.rpartition("/")[0].rpartition("/")[2]
        if plain(name) not in self._numbers:
            raise ValueError(f"got {content!r}, expected <class>/<video>, of one of {len(self._numbers)} classes")
        return ClipRow(line, video, [(0, self._numbers[plain(name)])])


class HMDB51(Layout):
    """`<class>_test_split1.txt` of each class and fold; rows are `<video>.avi 1` to train, 2 to test, 0 for neither."""

    folders = ("annotations", "testTrainMulti_7030_splits")
    _NAME = r"(?P<name>.+)_test_split(?P<fold>\d)\.txt"

    def is_there(self) -> bool:
        """Whether the folder has annotation files of this layout."""
        return bool(self._files(self._NAME))

    def _lists(self) -> list[tuple[str, Path]]:
        """The class and the list of each class in this fold."""
        found = [(re.fullmatch(self._NAME, path.name), path) for path in self._files(self._NAME)]
        return [(match["name"], path) for match, path in found if match and match["fold"] == str(self.fold)]

    def path(self, split: str) -> Path:
        """The folder of the lists of all splits.

        Raises:
            UserError: if there is none of this fold.
        """
        lists = self._lists()
        if not lists:
            raise UserError(
                f"{self.root}: no <class>_test_split{self.fold}.txt; expected those of folds 1 to {FOLDS} (DATA.FOLD)"
            )
        return lists[0][1].parent

    def _read_heads(self) -> tuple[Head, ...]:
        return (Head("action", tuple(sorted(name for name, _ in self._lists()))),)

    def _rows(self, split: str) -> Iterator[tuple[str, int, tuple[str, str]]]:
        wanted = "2" if split in TEST_SPLITS else "1"
        for name, path in self._lists():
            for number, line in read_lines(path):
                video, _, kind = line.rpartition(" ")
                if kind == wanted or kind not in ("0", "1", "2"):
                    yield str(path), number, (name, video.strip() if kind == wanted else "")

    def _clip(self, line: int, content: tuple[str, str]) -> ClipRow:
        name, video = content
        if not video:
            raise ValueError("got no division, expected <video> and 1 for training, 2 for test or 0 for neither")
        return ClipRow(0, f"{name}/{video}", [(0, self._numbers[plain(name)])])
