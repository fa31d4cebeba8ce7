"""Which of an export's labels and attributes is the action, and the class that each text stands for."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from ava_eval.label_map import MAX_ID, LabelMap
from avsf_det.data.importers.export import LABEL, Values
from avsf_det.errors import UserError

_ACTION = re.compile(
    r"actions?|activit(y|ies)|behaviou?rs?|(action|activity|behaviou?r)[ _-]?(label|class|name|type|id)", re.I
)
_PERSON = {"person", "people", "pedestrian", "human", "man", "woman", "actor", "player", "subject", "worker", "face"}
_IGNORED = re.compile(
    r"(.*[ _-])?(id|ids|occluded|outside|keyframe|truncated|difficult|crowd|score|confidence|rotation)", re.I
)
_NUMBER = re.compile(r"\d{1,5}")
_YES, _NO = ("true", "yes", "1"), ("false", "no", "0")


def choose_attributes(values: Iterable[Values], wanted: str = "") -> list[str]:
    """The attributes that hold actions.

    In this order: the one that is wanted (several with commas between; "label" is the tool's own label); one called
    action, activity or behaviour; all of them, where each is a tick box; the only one there is, where the tool's
    labels say just "person" or the like; the tool's labels.

    Raises:
        UserError: if the one wanted is not there, or it is not clear which it is.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for one in values:
        for name, texts in one.items():
            found[name].update(texts)
    labels = {text.lower() for text in found.get(LABEL, ())}
    if wanted:
        chosen = [name.strip() for name in wanted.split(",")]
        for name in chosen:
            if name not in found:
                close = get_close_matches(name, found, 1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise UserError(f"--actions {name}: no such attribute{hint}; there are {', '.join(sorted(found))}")
        return chosen
    named = [name for name in found if name != LABEL and _ACTION.fullmatch(name) and found[name]]
    if named:
        return named
    others = [name for name in found if name != LABEL and not _IGNORED.fullmatch(name) and _is_text(found[name])]
    if not others or (len(labels) > 1 and not labels & _PERSON):
        return [LABEL]
    ticked = [name for name in others if _is_tick_box(found[name])]
    if len(ticked) == len(others) and (len(ticked) > 1 or labels & _PERSON):
        return ticked
    if len(others) == 1 and len(labels) <= 1:
        return others
    raise UserError(
        f"it is not clear which of {', '.join(sorted(others))} or the label ({', '.join(sorted(labels))}) is the "
        "action; say --actions ATTRIBUTE, or --actions label"
    )


def _is_text(texts: set[str]) -> bool:
    """Whether an attribute has more than numbers, which are sizes, ages, scores."""
    return any(not re.fullmatch(r"[-+]?\d*\.?\d+", text) for text in texts)


def _is_tick_box(texts: set[str]) -> bool:
    return bool(texts) and {text.lower() for text in texts} <= {*_YES[:2], *_NO[:2]}


def actions_in(values: Values, attributes: Sequence[str]) -> list[str]:
    """The actions that a box or span has: of a tick box its name, of others their values."""
    found = []
    for name in attributes:
        texts = values.get(name, ())
        if _is_tick_box(set(texts)) and name != LABEL:
            found += [name] if texts[0].lower() in _YES else []
        else:
            found += texts
    return list(dict.fromkeys(found))


class Classes:
    """The classes of a dataset, by their ids or names in the export.

    Args:
        texts: all actions of the export.
        label_map: the map to keep to; without, classes are made of `texts`: numbers stay, names are numbered in
            alphabetical order.

    Attributes:
        label_map: the map.
    """

    def __init__(self, texts: Iterable[str], label_map: LabelMap | None = None) -> None:
        texts = sorted({_clean(text) for text in texts})
        numbers = sorted({int(text) for text in texts if _NUMBER.fullmatch(text) and int(text) < MAX_ID})
        self._ids: dict[str, int] = {}
        if label_map is None and 2 * len(numbers) > len(texts):  # what is no number then is a slip
            shift = int(numbers[0] == 0)  # a label map has no id 0
            self._ids = {str(number): number + shift for number in numbers}
            label_map = LabelMap(tuple(self._ids.values()), tuple(f"class {number}" for number in numbers))
        elif label_map is None:
            label_map = LabelMap(tuple(range(1, len(texts) + 1)), tuple(texts))
        else:
            self._ids = {str(class_id): class_id for class_id in label_map.ids}
        self.label_map = label_map
        self._folded = {name.casefold(): class_id for name, class_id in zip(label_map.names, label_map.ids)}
        self._ids |= dict(zip(label_map.names, label_map.ids))

    def find(self, text: str) -> int | None:
        """The id of a text: a number, a name, or a name in other case; None if there is no such class."""
        text = _clean(text)
        if _NUMBER.fullmatch(text):
            text = str(int(text))
        return self._ids.get(text, self._folded.get(text.casefold()))


def _clean(text: str) -> str:
    """A text that can be a name in a label map; 12 for 12.0, as some tables have it."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split()) or "unnamed"
    return re.sub(r"^(\d+)\.0+$", r"\1", text)
