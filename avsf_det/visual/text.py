"""Crisp text in any script: measured, shortened and drawn on images."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from avsf_det.visual.fonts import base_face, load
from avsf_det.visual.layout import Run, clean, clusters, runs
from avsf_det.visual.palette import Colour

MIN_SIZE = 12  # pixels; DejaVu Sans' capitals are 0.73 of it: 9 pixels


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib, at `size` pixels."""
    return ImageFont.truetype(base_face().path, size, layout_engine=ImageFont.Layout.BASIC)


def text_size(width: int, height: int) -> int:
    """The font size for a picture: a 45th of its shorter side, and never too small to read."""
    return max(MIN_SIZE, round(min(width, height) / 45))


@lru_cache(maxsize=4096)
def text_width(text: str, size: int) -> int:
    """Pixels that `text` takes, as `draw_text` draws it."""
    text = clean(text)
    parts = runs(text)
    width = sum(run.width(size) for run in parts) if parts else font(size).getlength(text)
    return int(np.ceil(width))


@lru_cache(maxsize=4096)
def shorten(text: str, size: int, width: int) -> str:
    """`text`, or as much of its beginning as fits `width` pixels, with "…" for the rest.

    No letter is parted from its marks. Characters that cannot be shown, such as a line break in a file's name, become
    "?".
    """
    parts = clusters(clean(text[: 64 * width]))
    if len(parts) <= width and text_width("".join(parts), size) <= width:
        return "".join(parts)

    def shortened(length: int) -> str:
        return "".join(parts[:length]).rstrip(" (,/") + "…"

    fits, too_long = 0, min(len(parts), width)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if text_width(shortened(middle), size) <= width:
            fits = middle
        else:
            too_long = middle
    return shortened(fits) if fits else "…"


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


def draw_text(
    image: Image.Image, place: tuple[int, int], text: str, size: int, colour: Colour, anchor: str = "lm"
) -> None:
    """Draw one line of text in any script on an RGB or RGBA image.

    Args:
        image: what to draw on.
        place: x and y in pixels.
        text: what to draw; see `avsf_det.visual.layout.clean` for characters that are replaced.
        size: of the font, in pixels.
        colour: of the text.
        anchor: where `place` is, as in Pillow: "l", "m" or "r" of the width and "a" (ascender), "m" (middle) or "s"
            (baseline) of the height.
    """
    draw, text = ImageDraw.Draw(image), clean(text)
    fill = (*colour, 255) if image.mode == "RGBA" else colour
    parts = runs(text)
    if not parts:
        draw.text(place, text, fill=fill, font=font(size), anchor=anchor)
        return
    ascent, descent = font(size).getmetrics()
    x = place[0] - {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]] * sum(run.width(size) for run in parts)
    baseline = place[1] + {"a": ascent, "m": (ascent - descent) / 2, "s": 0}[anchor[1]]
    for run in parts:
        used, scale = load(run.face, size)
        if scale == 1:
            draw.text((x, baseline), run.text, fill=fill, font=used, anchor="ls", direction=run.direction)
        else:
            bitmap = _bitmap(run, size)
            image.paste(bitmap, (round(x), round(baseline + descent / 2 - bitmap.height)), bitmap)
        x += run.width(size)


def _bitmap(run: Run, size: int) -> Image.Image:
    """RGBA image of a run in a font that has its own colors and only one size."""
    used, scale = load(run.face, size)
    left, top, right, bottom = (round(edge) for edge in used.getbbox(run.text, direction=run.direction))
    image = Image.new("RGBA", (max(1, right - left), max(1, bottom - top)), (0, 0, 0, 0))
    ImageDraw.Draw(image).text((-left, -top), run.text, font=used, embedded_color=True, direction=run.direction)
    shape = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(shape, Image.Resampling.BOX)


@lru_cache(maxsize=256)
def text_picture(text: str, size: int, colour: Colour) -> np.ndarray:
    """(h, w, 4) uint8 RGBA picture of one line of text on nothing."""
    ascent, descent = font(size).getmetrics()
    picture = Image.new("RGBA", (max(1, text_width(text, size)), ascent + descent), (*colour, 0))
    draw_text(picture, (0, 0), text, size, colour, "la")
    return np.asarray(picture)


def overlay(image: np.ndarray, picture: np.ndarray, left: int, top: int) -> None:
    """Lay an (h, w, 4) uint8 RGBA picture over an (H, W, 3) uint8 image, in place; what sticks out is cut off."""
    y, x = max(0, -top), max(0, -left)
    region = image[max(0, top) : max(0, top + len(picture)), max(0, left) : max(0, left + picture.shape[1])]
    picture = picture[y : y + region.shape[0], x : x + region.shape[1]]
    alpha = picture[..., 3:].astype(np.uint16)
    region[:] = (picture[..., :3] * alpha + region * (255 - alpha) + 127) // 255
