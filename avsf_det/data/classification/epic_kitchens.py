"""EPIC-Kitchens-55 and -100: segments of long videos, each with a verb and a noun."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from avsf_det.data.classification.clips import ClipRow, Head
from avsf_det.data.classification.layout import TableLayout, read_csv, seconds, whole_number
from avsf_det.errors import UserError

EPIC_55 = "EPIC_train_action_labels.csv"
TRAIN_PERSONS = range(1, 26)
"""Whose videos of EPIC-Kitchens-55 are trained on; on those of P26 to P31 one validates (Baradel et al. 2018, and
facebookresearch/video-long-term-feature-banks lib/datasets/epic.py: 23,191 and 5,281 segments)."""
NUM_CLASSES = {"EPIC-Kitchens-55": (125, 352), "EPIC-Kitchens-100": (97, 300)}
"""Verbs and nouns (EPIC_verb_classes.csv and the like of either)."""


class EpicKitchens(TableLayout):
    """`EPIC_train_action_labels.csv` of EPIC-Kitchens-55, `EPIC_100_train.csv` and `EPIC_100_validation.csv` of -100.

    Videos are `<video_id>.MP4` at any depth. Of EPIC-Kitchens-55 only the training labels are public, which are divided
    by persons (see `TRAIN_PERSONS`). Names are those of EPIC[_100]_verb_classes.csv and of the nouns' where these are
    there, else numbers. The pickles that hold the same rows are not opened.
    """

    folders = ("annotations", "epic-kitchens-55-annotations", "epic-kitchens-100-annotations")
    columns = ("participant_id", "video_id", "start_timestamp", "stop_timestamp", "verb_class", "noun_class")
    pattern = r"EPIC_.*\.csv"

    @property
    def _is_55(self) -> bool:
        names = {path.name for path in self._tables()}
        later = sorted(names & {f"EPIC_100_{split}.csv" for split in ("train", "validation")})
        if EPIC_55 in names and later:
            raise UserError(
                f"{self.root}: {EPIC_55} is of EPIC-Kitchens-55 and {later[0]} of -100, whose classes differ; expected "
                "one of them: move the other away"
            )
        return EPIC_55 in names

    def path(self, split: str) -> Path:
        """The csv of a split.

        Raises:
            UserError: if there is none.
        """
        name = EPIC_55 if self._is_55 else f"EPIC_100_{'validation' if split == 'val' else split}.csv"
        found = next((path for path in self._tables() if path.name == name), None)
        if found is None or (self._is_55 and split not in ("train", "val")):
            raise UserError(
                f"{self.root}: no labels of the split {split!r}; expected {name} and the split train or val"
            )
        return found

    def _read_heads(self) -> tuple[Head, ...]:
        counts = NUM_CLASSES["EPIC-Kitchens-55" if self._is_55 else "EPIC-Kitchens-100"]
        return tuple(Head(what, self._names(what, count)) for what, count in zip(("verb", "noun"), counts))

    def _names(self, what: str, count: int) -> tuple[str, ...]:
        names = {i: f"{what} {i}" for i in range(count)}
        for path in self._files(rf"EPIC_(100_)?{what}_classes\.csv"):
            names |= {int(row[0]): row[1] for _, row in read_csv(path) if len(row) > 1 and row[0].isdecimal()}
        if sorted(names) != list(range(len(names))):
            raise UserError(f"{self.root}: the {what} classes have gaps; expected numbers from 0 to {len(names) - 1}")
        return tuple(names[i] for i in range(len(names)))

    def _rows(self, split: str) -> Iterator[tuple[str, int, dict[str, str]]]:
        divided, trains = self._is_55, split == "train"
        for path, line, row in super()._rows(split):
            person = row.get("participant_id", "").removeprefix("P")
            if not divided or (person.isdecimal() and int(person) in TRAIN_PERSONS) == trains:
                yield path, line, row

    def _clip(self, line: int, content: dict[str, str]) -> ClipRow:
        if not content.get("video_id"):
            raise ValueError("no video_id, expected that of a video")
        labels = [
            (i, whole_number(content.get(f"{head.name}_class"), f"{head.name} class", len(head.classes)))
            for i, head in enumerate(self._all_heads)
        ]
        start, end = seconds(content.get("start_timestamp"), content.get("stop_timestamp"))
        return ClipRow(line, content["video_id"], labels, start, end)
