"""One picture of a few clips as a model has them: what is seen and heard, what is true, and what the model says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from avsf_det.visual.draw import draw_box
from avsf_det.visual.palette import DARK, GREY, WHITE, Colour, ink_on, level_colours, mix, person_colour
from avsf_det.visual.text import draw_text, font, short_names, shorten, text_width

RIGHT: Colour = (0, 158, 115)
WRONG: Colour = (213, 94, 0)  # both of Okabe and Ito, as in palette.py

# Pixels.
_CELL = (256, 192)  # widest and highest that one of a clip's three frames may be
_GAP, _MARGIN, _STRIP, _AXIS, _PANEL = 6, 12, 44, 16, 380
_TEXT, _LINE, _PAD = 13, 20, 5  # of a tag
_WIDTH = 2 * _MARGIN + 3 * _CELL[0] + 2 * _GAP + _MARGIN + _PANEL


@dataclass(frozen=True)
class Example:
    """One clip with its persons, or without boxes and with one row of labels and scores for all of it.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB; the boxes are those of frame T // 2.
        frame_times: (T,) seconds of the frames, counted from the keyframe.
        boxes: (N, 4) x1 y1 x2 y2 as shares of the picture.
        labels: (N, K), above 0.5 where an action holds.
        scores: (N, K) within 0..1, the model's.
        log_mel: (A, M), or None without a sound track.
        sound_span: (start, end) of the log-mel in seconds, on the clock of `frame_times`.
        title: which clip it is.
    """

    frames: np.ndarray
    frame_times: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    log_mel: np.ndarray | None
    sound_span: tuple[float, float]
    title: str = ""


def draw_examples(examples: Sequence[Example], class_names: Sequence[str], threshold: float = 0.5) -> np.ndarray:
    """A row for each clip: three of its frames with the log-mel beneath on one time axis, and every person's actions.

    An action is shown if it holds or if its score reaches `threshold`: on green if both, on vermilion if it does not
    hold, in an outline if it holds and was missed. Strips of one picture share their brightness, so that a quiet clip
    looks quiet beside a loud one.

    Args:
        examples: one or more clips.
        class_names: K names.
        threshold: the score from which the model is taken to say that an action holds.

    Returns:
        (H, W, 3) uint8 RGB, 1196 pixels wide and about 220 high for each wide clip.
    """
    names = short_names(class_names)
    rows = [_Row(example, names, threshold) for example in examples]
    page = Image.new("RGB", (_WIDTH, _MARGIN + _LINE + sum(row.height for row in rows)), DARK)
    draw = ImageDraw.Draw(page)
    _draw_legend(page, threshold)
    levels = _levels([example.log_mel for example in examples if example.log_mel is not None])
    top = _MARGIN + _LINE
    for row in rows:
        row.paint(page, draw, top, levels)
        top += row.height
    return np.asarray(page)


def _levels(log_mels: Sequence[np.ndarray]) -> tuple[float, float]:
    """What is darkest and what is brightest in all strips; far enough apart that silence does not glow."""
    if not log_mels:
        return 0.0, 1.0
    values = np.concatenate([one.ravel() for one in log_mels])
    low = float(np.percentile(values, 5))
    return low, max(low + 1, float(values.max()))


class _Row:
    """One clip's part of the page."""

    def __init__(self, example: Example, names: Sequence[str], threshold: float) -> None:
        self._example, self._names, self._threshold = example, names, threshold
        height, width = example.frames.shape[1:3]
        scale = min(_CELL[0] / width, _CELL[1] / height)
        self._size = max(1, round(width * scale)), max(1, round(height * scale))
        self.height = _LINE + self._size[1] + _GAP + _STRIP + _AXIS + _MARGIN

    def paint(self, page: Image.Image, draw: ImageDraw.ImageDraw, top: int, levels: tuple[float, float]) -> None:
        example = self._example
        panel = _WIDTH - _MARGIN - _PANEL
        title = shorten(example.title, _TEXT, panel - 2 * _MARGIN)
        draw_text(page, (_MARGIN, top + _LINE // 2), title, _TEXT, WHITE)
        top += _LINE
        count = len(example.frames)
        chosen = [count // 6, count // 2, 5 * count // 6]
        for place, index in enumerate(chosen):
            left = _MARGIN + place * (_CELL[0] + _GAP) + (_CELL[0] - self._size[0]) // 2
            picture = np.array(Image.fromarray(example.frames[index]).resize(self._size, Image.Resampling.BICUBIC))
            if index == count // 2:
                _draw_boxes(picture, example.boxes)
            page.paste(Image.fromarray(picture), (left, top))
        self._paint_strip(page, draw, top + self._size[1] + _GAP, chosen, levels)
        tags = _Tags(page, panel, top, self.height - _LINE - _MARGIN)
        for person, (labels, scores) in enumerate(zip(example.labels, example.scores)):
            tags.add(self._actions(labels, scores), person if len(example.boxes) else None)
        tags.finish()

    def _actions(self, labels: np.ndarray, scores: np.ndarray) -> list[tuple[str, Colour | None]]:
        """The text and the ground of each tag of one person, the highest score first."""
        held, said = labels > 0.5, scores >= self._threshold
        return [
            (f"{self._names[c]} {scores[c]:.2f}", (RIGHT if held[c] else WRONG) if said[c] else None)
            for c in np.argsort(-scores, kind="stable")
            if held[c] or said[c]
        ]

    def _paint_strip(
        self, page: Image.Image, draw: ImageDraw.ImageDraw, top: int, chosen: Sequence[int], levels: tuple[float, float]
    ) -> None:
        """The log-mel on a time axis that spans all of the clip's picture and sound, and where the frames are on it."""
        example, width, bottom = self._example, 3 * _CELL[0] + 2 * _GAP, top + _STRIP
        times, (start, end) = example.frame_times, example.sound_span
        first, last = min(float(times[0]), start), max(float(times[-1]), end)

        def column(second: float) -> int:
            return _MARGIN + round((second - first) / (last - first) * width)

        draw.rectangle((_MARGIN, top, _MARGIN + width - 1, bottom - 1), fill=mix(DARK, GREY, 0.15))
        if example.log_mel is None:
            place = _MARGIN + width // 4, top + _STRIP // 2
            draw.text(place, "no sound", fill=GREY, font=font(_TEXT), anchor="mm")
        else:
            low, high = levels
            image = Image.fromarray(level_colours((example.log_mel.T[::-1] - low) / (high - low)))
            size = max(1, column(end) - column(start)), _STRIP
            page.paste(image.resize(size, Image.Resampling.BILINEAR), (column(start), top))
        for index in chosen:
            x = column(float(times[index]))
            draw.line((x, top, x, bottom + 2), fill=WHITE)
            draw.text((x, bottom + 3), f"{times[index]:+.2f} s", fill=GREY, font=font(_TEXT - 1), anchor="mt")


class _Tags:
    """Text on coloured ground, set like words into a column of the page; what finds no room is counted."""

    def __init__(self, page: Image.Image, left: int, top: int, height: int) -> None:
        self._page, self._draw = page, ImageDraw.Draw(page)
        self._left, self._right = left, left + _PANEL
        self._x, self._y, self._last = left, top, top + (height // _LINE - 2) * _LINE
        self._indent = text_width("99", _TEXT) + 2 * _PAD + _GAP
        self._left_out = 0

    def add(self, actions: Sequence[tuple[str, Colour | None]], person: int | None) -> None:
        """The actions of one person, with its number, or of the whole clip."""
        if self._y > self._last:
            self._left_out += len(actions)
            return
        if person is not None:
            self._set(str(person + 1), person_colour(person))
        self._x = self._left + self._indent
        for text, ground in actions:
            text = shorten(text, _TEXT, _PANEL - self._indent - 2 * _PAD)
            if self._x + text_width(text, _TEXT) + 2 * _PAD > self._right:
                self._x, self._y = self._left + self._indent, self._y + _LINE
            if self._y > self._last:
                self._left_out += 1
            else:
                self._set(text, ground)
        if not actions:
            self._draw.text((self._x, self._y + _LINE // 2), "–", fill=GREY, font=font(_TEXT), anchor="lm")
        self._x, self._y = self._left, self._y + _LINE + _GAP // 2

    def finish(self) -> None:
        """Say how many were left out."""
        if self._left_out:
            place = self._left + self._indent, self._last + _LINE + _LINE // 2
            self._draw.text(place, f"and {self._left_out} more", fill=GREY, font=font(_TEXT), anchor="lm")

    def _set(self, text: str, ground: Colour | None) -> None:
        self._x = _draw_tag(self._page, self._x, self._y, text, ground) + _GAP // 2 + 1


def _draw_tag(page: Image.Image, x: int, y: int, text: str, ground: Colour | None) -> int:
    """Text on `ground`, or in an outline for None; where it ends."""
    right = x + text_width(text, _TEXT) + 2 * _PAD
    box = (x, y + 1, right - 1, y + _LINE - 2)
    ImageDraw.Draw(page).rounded_rectangle(box, radius=4, fill=ground, outline=None if ground else WHITE)
    ink = ink_on(ground) if ground else WHITE
    draw_text(page, (x + _PAD, y + _LINE // 2), text, _TEXT, ink)
    return right


def _draw_boxes(picture: np.ndarray, boxes: np.ndarray) -> None:
    """The persons' boxes with their numbers, in place."""
    height, width = picture.shape[:2]
    for person, box in enumerate(np.clip(boxes, 0, 1)):
        colour = person_colour(person)
        box = box * (width, height, width, height)
        draw_box(picture, box, 2, colour)
        badge = Image.new("RGB", (text_width(str(person + 1), _TEXT) + 4, _TEXT + 2), colour)
        ImageDraw.Draw(badge).text(
            (2, _TEXT // 2 + 1), str(person + 1), fill=ink_on(colour), font=font(_TEXT), anchor="lm"
        )
        x, y = (max(0, round(float(edge))) for edge in box[:2])
        region = picture[y : y + badge.height, x : x + badge.width]
        region[:] = np.asarray(badge)[: region.shape[0], : region.shape[1]]


def _draw_legend(page: Image.Image, threshold: float) -> None:
    x = _MARGIN
    for text, ground in (
        (f"said (from {threshold:g}) and true", RIGHT),
        ("said, not true", WRONG),
        ("true, missed", None),
    ):
        x = _draw_tag(page, x, _MARGIN // 2, text, ground) + _GAP
