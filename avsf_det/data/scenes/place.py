"""Where a scene plays: a floor, a wall or sky, things that stand or move about, seen by an unsteady camera."""

from __future__ import annotations

import cv2
import numpy as np


class Place:
    """A background that differs from frame to frame.

    Args:
        rng: random source; the same state gives the same place.
        width, height: of the picture, in pixels.
    """

    MARGIN = 24
    """Pixels that the camera may drift to each side."""

    def __init__(self, rng: np.random.Generator, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.horizon = rng.uniform(0.35, 0.65)
        self._still = self._furnish(rng, width + 2 * self.MARGIN, height + 2 * self.MARGIN)
        self._drift = rng.uniform(0.15, 0.8, 2), rng.uniform(0, 6.28, 2), rng.uniform(0.0, 1.0)
        self._moving = [
            (rng.uniform(0, width), rng.uniform(0.1, 0.9) * height, rng.uniform(-25, 25), rng.uniform(3, 12),
             tuple(int(c) for c in rng.integers(30, 230, 3)))
            for _ in range(rng.integers(0, 4))
        ]  # fmt: skip
        self._noise = rng.normal(0, rng.uniform(1, 4), (height + 32, width + 32, 1)).astype(np.int16).repeat(3, axis=2)

    def _furnish(self, rng: np.random.Generator, width: int, height: int) -> np.ndarray:
        wall, floor = rng.integers(40, 220, (2, 3)).astype(np.float64)
        line = int(height * self.horizon)
        shade = np.linspace(0.75, 1.15, height)[:, None, None]
        image = np.empty((height, width, 3))
        image[:line], image[line:] = wall, floor
        image = (image * shade).clip(0, 255).astype(np.uint8)
        for _ in range(rng.integers(6, 16)):
            x, y = int(rng.uniform(0, width)), int(rng.uniform(0, height))
            w, h = int(rng.uniform(6, width / 4)), int(rng.uniform(6, height / 3))
            colour = tuple(int(c) for c in rng.integers(20, 235, 3))
            if rng.uniform() < 0.5:
                cv2.rectangle(image, (x, y), (x + w, y + h), colour, -1)
            else:
                cv2.ellipse(image, (x, y), (w // 2, h // 2), rng.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA)
        texture = cv2.resize(rng.normal(0, 9, (height // 6, width // 6, 3)), (width, height))
        return (cv2.GaussianBlur(image, (0, 0), 1.2) + texture).clip(0, 255).astype(np.uint8)

    def view(self, t: float) -> np.ndarray:
        """(H, W, 3) uint8 RGB: the place at `t` seconds, without sensor noise."""
        frequency, phase, amount = self._drift
        x, y = (self.MARGIN * (1 + amount * np.sin(frequency * t + phase))).astype(int)
        image = self._still[y : y + self.height, x : x + self.width].copy()
        for start, height, speed, radius, colour in self._moving:
            centre = (int((start + speed * t) % self.width), int(height))
            cv2.ellipse(image, centre, (int(radius), int(radius * 0.6)), 0, 0, 360, colour, -1, cv2.LINE_AA)
        return image

    def add_noise(self, image: np.ndarray, frame: int) -> np.ndarray:
        """`image` with the camera's sensor noise of frame number `frame`."""
        x, y = (frame * 7) % 32, (frame * 13) % 32
        noise = self._noise[y : y + self.height, x : x + self.width]
        return cv2.add(image, noise, dtype=cv2.CV_8U)  # clipped to 0..255
