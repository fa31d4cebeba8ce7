"""Kinetics-400, -600 and -700 with their original csv files, and Kinetics-Sounds, a choice of their classes."""

from __future__ import annotations

import json
from pathlib import Path

from avsf_det.data.classification.clips import ClipRow, Head
from avsf_det.data.classification.layout import TableLayout, plain, read_table, seconds
from avsf_det.errors import UserError

SOUNDS = (
    *("blowing nose", "blowing out candles", "bowling", "chopping wood", "dribbling basketball", "laughing"),
    *("mowing lawn", "playing accordion", "playing bagpipes", "playing bass guitar", "playing clarinet"),
    *("playing drums", "playing guitar", "playing harmonica", "playing keyboard", "playing organ", "playing piano"),
    *("playing saxophone", "playing trombone", "playing trumpet", "playing violin", "playing xylophone"),
    *("ripping paper", "shoveling snow", "shuffling cards", "singing", "stomping grapes", "tap dancing"),
    *("tapping guitar", "tapping pen", "tickling"),
)
"""The 31 classes of Kinetics-400 that are Kinetics-Sounds (Arandjelovic and Zisserman, Look, Listen and Learn, 2017).

The paper has 34, of Kinetics before its release, where four have other names: blowing out (now blowing out candles),
dribbling ball (dribbling basketball), mowing the lawn by pushing lawnmower (mowing lawn), stomping (stomping grapes).
The release has no fingerpicking, patting or typing. Kinetics-700 has all 31 by the same names. Others train on the same
31, such as OGM-GE (Peng et al. 2022); of the papers that count 32 no list of names was found (AV-SUPERB, which follows
AVSlowFast, has its 32 as numbers only).
"""


class Kinetics(TableLayout):
    """`<split>.csv` with label,youtube_id,time_start,time_end,split[,is_cc]; videos `<id>_<start>_<end>.<suffix>`.

    Videos lie at any depth, in folders of their classes or not; the seconds in their names have six digits. The csv's
    name says the split. Classes are numbered in the order of their names in all of the folder's csv files, or as a json
    of names says (see `read_class_names`).
    """

    columns = ("label", "youtube_id", "time_start", "time_end")

    def _read_heads(self) -> tuple[Head, ...]:
        names = read_class_names(self._files(r".*classnames.*\.json"))
        if not names:
            names = sorted(
                {row["label"] for path in self._tables() for _, row in read_table(path, self.columns)} - {""}
            )
        return (Head("action", tuple(names)),)

    def _clip(self, line: int, content: dict[str, str]) -> ClipRow:
        label, video = content.get("label", ""), content.get("youtube_id", "")
        number = self._numbers.get(plain(label))
        if number is None or not video:
            raise ValueError(
                f"got label {label!r} and id {video!r}, expected one of {len(self._numbers)} classes, and an id"
            )
        start, end = seconds(content.get("time_start"), content.get("time_end"))
        return ClipRow(line, f"{video}_{int(start):06d}_{int(end):06d}", [(0, number)])


def read_class_names(paths: list[Path]) -> list[str]:
    """The class names of a json {name: number}, such as PySlowFast's kinetics_classnames.json; [] without any file.

    Raises:
        UserError: if it is something else.
    """
    for path in paths:
        try:
            names = json.loads(path.read_text(encoding="utf-8"))
            numbered = {number: name.strip(' "') for name, number in names.items()}
            return [numbered[i] for i in range(len(names))]
        except (OSError, ValueError, AttributeError, KeyError, TypeError):
            raise UserError(f"{path}: no class names; expected {{name: number}} as json, numbers from 0 on") from None
    return []
