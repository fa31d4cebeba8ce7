"""Detections beside the truth: right and wrong actions in colours of their own, missed persons outlined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avsf_det.structures import Persons
from avsf_det.visual import palette
from avsf_det.visual.draw import Annotator, draw_box
from avsf_det.visual.label import Label, Row
from avsf_det.visual.palette import Colour

UNJUDGED, RIGHT, WRONG, MISSED = range(4)
COLOURS: tuple[Colour, ...] = (palette.GREY, palette.RIGHT, palette.WRONG, palette.MISSED)
MARKS = ("", "✓ ", "✗ ", "○ ")
UNFOUND = 1_000_000_000  # the least id of a labelled person whom nothing was detected of; they get a broken outline


class VerdictAnnotator(Annotator):
    """Draws detections with a verdict on each action, and the labelled persons whom none of them found.

    `Persons.actions` has (N, 4 K) columns: the scores of K classes that nobody judged, of those that are right, of
    those that are wrong, and 1 where an action is missed. Missed ones come last, and are no part of `top_k`.

    Args:
        class_names: K names.
        top_k: detected actions shown for a person at most.
        threshold: the score from which they are shown.
    """

    def __init__(self, class_names: Sequence[str], top_k: int = 3, threshold: float = 0.3) -> None:
        super().__init__(class_names, None, top_k, threshold)
        self._count = len(self.names)
        self.thresholds = np.tile(self.thresholds, len(MARKS))
        self.colours = [colour for colour in COLOURS for _ in self.names]
        self.names = [f"{mark}{name}" for mark in MARKS for name in self.names]

    def _rows(self, scores: np.ndarray) -> tuple[Row, ...]:
        first = MISSED * self._count
        missed = (Row(self.names[c], None, self.colours[c]) for c in range(first, len(scores)) if scores[c])
        return (*super()._rows(scores[:first]), *missed)

    def _draw_box(self, image: np.ndarray, box: np.ndarray, line: int, persons: Persons, person: int) -> None:
        colour = self._colour(persons, person)
        if persons.ids[person] >= UNFOUND:
            draw_broken_box(image, box, line, colour)
        else:
            draw_box(image, box, line, colour)

    def _labels(self, persons: Persons, person: int, size: int, width: int) -> list[Label]:
        unfound = int(persons.ids[person]) >= UNFOUND
        labels = super()._labels(persons, person, size, width)
        badge, colour = "missed" if unfound else labels[0].badge, self._colour(persons, person)
        return [Label(badge, colour, label.rows, label.size, label.name_width) for label in labels]

    def _colour(self, persons: Persons, person: int) -> Colour:
        """Of the best verdict among the actions shown: right, else wrong, else missed."""
        shown = {row.colour for row in self._rows(persons.actions[person])}
        return next((COLOURS[verdict] for verdict in (RIGHT, WRONG, MISSED) if COLOURS[verdict] in shown), COLOURS[0])


def draw_broken_box(image: np.ndarray, box: np.ndarray, line: int, colour: Colour) -> None:
    """As `draw_box`, in dashes."""
    x1, y1, x2, y2 = box.round().astype(int)
    inside = image[y1:y2, x1:x2]
    framed = inside.copy()
    draw_box(framed, np.array((0, 0, x2 - x1, y2 - y1)), line, colour)
    rows, columns = np.indices(inside.shape[:2])
    upright = (columns < 2 * line) | (columns >= x2 - x1 - 2 * line)
    dashes = np.where(upright, rows, columns) // (4 * line) % 2 == 0
    np.copyto(inside, framed, where=dashes[..., None])
