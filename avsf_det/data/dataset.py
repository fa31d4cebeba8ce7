"""The labelled keyframes of a split as training samples."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from avsf_det.data.annotations import AnnotatedKeyframe
from avsf_det.data.batch import Sample
from avsf_det.data.cache import ClipCache
from avsf_det.data.clip import Clip, ClipSpec, misaligned_center, read_clips, read_log_mel
from avsf_det.data.transforms import TrainTransform
from avsf_det.errors import UserError
from avsf_det.media.video import probe

_PROBES = 8  # videos opened at once when all are looked at: mostly waiting for the disk


@dataclass(frozen=True)
class Run:
    """Samples of one video that are read together in an epoch.

    Attributes:
        epoch: which one.
        indices: of the samples, in order of time.
    """

    epoch: int
    indices: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)


class ActionDataset:
    """The labelled keyframes of a split as training samples.

    What is random about sample i in epoch e follows from (seed, e, i) alone, whichever process reads it.

    Args:
        keyframes: what to read; those of a video stand together, in order of time.
        videos: video id -> file.
        spec: what clips are made of; the short side is that of the largest scale wanted.
        transform: the augmentation.
        seed: of the augmentation.
        cache: folder that keeps decoded clips, or None to decode each time.
        misaligned_gap: seconds that the sound of a negative is away from the clip's at least; None for no negatives.

    Attributes:
        video_numbers: (S,) int, which of the split's videos each sample is of.
        times: (S,) float64, seconds of each sample.
    """

    def __init__(
        self,
        keyframes: Sequence[AnnotatedKeyframe],
        videos: dict[str, Path],
        spec: ClipSpec,
        transform: TrainTransform,
        seed: int,
        cache: Path | None = None,
        misaligned_gap: float | None = None,
    ) -> None:
        self._keyframes, self._videos, self.spec = keyframes, videos, spec
        self._transform, self._seed, self._misaligned_gap = transform, seed, misaligned_gap
        self._cache = ClipCache(cache, spec) if cache else None
        self._durations: dict[str, float] = {}
        places = [(keyframe.video_id, keyframe.time) for keyframe in keyframes]
        names, self.video_numbers = np.unique([video_id for video_id, _ in places], return_inverse=True)
        self._video_ids: list[str] = names.tolist()
        self.times = np.array([time for _, time in places], dtype=np.float64)
        self._kept = np.arange(len(keyframes))

    def __len__(self) -> int:
        return len(self._kept)

    def class_counts(self) -> np.ndarray:
        """(K,) labels of each class."""
        return sum(self._keyframes[index].persons.actions.sum(axis=0) for index in self._kept)

    def describe(self, run: Run) -> str:
        """The video and the times of a run in words, for errors."""
        times = self.times[run.indices]
        span = f"{times[0]:g} s" if len(run) == 1 else f"{times[0]:g} to {times[-1]:g} s"
        return f"{self._path(run.indices[0])} at {span}"

    def _path(self, index: int) -> Path:
        return self._videos[self._video_ids[self.video_numbers[index]]]

    def read(self, run: Run) -> list[Sample | UserError]:
        """The samples of a run, or of each that cannot be read what is wrong with it."""
        clips = self._clips(self._path(run.indices[0]), self.times[run.indices].tolist())
        return [self._sample(run.epoch, index, clip) for index, clip in zip(run.indices.tolist(), clips)]

    def _clips(self, path: Path, times: list[float]) -> list[Clip | UserError]:
        try:
            if self._cache:
                return [self._cache.get(path, time) for time in times]
            return list(read_clips(path, times, self.spec))
        except UserError as error:
            if len(times) == 1:
                return [error]
            return [clip for time in times for clip in self._clips(path, [time])]

    def _sample(self, epoch: int, index: int, clip: Clip | UserError) -> Sample | UserError:
        keyframe = self._keyframes[self._kept[index]]
        own = self._seed, epoch, int(self._kept[index])
        try:
            if isinstance(clip, UserError):
                raise clip
            sample = Sample(
                frames=torch.from_numpy(clip.frames),
                log_mel=None if clip.log_mel is None else torch.from_numpy(clip.log_mel),
                boxes=torch.from_numpy(keyframe.persons.boxes),
                labels=torch.from_numpy(keyframe.persons.actions),
                misaligned=self._negative(keyframe, _generator(*own, 1)) if self._misaligned_gap else None,
                video_id=keyframe.video_id,
                time=keyframe.time,
            )
            return self._transform(sample, _generator(*own))
        except UserError as error:
            return UserError(f"{keyframe.video_id} at {keyframe.time:g} s: {error}")

    def _negative(self, keyframe: AnnotatedKeyframe, generator: torch.Generator) -> torch.Tensor | None:
        """The log-mel of another moment of the file, drawn anew at each call."""
        path = self._videos[keyframe.video_id]
        if path not in self._durations:
            self._durations[path] = probe(path).duration
        draw = torch.rand((), generator=generator).item()
        center = misaligned_center(keyframe.time, self._durations[path], self.spec, self._misaligned_gap, draw)
        return None if center is None else read_log_mel(path, center, self.spec)

    @property
    def videos(self) -> list[str]:
        """Ids of the videos that have samples."""
        return [self._video_ids[number] for number in np.unique(self.video_numbers)]

    def unreadable(self, progress: Callable[[Iterable, int], Iterable] = lambda items, total: items) -> dict[str, str]:
        """The videos that do not open, and why; with a cache, each clip that is not in it yet is decoded.

        Args:
            progress: wraps what is done for each of so many videos in a progress bar.
        """
        numbers = np.unique(self.video_numbers)
        with ThreadPoolExecutor(1 if self._cache else _PROBES) as threads:
            errors = list(progress(threads.map(self._check, numbers), len(numbers)))
        return {self._video_ids[number]: str(error) for number, error in zip(numbers, errors) if error is not None}

    def leave_out(self, videos: Collection[str]) -> None:
        """Forget the samples of some videos."""
        gone = [number for number, video_id in enumerate(self._video_ids) if video_id in videos]
        good = ~np.isin(self.video_numbers, gone)
        self._kept, self.video_numbers, self.times = self._kept[good], self.video_numbers[good], self.times[good]

    def _check(self, number: int) -> UserError | None:
        path = self._videos[self._video_ids[number]]
        try:
            if self._cache:
                self._cache.fill(path, self.times[self.video_numbers == number].tolist())
            else:
                self._durations[path] = probe(path).duration
        except UserError as error:
            return error
        return None


def _generator(*seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(hash(seed) % 2**63)
