"""The project's own plain format, as `avsf-det data import` writes it: labels of stretches of videos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from ava_eval.label_map import LabelMap, read_label_map
from avsf_det.data.classification.clips import ClipRow, Head
from avsf_det.data.classification.layout import Layout, read_csv, seconds
from avsf_det.errors import UserError


class Imported(Layout):
    """`annotations/<split>_clips.csv` with video,start,end,class id, and `annotations/label_map.pbtxt`.

    Rows of the same stretch are one clip; if one has several classes in any split, any number may hold in each.
    """

    def is_there(self) -> bool:
        """Whether the folder has annotation files of this layout."""
        return bool(self._tables() and self._files(r"label_map\.pbtxt"))

    def _tables(self) -> list[Path]:
        return self._files(r".+_clips\.csv")

    def path(self, split: str) -> Path:
        """The csv of a split.

        Raises:
            UserError: if there is none.
        """
        found = next((path for path in self._tables() if path.name == f"{split}_clips.csv"), None)
        if found is None:
            raise UserError(
                f"{self.root}: no annotations/{split}_clips.csv; expected one, with video,start,end,class id"
            )
        return found

    @cached_property
    def _label_map(self) -> LabelMap:
        return read_label_map(self._files(r"label_map\.pbtxt")[0])

    def _read_heads(self) -> tuple[Head, ...]:
        several = any(self._has_several(path) for path in self._tables())
        return (Head("action", self._label_map.names, multi_label=several),)

    def _has_several(self, path: Path) -> bool:
        classes: dict[tuple[str, ...], str] = {}
        return any(classes.setdefault(tuple(row[:3]), row[-1]) != row[-1] for _, row in read_csv(path))

    def _rows(self, split: str) -> Iterator[tuple[str, int, list[str]]]:
        path = self.path(split)
        return ((str(path), line, row) for line, row in read_csv(path))

    def _clip(self, line: int, content: list[str]) -> ClipRow:
        if len(content) != 4:
            raise ValueError(f"got {len(content)} columns, expected video,start,end,class id")
        video, start, end, class_id = content
        if not class_id.strip().isdecimal() or int(class_id) not in self._label_map.ids:
            raise ValueError(f"got class id {class_id!r}, expected one of {len(self._label_map)} in the label map")
        return ClipRow(line, video, [(0, self._label_map.ids.index(int(class_id)))], *seconds(start, end))

    def _found(self, parsed: Iterable[tuple[str, ClipRow]], missing: list[str]) -> Iterator[ClipRow]:
        merged: dict[tuple, ClipRow] = {}
        for clip in super()._found(parsed, missing):
            first = merged.setdefault((clip.video, clip.start, clip.end), clip)
            if first is not clip:
                labels = list(dict.fromkeys((*first.labels, *clip.labels)))
                merged[clip.video, clip.start, clip.end] = replace(first, labels=labels)
        return iter(merged.values())
