"""The keyframes of a dataset's split with all persons on them: what detectors are trained and measured on."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsf_det.errors import UserError
from avsf_det.media.source import VideoSource
from avsf_det.structures import Persons
from detectors.given import VideoBoxes, read_boxes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PersonKeyframe:
    """A moment of a video, and the persons on it."""

    video_id: str
    time: float
    persons: Persons


class PersonKeyframes(Sequence[PersonKeyframe]):
    """K keyframes with N persons in all, by video and time; in arrays, so that worker processes get them cheaply.

    Args:
        boxes: the persons of each video by its id. Rows of one box, as ground truth has for a person's actions, are
            one person, whatever their ids.
        videos: where each video is, by its id; none where no picture is needed.

    Attributes:
        video_ids: of the videos, in order.
        videos: as given.
        times: (K,) float64, seconds.
        counts: (K,) int64, persons of each keyframe.
    """

    def __init__(self, boxes: Mapping[str, VideoBoxes], videos: Mapping[str, Path | VideoSource] | None = None) -> None:
        self.video_ids = sorted(boxes)
        self.videos = videos or {}
        given = [boxes[video_id] for video_id in self.video_ids]
        persons = [list(dict.fromkeys(box for _, box, _ in found)) for video in given for found in video.found]
        self.times = np.concatenate([video.times for video in given])
        self.counts = np.array([len(some) for some in persons])
        self._ends = np.cumsum(self.counts)
        self._boxes = np.array([box for some in persons for box in some], np.float32).reshape(-1, 4)
        self._starts = np.cumsum([0] + [len(video.times) for video in given])  # of the videos

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, row: int) -> PersonKeyframe:
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        row %= len(self)
        boxes = self._boxes[self._ends[row] - self.counts[row] : self._ends[row]]
        video_id = self.video_ids[np.searchsorted(self._starts, row, "right") - 1]
        return PersonKeyframe(video_id, float(self.times[row]), Persons(boxes, np.ones(len(boxes))))

    def by_video(self) -> Iterator[tuple[str, range]]:
        """Each video with its rows."""
        for video_id, start, end in zip(self.video_ids, self._starts, self._starts[1:]):
            yield video_id, range(start, end)


def person_keyframes(
    boxes: Path, videos: Mapping[str, Path | VideoSource] | None = None, excluded: Path | None = None
) -> PersonKeyframes:
    """The keyframes of a csv; a time that has no box is a keyframe without persons.

    Args:
        boxes: what `detectors.given.read_boxes` reads, such as AVA's ground truth.
        videos: by their ids; keyframes of others are left out, and named in a warning. None takes all.
        excluded: csv of video,timestamp: keyframes to leave out.

    Raises:
        UserError: if a csv cannot be used, or nothing is left.
    """
    found = read_boxes(boxes)
    missing = sorted(found.keys() - videos.keys()) if videos is not None else []
    if missing and len(missing) == len(found):
        raise UserError(f"none of the {len(found)} videos of {boxes} is there, such as {missing[0]}.mp4")
    if missing:
        logger.warning("%s: %d of %d videos are not there, such as %s", boxes, len(missing), len(found), missing[0])
    left_out = _timestamps(excluded) if excluded else set()
    kept = {}
    for video_id in found.keys() - missing:
        video = found[video_id]
        rows = [row for row, time in enumerate(video.times) if (video_id, time) not in left_out]
        if rows:
            kept[video_id] = VideoBoxes(video.times[rows], [video.found[row] for row in rows])
    if not kept:
        raise UserError(f"{boxes}: {excluded} excludes all of its keyframes; expected some to be left")
    return PersonKeyframes(kept, videos)


def _timestamps(path: Path) -> set[tuple[str, float]]:
    """The videos and seconds of a csv."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return {(row[0], float(row[1])) for row in csv.reader(file) if row}
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error}); expected a csv of video,timestamp") from None
