"""Label maps: which class ids are scored, how they are called, and the group each belongs to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

from ava_eval.errors import InputError

MAX_ID = 32_767  # class numbers are held in 16 bits; AVA's highest is 80

# AVA's label_type (ava_action_list_v2.2.pbtxt) and the name its paper's tables give the group.
GROUP_OF_LABEL_TYPE = {
    "PERSON_MOVEMENT": "pose",
    "OBJECT_MANIPULATION": "object",
    "PERSON_INTERACTION": "person",
}
LABEL_TYPE_OF_GROUP = {group: label_type for label_type, group in GROUP_OF_LABEL_TYPE.items()}


@dataclass(frozen=True)
class LabelMap:
    """K classes, in the order of the file.

    Attributes:
        ids: class ids as the csv files have them, within 1..32767; gaps are fine.
        names: a name a class, all different.
        groups: "pose", "object" or "person" in AVA, any identifier in other maps, "" where the map states none.

    Raises:
        InputError: if there is no class, an id or a name comes twice, or an id is out of range.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.groups:
            object.__setattr__(self, "groups", ("",) * len(self.ids))
        if not self.ids:
            raise InputError("label map: no class found, expected item { name: ... id: ... } at least once")
        if not len(self.ids) == len(self.names) == len(self.groups):
            raise InputError(
                f"label map: {len(self.ids)} ids, {len(self.names)} names and {len(self.groups)} groups, expected as "
                "many of each"
            )
        for class_id, name in zip(self.ids, self.names):
            if not name or not name.isprintable():
                raise InputError(f"label map: the class with id {class_id} is named {name!r}, expected a line of text")
            if not 1 <= class_id <= MAX_ID:
                raise InputError(f"label map: class {name!r} has id {class_id}, expected 1..{MAX_ID}")
        for what, values in (("id", self.ids), ("name", self.names)):
            seen = set()
            for value in values:
                if value in seen:
                    raise InputError(f"label map: the {what} {value!r} comes twice, expected each {what} once")
                seen.add(value)

    @classmethod
    def from_dict(cls, names: Mapping[int, str]) -> LabelMap:
        """A label map from {id: name}."""
        if not all(isinstance(key, Integral) and isinstance(name, str) for key, name in names.items()):
            raise InputError("label map: expected a dict of {class id: class name}, such as {12: 'stand'}")
        return cls(tuple(int(key) for key in names), tuple(names.values()))

    def __len__(self) -> int:
        return len(self.ids)

    def to_pbtxt(self) -> str:
        """The map as text: label{name, label_id, label_type} if it has groups, otherwise item{name, id}."""
        block, id_key = ("label", "label_id") if any(self.groups) else ("item", "id")
        lines = []
        for class_id, name, group in zip(self.ids, self.names, self.groups):
            lines += [f"{block} {{", f"  name: {_quote(name)}", f"  {id_key}: {class_id}"]
            if group:
                lines.append(f"  label_type: {LABEL_TYPE_OF_GROUP.get(group, group)}")
            lines.append("}")
        return "\n".join(lines) + "\n"


def read_label_map(path: str | os.PathLike[str]) -> LabelMap:
    """Reads a pbtxt label map of either style, item{name, id} or label{name, label_id, label_type}.

    Raises:
        InputError: if the file cannot be read or is not such a map.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot read the label map: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: the label map is not text in UTF-8") from None
    return parse_label_map(text, source=str(path))


_TOKEN = re.compile(
    r"""(?P<space>[\s,;]+|\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<mark>[{}:])
      | (?P<word>[^\s{}:,;"'\#]+)""",
    re.VERBOSE,
)


def parse_label_map(text: str, source: str = "label map") -> LabelMap:
    """Parses a label map in protocol buffer text format, whatever its indentation; `source` names it in errors.

    Fields other than the name, the id and the label type are passed over. The official reader sees only lines that
    start with exactly two blanks, and silently leaves out classes that are written otherwise.

    Raises:
        InputError: naming source:line, if the text is not a label map.
    """
    tokens = _tokens(text, source)
    ids, names, groups = [], [], []
    for line, kind, value in tokens:
        if kind != "word" or value not in ("item", "label"):
            raise InputError(f"{source}:{line}: expected item {{ or label {{, got {value!r}")
        fields = _fields(tokens, source, line)
        class_id = fields.get("id", fields.get("label_id"))
        if "name" not in fields or class_id is None:
            missing = "id" if "name" in fields else "name"
            raise InputError(f"{source}:{line}: this {value} has no {missing}, expected both a name and an id")
        if not re.fullmatch(r"[+-]?[0-9]{1,9}", class_id):
            raise InputError(f"{source}:{line}: the id is {class_id!r}, expected a whole number")
        ids.append(int(class_id))
        names.append(fields["name"])
        label_type = fields.get("label_type", "")
        groups.append(GROUP_OF_LABEL_TYPE.get(label_type, label_type))
    try:
        return LabelMap(tuple(ids), tuple(names), tuple(groups))
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def _tokens(text: str, source: str) -> Iterator[tuple[int, str, str]]:
    """The line, kind and value of each token."""
    position, line = 0, 1
    while position < len(text):
        found = _TOKEN.match(text, position)
        if not found:
            raise InputError(f"{source}:{line}: not a label map: cannot read {text[position : position + 20]!r}")
        value = found.group()
        if found.lastgroup == "string":
            yield line, "string", re.sub(r"\\(.)", r"\1", value[1:-1])
        elif found.lastgroup != "space":
            yield line, found.lastgroup, value
        line += value.count("\n")
        position = found.end()


def _fields(tokens: Iterator[tuple[int, str, str]], source: str, line: int) -> dict[str, str]:
    """Reads { key: value ... } up to its closing brace."""
    end = (line, "end", "the end of the file")
    line, _, value = next(tokens, end)
    if value != "{":
        raise InputError(f"{source}:{line}: expected {{, got {value!r}")
    fields = {}
    while True:
        line, kind, key = next(tokens, end)
        if kind == "mark" and key == "}":
            return fields
        line, _, colon = next(tokens, end) if kind == "word" else (line, kind, key)
        if colon != ":":
            raise InputError(f"{source}:{line}: expected key: value or }}, got {colon!r}")
        line, kind, value = next(tokens, end)
        if kind not in ("string", "word"):
            raise InputError(f"{source}:{line}: expected a value for {key}, got {value!r}")
        fields[key] = value


def _quote(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
