"""Colours, (red, green, blue) 0..255, that colour-blind viewers can tell apart too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
GREY: Colour = (190, 190, 190)
DARK: Colour = (18, 18, 24)

# Okabe and Ito, "Color Universal Design" (2008), without black.
_PERSONS: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
    (0, 114, 178),
)
# Of the same: its bluish green, a little lighter for text on dark ground; its vermilion, likewise; its yellow.
RIGHT: Colour = (51, 187, 148)
WRONG: Colour = (230, 110, 30)
MISSED: Colour = (240, 228, 66)
# What sound added to a score, and took from it: seen on white as on the darkest score.
ADDED: Colour = (140, 200, 30)
TOOK: Colour = (204, 60, 130)
# Paul Tol's "light" scheme ("Colour Schemes", SRON/EPS/TN/09-002, 2021): fit for small areas on a dark ground.
_GROUPS: tuple[Colour, ...] = ((153, 221, 255), (238, 221, 136), (255, 170, 187), (187, 204, 51))
# ColorBrewer's "Blues", 9 classes: its second, fifth and last.
_SCORES: tuple[Colour, ...] = ((222, 235, 247), (107, 174, 214), (8, 48, 107))
# Dark to pale, each lighter than the one before: between DARK and white the blue and the orange of _PERSONS.
_LEVELS: tuple[Colour, ...] = (DARK, (0, 114, 178), (230, 159, 0), (255, 250, 225))


def mix(colour: Colour, other: Colour, share: float) -> Colour:
    """`colour` with a `share` (0..1) of `other` in it."""
    return tuple(round(a + (b - a) * share) for a, b in zip(colour, other))


def person_colour(person_id: int) -> Colour:
    """The colour of a person, always the same for an id: seven hues, then seven lighter ones, and again.

    Ids that are unknown (negative) are grey.
    """
    if person_id < 0:
        return GREY
    turn, hue = divmod(person_id, len(_PERSONS))
    return mix(_PERSONS[hue], WHITE, 0.5) if turn % 2 else _PERSONS[hue]


def group_colours(groups: Sequence[str] | None, count: int) -> list[Colour]:
    """A colour for each of `count` classes: one a group, in the order in which the groups first appear."""
    if groups is None:
        return [_GROUPS[0]] * count
    order = list(dict.fromkeys(groups))
    return [_GROUPS[order.index(group) % len(_GROUPS)] for group in groups]


def score_colours(scores: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 for scores within 0..1: pale blue for 0 to dark blue for 1."""
    return _scale(scores, _SCORES)


def level_colours(levels: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 for levels within 0..1, as of a spectrogram: dark for 0 over blue and orange to pale for 1."""
    return _scale(levels, _LEVELS)


def _scale(values: np.ndarray, stops: Sequence[Colour]) -> np.ndarray:
    places = np.linspace(0, 1, len(stops))
    channels = [np.interp(values, places, channel) for channel in zip(*stops)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def ink_on(colour: Colour) -> Colour:
    """Black or white, whichever reads better on `colour` (luma of ITU-R BT.601)."""
    red, green, blue = colour
    return BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 110 else WHITE
