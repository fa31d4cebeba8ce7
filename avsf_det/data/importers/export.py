"""What an annotation tool exported, whichever it was: videos with their tracks of boxes and labelled spans."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from ava_eval.label_map import LabelMap
from avsf_det.data.importers.clock import Clock
from avsf_det.structures import VIDEO_SUFFIXES

LABEL = "label"  # the attribute that stands for a tool's own label or category
PIXELS = None  # boxes are in pixels of the file
SHARES = (1.0, 1.0)
PERCENT = (100.0, 100.0)
Values = dict[str, tuple[str, ...]]
"""Attribute -> its values, for one box at one moment or one span; `LABEL` among them."""

NO_ACTION = {"none", "no action", "no_action", "no-action", "n/a", "null", "undefined"}
"""Texts in attributes that mean that there is no action, in lower case."""
_UNSURE = {"other", "others", "unknown", "default", "background"}
_PICTURE = re.compile(r"(.*?)[ _.-]*(\d+)\.(?:jpe?g|png|bmp|webp|tiff?)", re.IGNORECASE)
_PLAIN = re.compile(r"frames?|img|images?|pic|f", re.IGNORECASE)  # before a number, these name no video
_ROBOFLOW = re.compile(r"(.+)_(?:jpe?g|png|bmp|webp|tiff?)\.rf\.\w+(\.\w+)", re.IGNORECASE)
_VIDEO = re.compile(f"_({'|'.join(suffix[1:] for suffix in VIDEO_SUFFIXES)})$", re.IGNORECASE)
UPLOAD = re.compile(r"^[0-9a-f]{8}-")  # Label Studio puts it before the names of uploaded files
_LARGEST = 1e9  # of frame numbers, seconds and pixels
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
        unnamed: where the export does not name the video: what identifies it, such as the file; else "".
    """

    names: tuple[str, ...]
    where: str
    clock: Clock
    picture: tuple[float, float] | None = PIXELS
    split: str = ""
    tracks: list[Track] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    unnamed: str = ""


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


def what_was_read(exports: Sequence[Export]) -> list[str]:
    """A line for each format: its files, videos, tracks, boxes and labels without boxes, and what was skipped."""
    lines = []
    for name in dict.fromkeys(export.format for export in exports):
        own = [export for export in exports if export.format == name]
        videos = [video for export in own for video in export.videos]
        tracks = [track for video in videos for track in video.tracks]
        boxes = sum(int((track.shown & np.isfinite(track.places)).sum()) for track in tracks)
        spans, skipped = sum(len(video.spans) for video in videos), sum(len(export.bad) for export in own)
        count = sum(bool(track.person) or len(track.places) > 1 for track in tracks)
        counts = [(len(own), "file"), (len({video.names for video in videos}), "video"), (count, "track")]
        text = ", ".join(f"{count} {word}{'s' * (count != 1)}" for count, word in counts)
        text += f", {boxes} {'box' if boxes == 1 else 'boxes'}, {spans} labels without boxes"
        lines.append(f"read {name}: {text}" + (f"; {skipped} parts skipped" if skipped else ""))
    return lines


def split_of(*texts: str) -> str:
    """The split that a name, a folder or a subset stands for: "train", "val", "test" or ""."""
    words = [word for text in texts for word in re.split(r"[^a-z]+", text.lower())]
    return next((_SPLITS[word] for word in words if word in _SPLITS), "")


def picture_place(name: str, otherwise: str) -> tuple[str, int] | None:
    """The video and the frame number in the name of an image, or None if it has no number.

    `walk 1/000012.jpg`, `walk 1/img_12.png`, `walk 1/walk 1_000012.jpg`, `any/walk 1_frame_12.jpg` are frame 12 of
    "walk 1"; of `frame_000012.PNG`, which does not name a video, it is `otherwise`. Roboflow's
    `walk_mp4-12_jpg.rf.<hash>.jpg` is frame 12 of "walk.mp4".
    """
    path = PurePosixPath(_ROBOFLOW.sub(r"\1\2", name.replace("\\", "/")))
    found = _PICTURE.fullmatch(path.name)
    if not found or len(found[2]) > 9:
        return None
    prefix, frame = re.sub(r"[ _.-]+(?:frame|img|image)$", "", found[1], flags=re.IGNORECASE), int(found[2])
    if prefix and not _PLAIN.fullmatch(prefix):
        return _VIDEO.sub(r".\1", prefix), frame
    folder = str(path.parent)
    return (folder if folder not in (".", "") else otherwise), frame


def number(value: object) -> float | None:
    """A finite number of a sane size, from what JSON or XML has for one; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if abs(found) <= _LARGEST else None


def numbers(values: object, count: int) -> list[float] | None:
    """So many numbers, or None if `values` is anything else."""
    found = [number(value) for value in values] if isinstance(values, list | tuple) else []
    return None if len(found) != count or None in found else found


def rotated(box: Sequence[float], degrees: float, center: tuple[float, float] | None = None) -> tuple[float, ...]:
    """The box that encloses a box turned clockwise.

    Args:
        box: x1 y1 x2 y2 in pixels, or other units of the same length in x and y.
        degrees: angle.
        center: of the rotation; that of the box by default.

    Example:
        >>> rotated((0, 10, 100, 30), 90)
        (40.0, -30.0, 60.0, 70.0)
    """
    x1, y1, x2, y2 = box
    if not degrees % 360:
        return x1, y1, x2, y2
    cx, cy = center or ((x1 + x2) / 2, (y1 + y2) / 2)
    cos, sin = (round(f(math.radians(degrees)), 15) for f in (math.cos, math.sin))
    corners = [(x - cx, y - cy) for x in (x1, x2) for y in (y1, y2)]
    xs, ys = [cx + x * cos - y * sin for x, y in corners], [cy + x * sin + y * cos for x, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def texts(value: object) -> tuple[str, ...]:
    """The texts in an attribute's value, whatever holds them; nothing for what means "not set"."""
    items = value if isinstance(value, list | tuple) else [value]
    found = (str(item).lower() if isinstance(item, bool) else str(item).strip() for item in items if item is not None)
    return tuple(text for text in found if text and text != "__undefined__")


def drop_no_action(values: Sequence[Values], attributes: set[str], ignore: set[str], notes: list[str]) -> None:
    """Remove texts that mean that there is no action, and note how many.

    Args:
        values: those of all boxes and spans, which are changed.
        attributes: attributes that hold actions.
        ignore: the texts, in lower case.
        notes: gets a line on what was removed, and on what may mean the same and was kept.
    """
    dropped, kept = Counter(), set()
    for one in {id(one): one for one in values}.values():
        for name in attributes & one.keys():
            unwanted = [text for text in one[name] if text.casefold() in ignore]
            dropped.update(unwanted)
            if unwanted:
                one[name] = tuple(text for text in one[name] if text not in unwanted)
            kept.update(text for text in one[name] if text.casefold() in _UNSURE)
    if dropped:
        found = ", ".join(f"{text} ({count})" for text, count in dropped.most_common())
        notes.append(f"labels that mean no action are ignored: {found}")
    for text in sorted(kept):
        notes.append(f"{text!r} is kept as a class; if it means no action, give --ignore {text}")
