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
        boxes = persons.to_pixels(image.shape[1], image.shape[0])
        for box, score, person_id in zip(boxes, persons.scores, persons.ids):
            width, height = box[2:] - box[:2]
            quality = float(score * min(width, height))
            if person_id >= 0 and quality > self._best.get(int(person_id), 0.0):
                self._best[int(person_id)] = quality
                self.images[int(person_id)] = crop_square(image, box)


def crop_square(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """(SIZE, SIZE, 3) uint8: a square around the upper part of a box in pixels, moved to lie within the picture."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (float(side) for side in box)
    side = min(max(x2 - x1, min(y2 - y1, 1.5 * (x2 - x1)), 1.0), width, height)
    left = min(max(0.0, (x1 + x2 - side) / 2), width - side)
    top = min(y1, height - side)
    square = (left, top, left + side, top + side)
    return np.asarray(Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=square))
