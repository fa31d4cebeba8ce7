"""Lines of text in any script: what is drawn of a string, in which font, direction and order."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from avsf_det.visual.fonts import (
    Face,
    base_face,
    find_face,
    has_shaping,
    is_visible,
    load,
    report_missing,
    report_no_shaping,
)

_MARKS = 6  # combining marks that a character keeps; more of them would cover the lines around it
_LONGEST = 40  # characters of one cluster; the longest emoji sequences have about ten
_INVISIBLE = frozenset("\u00ad\u061c\u200b\u200e\u200f\u2060\ufeff")  # hints without a glyph; dropped
_JOINERS = frozenset("\u200c\u200d")
# Scripts whose letters change their form or order with their neighbors: without shaping they are hard to read.
_SHAPED = ("ARABIC", "SYRIAC", "DEVANAGARI", "BENGALI", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "GUJARATI")


class Run(NamedTuple):
    """A part of a line in one font and direction.

    Attributes:
        text: in logical order.
        face: the font.
        rtl: whether it reads from right to left.
    """

    text: str
    face: Face
    rtl: bool

    def width(self, size: int) -> float:
        """Pixels that it takes."""
        font, scale = load(self.face, size)
        return font.getlength(self.text, direction=self.direction) * scale

    @property
    def direction(self) -> str | None:
        """For Pillow, which takes none without Raqm."""
        return ("rtl" if self.rtl else "ltr") if has_shaping() else None


def clean(text: str) -> str:
    """Text as it can stand on one line.

    Composed (NFC), without invisible hints; any space is a plain one; control characters, bidirectional overrides, line
    breaks and lone surrogates become "?".
    """
    if text.isascii() and text.isprintable():
        return text
    return unicodedata.normalize("NFC", "".join(map(_cleaned, text)))


def _cleaned(character: str) -> str:
    if character.isprintable() or character in _JOINERS or "\U000e0020" <= character <= "\U000e007f":
        return character
    category = unicodedata.category(character)
    if category == "Zs":
        return " "
    if category in ("Co", "Cn"):  # private use, or newer than Python's tables: a font may have it
        return character
    return "" if character in _INVISIBLE else "?"


def clusters(text: str) -> list[str]:
    """The characters of `text` as readers count them: letters with their marks, conjuncts, emoji sequences."""
    found: list[str] = []
    for character in text:
        if found and _extends(found[-1], character):
            mark = unicodedata.category(character)[0] == "M"
            marks = sum(unicodedata.category(c)[0] == "M" for c in found[-1]) if mark else 0
            if marks < _MARKS and len(found[-1]) < _LONGEST:
                found[-1] += character
        else:
            found.append(character)
    return found


def _extends(cluster: str, character: str) -> bool:
    last, point = cluster[-1], ord(character)
    if unicodedata.category(character)[0] == "M" or not is_visible(character):
        return True
    if 0x1F3FB <= point <= 0x1F3FF or character in "\u0e33\u0eb3":  # skin tones; Thai and Lao vowels after a letter
        return True
    if 0x1F1E6 <= point <= 0x1F1FF:  # flags are pairs
        return len(cluster) == 1 and 0x1F1E6 <= ord(last) <= 0x1F1FF
    letter = unicodedata.category(character) == "Lo"
    return last == "\u200d" or (letter and unicodedata.combining(last) == 9)  # emoji sequence; conjunct after a virama


@lru_cache(maxsize=4096)
def runs(text: str) -> tuple[Run, ...]:
    """The runs of a line from left to right; () if DejaVu Sans has all of it and nothing needs shaping.

    What no font has is shown as its code points, as in "[4E2D 6587]", and reported once for each script.
    """
    if text.isascii() or (base_face().has(text) and not any(map(_is_complex, text))):
        return ()
    parts = _with_code_points(clusters(text))
    levels = _levels([part for part, _ in parts])
    if not has_shaping() and any(unicodedata.name(c, "").startswith(_SHAPED) for c in text):
        report_no_shaping()
    found = []
    for (face, level), group in groupby(zip(parts, levels), key=lambda item: (item[0][1], item[1])):
        pieces = [part for (part, _), _ in group]
        backward = level % 2 == 1 and not has_shaping()
        found.append((Run("".join(reversed(pieces) if backward else pieces), face, level % 2 == 1), level))
    for lowest in range(max(levels), 0, -1):  # rule L2 of the Unicode bidirectional algorithm (UAX 9)
        nested = [list(group) for _, group in groupby(found, key=lambda item: item[1] >= lowest)]
        found = [item for group in nested for item in (group[::-1] if group[0][1] >= lowest else group)]
    return tuple(run for run, _ in found)


def _is_complex(character: str) -> bool:
    return unicodedata.category(character)[0] == "M" or unicodedata.bidirectional(character) in ("R", "AL", "AN")


def _with_code_points(parts: Sequence[str]) -> list[tuple[str, Face]]:
    """Each cluster with its font; those without one as code points."""
    found: list[tuple[str, Face]] = []
    for face, group in groupby(((part, find_face(part)) for part in parts), key=lambda item: item[1]):
        texts = [part for part, _ in group]
        if face is None:
            missing = "".join(texts)
            report_missing("".join(c for c in missing if is_visible(c) and find_face(c) is None) or missing)
            codes = "[" + " ".join(f"{ord(c):04X}" for c in missing if is_visible(c)) + "]"
            texts, face = list(codes), base_face()
        found += [(part, face) for part in texts]
    return found


def _levels(parts: Sequence[str]) -> list[int]:
    """The embedding level of each cluster: the Unicode bidirectional algorithm for one line without overrides."""
    kinds = [unicodedata.bidirectional(part[0]) for part in parts]
    strong = ["R" if kind in ("R", "AL") else "L" if kind == "L" else "" for kind in kinds]
    base = "R" if next(filter(None, strong), "L") == "R" else "L"
    context, before = [], base
    for side in strong:
        before = side or before
        context.append(before)
    # Beside a number neutrals read in the direction of the text that the number stands in.
    sides = [side or (c if kind in ("EN", "AN") else "") for side, kind, c in zip(strong, kinds, context)]
    after, following = [], base
    for side in reversed(sides):
        after.append(following)
        following = side or following
    after.reverse()
    levels, previous = [], base
    for side, kind, following in zip(sides, kinds, after):
        resolved = side or (previous if previous == following else base)
        previous = side or previous
        number = kind in ("EN", "AN") and resolved == "R"
        levels.append(2 if number else 1 if resolved == "R" else 0 if base == "L" else 2)
    return levels
