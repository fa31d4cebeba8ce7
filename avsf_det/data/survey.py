"""What there is of a dataset on disk: its tables read and its videos probed, each once, for whatever looks at them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from avsf_det.data.annotations import AvaFolder
from avsf_det.data.ava_csv import BoxTable, join, read_boxes
from avsf_det.data.clip import ClipSpec, picture_faults
from avsf_det.data.keyframes import Keyframes
from avsf_det.errors import UserError
from avsf_det.media.frame_folder import frame_names
from avsf_det.media.source import VideoSource, probe_source, start_of
from avsf_det.media.video import VideoInfo

THREADS = 4 * (os.cpu_count() or 1)  # probing waits for the disk more than it computes


@dataclass(frozen=True)
class Split:
    """The labels of a split as they are in its csv, whatever videos are there.

    Attributes:
        name: of the split.
        tables: the rows of each file.
        keyframes: the same by keyframe.
        excluded: (F,) bool, keyframes among the excluded timestamps.
    """

    name: str
    tables: list[BoxTable]
    keyframes: Keyframes
    excluded: np.ndarray

    def first_row(self, video: str, time: float | None = None) -> str:
        """The file and line of the first row of a video, or of its keyframe at `time`; "" where there is none."""
        for table in self.tables:
            if video in table.video_names:
                rows = table.videos == table.video_names.index(video)
                rows = np.flatnonzero(rows if time is None else rows & (table.times == time))
                if len(rows):
                    return f"{table.path}:{table.lines[rows[0]]}"
        return ""


@dataclass(frozen=True)
class ProbedVideo:
    """A video of the dataset.

    Attributes:
        source: where it is.
        times: seconds of its keyframes, ascending.
        start: second of the dataset's clock at which it begins.
        info: what it holds, or None where it cannot be read.
        error: why it cannot be read.
        absent, others: pictures that are missing in a folder of frames, and such as are no frames of it.
        faults: second of a keyframe whose own picture is missing or broken -> which and how.
        clip_faults: the same for those of which only another picture of their clip is broken.
    """

    source: VideoSource
    times: np.ndarray
    start: float = 0.0
    info: VideoInfo | None = None
    error: str = ""
    absent: int = 0
    others: int = 0
    faults: Mapping[float, str] = field(default_factory=dict)
    clip_faults: Mapping[float, str] = field(default_factory=dict)


class Survey:
    """A dataset, and what was found of it.

    Args:
        folder: the dataset.
        splits: names of its splits, the one for training first.
        spec: the clips that are taken from it.
        progress: wraps an iterable of a known length in a progress bar.
    """

    def __init__(
        self,
        folder: AvaFolder,
        splits: Sequence[str],
        spec: ClipSpec,
        progress: Callable[[Iterable, int], Iterable] = lambda items, total: items,
    ) -> None:
        self.folder, self.split_names, self.spec = folder, list(dict.fromkeys(splits)), spec
        self.progress = progress
        self.unread: dict[str, str] = {}

    @classmethod
    def from_config(cls, cfg: object, progress: Callable[[Iterable, int], Iterable] = lambda items, total: items):
        """The dataset and the splits of a configuration.

        Raises:
            UserError: if there is no dataset.
        """
        spec = ClipSpec.from_config(cfg, cfg.DATA.TEST_CROP_SIZE)
        return cls(AvaFolder.from_config(cfg), [cfg.DATA.TRAIN_SPLIT, cfg.DATA.EVAL_SPLIT], spec, progress)

    @cached_property
    def splits(self) -> list[Split]:
        """The splits whose csv can be read; `unread` has the reason for the others."""
        found = []
        for name in self.split_names:
            try:
                tables = [read_boxes(path) for path in self.folder.groundtruth_paths(name)]
                keyframes = Keyframes.from_table(join(tables), self.folder.label_map.ids)
                found.append(Split(name, tables, keyframes, self.folder.is_excluded(keyframes, name)))
            except UserError as error:
                self.unread[name] = str(error)
        return found

    def first_row(self, video: str, time: float) -> str:
        """As that of a `Split`, of whichever has the keyframe."""
        return next((place for split in self.splits if (place := split.first_row(video, time))), "")

    @cached_property
    def videos(self) -> dict[str, ProbedVideo]:
        """The videos with keyframes, of any split, that are there."""
        times: dict[str, list[np.ndarray]] = {}
        for split in self.splits:
            for video, own in split.keyframes.select(~split.excluded).by_video().items():
                if video in self.folder.videos:
                    times.setdefault(video, []).append(own)
        sources = [(self.folder.videos[video], np.unique(np.concatenate(own))) for video, own in times.items()]
        with ThreadPoolExecutor(THREADS) as pool:
            probed = pool.map(lambda item: probe_video(*item, self.spec), sources)
            return dict(zip(times, self.progress(probed, len(sources))))


def probe_video(source: VideoSource, times: np.ndarray, spec: ClipSpec | None = None) -> ProbedVideo:
    """What a video holds, or why it cannot be read; of a folder of frames also what is wrong with its pictures."""
    try:
        start, info = start_of(source), probe_source(source)
        if not source.path.is_dir():
            return ProbedVideo(source, times, start, info)
        names, faults = frame_names(source.path), picture_faults(source, times.tolist())
        others = [time for time in times.tolist() if time not in faults]
        of_clips = picture_faults(source, others, spec)
        return ProbedVideo(source, times, start, info, "", names.absent, names.others, faults, of_clips)
    except UserError as error:
        return ProbedVideo(source, times, error=str(error))
