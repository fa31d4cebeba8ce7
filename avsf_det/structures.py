"""The value objects that every stage passes on: a frame with its place on the clock, and the persons found in it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".divx", ".wmv", ".asf", ".flv", ".f4v", ".ogv", ".ogm"),
    *(".mpg", ".mpeg", ".mpe", ".m2v", ".vob", ".ts", ".mts", ".m2t", ".m2ts", ".mt2s", ".tod", ".trp"),  # MPEG
    *(".3gp", ".3g2", ".3gpp", ".mxf", ".dv", ".rm", ".rmvb", ".wtv", ".y4m", ".ivf", ".nut"),
    *(".h264", ".264", ".avc", ".h265", ".265", ".hevc"),  # bare streams
)
"""Suffixes of the files that a folder of videos is searched for; a file that is named itself may have any."""


@dataclass(frozen=True)
class Keyframe:
    """One picture of a video at a time.

    Attributes:
        video_id: name of the video as AVA csv files give it (the file's name without its suffix).
        time: seconds from the start of the file.
        image: (H, W, 3) uint8 RGB, or None where no pixels are needed.
    """

    video_id: str
    time: float
    image: np.ndarray | None = None


@dataclass(frozen=True)
class Persons:
    """The N persons of one keyframe.

    Attributes:
        boxes: (N, 4) float32, x1 y1 x2 y2 as shares of the picture's width and height, within 0..1.
        scores: (N,) float32, how sure the detector is of each person, within 0..1.
        ids: (N,) int64, person ids as AVA's csv has them; -1 is unknown.
        actions: (N, K) float32, a score per action class within 0..1; K = 0 before the action head has run.
        silent: (N, K) float32, what `actions` would be had nothing been heard; K = 0 where that was not asked.

    Raises:
        ValueError: if the arrays disagree about N.
    """

    boxes: np.ndarray
    scores: np.ndarray
    ids: np.ndarray = field(default=None)
    actions: np.ndarray = field(default=None)
    silent: np.ndarray = field(default=None)

    def __post_init__(self) -> None:
        boxes = np.asarray(self.boxes, dtype=np.float32).reshape(-1, 4)
        n = len(boxes)
        ids = np.full(n, -1) if self.ids is None else self.ids
        actions = np.zeros((n, 0)) if self.actions is None else self.actions
        silent = np.zeros((n, 0)) if self.silent is None else self.silent
        arrays = {
            "boxes": boxes,
            "scores": np.asarray(self.scores, dtype=np.float32).reshape(-1),
            "ids": np.asarray(ids, dtype=np.int64).reshape(-1),
            "actions": np.asarray(actions, dtype=np.float32),
            "silent": np.asarray(silent, dtype=np.float32),
        }
        for name, array in arrays.items():
            if len(array) != n:
                raise ValueError(f"Persons.{name} has {len(array)} rows, but there are {n} boxes")
            object.__setattr__(self, name, array)

    @classmethod
    def none(cls) -> Persons:
        """Nobody."""
        return cls(np.zeros((0, 4)), np.zeros(0))

    @classmethod
    def from_pixels(cls, boxes: np.ndarray, scores: np.ndarray, width: int, height: int) -> Persons:
        """Persons from (N, 4) boxes in pixels of a `width` x `height` picture; clipped to it."""
        boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4) / (width, height, width, height)
        return cls(boxes.clip(0.0, 1.0), scores)

    def to_pixels(self, width: int, height: int) -> np.ndarray:
        """(N, 4) float32 boxes in pixels of a `width` x `height` picture."""
        return self.boxes * np.array((width, height, width, height), dtype=np.float32)

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: np.ndarray | slice) -> Persons:
        """The chosen persons, by mask, index array or slice."""
        return Persons(self.boxes[rows], self.scores[rows], self.ids[rows], self.actions[rows], self.silent[rows])

    def replace(self, **changes: np.ndarray) -> Persons:
        """A copy with some arrays changed."""
        return replace(self, **changes)
