"""The keyframes of an AVA-format dataset with all persons on them: what detectors are trained and measured on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from avsf_det.errors import UserError
from avsf_det.media.source import VideoSource, open_video
from avsf_det.structures import VIDEO_SUFFIXES, Keyframe, Persons
from detectors.given import read_boxes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PersonKeyframe:
    """A moment of a video, and the persons on it."""

    video: Path | VideoSource
    time: float
    persons: Persons


def person_keyframes(dataset_root: str | Path, split: str) -> list[PersonKeyframe]:
    """The split's keyframes, by video and time.

    The dataset has `videos/<video id>.<suffix>` and `annotations/<split>_person_boxes.csv`, or else the ground truth
    `annotations/<split>.csv`; `detectors.given.read_boxes` says what these csv files may look like.

    Raises:
        UserError: if the csv cannot be used, or none of its videos is there.
    """
    root = Path(dataset_root)
    csv = root / "annotations" / f"{split}_person_boxes.csv"
    csv = csv if csv.is_file() else csv.with_name(f"{split}.csv")
    boxes = read_boxes(csv)
    videos = {path.stem: path for path in (root / "videos").glob("*") if path.suffix.lower() in VIDEO_SUFFIXES}
    missing = sorted(boxes.keys() - videos.keys())
    if len(missing) == len(boxes):
        raise UserError(f"{root / 'videos'} has none of the {len(boxes)} videos of {csv}, such as {missing[0]}.mp4")
    if missing:
        logger.warning("%s: %d of %d videos are not there, such as %s", csv, len(missing), len(boxes), missing[0])
    return [
        PersonKeyframe(videos[video], float(time), given.persons(row))
        for video, given in sorted(boxes.items())
        if video in videos
        for row, time in enumerate(given.times)
    ]


def pictures(keyframes: Sequence[PersonKeyframe], at_once: int = 8) -> Iterator[list[Keyframe]]:
    """The pictures of keyframes that are in order, up to `at_once` of a video at a time.

    Raises:
        UserError: if a video cannot be read.
    """
    for video, group in groupby(keyframes, key=lambda keyframe: keyframe.video):
        times = [keyframe.time for keyframe in group]
        with open_video(video) as reader:
            for start in range(0, len(times), at_once):
                span = times[start : start + at_once]
                yield [Keyframe(video.stem, time, image) for time, image in zip(span, reader.frames_at(span))]
