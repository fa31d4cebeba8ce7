"""A small portrait of each person, for the timeline."""

from __future__ import annotations

import numpy as np
from PIL import Image

from avsf_det.structures import Persons

SIZE = 128  # pixels, square


class Thumbnails:
    """Keeps the best view of each person id: the largest box that the detector is sure of.

    Attributes:
        images: person id -> (SIZE, SIZE, 3) uint8 RGB.
    """

    def __init__(self) -> None:
        self.images: dict[int, np.ndarray] = {}
        self._best: dict[int, float] = {}

    def add(self, image: np.ndarray, persons: Persons) -> None:
        """Look at the persons of a (H, W, 3) uint8 RGB keyframe; those without an id are passed over."""
        height, width = image.shape[:2]
        for person_id, box in self.better(persons, width, height).items():
            self.images[person_id] = crop_square(image, box)

    def better(self, persons: Persons, width: int, height: int) -> dict[int, np.ndarray]:
        """The persons of a keyframe of so many pixels who were never seen as well, and (4,) their boxes in pixels."""
        found = {}
        for box, score, person_id in zip(persons.to_pixels(width, height), persons.scores, persons.ids.tolist()):
            quality = float(score * min(box[2:] - box[:2]))
            if person_id >= 0 and quality > self._best.get(person_id, 0.0):
                self._best[person_id] = quality
                found[person_id] = box
        return found


def crop_square(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """(SIZE, SIZE, 3) uint8: a square around the upper part of a box in pixels, moved to lie within the picture."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (float(side) for side in box)
    side = min(max(x2 - x1, min(y2 - y1, 1.5 * (x2 - x1)), 1.0), width, height)
    left = min(max(0.0, (x1 + x2 - side) / 2), width - side)
    top = min(y1, height - side)
    square = (left, top, left + side, top + side)
    return np.asarray(Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=square))
