"""One page that shows who did what when: a band for each person, a row for each action, the sound below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from avsf_det.errors import UserError
from avsf_det.files import written_whole
from avsf_det.structures import Persons
from avsf_det.visual.palette import ADDED, BLACK, TOOK, WHITE, Colour, ink_on, person_colour, score_colours
from avsf_det.visual.text import clock, font, short_names, shorten, text_width
from avsf_det.visual.waveform import Envelope, draw_outline, loudness_gain

MAX_PERSONS, MAX_ROWS, MAX_ROWS_EACH = 30, 90, 8  # what one page holds and still reads
LEAST_CHANGE = 0.05  # of a score; what sound changes by less is not marked

# Pixels.
_WIDTH, _MARGIN = 1600, 28
_AXIS_LEFT, _AXIS_RIGHT = 380, 1560
_COLUMNS = _AXIS_RIGHT - _AXIS_LEFT
_TITLE, _TEXT, _SMALL = 26, 15, 13  # font sizes
_HEADER, _FOOTER, _SOUND = 100, 76, 96
_ROW, _PRESENCE, _GAP, _THUMBNAIL = 22, 8, 12, 64

_SOFT, _FAINT, _WAVE = (105, 110, 118), (228, 231, 235), (70, 130, 180)
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)  # seconds apart


@dataclass
class _Band:
    """What is painted of one person: the rows chosen, and what is known for every column of the time axis."""

    person_id: int
    classes: np.ndarray  # (R,) the actions of its rows
    left_out: int  # actions that passed the threshold but found no room
    present: np.ndarray  # (columns,) bool
    scores: np.ndarray  # (R, columns)
    added: np.ndarray  # (R, columns), what sound added to the scores; 0 where that is not known

    @property
    def height(self) -> int:
        rows = _PRESENCE + _ROW * len(self.classes) + (_ROW if self.left_out else 0)
        return max(rows, _THUMBNAIL)


def draw_timeline(
    path: str | Path,
    times: Sequence[float],
    persons_per_time: Sequence[Persons],
    class_names: Sequence[str],
    duration: float,
    envelope: Envelope | None = None,
    thumbnails: Mapping[int, np.ndarray] | None = None,
    title: str = "",
    threshold: float | Sequence[float] = 0.3,
) -> None:
    """Write the timeline of one video as a PNG.

    Where persons have scores without sound (`Persons.silent`), a bar over each score says how much sound added to it,
    or took from it.

    Rows are the actions that reach the threshold at some time, coloured by their score at every time. Persons without
    an id share one band. Of more than 30 persons those seen longest are shown, of many actions those with the highest
    sum of scores; the page says how many are left out.

    Args:
        path: of the PNG; it is either written whole or not at all.
        times: seconds of the keyframes, rising.
        persons_per_time: as many `Persons`.
        class_names: K names, in the order of `Persons.actions`.
        duration: of the video, in seconds, above 0.
        envelope: the sound's; None where there is no sound track.
        thumbnails: person id -> (h, w, 3) uint8 RGB square.
        title: the file's name.
        threshold: the score from which an action gets a row; one for all, or K.

    Raises:
        UserError: if the file cannot be written.
    """
    bands, absent = _bands(times, persons_per_time, duration, np.broadcast_to(threshold, len(class_names)))
    names = short_names(class_names)
    body = sum(band.height + _GAP for band in bands) or _THUMBNAIL
    page = Image.new("RGB", (_WIDTH, _HEADER + body + _SOUND + _FOOTER), WHITE)
    draw = ImageDraw.Draw(page)
    facts = (clock(duration, 1), _count(len(bands) + absent, "person"), _count(len(times), "keyframe"))
    _draw_header(page, title, " · ".join(facts))
    if any(persons.silent.size for persons in persons_per_time):
        _draw_key(draw)
    _draw_axis(draw, duration, _HEADER, _HEADER + body + _SOUND)

    top = _HEADER
    for band in bands:
        _draw_band(page, band, top, names, (thumbnails or {}).get(band.person_id))
        top += band.height + _GAP
    if not bands:
        middle = (_AXIS_LEFT + _AXIS_RIGHT) // 2, top + _THUMBNAIL // 2
        draw.text(middle, "nobody was found", fill=_SOFT, font=font(_TITLE), anchor="mm")
    _draw_sound(page, envelope, duration, _HEADER + body)
    if absent:
        words = f"{_count(absent, 'more person')} seen for a shorter time not shown"
        draw.text((_AXIS_LEFT, page.height - 12), words, fill=_SOFT, font=font(_SMALL), anchor="ls")
    _write_png(page, Path(path))


def _bands(
    times: Sequence[float], persons_per_time: Sequence[Persons], duration: float, thresholds: np.ndarray
) -> tuple[list[_Band], int]:
    """The bands to paint, by first appearance, and how many persons are left out; an action has a threshold each."""
    classes = len(thresholds)
    sums: dict[int, np.ndarray] = {}
    highest: dict[int, np.ndarray] = {}
    seen: dict[int, int] = {}
    for persons in persons_per_time:
        for person_id, actions in zip(persons.ids.tolist(), _padded(persons.actions, classes)):
            sums[person_id] = sums.get(person_id, 0) + actions
            highest[person_id] = np.maximum(highest.get(person_id, 0), actions)
            seen[person_id] = seen.get(person_id, 0) + 1
    kept = sorted(seen, key=lambda person_id: -seen[person_id])[:MAX_PERSONS]
    rows_each = min(MAX_ROWS_EACH, MAX_ROWS // max(1, len(kept)))
    bands = {}
    for person_id in (person_id for person_id in seen if person_id in kept):
        reached = [c for c in np.argsort(-sums[person_id], kind="stable") if highest[person_id][c] >= thresholds[c]]
        room = rows_each if len(reached) <= rows_each else rows_each - 1  # a row says how many are left out
        chosen = np.array(reached[:room], dtype=int)
        present, scores = np.zeros(_COLUMNS, dtype=bool), np.zeros((len(chosen), _COLUMNS), dtype=np.float32)
        bands[person_id] = _Band(person_id, chosen, len(reached) - len(chosen), present, scores, np.zeros_like(scores))

    for (start, end), persons in zip(_spans(times, duration), persons_per_time):
        with_sound = _padded(persons.actions, classes)
        without = persons.silent if persons.silent.size else with_sound
        for person_id, actions, added in zip(persons.ids.tolist(), with_sound, with_sound - without):
            if person_id in bands:
                band = bands[person_id]
                band.present[start:end] = True
                best = actions[band.classes, None] >= band.scores[:, start:end]
                for row, column in ((band.scores, actions), (band.added, added)):
                    np.copyto(row[:, start:end], column[band.classes, None], where=best)
    return list(bands.values()), len(seen) - len(kept)


def _padded(actions: np.ndarray, classes: int) -> np.ndarray:
    """(N, classes) scores, 0 where the action head has not run."""
    return actions if actions.shape[1] else np.zeros((len(actions), classes), dtype=np.float32)


def _spans(times: Sequence[float], duration: float) -> list[tuple[int, int]]:
    """First and last column that each keyframe stands for: up to halfway to its neighbours."""
    times = np.asarray(times, dtype=float)
    if len(times) < 2:
        return [(0, _COLUMNS)] * len(times)
    half = np.diff(times) / 2
    starts, ends = times - np.append(half[0], half), times + np.append(half, half[-1])
    scale = _COLUMNS / duration
    first = np.floor(starts * scale).clip(0, _COLUMNS - 1).astype(int)
    last = np.ceil(ends * scale).clip(first + 1, _COLUMNS).astype(int)
    return list(zip(first.tolist(), last.tolist()))


def _draw_header(page: Image.Image, title: str, facts: str) -> None:
    draw = ImageDraw.Draw(page)
    title = shorten(title, _TITLE, _AXIS_RIGHT - 560 - _MARGIN)
    draw.text((_MARGIN, 44), title, fill=BLACK, font=font(_TITLE), anchor="ls")
    draw.text((_MARGIN, 72), facts, fill=_SOFT, font=font(_TEXT), anchor="ls")
    ramp = np.broadcast_to(score_colours(np.linspace(0, 1, 160)), (14, 160, 3))
    left, top = _AXIS_RIGHT - 160, 32
    page.paste(Image.fromarray(np.ascontiguousarray(ramp)), (left, top))
    draw.text((left - 10, top + 7), "score", fill=_SOFT, font=font(_SMALL), anchor="rm")
    draw.text((left, top + 20), "0", fill=_SOFT, font=font(_SMALL), anchor="lt")
    draw.text((_AXIS_RIGHT, top + 20), "1", fill=_SOFT, font=font(_SMALL), anchor="rt")


def _draw_axis(draw: ImageDraw.ImageDraw, duration: float, top: int, bottom: int) -> None:
    """Lines through the whole page at round times, about ten of them, and the times below."""
    step = next((tick for tick in _TICKS if duration / tick <= 12), _TICKS[-1])
    for number in range(int(duration / step + 1e-6) + 1):
        x = _AXIS_LEFT + round(number * step / duration * (_COLUMNS - 1))
        draw.line((x, top - 6, x, bottom + 6), fill=_FAINT)
        draw.text((x, bottom + 10), clock(number * step, 0 if step >= 1 else 1), _SOFT, font(_SMALL), anchor="mt")


def _draw_band(page: Image.Image, band: _Band, top: int, names: Sequence[str], thumbnail: np.ndarray | None) -> None:
    draw = ImageDraw.Draw(page)
    colour = person_colour(band.person_id)
    if thumbnail is not None:
        portrait = Image.fromarray(thumbnail).resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS)
        page.paste(portrait, (_MARGIN, top))
        draw.rectangle((_MARGIN, top, _MARGIN + _THUMBNAIL - 1, top + _THUMBNAIL - 1), outline=colour, width=2)
    badge = str(band.person_id) if band.person_id >= 0 else "no id"
    _draw_badge(draw, badge, _MARGIN, top, colour)

    _paste_strip(page, np.where(band.present[:, None], colour, WHITE), top, _PRESENCE - 3)
    names_width = _AXIS_LEFT - 10 - (_MARGIN + _THUMBNAIL + 10)
    for row, (action, scores) in enumerate(zip(band.classes, band.scores)):
        y = top + _PRESENCE + row * _ROW
        words = shorten(names[action], _TEXT, names_width)
        draw.text((_AXIS_LEFT - 10, y + _ROW // 2), words, fill=BLACK, font=font(_TEXT), anchor="rm")
        _paste_strip(page, np.where(band.present[:, None], score_colours(scores), WHITE), y, _ROW - 2)
        _draw_added(page, band.added[row], y)
    if band.left_out:
        y = top + _PRESENCE + len(band.classes) * _ROW + _ROW // 2
        words = f"and {_count(band.left_out, 'more action')}"
        draw.text((_AXIS_LEFT - 10, y), words, fill=_SOFT, font=font(_SMALL), anchor="rm")


def _draw_added(page: Image.Image, added: np.ndarray, top: int) -> None:
    """What sound added to a row's scores: a bar from its lower edge up, or took: from its upper edge down."""
    height = np.round(np.abs(added) * (_ROW - 2)).astype(int)
    height[np.abs(added) < LEAST_CHANGE] = 0
    from_edge = np.arange(_ROW - 2)[:, None]
    bars = np.where(added >= 0, from_edge[::-1] < height, from_edge < height)
    colours = np.where(added[:, None] >= 0, ADDED, TOOK).astype(np.uint8)
    strip = np.broadcast_to(colours, (_ROW - 2, len(added), 3))
    page.paste(
        Image.fromarray(np.ascontiguousarray(strip)), (_AXIS_LEFT, top), Image.fromarray(bars.astype(np.uint8) * 255)
    )


def _draw_key(draw: ImageDraw.ImageDraw) -> None:
    """What the bars mean, left of the scale of scores."""
    right = _AXIS_RIGHT - 240
    for words, colour in (("sound took", TOOK), ("sound added", ADDED)):
        left = right - text_width(words, _SMALL) - 22
        draw.rectangle((left, 32, left + 14, 45), fill=colour)
        draw.text((left + 22, 39), words, fill=_SOFT, font=font(_SMALL), anchor="lm")
        right = left - 24


def _draw_badge(draw: ImageDraw.ImageDraw, badge: str, left: int, top: int, colour: Colour) -> None:
    width = text_width(badge, _SMALL) + 10
    draw.rectangle((left, top, left + width, top + 20), fill=colour)
    draw.text((left + width // 2, top + 10), badge, fill=ink_on(colour), font=font(_SMALL), anchor="mm")


def _paste_strip(page: Image.Image, colours: np.ndarray, top: int, height: int) -> None:
    """(columns, 3) colours along the time axis; where they are white the page stays as it is."""
    strip = np.broadcast_to(colours.astype(np.uint8), (height, _COLUMNS, 3))
    mask = (strip != 255).any(axis=2).astype(np.uint8) * 255
    page.paste(Image.fromarray(np.ascontiguousarray(strip)), (_AXIS_LEFT, top), Image.fromarray(mask))


def _draw_sound(page: Image.Image, envelope: Envelope | None, duration: float, top: int) -> None:
    draw = ImageDraw.Draw(page)
    words = "sound" if envelope is not None else "no sound"
    draw.text((_AXIS_LEFT - 10, top + _SOUND // 2), words, fill=_SOFT, font=font(_TEXT), anchor="rm")
    if envelope is not None:
        lane = np.full((_SOUND, _COLUMNS, 3), WHITE, dtype=np.uint8)
        columns = envelope.columns(duration / _COLUMNS, _COLUMNS)
        draw_outline(lane, columns, np.full((_COLUMNS, 3), _WAVE), loudness_gain(columns))
        mask = (lane != 255).any(axis=2).astype(np.uint8) * 255
        page.paste(Image.fromarray(lane), (_AXIS_LEFT, top), Image.fromarray(mask))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _write_png(page: Image.Image, path: Path) -> None:
    try:
        with written_whole(path) as unfinished:
            page.save(unfinished, format="PNG")
    except OSError as error:
        raise UserError(
            f"{path}: the timeline cannot be written ({error.strerror or error}); expected a folder that is writable "
            "and a disk with room; mend that or choose another output folder"
        ) from error
