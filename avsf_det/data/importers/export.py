"""What an annotation tool exported, whichever it was: videos with their tracks of boxes and labelled spans."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from ava_eval.label_map import LabelMap
from avsf_det.data.importers.clock import Clock

LABEL = "label"  # the attribute that stands for a tool's own label or category
PIXELS = None  # boxes are in pixels of the file
SHARES = (1.0, 1.0)
PERCENT = (100.0, 100.0)
Values = dict[str, tuple[str, ...]]
"""Attribute -> its values, for one box at one moment or one span; `LABEL` among them."""

_PICTURE = re.compile(r"(.*?)[ _.-]*(\d+)\.(?:jpe?g|png|bmp|webp|tiff?)", re.IGNORECASE)
_PLAIN = re.compile(r"frames?|img|images?|pic|f", re.IGNORECASE)  # before a number, these name no video
_SPLITS = {"train": "train", "training": "train", "trainval": "train", "val": "val", "valid": "val"}
_SPLITS |= {"validation": "val", "dev": "val", "test": "test", "testing": "test"}


@dataclass
class Track:
    """N boxes of one person, or of whatever acts, in the order of time.

    Attributes:
        places: (N,) float64, when: frame numbers or seconds, as the video's clock says; infinity is the end.
        boxes: (N, 4) float64, x1 y1 x2 y2 in the video's unit.
        values: N `Values`, in force until the next box's.
        where: file and element, for messages.
        person: the tool's id of the person, "" for none.
        shown: (N,) bool, False where the person is gone from this place on; None for always shown.
        interpolated: whether the boxes between two are on the line from one to the other; else there are none.
    """

    places: np.ndarray
    boxes: np.ndarray
    values: list[Values]
    where: str
    person: str = ""
    shown: np.ndarray | None = None
    interpolated: bool = False

    def __post_init__(self) -> None:
        order = np.argsort(places := np.asarray(self.places, dtype=np.float64), kind="stable")
        self.places = places[order]
        self.boxes = np.asarray(self.boxes, dtype=np.float64).reshape(-1, 4)[order]
        self.values = [self.values[i] for i in order]
        shown = np.ones(len(order), dtype=bool) if self.shown is None else np.asarray(self.shown, dtype=bool)
        self.shown = shown[order]


@dataclass
class Span:
    """A labelled stretch of a video, without boxes.

    Attributes:
        start, end: frame numbers or seconds, the end not included; None for the video's own.
        values: its labels.
        where: file and element.
    """

    start: float | None
    end: float | None
    values: Values
    where: str


@dataclass
class ExportedVideo:
    """What an export says of a video.

    Attributes:
        names: what it may be called on disk, the likeliest first.
        where: file and element.
        clock: what the places of its boxes mean.
        picture: width and height that its boxes are in units of; `PIXELS`, `SHARES` and `PERCENT` are such.
        split: "train", "val", "test", or "" where the export has none.
        tracks, spans: its boxes, and labels without.
    """

    names: tuple[str, ...]
    where: str
    clock: Clock
    picture: tuple[float, float] | None = PIXELS
    split: str = ""
    tracks: list[Track] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)


@dataclass
class Export:
    """All that one file, or several, hold.

    Attributes:
        format: what it was recognised as.
        videos: in the order of the export.
        bad: a line on each part that cannot be used.
        label_map: what the numbers stand for, where the export says so.
        notes: what was assumed, a line each.
        box_units_guessed: whether boxes are taken for pixels though they may be in percent.
        has_scores: whether its boxes have scores, as those that a model predicted do.
    """

    format: str
    videos: list[ExportedVideo] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    label_map: LabelMap | None = None
    notes: list[str] = field(default_factory=list)
    box_units_guessed: bool = False
    has_scores: bool = False


def split_of(*texts: str) -> str:
    """The split that a name, a folder or a subset stands for: "train", "val", "test" or ""."""
    words = [word for text in texts for word in re.split(r"[^a-z]+", text.lower())]
    return next((_SPLITS[word] for word in words if word in _SPLITS), "")


def picture_place(name: str, otherwise: str) -> tuple[str, int] | None:
    """The video and the frame number in the name of a picture, or None if it has no number.

    `walk 1/000012.jpg`, `walk 1/img_12.png`, `walk 1/walk 1_000012.jpg`, `any/walk 1_frame_12.jpg` are frame 12 of
    "walk 1"; of `frame_000012.PNG`, which says nothing of a video, it is `otherwise`.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    found = _PICTURE.fullmatch(path.name)
    if not found:
        return None
    prefix, number = re.sub(r"[ _.-]+(?:frame|img|image)$", "", found[1], flags=re.IGNORECASE), int(found[2])
    if prefix and not _PLAIN.fullmatch(prefix):
        return prefix, number
    folder = str(path.parent)
    return (folder if folder not in (".", "") else otherwise), number


def texts(value: object) -> tuple[str, ...]:
    """The texts in an attribute's value, whatever holds them; nothing for what means "not set"."""
    items = value if isinstance(value, list | tuple) else [value]
    found = (str(item).lower() if isinstance(item, bool) else str(item).strip() for item in items if item is not None)
    return tuple(text for text in found if text and text != "__undefined__")
