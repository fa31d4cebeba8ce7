"""What training and testing read of videos, and the labelled keyframes of a split as training samples."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from avsf_det.data.batch import Sample
from avsf_det.data.cache import ClipCache
from avsf_det.data.clip import Clip, ClipSpec, misaligned_center, read_clips, read_log_mel, within_video
from avsf_det.data.keyframes import AnnotatedKeyframe, Keyframes
from avsf_det.data.transforms import TrainTransform
from avsf_det.errors import UserError
from avsf_det.media.source import VideoSource, probe_source, start_of

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


@dataclass(frozen=True)
class Unusable:
    """Samples that there is nothing to read for.

    Attributes:
        samples: (U,) their indices.
        videos: why each video that does not open does not.
        beyond: for each video that ends before some of its keyframes, a line that says so.
    """

    samples: np.ndarray
    videos: dict[str, str]
    beyond: list[str]


class VideoSamples(ABC):
    """Samples of the videos of a split.

    Args:
        video_names: all videos.
        video_numbers: (S,) int, the video that each sample is of.
        times: (S,) float64, seconds of each sample.
        spec: what clips are made of.

    Attributes:
        video_numbers, times, spec: the same.
    """

    def __init__(
        self, video_names: Sequence[str], video_numbers: np.ndarray, times: np.ndarray, spec: ClipSpec
    ) -> None:
        self._names, self.video_numbers, self.times, self.spec = video_names, video_numbers, times, spec
        self._kept = np.arange(len(times))

    def __len__(self) -> int:
        return len(self._kept)

    def content(self) -> dict[str, object]:
        """What identifies the samples, wherever their folder is: how many, and a hash of their videos and times."""
        names = [str(self._names[video]) for video in self.video_numbers.tolist()]
        folders = {os.path.dirname(name) for name in names if os.path.isabs(name)}
        root = os.path.commonpath(folders) if folders else ""
        digest = hashlib.sha256()
        for name, time in zip(names, self.times.tolist()):
            relative = os.path.relpath(name, root) if os.path.isabs(name) else name
            digest.update(f"{relative}\n{time!r}\n".encode("utf-8", "surrogateescape"))
        return {"samples": len(names), "sha256": digest.hexdigest()}

    @abstractmethod
    def read(self, run: Run) -> list[Sample | UserError]:
        """The samples of a run, or of each that cannot be read what is wrong with it."""

    @abstractmethod
    def _source(self, video: int) -> Path | VideoSource:
        """Where a video is."""

    @abstractmethod
    def _check(self, video: int, own: np.ndarray) -> tuple[np.ndarray, str | None, str | None]:
        """Of a video and its samples: those that are unusable, why it does not open, and what lies beyond its end."""

    def describe(self, run: Run) -> str:
        """The video and the times of a run in words, for errors."""
        times = self.times[run.indices]
        span = f"{times[0]:g} s" if len(run) == 1 else f"{times[0]:g} to {times[-1]:g} s"
        return f"{self._source(self.video_numbers[run.indices[0]])} at {span}"

    def find_unusable(
        self, progress: Callable[[Iterable, int], Iterable] = lambda items, total: items, threads: int = _PROBES
    ) -> Unusable:
        """The samples whose video does not open or ends before them.

        Args:
            progress: wraps what is done for each of so many videos in a progress bar.
            threads: videos that are looked at at once.
        """
        order = np.argsort(self.video_numbers, kind="stable")
        numbers, starts = np.unique(self.video_numbers[order], return_index=True)
        groups = np.split(order, starts[1:])
        with ThreadPoolExecutor(threads) as pool:
            found = list(progress(pool.map(self._check, numbers.tolist(), groups), len(numbers)))
        return Unusable(
            np.concatenate([samples for samples, _, _ in found]),
            {self._names[number]: error for number, (_, error, _) in zip(numbers.tolist(), found) if error},
            [beyond for _, _, beyond in found if beyond],
        )

    def leave_out(self, samples: np.ndarray) -> None:
        """Forget samples.

        Args:
            samples: (U,) their indices; those behind them move up.
        """
        self.keep(np.delete(np.arange(len(self)), samples))

    def keep(self, samples: np.ndarray) -> None:
        """Forget all other samples.

        Args:
            samples: (S,) the indices of those that stay.
        """
        for name in ("_kept", "video_numbers", "times"):
            setattr(self, name, getattr(self, name)[samples])


class ActionDataset(VideoSamples):
    """The labelled keyframes of a split as training samples.

    What is random about sample i in epoch e follows from (seed, e, i) alone, whichever process reads it.

    Args:
        keyframes: what to read; those of a video stand together, in order of time.
        videos: video id -> file or source.
        spec: what clips are made of; the short side is that of the largest scale wanted.
        transform: the augmentation.
        seed: of the augmentation.
        cache: folder that keeps decoded clips, or None to decode each time.
        misaligned_gap: seconds that the sound of a negative is away from the clip's at least; None for no negatives.
    """

    def __init__(
        self,
        keyframes: Keyframes,
        videos: dict[str, Path | VideoSource],
        spec: ClipSpec,
        transform: TrainTransform,
        seed: int,
        cache: Path | None = None,
        misaligned_gap: float | None = None,
    ) -> None:
        super().__init__(keyframes.video_names, keyframes.videos, keyframes.times, spec)
        self._keyframes, self._videos = keyframes, videos
        self._transform, self._seed, self._misaligned_gap = transform, seed, misaligned_gap
        self._cache = ClipCache(cache, spec) if cache else None
        self._durations: dict[Path | VideoSource, float] = {}

    def class_counts(self) -> np.ndarray:
        """(K,) labels of each class."""
        return self._keyframes.select(self._kept).class_counts

    def _source(self, video: int) -> Path | VideoSource:
        return self._videos[self._names[video]]

    def read(self, run: Run) -> list[Sample | UserError]:
        """The samples of a run, or of each that cannot be read what is wrong with it."""
        clips = self._clips(self._source(self.video_numbers[run.indices[0]]), self.times[run.indices].tolist())
        return [self._sample(run.epoch, index, clip) for index, clip in zip(run.indices.tolist(), clips)]

    def _clips(self, path: Path | VideoSource, times: list[float]) -> list[Clip | UserError]:
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
                misaligned=self._negative(keyframe, seeded(*own, 1)) if self._misaligned_gap else None,
                video_id=keyframe.video_id,
                time=keyframe.time,
            )
            return self._transform(sample, seeded(*own))
        except UserError as error:
            return UserError(f"{keyframe.video_id} at {keyframe.time:g} s: {error}")

    def _negative(self, keyframe: AnnotatedKeyframe, generator: torch.Generator) -> torch.Tensor | None:
        """The log-mel of another moment of the file, drawn anew at each call."""
        path = self._videos[keyframe.video_id]
        if path not in self._durations:
            self._durations[path] = probe_source(path).duration
        draw = torch.rand((), generator=generator).item()
        end, begin = self._durations[path], start_of(path)
        center = misaligned_center(keyframe.time, end, self.spec, self._misaligned_gap, draw, begin)
        return None if center is None else read_log_mel(path, center, self.spec)

    def find_unusable(
        self, progress: Callable[[Iterable, int], Iterable] = lambda items, total: items, threads: int = _PROBES
    ) -> Unusable:
        """As `VideoSamples.find_unusable`; with a cache, all other clips are decoded into it."""
        return super().find_unusable(progress, 1 if self._cache else threads)

    def _check(self, video: int, own: np.ndarray) -> tuple[np.ndarray, str | None, str | None]:
        source = self._source(video)
        try:
            within, beyond = within_video(source, self.times[own].tolist(), self.spec)
            if self._cache:
                self._cache.fill(source, within)
        except UserError as error:
            return own, str(error), None
        return own[~np.isin(self.times[own], within)], None, beyond


def seeded(*seed: int) -> torch.Generator:
    """A source of randomness that follows from these numbers."""
    return torch.Generator().manual_seed(hash(seed) % 2**63)
