"""The labelled clips of a split as training samples, and as the views that are tested."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from avsf_det.data.batch import Sample
from avsf_det.data.classification.clips import LabelledClips
from avsf_det.data.classification.views import Stretch, crop_places, uniform_crop
from avsf_det.data.clip import Clip, ClipSpec, misaligned_center, read_clips, read_log_mel
from avsf_det.data.dataset import Run, VideoSamples, seeded
from avsf_det.data.transforms import TrainTransform
from avsf_det.errors import UserError
from avsf_det.media.source import probe_source


class _ClipSamples(VideoSamples):
    """Samples of labelled clips, each read by itself.

    Args:
        clips: what to read.
        root: the folder that its videos' paths are under.
        spec: what clips are made of.

    Attributes:
        clips, root: the same.
    """

    def __init__(self, clips: LabelledClips, root: Path, spec: ClipSpec) -> None:
        super().__init__(clips.video_names, clips.videos, clips.starts, spec)
        self.clips, self.root = clips, root
        self._durations: dict[int, float] = {}

    def class_counts(self) -> np.ndarray:
        """(K,) int64, how many clips have each label."""
        return self.clips.class_counts(self._kept)

    def _source(self, video: int) -> Path:
        return self.root / self._names[video]

    def _stretch(self, number: int) -> tuple[Path, Stretch, float]:
        """Of a clip of the table its video, its seconds, and the second at which the video ends."""
        video, start, end = (
            column[number].item() for column in (self.clips.videos, self.clips.starts, self.clips.ends)
        )
        path = self._source(video)
        if video not in self._durations:
            self._durations[video] = probe_source(path).duration
        last = self._durations[video]
        return path, Stretch(start, last, True) if np.isnan(end) else Stretch(start, min(end, last), False), last

    def _check(self, video: int, own: np.ndarray) -> tuple[np.ndarray, str | None, str | None]:
        try:
            end = probe_source(self._source(video)).duration
        except UserError as error:
            return own, str(error), None
        beyond = own[self.times[own] >= end]
        if not len(beyond):
            return beyond, None, None
        first = self.clips.place(self._kept[beyond[0]])
        return beyond, None, f"{first}: {self._source(video)} ends at {end:.1f} s, before {len(beyond)} of its clips"

    def _sample(self, number: int, center: float, clip: Clip) -> Sample:
        half = self.spec.duration / 2
        return Sample(
            frames=torch.from_numpy(clip.frames),
            log_mel=None if clip.log_mel is None else torch.from_numpy(clip.log_mel),
            boxes=torch.zeros(0, 4),
            labels=torch.from_numpy(self.clips.labels(number, center - half, center + half))[None],
            video_id=self._names[self.clips.videos[number]],
            time=center,
        )


class ClipDataset(_ClipSamples):
    """The labelled clips of a split as training samples: of each the frames and the sound of a random moment.

    What is random about sample i in epoch e follows from (seed, e, i) alone, whichever process reads it. Where labels
    hold for a while, a sample has those that hold while it lasts.

    Args:
        clips: what to read.
        root: the folder that its videos' paths are under.
        spec: what clips are made of; the short side is that of the largest scale wanted.
        transform: the augmentation.
        seed: of moments and augmentation.
        misaligned_gap: seconds that the sound of a negative is away from the clip's at least; None for no negatives.
    """

    def __init__(
        self,
        clips: LabelledClips,
        root: Path,
        spec: ClipSpec,
        transform: TrainTransform,
        seed: int,
        misaligned_gap: float | None = None,
    ) -> None:
        super().__init__(clips, root, spec)
        self._transform, self._seed, self._misaligned_gap = transform, seed, misaligned_gap

    def read(self, run: Run) -> list[Sample | UserError]:
        """The samples of a run, or of each that cannot be read what is wrong with it."""
        return [self._random(run.epoch, self._kept[index].item()) for index in run.indices]

    def _random(self, epoch: int, number: int) -> Sample | UserError:
        moment, negative = seeded(self._seed, epoch, number, 2), seeded(self._seed, epoch, number, 1)
        try:
            path, stretch, end = self._stretch(number)
            center = stretch.center(torch.rand((), generator=moment).item(), self.spec.duration)
            (clip,) = read_clips(path, [center], self.spec)
            sample = self._sample(number, center, clip)
            if self._misaligned_gap:
                draw = torch.rand((), generator=negative).item()
                other = misaligned_center(center, end, self.spec, self._misaligned_gap, draw)
                if other is not None:
                    sample = replace(sample, misaligned=read_log_mel(path, other, self.spec))
            return self._transform(sample, seeded(self._seed, epoch, number))
        except UserError as error:
            return UserError(f"{self.clips.place(number)}: {error}")


class ClipViews(_ClipSamples):
    """The labelled clips of a split as they are tested: views at even moments of each, each cut at even places.

    Moment i of N begins at the share i / N of what a clip is longer than a view, so that the last ends before it
    (PySlowFast datasets/decoder.py `get_start_end_idx`); a single one is in the middle. Views have all labels of their
    clip, whenever these hold.

    Args:
        clips: what to read.
        root: the folder that its videos' paths are under.
        spec: what views are made of.
        num_views: moments of each clip.
        num_crops: cuts of each view: 3 are left, centre and right, or top, centre and bottom; 1 the centre.
        crop_size: pixels of a cut's sides, at most `spec.short_side`.

    Raises:
        UserError: if `num_views` or `num_crops` is something else.
    """

    def __init__(
        self, clips: LabelledClips, root: Path, spec: ClipSpec, num_views: int, num_crops: int, crop_size: int
    ) -> None:
        super().__init__(clips, root, spec)
        if num_views < 1:
            raise UserError(f"TEST.NUM_ENSEMBLE_VIEWS: got {num_views}, expected 1 or more")
        self._places = crop_places(num_crops)
        self.num_views, self.num_crops, self._crop_size = num_views, num_crops, crop_size

    @classmethod
    def from_config(cls, cfg: object, clips: LabelledClips, root: Path) -> ClipViews:
        """The views that a configuration's TEST and DATA keys describe."""
        size, test = cfg.DATA.TEST_CROP_SIZE, cfg.TEST
        spec = ClipSpec.from_config(cfg, size)
        return cls(clips, root, spec, test.NUM_ENSEMBLE_VIEWS, test.NUM_SPATIAL_CROPS, size)

    def read(self, run: Run) -> list[list[Sample] | UserError]:
        """For each clip of a run its moments with the whole picture (see `cuts`), or what is wrong with it."""
        return [self._moments(self._kept[index].item()) for index in run.indices]

    def cuts(self, moment: Sample) -> list[Sample]:
        """The views of a moment; they share its memory, so that this is cheap once it is where it is needed."""
        cuts = [uniform_crop(moment.frames, self._crop_size, place) for place in self._places]
        return [replace(moment, frames=cut) for cut in cuts]

    def _moments(self, number: int) -> list[Sample] | UserError:
        shares = [0.5] if self.num_views == 1 else [i / self.num_views for i in range(self.num_views)]
        try:
            path, stretch, _ = self._stretch(number)
            centers = [stretch.center(share, self.spec.duration) for share in shares]
            labels = torch.from_numpy(self.clips.labels(number))[None]
            clips = zip(centers, read_clips(path, centers, self.spec))
            return [replace(self._sample(number, center, clip), labels=labels) for center, clip in clips]
        except UserError as error:
            return UserError(f"{self.clips.place(number)}: {error}")
