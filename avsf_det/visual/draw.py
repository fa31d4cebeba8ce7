"""Boxes, person ids and actions drawn on video frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from avsf_det.structures import Persons
from avsf_det.visual.label import Label, Row, label_picture
from avsf_det.visual.palette import BLACK, Colour, group_colours, person_colour
from avsf_det.visual.placement import level_of, place
from avsf_det.visual.text import overlay, short_names, text_size


class _Level(NamedTuple):
    """A level of detail of a label."""

    rows: int | None  # shown at most; None is all
    ems: int  # room for a name, in font sizes
    cost: float  # of taking it, see placement.py


# A crowded picture gets smaller labels, down to the id alone, rather than labels over each other.
_LEVELS = (_Level(None, 11, 0.0), _Level(None, 8, 0.8), _Level(1, 8, 2.5), _Level(0, 0, 8.0))


class Annotator:
    """Draws what was found, frame after frame of one video; labels stay where they are unless they must move.

    Args:
        class_names: K names, in the order of `Persons.actions`.
        groups: K names of groups (AVA: pose, object, person), each of which gets a colour; None is one group.
        top_k: actions shown for a person at most.
        threshold: the score from which an action is shown; one for all, or K.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        groups: Sequence[str] | None = None,
        top_k: int = 3,
        threshold: float | Sequence[float] = 0.3,
    ) -> None:
        self.names = short_names(class_names)
        self.colours = group_colours(groups, len(self.names))
        self.top_k = top_k
        self.thresholds = np.broadcast_to(threshold, len(self.names))
        self._choices: dict[int, int] = {}

    def draw(self, image: np.ndarray, persons: Persons) -> np.ndarray:
        """A new (H, W, 3) uint8 RGB picture: `image` with `persons` drawn on it.

        The places of the labels follow from this frame and the one drawn before it.
        """
        image = image.copy()
        height, width = image.shape[:2]
        persons = persons[np.argsort(persons.ids, kind="stable")]  # who is painted over whom stays the same
        boxes = persons.to_pixels(width, height)
        line = max(2, round(min(height, width) / 270))
        for person, box in enumerate(boxes):
            self._draw_box(image, box, line, persons, person)
        if len(persons):
            self._draw_labels(image, persons, boxes, line)
        return image

    def _draw_box(self, image: np.ndarray, box: np.ndarray, line: int, persons: Persons, person: int) -> None:
        draw_box(image, box, line, person_colour(int(persons.ids[person])))

    def _draw_labels(self, image: np.ndarray, persons: Persons, boxes: np.ndarray, gap: int) -> None:
        height, width = image.shape[:2]
        size = text_size(width, height)
        labels = [self._labels(persons, person, size, width) for person in range(len(persons))]
        corners, choices = place(
            boxes,
            sizes=np.array([[(label.width, label.height) for label in levels] for levels in labels]),
            level_costs=[level.cost for level in _LEVELS],
            picture=(width, height),
            gap=gap,
            unit=24 * size**2,  # a row is about 15 font sizes wide and 1.6 high
            previous=[self._choices.get(int(person_id), -1) for person_id in persons.ids],
        )
        for levels, (left, top), choice in zip(labels, corners, choices):
            overlay(image, label_picture(levels[level_of(choice)]), left, top)
        self._choices = {int(i): int(choice) for i, choice in zip(persons.ids, choices) if i >= 0}

    def _labels(self, persons: Persons, person: int, size: int, width: int) -> list[Label]:
        """One person's label at every level of detail."""
        person_id = int(persons.ids[person])
        rows = self._rows(persons.actions[person])
        badge = str(person_id) if person_id >= 0 else ""
        colour = person_colour(person_id)
        return [Label(badge, colour, rows[: level.rows], size, min(level.ems * size, width // 2)) for level in _LEVELS]

    def _rows(self, scores: np.ndarray) -> tuple[Row, ...]:
        """What is said of someone with those (K,) scores, best first."""
        reached = scores >= self.thresholds[: len(scores)]
        best = [c for c in np.argsort(-scores, kind="stable") if reached[c]][: self.top_k]
        return tuple(Row(self.names[c], round(float(scores[c]), 2), self.colours[c]) for c in best)


def draw_box(image: np.ndarray, box: np.ndarray, line: int, colour: Colour) -> None:
    """A frame of `line` pixels inside the box's border, in place, with a thin dark edge so it shows on any ground."""
    edge = max(1, line // 3)
    x1, y1, x2, y2 = box.round().astype(int)
    _draw_frame(image, (x1, y1, x2, y2), line + edge, BLACK)
    _draw_frame(image, (x1, y1, x2, y2), line, colour)


def _draw_frame(image: np.ndarray, box: tuple[int, int, int, int], line: int, colour: Colour) -> None:
    x1, y1, x2, y2 = box
    image[y1 : min(y1 + line, y2), x1:x2] = colour
    image[max(y2 - line, y1) : y2, x1:x2] = colour
    image[y1:y2, x1 : min(x1 + line, x2)] = colour
    image[y1:y2, max(x2 - line, x1) : x2] = colour
