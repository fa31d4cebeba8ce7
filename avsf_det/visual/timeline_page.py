"""What timelines have in common: the page, the axis of time, a row of scores along it, the sound below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from avsf_det.errors import UserError
from avsf_det.files import written_whole
from avsf_det.visual.palette import ADDED, BLACK, TOOK, WHITE, Colour, ink_on, score_colours
from avsf_det.visual.text import clock, draw_text, font, shorten, text_width
from avsf_det.visual.waveform import Envelope, draw_outline, loudness_gain

LEAST_CHANGE = 0.05  # of a score; what sound changes by less is not marked

# Pixels.
WIDTH, MARGIN = 1600, 28
AXIS_LEFT, AXIS_RIGHT = 380, 1560
COLUMNS = AXIS_RIGHT - AXIS_LEFT
TITLE, TEXT, SMALL = 26, 15, 13  # font sizes
HEADER, FOOTER, SOUND = 100, 76, 96
ROW, GAP = 22, 12

SOFT, WAVE, _FAINT = (105, 110, 118), (70, 130, 180), (228, 231, 235)
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)  # seconds apart


def new_page(body: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """An empty page with room for a body of so many pixels in height, and what draws on it."""
    page = Image.new("RGB", (WIDTH, HEADER + body + SOUND + FOOTER), WHITE)
    return page, ImageDraw.Draw(page)


def column_spans(times: Sequence[float], duration: float) -> list[tuple[int, int]]:
    """First and last column that each moment stands for: up to halfway to its neighbours."""
    times = np.asarray(times, dtype=float)
    if len(times) < 2:
        return [(0, COLUMNS)] * len(times)
    half = np.diff(times) / 2
    return columns_between(times - np.append(half[0], half), times + np.append(half, half[-1]), duration)


def columns_between(starts: np.ndarray, ends: np.ndarray, duration: float) -> list[tuple[int, int]]:
    """First and last column of each of the spans from `starts` to `ends` seconds."""
    scale = COLUMNS / duration
    first = np.floor(starts * scale).clip(0, COLUMNS - 1).astype(int)
    last = np.ceil(ends * scale).clip(first + 1, COLUMNS).astype(int)
    return list(zip(first.tolist(), last.tolist()))


def draw_header(page: Image.Image, title: str, facts: str) -> None:
    """The title, a line of facts below it, and the scale of scores."""
    draw = ImageDraw.Draw(page)
    title = shorten(title, TITLE, AXIS_RIGHT - 560 - MARGIN)
    draw_text(page, (MARGIN, 44), title, TITLE, BLACK, "ls")
    draw.text((MARGIN, 72), facts, fill=SOFT, font=font(TEXT), anchor="ls")
    ramp = np.broadcast_to(score_colours(np.linspace(0, 1, 160)), (14, 160, 3))
    left, top = AXIS_RIGHT - 160, 32
    page.paste(Image.fromarray(np.ascontiguousarray(ramp)), (left, top))
    draw.text((left - 10, top + 7), "score", fill=SOFT, font=font(SMALL), anchor="rm")
    draw.text((left, top + 20), "0", fill=SOFT, font=font(SMALL), anchor="lt")
    draw.text((AXIS_RIGHT, top + 20), "1", fill=SOFT, font=font(SMALL), anchor="rt")


def draw_axis(draw: ImageDraw.ImageDraw, duration: float, body: int) -> None:
    """Lines through body and sound at round times, about ten of them, and the times below."""
    top, bottom = HEADER, HEADER + body + SOUND
    step = next((tick for tick in _TICKS if duration / tick <= 12), _TICKS[-1])
    for number in range(int(duration / step + 1e-6) + 1):
        x = AXIS_LEFT + round(number * step / duration * (COLUMNS - 1))
        draw.line((x, top - 6, x, bottom + 6), fill=_FAINT)
        draw.text((x, bottom + 10), clock(number * step, 0 if step >= 1 else 1), SOFT, font(SMALL), anchor="mt")


def draw_added(page: Image.Image, added: np.ndarray, top: int) -> None:
    """What sound added to a row's scores: a bar from its lower edge up, or took: from its upper edge down."""
    height = np.round(np.abs(added) * (ROW - 2)).astype(int)
    height[np.abs(added) < LEAST_CHANGE] = 0
    from_edge = np.arange(ROW - 2)[:, None]
    bars = np.where(added >= 0, from_edge[::-1] < height, from_edge < height)
    colours = np.where(added[:, None] >= 0, ADDED, TOOK).astype(np.uint8)
    strip = np.broadcast_to(colours, (ROW - 2, len(added), 3))
    page.paste(
        Image.fromarray(np.ascontiguousarray(strip)), (AXIS_LEFT, top), Image.fromarray(bars.astype(np.uint8) * 255)
    )


def draw_key(draw: ImageDraw.ImageDraw) -> None:
    """What the bars mean, left of the scale of scores."""
    right = AXIS_RIGHT - 240
    for words, colour in (("sound took", TOOK), ("sound added", ADDED)):
        left = right - text_width(words, SMALL) - 22
        draw.rectangle((left, 32, left + 14, 45), fill=colour)
        draw.text((left + 22, 39), words, fill=SOFT, font=font(SMALL), anchor="lm")
        right = left - 24


def draw_badge(draw: ImageDraw.ImageDraw, badge: str, left: int, top: int, colour: Colour) -> None:
    """A word or number in a coloured box."""
    width = text_width(badge, SMALL) + 10
    draw.rectangle((left, top, left + width, top + 20), fill=colour)
    draw.text((left + width // 2, top + 10), badge, fill=ink_on(colour), font=font(SMALL), anchor="mm")


def paste_strip(page: Image.Image, colours: np.ndarray, top: int, height: int) -> None:
    """(columns, 3) colours along the time axis; where they are white the page stays as it is."""
    strip = np.broadcast_to(colours.astype(np.uint8), (height, COLUMNS, 3))
    mask = (strip != 255).any(axis=2).astype(np.uint8) * 255
    page.paste(Image.fromarray(np.ascontiguousarray(strip)), (AXIS_LEFT, top), Image.fromarray(mask))


def draw_sound(page: Image.Image, envelope: Envelope | None, duration: float, top: int) -> None:
    """The outline of the sound along the axis of time; None says that there is none."""
    draw = ImageDraw.Draw(page)
    words = "sound" if envelope is not None else "no sound"
    draw.text((AXIS_LEFT - 10, top + SOUND // 2), words, fill=SOFT, font=font(TEXT), anchor="rm")
    if envelope is not None:
        lane = np.full((SOUND, COLUMNS, 3), WHITE, dtype=np.uint8)
        columns = envelope.columns(duration / COLUMNS, COLUMNS)
        draw_outline(lane, columns, np.full((COLUMNS, 3), WAVE), loudness_gain(columns))
        mask = (lane != 255).any(axis=2).astype(np.uint8) * 255
        page.paste(Image.fromarray(lane), (AXIS_LEFT, top), Image.fromarray(mask))


def counted(number: int, noun: str) -> str:
    """A number of things, in words."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def write_png(page: Image.Image, path: Path) -> None:
    """Write a page, whole or not at all; raises UserError if it cannot be written."""
    try:
        with written_whole(path) as unfinished:
            page.save(unfinished, format="PNG")
    except OSError as error:
        raise UserError(
            f"{path}: the timeline cannot be written ({error.strerror or error}); expected a folder that is writable "
            "and a disk with room; mend that or choose another output folder"
        ) from error
