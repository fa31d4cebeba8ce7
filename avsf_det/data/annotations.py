"""A dataset in AVA's format on disk: its folder, its label map, its videos, and the keyframes of a split."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ava_eval.label_map import FOLDER, SHIPPED, LabelMap, read_label_map
from avsf_det.data.ava_csv import join, read_boxes, read_timestamps, some
from avsf_det.data.frame_lists import ListedFrames, read_frame_list
from avsf_det.data.keyframes import AnnotatedKeyframe, Keyframes
from avsf_det.data.video_table import VIDEO_TABLE, recorded_frame_rates
from avsf_det.errors import UserError
from avsf_det.media.source import VideoSource, find_sources

__all__ = ["AnnotatedKeyframe", "AvaFolder", "Keyframes", "read_groundtruth"]

logger = logging.getLogger(__name__)


class AvaFolder:
    """The folder of a dataset.

    Args:
        root: the folder; all other paths are under it, unless they are absolute.
        annotation_dir, video_dir: folders within it.
        label_map_file: name within `annotation_dir`, or one of ava_eval's own such as "ava_v2.2_80".
        groundtruth_file, exclusion_file: names within `annotation_dir`; `{split}` stands for the split.
        scored_label_map_file: as `label_map_file`, the classes that count in mAP; "" for all.
        frame_dir: folder of folders of frames, "" for none.
        frame_lists: PySlowFast's lists of frames, which say in which folder under `frame_dir` a video's are; without
            any, it is the one of its name.
        sound_dir: folder of files with the sound of videos, "" for none; see `find_sources`.
        video_start: second of the film at which files and frames begin; None decides it for each by its length.
        frame_rate: pictures a second of `frame_dir`; 0 for what videos.csv says, or 30, as PySlowFast has it.
        train_split: the split that `train_groundtruth_files` and `train_box_files` are for.
        train_groundtruth_files: ground truth of that split instead of `groundtruth_file`.
        train_box_files: csv files of predicted persons, trained on beside the ground truth where they fit it.
        test_box_file: csv of predicted persons for evaluating, "" for none; `{split}` stands for the split.
        score_threshold: predicted persons below are left out.
        train_negatives: whether predicted boxes that fit nobody are trained on as people without any action.

    Raises:
        UserError: if the folder, its label map or its videos are missing.

    Attributes:
        videos: video id -> where it is.
        listed_frames: video id -> what `frame_lists` say of it.
        label_map, scored_label_map: the classes, and those that count in mAP.
    """

    def __init__(
        self,
        root: str | Path,
        annotation_dir: str = "annotations",
        video_dir: str = "videos",
        label_map_file: str = "label_map.pbtxt",
        groundtruth_file: str = "{split}.csv",
        exclusion_file: str = "{split}_excluded_timestamps.csv",
        *,
        scored_label_map_file: str = "",
        frame_dir: str = "",
        frame_lists: Sequence[str] = (),
        sound_dir: str = "",
        video_start: float | None = 0.0,
        frame_rate: float = 0.0,
        train_split: str = "train",
        train_groundtruth_files: Sequence[str] = (),
        train_box_files: Sequence[str] = (),
        test_box_file: str = "",
        score_threshold: float = 0.8,
        train_negatives: bool = False,
    ) -> None:
        self.root = Path(root)
        self.annotations = self.root / annotation_dir
        self._groundtruth_file, self._exclusion_file = groundtruth_file, exclusion_file
        self._train_split, self._train_groundtruth_files = train_split, train_groundtruth_files
        self._train_box_files, self._test_box_file = train_box_files, test_box_file
        self.score_threshold, self.train_negatives = score_threshold, train_negatives
        self.label_map_path = self._label_map_path(label_map_file)
        self.label_map: LabelMap = read_label_map(self.label_map_path)
        self.scored_label_map_path = self._label_map_path(scored_label_map_file or label_map_file)
        self.scored_label_map: LabelMap = read_label_map(self.scored_label_map_path)
        self._check_scored()
        videos, frames = self.root / video_dir, self.root / frame_dir if frame_dir else None
        if not videos.is_dir() and not (frames and frames.is_dir()):
            nor = f", and so is its folder of frames {frames}" if frames else ""
            raise UserError(f"no dataset at {str(root)!r}: its folder of videos {videos} is missing{nor}")
        sounds = self.root / sound_dir if sound_dir else None
        rates = {} if frame_rate else recorded_frame_rates(self.root / VIDEO_TABLE)
        frame_rate = frame_rate or 30.0
        self.videos: dict[str, VideoSource] = find_sources(videos, frames, sounds, video_start, frame_rate, rates)
        self.listed_frames: dict[str, ListedFrames] = {}
        for name in frame_lists if frames else ():
            self.listed_frames |= read_frame_list(self.root / name)
        for video, listed in self.listed_frames.items():
            self._use_listed(video, frames / listed.folder, video_start, frame_rate)

    @classmethod
    def from_config(cls, cfg: object) -> AvaFolder:
        """The dataset that a configuration's DATA and AVA keys describe.

        Raises:
            UserError: as above, or if a key cannot be used.
        """
        ava = cfg.AVA
        if len(ava.TEST_PREDICT_BOX_LISTS) > 1:
            raise UserError(
                f"AVA.TEST_PREDICT_BOX_LISTS: got {len(ava.TEST_PREDICT_BOX_LISTS)} files, expected one; join them"
            )
        lists = [*ava.TRAIN_LISTS, *ava.TEST_LISTS] if ava.FRAME_LIST_DIR else []
        return cls(
            cfg.DATA.ROOT,
            ava.ANNOTATION_DIR,
            ava.VIDEO_DIR,
            ava.LABEL_MAP_FILE,
            ava.GROUNDTRUTH_FILE,
            ava.EXCLUSION_FILE,
            scored_label_map_file=ava.SCORED_LABEL_MAP_FILE,
            frame_dir=ava.FRAME_DIR,
            frame_lists=[f"{ava.FRAME_LIST_DIR}/{name}" for name in lists],
            sound_dir=ava.SOUND_DIR,
            video_start=_seconds("AVA.VIDEO_START", ava.VIDEO_START),
            frame_rate=ava.FRAME_RATE,
            train_split=cfg.DATA.TRAIN_SPLIT,
            train_groundtruth_files=ava.TRAIN_GT_BOX_LISTS,
            train_box_files=ava.TRAIN_PREDICT_BOX_LISTS,
            test_box_file="".join(ava.TEST_PREDICT_BOX_LISTS),
            score_threshold=ava.DETECTION_SCORE_THRESH,
            train_negatives=ava.TRAIN_INCLUDE_NEGATIVE,
        )

    def _label_map_path(self, name: str) -> Path:
        path = self.annotations / name
        if path.is_file():
            return path
        if name in SHIPPED:
            return FOLDER / SHIPPED[name]
        raise UserError(f"no dataset at {str(self.root)!r}: {path} is missing; set DATA.ROOT to its folder")

    def _check_scored(self) -> None:
        known = dict(zip(self.label_map.ids, self.label_map.names))
        for action_id, name in zip(self.scored_label_map.ids, self.scored_label_map.names):
            if known.get(action_id) != name:
                raise UserError(
                    f"{self.scored_label_map_path}: id {action_id} is {name!r}, and {known.get(action_id)!r} in "
                    f"{self.label_map_path}; expected some of its classes (AVA.SCORED_LABEL_MAP_FILE)"
                )

    def _use_listed(self, video: str, folder: Path, start: float | None, fps: float) -> None:
        """Take a video's frames from the folder that a frame list names."""
        source = self.videos.get(video)
        if source and source.path.is_dir():
            self.videos[video] = replace(source, path=folder)
        else:
            self.videos[video] = VideoSource(folder, start, fps, source and (source.sound or source))

    def groundtruth_path(self, split: str) -> Path:
        """The split's ground truth csv, by which it is evaluated."""
        return self.annotations / self._groundtruth_file.format(split=split)

    def groundtruth_paths(self, split: str) -> list[Path]:
        """The csv files of the split's labels, by which it is trained."""
        names = self._train_groundtruth_files if split == self._train_split else ()
        return [self.annotations / name for name in names] or [self.groundtruth_path(split)]

    def exclusion_path(self, split: str) -> Path | None:
        """The split's csv of excluded timestamps, or None where there is none."""
        path = self.annotations / self._exclusion_file.format(split=split)
        return path if path.is_file() else None

    def train_box_paths(self, split: str) -> list[Path]:
        """The csv files of predicted persons that the split is trained on beside its ground truth.

        PySlowFast's recipes list the ground truth among them a second time, and read its person ids as scores. Its
        boxes are there already, so that this adds nothing; it is passed over here.
        """
        names = self._train_box_files if split == self._train_split else ()
        own = {path.resolve() for path in self.groundtruth_paths(split)}
        paths = [self.annotations / name.format(split=split) for name in names]
        return [path for path in paths if path.resolve() not in own]

    def test_box_path(self, split: str) -> Path | None:
        """The csv of predicted persons that the split is evaluated with, or None for the ground truth's."""
        return self.annotations / self._test_box_file.format(split=split) if self._test_box_file else None

    def keyframes(self, split: str) -> Keyframes:
        """The split's labelled keyframes whose video is there, without excluded ones, by video and time.

        For the training split, predicted persons that fit the ground truth are among the persons; see
        `Keyframes.with_predicted`. Bad rows and missing videos are named in a warning, counted and left out.

        Raises:
            UserError: if a csv cannot be read or nothing is left.
        """
        paths = self.groundtruth_paths(split)
        _require(paths, "set AVA.GROUNDTRUTH_FILE, or AVA.ANNOTATION_DIR for its folder")
        found = read_groundtruth(paths, self.label_map)
        missing = [name for name in found.video_names if name not in self.videos]
        if missing:
            logger.warning("%s: %d videos are not there: %s", paths[0], len(missing), some(missing))
        kept = self.is_present(found) & ~self.is_excluded(found, split)
        if not kept.any():
            raise UserError(f"{paths[0]}: no keyframe of any video in {self.root} is left to use")
        found = found if kept.all() else found.select(kept)
        boxes = self.train_box_paths(split)
        if not boxes:
            return found
        _require(boxes, "set AVA.TRAIN_PREDICT_BOX_LISTS, [] to train on the ground truth alone")
        table = join([read_boxes(path, predicted=True) for path in boxes])
        warn_of_bad(table.bad)
        found, added = found.with_predicted(table, self.score_threshold, self.train_negatives)
        kind = "added, with and without a match" if self.train_negatives else "fit the ground truth"
        logger.info("%s: %d predicted boxes %s", ", ".join(path.name for path in boxes), added, kind)
        return found

    def evaluation_times(self, split: str) -> dict[str, np.ndarray]:
        """The seconds, ascending, at which each video of the split is evaluated.

        They are those of `keyframes`, and where AVA.TEST_PREDICT_BOX_LISTS gives the persons, all of theirs in the same
        videos, as in PySlowFast: whoever is found where nobody is labelled counts as a mistake.

        Raises:
            UserError: if a csv cannot be read or nothing is left.
        """
        times, path = self.keyframes(split).by_video(), self.test_box_path(split)
        if path is None:
            return times
        _require([path], "set AVA.TEST_PREDICT_BOX_LISTS, [] to take the ground truth's boxes")
        table = read_boxes(path, predicted=True)
        excluded = defaultdict(list)
        for video, time in read_timestamps(file) if (file := self.exclusion_path(split)) else ():
            excluded[video].append(time)
        for number, video in enumerate(table.video_names):
            if video in times:
                given = np.setdiff1d(table.times[table.videos == number], excluded[video])
                times[video] = np.union1d(times[video], given)
        return times

    def is_present(self, keyframes: Keyframes) -> np.ndarray:
        """(F,) bool, which keyframes' video is there."""
        return np.array([name in self.videos for name in keyframes.video_names], dtype=bool)[keyframes.videos]

    def is_excluded(self, keyframes: Keyframes, split: str) -> np.ndarray:
        """(F,) bool, which keyframes are among the split's excluded timestamps.

        Raises:
            UserError: if their csv cannot be read.
        """
        excluded = np.zeros(len(keyframes), dtype=bool)
        path = self.exclusion_path(split)
        for video, time in read_timestamps(path) if path else ():
            found = keyframes.find(video, [time])
            excluded[found[found >= 0]] = True
        return excluded


def read_groundtruth(paths: Path | Sequence[Path], label_map: LabelMap) -> Keyframes:
    """The keyframes of AVA ground truth csv files; bad rows are named in a warning, counted and left out.

    Raises:
        UserError: if a file cannot be read or has no good row.
    """
    table = join([read_boxes(path) for path in ([paths] if isinstance(paths, Path) else paths)])
    warn_of_bad(table.bad)
    return Keyframes.from_table(table, label_map.ids)


def warn_of_bad(rows: list[str]) -> None:
    """Name some bad rows in a warning."""
    if rows:
        logger.warning("%d bad rows left out: %s", len(rows), some(rows))


def _require(paths: Sequence[Path], cure: str) -> None:
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}: no such file; {cure}")


def _seconds(key: str, value: str) -> float | None:
    """A number of seconds, or None for "auto"."""
    if value == "auto":
        return None
    try:
        return float(value)
    except ValueError:
        raise UserError(f"{key}: got {value!r}, expected auto or seconds") from None
