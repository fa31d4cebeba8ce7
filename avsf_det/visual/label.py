"""The label beside a person: an id badge in the person's colour, and a row for each action."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from PIL import Image, ImageDraw

from avsf_det.visual.palette import DARK, WHITE, Colour, ink_on, mix
from avsf_det.visual.text import draw_text, shorten, text_width

_BACKING = 190  # opacity, of 255, behind the text
_SCORE_WIDEST = "0.00"


@dataclass(frozen=True)
class Row:
    """One action: its name, its score within 0..1 or None, the colour of its group."""

    name: str
    score: float | None
    colour: Colour


@dataclass(frozen=True)
class Label:
    """What is written beside one person.

    Attributes:
        badge: the id, or "" where it is unknown.
        colour: the person's.
        rows: the actions, best first.
        size: of the font, in pixels.
        name_width: pixels that an action's name may take; longer ones end in "…".
    """

    badge: str
    colour: Colour
    rows: tuple[Row, ...]
    size: int
    name_width: int

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The actions' names as they fit."""
        return tuple(shorten(row.name, self.size, self.name_width) for row in self.rows)

    @property
    def row_height(self) -> int:
        """Pixels from one row to the next."""
        return round(self.size * 1.6)

    @property
    def padding(self) -> int:
        """Pixels around the text."""
        return max(2, round(self.size * 0.3))

    @cached_property
    def badge_width(self) -> int:
        """Pixels of the coloured strip on the left."""
        return text_width(self.badge, self.size) + 2 * self.padding

    @cached_property
    def width(self) -> int:
        """Pixels of the whole label."""
        if not self.rows:
            return self.badge_width
        names = max(text_width(name, self.size) for name in self.names) + 2 * self.padding
        scored = any(row.score is not None for row in self.rows)
        return self.badge_width + names + scored * (text_width(_SCORE_WIDEST, self.size) + 2 * self.padding)

    @property
    def height(self) -> int:
        """Pixels of the whole label."""
        return self.row_height * max(1, len(self.rows)) + (self.padding if self.rows else 0)


@lru_cache(maxsize=64)  # the same labels return in every frame between two keyframes
def label_picture(label: Label) -> np.ndarray:
    """(h, w, 4) uint8 RGBA picture of a label."""
    picture = Image.new("RGBA", (label.width, label.height), (*DARK, _BACKING))
    draw = ImageDraw.Draw(picture)

    def write(x: int, row: int, text: str, colour: Colour, anchor: str) -> None:
        y = row * label.row_height + label.row_height // 2
        draw_text(picture, (x, y), text, label.size, colour, anchor)

    draw.rectangle((0, 0, label.badge_width - 1, label.height), fill=(*label.colour, 255))
    write(label.badge_width // 2, 0, label.badge, ink_on(label.colour), "mm")
    left, right = label.badge_width + label.padding, label.width - label.padding
    bar = max(2, label.size // 8)
    for number, (row, name) in enumerate(zip(label.rows, label.names)):
        write(left, number, name, WHITE, "lm")
        if row.score is None:
            continue
        write(right, number, f"{row.score:.2f}", row.colour, "rm")
        bottom = (number + 1) * label.row_height
        filled = left + round((right - left) * row.score)
        draw.rectangle((left, bottom - bar, right - 1, bottom - 1), fill=(*mix(row.colour, DARK, 0.7), 255))
        draw.rectangle((left, bottom - bar, filled - 1, bottom - 1), fill=(*row.colour, 255))
    return np.asarray(picture)
