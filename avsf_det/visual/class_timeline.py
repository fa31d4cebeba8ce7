"""One page that shows what is done when in a video as a whole: a row for each class, the sound below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from avsf_det.visual.palette import BLACK, WHITE, score_colours
from avsf_det.visual.text import clock, draw_text, font, short_names, shorten
from avsf_det.visual.timeline_page import (
    AXIS_LEFT,
    COLUMNS,
    GAP,
    HEADER,
    MARGIN,
    ROW,
    SMALL,
    SOFT,
    TEXT,
    columns_between,
    counted,
    draw_added,
    draw_axis,
    draw_header,
    draw_key,
    draw_sound,
    new_page,
    paste_strip,
    write_png,
)
from avsf_det.visual.waveform import Envelope

_HEAD_WIDTH = 80  # pixels for what a band is about, left of its classes


@dataclass(frozen=True)
class ClassBand:
    """The rows of a head, or of pairs of a verb and a noun.

    Attributes:
        title: what is asked: action, verb, noun.
        names: R classes, in the order of their rows.
        scores: (W, R) of each window, within 0..1.
        silent: the same as they are without sound; None where that is not known.
        left_out: classes that found no room.
    """

    title: str
    names: Sequence[str]
    scores: np.ndarray
    silent: np.ndarray | None = None
    left_out: int = 0

    @property
    def height(self) -> int:
        """Pixels; at least one row."""
        return ROW * max(1, len(self.names) + (self.left_out > 0))


def draw_class_timeline(
    path: str | Path,
    starts: np.ndarray,
    ends: np.ndarray,
    bands: Sequence[ClassBand],
    duration: float,
    envelope: Envelope | None = None,
    title: str = "",
) -> None:
    """Write the timeline of the classes of one video as a PNG.

    A window stands for the time up to halfway to its neighbours, the first from where it begins, the last to where it
    ends; where several share a column the highest score is shown. Where scores without sound are known, bars say how
    much sound added to them, or took.

    Args:
        path: of the PNG; it is either written whole or not at all.
        starts, ends: (W,) seconds of the windows, rising; at least one.
        bands: what to show.
        duration: of the video, in seconds, above 0.
        envelope: the sound's; None where there is no sound track.
        title: the file's name.

    Raises:
        UserError: if the file cannot be written.
    """
    body = sum(band.height + GAP for band in bands)
    page, draw = new_page(body)
    draw_header(page, title, f"{clock(duration, 1)} · {counted(len(starts), 'window')}")
    if any(band.silent is not None for band in bands):
        draw_key(draw)
    draw_axis(draw, duration, body)
    middles = (starts + ends) / 2
    edges = np.concatenate((starts[:1], (middles[1:] + middles[:-1]) / 2, ends[-1:]))
    spans, top = columns_between(edges[:-1], edges[1:], duration), HEADER
    for band in bands:
        _draw_band(page, draw, band, spans, top)
        top += band.height + GAP
    draw_sound(page, envelope, duration, top)
    write_png(page, Path(path))


def _draw_band(
    page: Image.Image, draw: ImageDraw.ImageDraw, band: ClassBand, spans: Sequence[tuple[int, int]], top: int
) -> None:
    words = shorten(band.title, TEXT, _HEAD_WIDTH)
    draw_text(page, (MARGIN, top + ROW // 2), words, TEXT, SOFT)
    scores, added = _columns(band, spans)
    seen = np.zeros(COLUMNS, dtype=bool)
    seen[spans[0][0] : spans[-1][1]] = True
    room = AXIS_LEFT - 10 - MARGIN - _HEAD_WIDTH - 10
    for row, name in enumerate(short_names(band.names)):
        y = top + row * ROW
        words = shorten(name, TEXT, room)
        draw_text(page, (AXIS_LEFT - 10, y + ROW // 2), words, TEXT, BLACK, "rm")
        paste_strip(page, np.where(seen[:, None], score_colours(scores[row]), WHITE), y, ROW - 2)
        draw_added(page, added[row], y)
    y = top + len(band.names) * ROW + ROW // 2
    if not band.names:
        middle = AXIS_LEFT + COLUMNS // 2, y
        draw.text(middle, "no class reaches the threshold", fill=SOFT, font=font(TEXT), anchor="mm")
    if band.left_out:
        words = f"and {band.left_out} more {'class' if band.left_out == 1 else 'classes'}"
        draw.text((AXIS_LEFT - 10, y), words, fill=SOFT, font=font(SMALL), anchor="rm")


def _columns(band: ClassBand, spans: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """(R, columns) scores, and what sound added to them."""
    scores = np.zeros((len(band.names), COLUMNS), dtype=np.float32)
    added = np.zeros_like(scores)
    change = np.zeros_like(band.scores) if band.silent is None else band.scores - band.silent
    for (start, end), own, gain in zip(spans, band.scores, change):
        best = own[:, None] >= scores[:, start:end]
        for row, column in ((scores, own), (added, gain)):
            np.copyto(row[:, start:end], column[:, None], where=best)
    return scores, added
