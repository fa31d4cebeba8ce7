"""Exports whose images are frames of videos: which video and frame an image is, and boxes joined to tracks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avsf_det.data.importers.clock import FRAMES, Clock
from avsf_det.data.importers.export import (
    SHARES,
    UPLOAD,
    Export,
    ExportedVideo,
    Span,
    Track,
    Values,
    picture_place,
    split_of,
)

_FOLDERS = {"labels", "images", "annotations", "jpegimages", "imagesets", "obj_train_data", "data", "default", "frames"}
_FOLDERS |= {"train", "training", "val", "valid", "validation", "test", "testing", "json", "xml", "img", "rgb"}
_FROM_ZERO = re.compile(r"(?:.*/)?frame_\d{6}(?:\.PNG)?|.*\.rf\.\w+\.\w+")  # CVAT's and Roboflow's names

NO_NUMBER = "no frame number in its name, expected such as <video>/000012.jpg"


@dataclass
class Frame:
    """An image of an export.

    Attributes:
        video: the video that it is a frame of.
        number: its frame number.
        scale: (4,) from pixels of the image to the video's unit.
    """

    video: ExportedVideo
    number: float
    scale: np.ndarray

    def add(self, box: Sequence[float], values: Values, where: str, person: str = "") -> None:
        """Add a box x1 y1 x2 y2 in pixels of the image; where its size is unknown, of the video."""
        self.video.tracks.append(Track([self.number], [np.asarray(box) * self.scale], [values], where, person))

    def tag(self, values: Values, where: str) -> None:
        """Add labels of the whole frame."""
        self.video.spans.append(Span(self.number, self.number + 1, values, where))


class FrameVideos:
    """The videos of an export whose images are frames.

    Args:
        export: gets the videos, in the order of their first images, and a line on each image without a frame number.
        file: the export's file or folder, for messages; it stands for the video where no image names one.
        stem: its name without suffix, which may be the video's.
        in_fractions: whether boxes are fractions of the image, whatever its size.
    """

    def __init__(self, export: Export, file: str, stem: str, in_fractions: bool = False) -> None:
        self._export, self._file, self._stem, self._in_fractions = export, file, stem, in_fractions
        self._by_name: dict[str, ExportedVideo] = {}

    def frame(
        self,
        name: str,
        where: str,
        size: tuple[float, float] | None = None,
        split: str = "",
        number: float | None = None,
    ) -> Frame | None:
        """The frame that an image is; None, and a line in the export, if its name has no number and `number` is None.

        Args:
            name: the image's path, as the export has it.
            where: file and element.
            size: width and height of the image, None if unknown.
            split: the video's, if the export has one; else folders in the path may say it.
            number: frame number for names without one.
        """
        found = picture_place(name, "")
        if found is None and number is None:
            self._export.bad.append(f"{where}: {NO_NUMBER} (got {name})")
            return None
        own, number = found if found else ("", number)
        video = self._by_name.get(own)
        if video is None:
            names = _video_names(own)
            clock = Clock(FRAMES, 0 if _FROM_ZERO.fullmatch(name) else None)
            picture, unnamed = SHARES if self._in_fractions else size, "" if names and names[-1] else self._file
            video = ExportedVideo(names if not unnamed else (*names[:-1], self._stem), where, clock, picture)
            video.unnamed = unnamed
            self._by_name[own] = video
            self._export.videos.append(video)
        video.split = video.split or split_of(*name.replace("\\", "/").split("/")[:-1]) or split
        scale = np.ones(4)
        if size and video.picture and not self._in_fractions:
            scale = np.tile(np.array(video.picture) / size, 2)
        return Frame(video, float(number), scale)

    def finish(self) -> None:
        """Join boxes of a person to tracks and labels of neighboring frames to spans; note what numbers mean."""
        for video in self._export.videos:
            video.tracks, video.spans = join_boxes(video.tracks), join_spans(video.spans)
        if self._by_name:
            self._export.notes.append(
                f"{self._file}: frame numbers in image names are taken as the video's own frames, counted from 0 if "
                "there is a number 0 or the names are CVAT's or Roboflow's, else from 1; if the frames were extracted "
                "at another rate, give it as --frame-rate"
            )


def _video_names(own: str) -> tuple[str, ...]:
    """What a video may be called: by the folders of its frames also without usual ones; the last is "" if all are."""
    parts = own.split("/")
    while parts and parts[-1].lower() in _FOLDERS:
        parts.pop()
    last = parts[-1] if parts else ""
    uploaded = (UPLOAD.sub("", last),) if UPLOAD.match(last) else ()
    return tuple(dict.fromkeys(name for name in (own, "/".join(parts), *uploaded) if name or not last))


def join_boxes(tracks: Sequence[Track]) -> list[Track]:
    """Tracks of single boxes joined by person; labels of the same box of a person at the same place are united.

    Different boxes of a person at the same place are in different tracks with that person's id.
    """
    joined: list[list[Track]] = []
    layers: dict[tuple[str, int], int] = {}
    at: dict[tuple, list[Track]] = {}
    for track in tracks:
        person, place = track.person, float(track.places[0])
        if not person or len(track.places) != 1:
            joined.append([track])
            continue
        boxes = at.setdefault((person, place), [])
        same = next((other for other in boxes if np.allclose(other.boxes, track.boxes)), None)
        if same:
            both = (same.values[0], track.values[0])
            names = dict.fromkeys([*both[0], *both[1]])
            same.values[0] = {n: tuple(dict.fromkeys(t for v in both for t in v.get(n, ()))) for n in names}
            continue
        boxes.append(track)
        key = person, len(boxes) - 1
        if key not in layers:
            layers[key] = len(joined)
            joined.append([])
        joined[layers[key]].append(track)
    return [
        Track(
            np.concatenate([track.places for track in group]),
            np.concatenate([track.boxes for track in group]),
            [value for track in group for value in track.values],
            group[0].where,
            group[0].person,
            np.concatenate([track.shown for track in group]),
            group[0].interpolated,
        )
        for group in joined
    ]


def join_spans(spans: Sequence[Span]) -> list[Span]:
    """Spans, those with the same labels joined where one ends as the next starts."""
    joined: dict[tuple, Span] = {}
    kept = []
    for span in sorted(spans, key=lambda span: -1.0 if span.start is None else span.start):
        key = tuple(sorted(span.values.items()))
        last = joined.get(key)
        if last and last.end is not None and last.end == span.start:
            last.end = span.end
        else:
            joined[key] = span
            kept.append(span)
    return kept
