"""Crisp text: one TrueType font, and words measured, shortened and laid over pictures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from avsf_det.visual.palette import Colour

MIN_SIZE = 12  # pixels; DejaVu Sans' capitals are 0.73 of it: 9 pixels


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib, at `size` pixels."""
    folder = Path(find_spec("matplotlib").origin).parent / "mpl-data" / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / "DejaVuSans.ttf"), size, layout_engine=ImageFont.Layout.BASIC)


def text_size(width: int, height: int) -> int:
    """The font size for a picture: a 45th of its shorter side, and never too small to read."""
    return max(MIN_SIZE, round(min(width, height) / 45))


@lru_cache(maxsize=4096)
def text_width(text: str, size: int) -> int:
    """Pixels that `text` takes."""
    return int(np.ceil(font(size).getlength(text)))


@lru_cache(maxsize=4096)
def shorten(text: str, size: int, width: int) -> str:
    """`text`, or as much of its beginning as fits `width` pixels, with "…" for the rest.

    Characters that cannot be shown, such as a line break in a file's name, become "?".
    """
    text = "".join(character if character.isprintable() else "?" for character in text)
    if text_width(text, size) <= width:
        return text
    for length in range(len(text) - 1, 0, -1):
        short = text[:length].rstrip(" (,/") + "…"
        if text_width(short, size) <= width:
            return short
    return "…"


def short_names(names: Sequence[str]) -> list[str]:
    """Class names without what stands in brackets, where that leaves them different from each other.

    AVA's "talk to (e.g., self, a person, a group)" becomes "talk to"; "watch (a person)" and "watch (e.g., TV)" would
    both be "watch", and become "watch (person)" and "watch (TV)".
    """
    brief = [re.sub(r"\s*\([^)]*\)", "", name).strip() or name for name in names]
    count = Counter(brief)
    return [
        short if count[short] == 1 else re.sub(r"\((?:e\.g\., )?(?:an? )?", "(", name)
        for short, name in zip(brief, names)
    ]


def clock(seconds: float, decimals: int = 0) -> str:
    """Seconds as a player shows them: 75.25 is "1:15", or "1:15.2" with one decimal; hours appear when needed."""
    scale = 10**decimals
    ticks = int(seconds * scale + 1e-6)
    whole, part = divmod(ticks, scale)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    head = f"{hours}:{minute:02d}" if hours else f"{minute}"
    return f"{head}:{second:02d}" + (f".{part:0{decimals}d}" if decimals else "")


@lru_cache(maxsize=256)
def text_picture(text: str, size: int, colour: Colour) -> np.ndarray:
    """(h, w, 4) uint8 RGBA picture of one line of text on nothing."""
    ascent, descent = font(size).getmetrics()
    picture = Image.new("RGBA", (max(1, text_width(text, size)), ascent + descent), (*colour, 0))
    ImageDraw.Draw(picture).text((0, 0), text, fill=(*colour, 255), font=font(size))
    return np.asarray(picture)


def overlay(image: np.ndarray, picture: np.ndarray, left: int, top: int) -> None:
    """Lay an (h, w, 4) uint8 RGBA picture over an (H, W, 3) uint8 image, in place; what sticks out is cut off."""
    y, x = max(0, -top), max(0, -left)
    region = image[max(0, top) : max(0, top + len(picture)), max(0, left) : max(0, left + picture.shape[1])]
    picture = picture[y : y + region.shape[0], x : x + region.shape[1]]
    alpha = picture[..., 3:].astype(np.uint16)
    region[:] = (picture[..., :3] * alpha + region * (255 - alpha) + 127) // 255
