"""What the ways in which datasets of labelled clips lie on disk have in common."""

from __future__ import annotations

import csv
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from avsf_det.data.classification.clips import ClipRow, Head, LabelledClips
from avsf_det.data.classification.video_files import VideoFiles
from avsf_det.errors import UserError

SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "validate", "validation", "valid", "test"),
    "test": ("test",),
}
"""Split -> what files call it, the first found of them; where nothing is for validation, the test split is."""


class Layout(ABC):
    """A dataset of labelled clips on disk.

    Args:
        root: its folder.
        video_dir: the folder of its videos, under `root` unless it is absolute.
        chosen: names of the classes to keep, in whose order they are then; clips of others are passed over. None for
            all. Only for datasets of one head and one label a clip.
        fold: which of several divisions into splits, from 1 on.

    Attributes:
        videos: the files under `video_dir`.
    """

    folders: ClassVar[tuple[str, ...]] = ("annotations",)
    """Under `root`, where annotation files may be besides `root` itself."""

    def __init__(self, root: Path, video_dir: str = "", chosen: Sequence[str] | None = None, fold: int = 1) -> None:
        self.root, self.fold = root, fold
        self.videos = VideoFiles(root / video_dir)
        self._chosen = chosen

    @abstractmethod
    def is_there(self) -> bool:
        """Whether the folder has annotation files of this layout."""

    @abstractmethod
    def path(self, split: str) -> Path:
        """The annotation file of a split, or the folder of several.

        Raises:
            UserError: if there is none.
        """

    @abstractmethod
    def _read_heads(self) -> tuple[Head, ...]:
        """What is asked of each clip, with all classes."""

    @abstractmethod
    def _rows(self, split: str) -> Iterator[tuple[str, int, object]]:
        """File, line and content of each row of a split."""

    @abstractmethod
    def _clip(self, line: int, content: object) -> ClipRow:
        """The clip of a row, its video's name in place of the path.

        Raises:
            ValueError: if the row cannot be used.
        """

    def _video(self, name: str) -> str | None:
        """The path of a clip's video, or None if it is not there."""
        return self.videos.find(name)

    @cached_property
    def _all_heads(self) -> tuple[Head, ...]:
        return self._read_heads()

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """The first head's classes by their plain names, before some are chosen."""
        return {plain(name): i for i, name in enumerate(self._all_heads[0].classes)}

    @cached_property
    def heads(self) -> tuple[Head, ...]:
        """What is asked of each clip.

        Raises:
            UserError: if the classes cannot be read, or none of the chosen ones is there.
        """
        if self._chosen is None:
            return self._all_heads
        names = tuple(name for name in self._chosen if plain(name) in self._numbers)
        if not names:
            raise UserError(
                f"{self.root}: none of the {len(self._chosen)} classes to keep, such as {self._chosen[0]!r}, is there; "
                f"expected some of its {len(self._numbers)}, such as {self._all_heads[0].classes[0]!r}"
            )
        return (replace(self._all_heads[0], classes=names),)

    @cached_property
    def _kept(self) -> dict[int, int]:
        """For each class that is kept, its number among these."""
        return {self._numbers[plain(name)]: i for i, name in enumerate(self.heads[0].classes)}

    def clips(self, split: str) -> LabelledClips:
        """The clips of a split whose video is there; rows that cannot be used are named in the table.

        Raises:
            UserError: if the annotations cannot be read.
        """
        bad: list[str] = []
        missing: list[str] = []
        path, heads = self.path(split), self.heads
        return LabelledClips(split, path, heads, self._found(self._parsed(split, bad), missing), bad, missing)

    def _parsed(self, split: str, bad: list[str]) -> Iterator[tuple[str, ClipRow]]:
        for file, line, content in self._rows(split):
            try:
                clip = self._clip(line, content)
            except ValueError as error:
                bad.append(f"{file}:{line}: {error}")
                continue
            if self._chosen is not None:
                clip = replace(
                    clip, labels=[(0, self._kept[number]) for _, number in clip.labels if number in self._kept]
                )
            if clip.labels or self._chosen is None:
                yield f"{file}:{line}", clip

    def _found(self, parsed: Iterable[tuple[str, ClipRow]], missing: list[str]) -> Iterator[ClipRow]:
        for place, clip in parsed:
            video = self._video(clip.video)
            if video is None:
                missing.append(f"{place}: {clip.video}")
            else:
                yield replace(clip, video=video)

    def _files(self, pattern: str) -> list[Path]:
        """The files in `root` and `folders` whose whole name a regular expression matches, whatever the case."""
        matches = re.compile(pattern, re.IGNORECASE).fullmatch
        found = []
        for folder in (self.root, *(self.root / name for name in self.folders)):
            if folder.is_dir():
                found += sorted(path for path in folder.iterdir() if matches(path.name) and path.is_file())
        return found

    def _of_split(self, files: Sequence[Path], split: str) -> Path | None:
        """The file whose name says that it is of a split."""
        for name in SPLIT_NAMES.get(split, (split,)):
            found = [path for path in files if name in re.split(r"[^a-z0-9]+", path.stem.lower())]
            if found:
                return min(found, key=lambda path: len(path.name))
        return None


class TableLayout(Layout):
    """A dataset whose splits are csv files with a header."""

    columns: ClassVar[tuple[str, ...]]
    """What a header has, and maybe others; a file that lacks one of these is another."""
    pattern: ClassVar[str] = r".*\.csv"
    """A regular expression that the files' names match."""
    example: ClassVar[str] = "{split}.csv"
    """A name that such a file may have."""

    def is_there(self) -> bool:
        """Whether the folder has annotation files of this layout."""
        return bool(self._tables())

    def _tables(self) -> list[Path]:
        return [path for path in self._files(self.pattern) if set(self.columns) <= set(header_of(path))]

    def path(self, split: str) -> Path:
        """The csv of a split.

        Raises:
            UserError: if there is none.
        """
        found = self._of_split(self._tables(), split)
        if found is None:
            name = self.example.format(split=split)
            raise UserError(
                f"{self.root}: no csv of the split {split!r}; expected {name} with {','.join(self.columns)}"
            )
        return found

    def _rows(self, split: str) -> Iterator[tuple[str, int, dict[str, str]]]:
        path = self.path(split)
        return ((str(path), line, row) for line, row in read_table(path, self.columns))


def read_csv(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line and fields of each row of a csv that is not blank.

    Raises:
        UserError: if it cannot be read.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            yield from ((reader.line_num, row) for row in reader if row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as csv: {error}") from None


def read_table(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line and columns of each row of a csv whose first row names the columns.

    Raises:
        UserError: if it cannot be read, or lacks a column that is needed.
    """
    rows = read_csv(path)
    header = next(rows, (1, []))[1]
    lacking = [name for name in needed if name not in header]
    if lacking:
        raise UserError(f"{path}: no column {', '.join(lacking)}; expected a header with {', '.join(needed)}")
    yield from ((line, dict(zip(header, row))) for line, row in rows)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line of a file that is not blank.

    Raises:
        UserError: if it cannot be read.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            yield from ((number, line.strip()) for number, line in enumerate(file, 1) if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text: {error}") from None


def header_of(path: Path) -> list[str]:
    """The fields of a csv's first row; none where it cannot be read."""
    try:
        return next(read_csv(path), (1, []))[1]
    except UserError:
        return []


def whole_number(text: str | None, what: str, below: int) -> int:
    """A number from 0 on.

    Raises:
        ValueError: if it is none, or not below `below`.
    """
    try:
        number = int(text or "")
    except ValueError:
        number = -1
    if not 0 <= number < below:
        raise ValueError(f"got {text!r} for the {what}, expected 0..{below - 1}")
    return number


def seconds(start: str | None, end: str | None) -> tuple[float, float]:
    """Start and end in seconds, of numbers or of h:mm:ss.

    Raises:
        ValueError: if they are none, or the end is not after the start.
    """
    begin, stop = second(start), second(end)
    if begin >= stop:
        raise ValueError(f"got {start!r} to {end!r}, expected seconds, the end after the start")
    return begin, stop


def second(text: str | None) -> float:
    """Seconds from 0 on, of a number or of h:mm:ss.

    Raises:
        ValueError: if it is none.
    """
    parts = (text or "").strip().split(":")
    try:
        total = sum(float(part) * 60**power for power, part in enumerate(reversed(parts)))
    except ValueError:
        total = math.nan
    if len(parts) > 3 or not 0 <= total < math.inf:
        raise ValueError(f"got {text!r}, expected seconds or h:mm:ss")
    return total


def plain(name: str) -> str:
    """A class name as it is compared: Kinetics' folders have _ for blanks, and PySlowFast's names are in quotes."""
    return name.replace("_", " ").strip(' "').casefold()
