"""Lists of classes that lie beside annotations: a pbtxt, or names as people write them into txt, csv and json."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, replace

from ava_eval.errors import InputError
from ava_eval.label_map import LabelMap, parse_label_map
from avsf_det.data.importers.documents import Document
from avsf_det.errors import UserError

LISTS = (".pbtxt", ".txt", ".csv", ".tsv", ".json", ".names")
_STEM = re.compile(
    r"(?:.*[^a-z])?(?:label|class|action|categor|activit)(?:s|es|y|ies)?(?:[^a-z].*|map.*|list.*|names?.*)?"
)
_PAIR = re.compile(r"(\d{1,5})\s*[:=,;\t ]\s*(.+)|(.+?)\s*[:=,;\t]\s*(\d{1,5})")
_HEADER = re.compile(
    r"(?:[a-z]+[ _])?(?:ids?|index|names?|labels?|class(?:es)?|actions?)(?:[,;\t][a-z_ ]+)*", re.IGNORECASE
)
_ID = re.compile(r"(\b(?:label_)?id\s*:\s*)(\d+)")


@dataclass(frozen=True)
class ClassList:
    """Classes, and the number that stands for each in the annotations beside them.

    Attributes:
        label_map: with ids from 1 on.
        shift: what to add to a number of the annotations; 1 where they count from 0. None for a list without numbers,
            of which the annotations show whether it counts from 0 or from 1.
    """

    label_map: LabelMap
    shift: int | None = 0

    def settled(self, texts: set[str]) -> ClassList:
        """With a shift, by the texts that stand for actions: from 0 if there is a 0 among them, else from 1."""
        return self if self.shift is not None else replace(self, shift=int("0" in texts))

    def name_of(self, text: str) -> str:
        """The name that a number stands for; other texts as they are."""
        if not re.fullmatch(r"\d{1,5}(\.0+)?", text):
            return text
        return dict(zip(self.label_map.ids, self.label_map.names)).get(int(float(text)) + (self.shift or 0), text)


def read_class_list(document: Document, is_named: bool = False) -> ClassList | None:
    """The classes that a file lists, or None if it is no such list.

    Names of files that are no pbtxt have to say it, unless `is_named`, because somebody does: `labels.txt`,
    `class_names.csv`, `action_list.json`.

    Raises:
        UserError: if it is one, and cannot be read.
    """
    try:
        if document.suffix == ".pbtxt" or document.path.endswith(".pbtxt.txt"):
            return _of_pbtxt(document)
        if document.suffix not in LISTS or not (is_named or _STEM.fullmatch(document.stem.lower())):
            return None
        pairs = _of_json(document.json) if document.suffix == ".json" else _of_lines(document.text)
        return _numbered(pairs) if pairs else None
    except InputError as error:
        raise UserError(f"{document.name}: {error}") from None


def _of_pbtxt(document: Document) -> ClassList:
    text, shift = document.text, 0
    if any(int(number) == 0 for _, number in _ID.findall(text)):
        text, shift = _ID.sub(lambda found: found[1] + str(int(found[2]) + 1), text), 1
    return ClassList(parse_label_map(text, document.name), shift)


def _of_json(content: object) -> list[tuple[int | None, str]]:
    """Of ["run"], {"run": 1}, {"1": "run"} or [{"id": 1, "name": "run"}]."""
    if isinstance(content, dict) and len(content) == 1 and isinstance(next(iter(content.values())), list | dict):
        content = next(iter(content.values()))
    if isinstance(content, dict):
        content = [[key, value] for key, value in content.items()]
    if not isinstance(content, list):
        return []
    pairs = []
    for item in content:
        if isinstance(item, dict):
            item = [item.get(key) for key in ("id", "name")]
        item = [None, item] if isinstance(item, str) else item
        if not (isinstance(item, list) and len(item) == 2):
            return []
        number, name = item if isinstance(item[1], str) and not item[1].isdecimal() else item[::-1]
        if not isinstance(name, str) or not (number is None or str(number).isdecimal()):
            return []
        pairs.append((None if number is None else int(number), name))
    return pairs


def _of_lines(text: str) -> list[tuple[int | None, str]]:
    """Of lines `run`, `1 run`, `1: run` or `run,1`; a line `id,name` at the top is passed over."""
    lines = [line.strip().strip(",;") for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    lines = lines[1:] if lines and _HEADER.fullmatch(lines[0]) else lines
    found = [_PAIR.fullmatch(line) for line in lines]
    if lines and all(found):
        return [(int(match[1] or match[4]), _unquoted(match[2] or match[3])) for match in found]
    return [(None, _unquoted(line)) for line in lines]


def _unquoted(text: str) -> str:
    quoted = text.startswith('"') and text.endswith('"')
    return next(csv.reader([text]))[0].strip() if quoted else text.strip()


def _numbered(pairs: list[tuple[int | None, str]]) -> ClassList:
    names = tuple(" ".join(name.split()) for _, name in pairs)
    numbers = [number for number, _ in pairs]
    if None in numbers:
        return ClassList(LabelMap(tuple(range(1, len(names) + 1)), names), None)
    shift = int(0 in numbers)
    return ClassList(LabelMap(tuple(number + shift for number in numbers), names), shift)
