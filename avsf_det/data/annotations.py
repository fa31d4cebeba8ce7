"""A dataset in AVA's format on disk: its folder, its label map, and the keyframes of a split with their boxes."""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ava_eval.label_map import LabelMap, read_label_map
from avsf_det.errors import UserError
from avsf_det.structures import VIDEO_SUFFIXES, Persons

logger = logging.getLogger(__name__)

COLUMNS = "video,timestamp,x1,y1,x2,y2,action_id,person_id with boxes in 0..1"
SHOWN = 5  # bad rows named in full


@dataclass(frozen=True)
class AnnotatedKeyframe:
    """A labelled moment of a video.

    Attributes:
        video_id: name of the video.
        time: seconds.
        persons: its N persons; `actions` are (N, K) with 1 where an action holds, columns in label map order.
    """

    video_id: str
    time: float
    persons: Persons


class AvaFolder:
    """The folder of a dataset.

    Args:
        root: the folder.
        annotation_dir, video_dir: folders within it.
        label_map_file, groundtruth_file, exclusion_file: names within `annotation_dir`; `{split}` stands for the split.

    Raises:
        UserError: if the folder, its label map or its videos are missing.
    """

    def __init__(
        self,
        root: str | Path,
        annotation_dir: str = "annotations",
        video_dir: str = "videos",
        label_map_file: str = "label_map.pbtxt",
        groundtruth_file: str = "{split}.csv",
        exclusion_file: str = "{split}_excluded_timestamps.csv",
    ) -> None:
        self.root = Path(root)
        self.annotations = self.root / annotation_dir
        self._groundtruth_file, self._exclusion_file = groundtruth_file, exclusion_file
        self.label_map_path = self.annotations / label_map_file
        if not self.label_map_path.is_file():
            raise UserError(
                f"no dataset at {str(root)!r}: {self.label_map_path} is missing; set DATA.ROOT to its folder"
            )
        self.label_map: LabelMap = read_label_map(self.label_map_path)
        videos = self.root / video_dir
        if not videos.is_dir():
            raise UserError(f"no dataset at {str(root)!r}: its folder of videos {videos} is missing")
        self.videos = {p.stem: p for p in sorted(videos.iterdir()) if p.suffix.lower() in VIDEO_SUFFIXES}

    @classmethod
    def from_config(cls, cfg: object) -> AvaFolder:
        """The dataset that a configuration's DATA.ROOT and AVA keys describe."""
        return cls(
            cfg.DATA.ROOT,
            cfg.AVA.ANNOTATION_DIR,
            cfg.AVA.VIDEO_DIR,
            cfg.AVA.LABEL_MAP_FILE,
            cfg.AVA.GROUNDTRUTH_FILE,
            cfg.AVA.EXCLUSION_FILE,
        )

    def groundtruth_path(self, split: str) -> Path:
        """The split's ground truth csv."""
        return self.annotations / self._groundtruth_file.format(split=split)

    def exclusion_path(self, split: str) -> Path | None:
        """The split's csv of excluded timestamps, or None where there is none."""
        path = self.annotations / self._exclusion_file.format(split=split)
        return path if path.is_file() else None

    def keyframes(self, split: str) -> list[AnnotatedKeyframe]:
        """The split's labelled keyframes whose video is there, without excluded ones, by video and time.

        Bad rows and missing videos are named in a warning, counted and left out.

        Raises:
            UserError: if the csv cannot be read or nothing is left.
        """
        path = self.groundtruth_path(split)
        excluded = set(_excluded(self.exclusion_path(split)))
        keyframes, missing = [], set()
        for (video_id, time), persons in sorted(read_groundtruth(path, self.label_map).items()):
            if video_id not in self.videos:
                missing.add(video_id)
            elif (video_id, time) not in excluded:
                keyframes.append(AnnotatedKeyframe(video_id, time, persons))
        if missing:
            logger.warning("%s: %d videos are not there: %s", path, len(missing), _some(sorted(missing)))
        if not keyframes:
            raise UserError(f"{path}: no keyframe of any video in {self.root} is left to use")
        return keyframes


def read_groundtruth(path: Path, label_map: LabelMap) -> dict[tuple[str, float], Persons]:
    """The persons of each labelled keyframe of an AVA ground truth csv.

    Rows are video,timestamp,x1,y1,x2,y2,action_id[,person_id]; rows of one keyframe with the same box and person id
    are one person. Rows of two columns, keyframes without persons, are passed over. Rows whose action is not in the
    label map give a person without that action, as AVA's 80 classes do where 60 are scored.

    Raises:
        UserError: if the file cannot be read or has no good row.
    """
    columns = {action_id: column for column, action_id in enumerate(label_map.ids)}
    found: dict[tuple[str, float], dict[tuple, set[int]]] = {}
    bad = []
    for number, row in _rows(path):
        if len(row) == 2:
            continue
        try:
            video, time, box, action, person = _parse(row)
        except ValueError as error:
            bad.append(f"{path}:{number}: {error}")
            continue
        actions = found.setdefault((video, time), {}).setdefault((person, *box), set())
        if action in columns:
            actions.add(columns[action])
    if bad:
        logger.warning("%d bad rows left out: %s", len(bad), _some(bad))
    if not found:
        raise UserError(f"{path}: no usable row; expected {COLUMNS}" + (f"; first: {bad[0]}" if bad else ""))
    return {key: _persons(persons, len(columns)) for key, persons in found.items()}


def _parse(row: list[str]) -> tuple[str, float, tuple[float, ...], int, int]:
    if len(row) not in (7, 8):
        raise ValueError(f"got {len(row)} columns, expected {COLUMNS}")
    try:
        time, *box = (float(value) for value in row[1:6])
    except ValueError:
        raise ValueError(f"got {','.join(row[1:6])} for timestamp and box, expected five numbers") from None
    if not all(map(math.isfinite, (time, *box))):
        raise ValueError(f"got {','.join(row[1:6])}, expected finite numbers")
    if max(box) > 2:
        raise ValueError(f"box {','.join(row[2:6])} looks like pixels, expected shares of the picture within 0..1")
    box = [min(max(value, 0.0), 1.0) for value in box]
    if box[0] >= box[2] or box[1] >= box[3]:
        raise ValueError(f"box {','.join(row[2:6])} is empty or outside the picture, expected x1 < x2 and y1 < y2")
    try:
        action, person = int(row[6]), int(float(row[7])) if len(row) == 8 and row[7] else -1
    except (ValueError, OverflowError):
        raise ValueError(f"got {','.join(row[6:])} for action and person, expected whole numbers") from None
    if abs(person) >= 2**63:
        raise ValueError(f"person id {person} is too large, expected at most 64 bits")
    return row[0], time, tuple(box), action, person


def _persons(persons: dict[tuple, set[int]], num_classes: int) -> Persons:
    actions = np.zeros((len(persons), num_classes))
    for row, columns in enumerate(persons.values()):
        actions[row, list(columns)] = 1
    return Persons(
        boxes=[key[1:] for key in persons],
        scores=np.ones(len(persons)),
        ids=[key[0] for key in persons],
        actions=actions,
    )


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            for row in reader:
                if row:
                    yield reader.line_num, row
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as csv: {error}") from None


def _excluded(path: Path | None) -> Iterator[tuple[str, float]]:
    for number, row in _rows(path) if path else ():
        try:
            yield row[0], float(row[1])
        except (IndexError, ValueError):
            raise UserError(f"{path}:{number}: got {','.join(row)}, expected video,timestamp") from None


def _some(items: list[str]) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return "; ".join(items[:SHOWN]) + more
