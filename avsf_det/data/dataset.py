"""Training samples from an AVA-format dataset, and the batches that a network takes."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from avsf_det.data.annotations import AnnotatedKeyframe
from avsf_det.data.clip import Clip, ClipSpec, misaligned_center, read_clips, read_log_mel, within_video
from avsf_det.data.transforms import TrainTransform
from avsf_det.errors import UserError
from avsf_det.files import written_whole
from avsf_det.media.source import VideoSource, as_source, probe_source, start_of

logger = logging.getLogger(__name__)

CHANNELS_LAST = torch.channels_last_3d
"""The memory format of clips and weights: convolutions run up to twice as fast in it, on processors and on GPUs."""


@dataclass(frozen=True)
class Sample:
    """One clip with its persons.

    Attributes:
        frames: (T, H, W, 3) uint8.
        log_mel: (A, M) float32, or None without a sound track.
        boxes: (N, 4) float32, x1 y1 x2 y2 in 0..1.
        labels: (N, K) float32, 1 where an action holds.
        misaligned: (A, M) float32, the log-mel of another moment of the same file; None where there is none.
    """

    frames: torch.Tensor
    log_mel: torch.Tensor | None
    boxes: torch.Tensor
    labels: torch.Tensor
    misaligned: torch.Tensor | None = None


@dataclass
class Batch:
    """B clips with N persons in all, as `AVSlowFast.forward` takes them.

    Attributes:
        slow: (B, 3, T/alpha, H, W) float32, normalised.
        fast: (B, 3, T, H, W) float32.
        audio: (B, 1, 1, A, M) float32.
        audio_present: (B,) bool, False where a clip's file has no sound track.
        boxes: (N, 5) float32, clip index and x1 y1 x2 y2 in pixels.
        labels: (N, K) float32.
        misaligned: (B, 1, 1, A, M) float32, zeros where a clip has no negative; None if none has.
    """

    slow: torch.Tensor
    fast: torch.Tensor
    audio: torch.Tensor
    audio_present: torch.Tensor
    boxes: torch.Tensor
    labels: torch.Tensor
    misaligned: torch.Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""
        tensors = {name: tensor for name, tensor in vars(self).items() if tensor is not None}
        return Batch(**{name: tensor.to(device, non_blocking=True) for name, tensor in tensors.items()})


class Collate:
    """Makes a batch of samples; smaller pictures are padded on the right and at the bottom with the mean colour.

    Args:
        spec: what clips are made of.
        slow_frames: frames of the Slow pathway.
        mean, std: (3,) of RGB in 0..1.
    """

    def __init__(self, spec: ClipSpec, slow_frames: int, mean: Sequence[float], std: Sequence[float]) -> None:
        self._spec = spec
        # truncated linspace: PySlowFast's choice of Slow frames among the Fast ones
        self._slow = torch.linspace(0, spec.num_frames - 1, slow_frames).long()
        self._scale = 1 / (255 * torch.tensor(std))
        self._shift = -torch.tensor(mean) / torch.tensor(std)

    @classmethod
    def from_config(cls, cfg: object, spec: ClipSpec) -> Collate:
        """As a configuration's DATA and SLOWFAST keys say."""
        return cls(spec, cfg.DATA.NUM_FRAMES // cfg.SLOWFAST.ALPHA, cfg.DATA.MEAN, cfg.DATA.STD)

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Stack samples."""
        height = max(s.frames.shape[1] for s in samples)
        width = max(s.frames.shape[2] for s in samples)
        fast = torch.zeros(len(samples), 3, self._spec.num_frames, height, width).to(memory_format=CHANNELS_LAST)
        negatives = [s.misaligned for s in samples]
        boxes = []
        for i, sample in enumerate(samples):
            h, w = sample.frames.shape[1:3]
            fast[i, :, :, :h, :w] = (sample.frames * self._scale + self._shift).permute(3, 0, 1, 2)
            pixels = sample.boxes * torch.tensor((w, h, w, h), dtype=torch.float32)
            boxes.append(torch.cat((torch.full((len(pixels), 1), float(i)), pixels), dim=1))
        return Batch(
            slow=fast[:, :, self._slow].contiguous(memory_format=CHANNELS_LAST),
            fast=fast,
            audio=self._stack([s.log_mel for s in samples]),
            audio_present=torch.tensor([s.log_mel is not None for s in samples]),
            boxes=torch.cat(boxes),
            labels=torch.cat([s.labels for s in samples]),
            misaligned=self._stack(negatives) if any(one is not None for one in negatives) else None,
        )

    def _stack(self, log_mels: Sequence[torch.Tensor | None]) -> torch.Tensor:
        """(B, 1, 1, A, M): zeros where there is none."""
        nothing = torch.zeros(self._spec.audio_frames, self._spec.num_mels)
        return torch.stack([nothing if one is None else one for one in log_mels])[:, None, None]


class ActionDataset(Dataset):
    """The labelled keyframes of a split as training samples.

    What is random about sample i in epoch e follows from (seed, e, i) alone, whichever process loads it.

    Args:
        keyframes: what to load.
        videos: video id -> file or source.
        spec: what clips are made of; the short side is that of the largest scale wanted.
        transform: the augmentation.
        seed: of the augmentation.
        cache: folder that keeps decoded clips, or None to decode each time.
        misaligned_gap: seconds that the sound of a negative is away from the clip's at least; None for no negatives.
    """

    def __init__(
        self,
        keyframes: Sequence[AnnotatedKeyframe],
        videos: dict[str, Path | VideoSource],
        spec: ClipSpec,
        transform: TrainTransform,
        seed: int,
        cache: Path | None = None,
        misaligned_gap: float | None = None,
    ) -> None:
        self.misaligned_gap = misaligned_gap
        self._durations: dict[Path | VideoSource, float] = {}
        self.keyframes, self.videos, self.spec = list(keyframes), videos, spec
        self.transform, self.seed, self.epoch = transform, seed, 0
        self._cache = ClipCache(cache, spec) if cache else None

    def __len__(self) -> int:
        return len(self.keyframes)

    def __getitem__(self, index: int) -> Sample:
        keyframe = self.keyframes[index]
        path = self.videos[keyframe.video_id]
        if self._cache:
            clip = self._cache.get(path, keyframe.time)
        else:
            clip = next(read_clips(path, [keyframe.time], self.spec))
        generator = torch.Generator().manual_seed(hash((self.seed, self.epoch, index)) % 2**63)
        persons = keyframe.persons
        frames, boxes, kept = self.transform(torch.from_numpy(clip.frames), torch.from_numpy(persons.boxes), generator)
        return Sample(
            frames=frames,
            log_mel=None if clip.log_mel is None else torch.from_numpy(clip.log_mel),
            boxes=boxes,
            labels=torch.from_numpy(persons.actions)[kept],
            misaligned=self._negative(path, keyframe.time, generator) if self.misaligned_gap else None,
        )

    def _negative(self, path: Path | VideoSource, time: float, generator: torch.Generator) -> torch.Tensor | None:
        """The log-mel of another moment of the file, drawn anew at each call."""
        if path not in self._durations:
            self._durations[path] = probe_source(path).duration
        draw = torch.rand((), generator=generator).item()
        end, begin = self._durations[path], start_of(path)
        center = misaligned_center(time, end, self.spec, self.misaligned_gap, draw, begin)
        return None if center is None else read_log_mel(path, center, self.spec)

    def prepare(self, progress: object = lambda items: items) -> None:
        """Check that every video opens and, with a cache, decode each clip that is not in it yet.

        Videos that cannot be read are named in a warning, counted, and their keyframes left out, as are keyframes that
        lie beyond their video.

        Args:
            progress: wraps the list of videos in a progress bar.

        Raises:
            UserError: if no video can be read.
        """
        bad, beyond, usable = {}, {}, set()
        for video_id, keyframes in progress([(v, list(k)) for v, k in groupby(self.keyframes, lambda k: k.video_id)]):
            try:
                times = [k.time for k in keyframes]
                within, beyond[video_id] = within_video(self.videos[video_id], times, self.spec)
                if self._cache:
                    self._cache.fill(self.videos[video_id], within)
                usable |= {(video_id, time) for time in within}
            except UserError as error:
                bad[video_id] = error
        if bad:
            logger.warning("%d videos left out: %s", len(bad), "; ".join(str(error) for error in bad.values()))
        if any(beyond.values()):
            logger.warning("keyframes left out: %s", "; ".join(filter(None, beyond.values())))
        self.keyframes = [k for k in self.keyframes if (k.video_id, k.time) in usable]
        if not self.keyframes:
            raise UserError("no video of the training split can be read")


class ClipCache:
    """Decoded clips on disk, one file each.

    Args:
        folder: where.
        spec: what clips are made of; other specs use other files.
    """

    def __init__(self, folder: Path, spec: ClipSpec) -> None:
        self._folder, self._spec = Path(folder), spec
        self._folder.mkdir(parents=True, exist_ok=True)

    def _file(self, path: Path | VideoSource, time: float) -> Path:
        key = f"{as_source(path).identity()}|{time!r}|{self._spec}"
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"

    def get(self, path: Path | VideoSource, time: float) -> Clip:
        """The clip at `time`, decoded now if it is not there yet."""
        file = self._file(path, time)
        if not file.is_file():
            self.fill(path, [time])
        with np.load(file) as arrays:
            return Clip(arrays["frames"], arrays.get("log_mel"))

    def fill(self, path: Path | VideoSource, times: Iterable[float]) -> None:
        """Decode the clips at `times` that are not there yet, in one pass over the file."""
        missing = [time for time in sorted(times) if not self._file(path, time).is_file()]
        for time, clip in zip(missing, read_clips(path, missing, self._spec) if missing else ()):
            arrays = {"frames": clip.frames} | ({} if clip.log_mel is None else {"log_mel": clip.log_mel})
            with written_whole(self._file(path, time)) as unfinished:
                np.savez(unfinished, **arrays)
