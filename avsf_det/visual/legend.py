"""A strip that says what the colours mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from avsf_det.visual.palette import DARK, WHITE, Colour
from avsf_det.visual.text import draw_text, shorten, text_width


def draw_legend(entries: Sequence[tuple[Colour, str]], width: int, size: int) -> np.ndarray:
    """(h, width, 3) uint8 RGB: a square of each colour with its meaning beside it, in as many lines as they take.

    Args:
        entries: colour and meaning; without any, h is 0.
        width: in pixels.
        size: of the font, in pixels.
    """
    gap, square, line = size, round(0.8 * size), round(1.7 * size)
    placed, left, top = [], gap, 0
    for colour, words in entries:
        words = shorten(words, size, width - 3 * gap - square)
        needed = square + gap // 2 + text_width(words, size)
        if left > gap and left + needed + gap > width:
            left, top = gap, top + line
        placed.append((colour, words, left, top))
        left += needed + gap
    picture = Image.new("RGB", (width, top + line if entries else 0), DARK)
    draw = ImageDraw.Draw(picture)
    for colour, words, left, top in placed:
        middle = top + line // 2
        draw.rectangle((left, middle - square // 2, left + square - 1, middle - square // 2 + square - 1), fill=colour)
        draw_text(picture, (left + square + gap // 2, middle), words, size, WHITE)
    return np.array(picture)
