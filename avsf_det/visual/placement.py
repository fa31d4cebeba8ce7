"""Where labels go: around the person's box, away from other labels, other persons, faces and the picture's edge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# What it costs to cover as much of something as one label row takes (`unit` below).
_OTHER_LABEL = 10.0
_TOUCHES_LABEL = 20.0  # however little: two labels that overlap are both hard to read
_HEAD = 4.0
_PERSON = 1.2
_HIDDEN_PERSON = 10.0  # not by area, but for the whole of a person, however small
_OWN = 0.3  # of the two before, where it is the label's own person
_MOVE = 2.0  # a label that jumps draws the eye; only a place that is clearly better is worth it

# Where a label may begin along one axis: shares of the box's and of the label's extent, and gaps, from the box's start.
_START, _END = (0, 0, 0), (1, -1, 0)  # flush with the box
_BEFORE, _AFTER = (0, -1, -1), (1, 0, 1)  # outside
_FIRST, _LAST = (0, 0, 1), (1, -1, -1)  # inside
# Places around a box, x and y, and what a place costs: small preferences.
_SLOTS = (
    (_START, _BEFORE, 0.0),
    (_START, _AFTER, 0.1),
    (_END, _BEFORE, 0.2),
    (_END, _AFTER, 0.2),
    (_AFTER, _START, 0.2),
    (_BEFORE, _START, 0.2),
    (_AFTER, _END, 0.3),
    (_BEFORE, _END, 0.3),
    (_FIRST, _FIRST, 0.3),
    (_LAST, _FIRST, 0.3),
    (_FIRST, _LAST, 0.3),
    (_LAST, _LAST, 0.3),
)
_SWEEPS = 2  # after the first: each label looks again, once all have a place


def place(
    boxes: np.ndarray,
    sizes: np.ndarray,
    level_costs: Sequence[float],
    picture: tuple[int, int],
    gap: int,
    unit: float,
    previous: Sequence[int],
) -> tuple[np.ndarray, np.ndarray]:
    """Choose a place and a level of detail for each of N labels.

    Args:
        boxes: (N, 4) x1 y1 x2 y2 in pixels.
        sizes: (N, L, 2) width and height of each label at L levels of detail.
        level_costs: what a level of detail costs, in `unit`s.
        picture: width and height in pixels.
        gap: pixels between a box and its label.
        unit: the area, in pixels, of one label row.
        previous: (N,) the choice of each label in the frame before, or -1; kept unless another is clearly better.

    Returns:
        (N, 2) left and top of each label, whole pixels, the label inside the picture wherever it fits; and (N,) the
        choices, to be given back as `previous`: a level (see `level_of`) and a place beside the box.
    """
    count = len(boxes)
    corners = _candidates(boxes, sizes, picture, gap)
    costs = np.add.outer(level_costs, [cost for _, _, cost in _SLOTS]).reshape(1, -1).repeat(count, axis=0)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    on_persons = _overlap(corners, boxes) * (_PERSON / unit + _HIDDEN_PERSON / areas.clip(1))
    on_persons[np.arange(count), :, np.arange(count)] *= _OWN
    costs += on_persons.sum(axis=2) + (_HEAD / unit) * _overlap(corners, _heads(boxes)).sum(axis=2)
    for person, choice in enumerate(previous):
        if choice >= 0:
            costs[person, choice] -= _MOVE

    placed = np.zeros((count, 4))
    choices = np.zeros(count, dtype=int)
    for _ in range(1 + _SWEEPS):
        for person in np.argsort(areas, kind="stable"):  # small ones first: they have fewest places
            placed[person] = 0  # a label is not in its own way; neither is one that has no place yet
            on_labels = _overlap(corners[person][None], placed)[0]
            crowded = costs[person] + (_OTHER_LABEL * on_labels / unit + _TOUCHES_LABEL * (on_labels > 0)).sum(axis=1)
            choices[person] = crowded.argmin()
            placed[person] = corners[person, choices[person]]
    return placed[:, :2].astype(int), choices


def level_of(choice: int) -> int:
    """The level of detail that one of `place`'s choices stands for."""
    return int(choice) // len(_SLOTS)


def _candidates(boxes: np.ndarray, sizes: np.ndarray, picture: tuple[int, int], gap: int) -> np.ndarray:
    """(N, L * slots, 4) corners of every place and level, kept inside the picture."""
    low, extent = boxes[:, None, None, :2], (boxes[:, 2:] - boxes[:, :2])[:, None, None]
    size = sizes[:, :, None]
    of_box, of_label, gaps = np.moveaxis(np.array([slot[:2] for slot in _SLOTS]), 2, 0)
    corner = low + of_box * extent + of_label * size + gaps * gap
    corner = np.maximum(0, np.minimum(corner, np.asarray(picture) - size)).round()
    return np.concatenate((corner, corner + size), axis=-1).reshape(len(boxes), -1, 4)


def _heads(boxes: np.ndarray) -> np.ndarray:
    """(N, 4) where the heads probably are: the upper third of each box, without its sides."""
    x1, y1, x2, y2 = boxes.T
    side, height = (x2 - x1) / 5, (y2 - y1) / 3
    return np.stack((x1 + side, y1, x2 - side, y1 + height), axis=1)


def _overlap(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N, C, M) areas in which (N, C, 4) and (M, 4) rectangles overlap."""
    some = some[:, :, None]
    low, high = np.maximum(some[..., :2], others[:, :2]), np.minimum(some[..., 2:], others[:, 2:])
    return (high - low).clip(0).prod(axis=-1)
