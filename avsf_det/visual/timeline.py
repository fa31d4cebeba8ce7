"""One page that shows who did what when: a band for each person, a row for each action, the sound below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from avsf_det.structures import Persons
from avsf_det.visual.palette import BLACK, WHITE, person_colour, score_colours
from avsf_det.visual.text import clock, draw_text, font, short_names, shorten
from avsf_det.visual.timeline_page import (
    AXIS_LEFT,
    AXIS_RIGHT,
    COLUMNS,
    GAP,
    HEADER,
    MARGIN,
    ROW,
    SMALL,
    SOFT,
    TEXT,
    TITLE,
    column_spans,
    counted,
    draw_added,
    draw_axis,
    draw_badge,
    draw_header,
    draw_key,
    draw_sound,
    new_page,
    paste_strip,
    write_png,
)
from avsf_det.visual.waveform import Envelope

MAX_PERSONS, MAX_ROWS, MAX_ROWS_EACH = 30, 90, 8  # what one page holds and still reads
_PRESENCE, _THUMBNAIL = 8, 64  # pixels


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
        rows = _PRESENCE + ROW * len(self.classes) + (ROW if self.left_out else 0)
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
    body = sum(band.height + GAP for band in bands) or _THUMBNAIL
    page, draw = new_page(body)
    facts = (clock(duration, 1), counted(len(bands) + absent, "person"), counted(len(times), "keyframe"))
    draw_header(page, title, " · ".join(facts))
    if any(persons.silent.size for persons in persons_per_time):
        draw_key(draw)
    draw_axis(draw, duration, body)

    top = HEADER
    for band in bands:
        _draw_band(page, band, top, names, (thumbnails or {}).get(band.person_id))
        top += band.height + GAP
    if not bands:
        middle = (AXIS_LEFT + AXIS_RIGHT) // 2, top + _THUMBNAIL // 2
        draw.text(middle, "nobody was found", fill=SOFT, font=font(TITLE), anchor="mm")
    draw_sound(page, envelope, duration, HEADER + body)
    if absent:
        words = f"{counted(absent, 'more person')} seen for a shorter time not shown"
        draw.text((AXIS_LEFT, page.height - 12), words, fill=SOFT, font=font(SMALL), anchor="ls")
    write_png(page, Path(path))


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
        present, scores = np.zeros(COLUMNS, dtype=bool), np.zeros((len(chosen), COLUMNS), dtype=np.float32)
        bands[person_id] = _Band(person_id, chosen, len(reached) - len(chosen), present, scores, np.zeros_like(scores))

    for (start, end), persons in zip(column_spans(times, duration), persons_per_time):
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


def _draw_band(page: Image.Image, band: _Band, top: int, names: Sequence[str], thumbnail: np.ndarray | None) -> None:
    draw = ImageDraw.Draw(page)
    colour = person_colour(band.person_id)
    if thumbnail is not None:
        portrait = Image.fromarray(thumbnail).resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS)
        page.paste(portrait, (MARGIN, top))
        draw.rectangle((MARGIN, top, MARGIN + _THUMBNAIL - 1, top + _THUMBNAIL - 1), outline=colour, width=2)
    badge = str(band.person_id) if band.person_id >= 0 else "no id"
    draw_badge(draw, badge, MARGIN, top, colour)

    paste_strip(page, np.where(band.present[:, None], colour, WHITE), top, _PRESENCE - 3)
    names_width = AXIS_LEFT - 10 - (MARGIN + _THUMBNAIL + 10)
    for row, (action, scores) in enumerate(zip(band.classes, band.scores)):
        y = top + _PRESENCE + row * ROW
        words = shorten(names[action], TEXT, names_width)
        draw_text(page, (AXIS_LEFT - 10, y + ROW // 2), words, TEXT, BLACK, "rm")
        paste_strip(page, np.where(band.present[:, None], score_colours(scores), WHITE), y, ROW - 2)
        draw_added(page, band.added[row], y)
    if band.left_out:
        y = top + _PRESENCE + len(band.classes) * ROW + ROW // 2
        words = f"and {counted(band.left_out, 'more action')}"
        draw.text((AXIS_LEFT - 10, y), words, fill=SOFT, font=font(SMALL), anchor="rm")
