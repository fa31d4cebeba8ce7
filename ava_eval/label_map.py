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
# Maps that come with the package; the scored classes of v2.1 and v2.2 are the same (see label_maps/LICENSE.txt).
FOLDER = Path(__file__).parent / "label_maps"
SHIPPED = {
    "ava_v2.1": "ava_60.pbtxt",
    "ava_v2.2": "ava_60.pbtxt",
    "ava_v2.1_80": "ava_80.pbtxt",
    "ava_v2.2_80": "ava_80.pbtxt",
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

    Args:
        path: of the file, or one of the names in `SHIPPED` if there is no file of that name.

    Raises:
        InputError: if the file cannot be read or is not such a map.
    """
    return parse_label_map(_read_text(path), source=str(path))


def load_label_map(value: str | os.PathLike[str] | LabelMap | Mapping[int, str]) -> tuple[LabelMap, list[str]]:
    """A label map from whatever the user has, and the names of classes that the official reader would not see.

    That one sees only lines that start with exactly two blanks. A map without groups all of whose classes are AVA's
    gets AVA's groups.

    Raises:
        InputError: if the file cannot be read or is not such a map.
    """
    unseen = []
    if isinstance(value, LabelMap):
        labels = value
    elif isinstance(value, Mapping):
        labels = LabelMap.from_dict(value)
    else:
        text = _read_text(value)
        labels = parse_label_map(text, source=str(value))
        seen = {int(i) for i in re.findall(r"^  (?:label_)?id:.*?([0-9]+)\s*$", text, re.MULTILINE)}
        unseen = [name for class_id, name in zip(labels.ids, labels.names) if class_id not in seen]
    if not any(labels.groups):
        ava = read_label_map(FOLDER / "ava_80.pbtxt")
        group_of = dict(zip(zip(ava.ids, ava.names), ava.groups))
        if set(zip(labels.ids, labels.names)) <= set(group_of):
            groups = tuple(group_of[known] for known in zip(labels.ids, labels.names))
            labels = LabelMap(labels.ids, labels.names, groups)
    return labels, unseen


def _read_text(path: str | os.PathLike[str]) -> str:
    if str(path) in SHIPPED and not os.path.exists(path):
        path = FOLDER / SHIPPED[str(path)]
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        hint = "" if os.path.exists(path) else f"; without a file, take one of {', '.join(SHIPPED)}"
        raise InputError(f"{path}: cannot read the label map: {error.strerror}{hint}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: the label map is not text in UTF-8") from None


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
