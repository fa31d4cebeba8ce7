"""Training samples, and the batches of them that a network takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import torch

from avsf_det.data.clip import ClipSpec


@dataclass(frozen=True)
class Sample:
    """One clip with its persons, or with what is done in the whole of it.

    Attributes:
        frames: (T, H, W, 3) uint8.
        log_mel: (A, M) float32, or None without a sound track.
        boxes: (N, 4) float32, x1 y1 x2 y2 in 0..1.
        labels: (N, K) float32, 1 where an action holds; of a clip that is labelled as a whole (1, K), without boxes.
        misaligned: (A, M) float32, the log-mel of another moment of the same file; None where there is none.
        video_id: the video it is of.
        time: seconds, the moment it is centred on.
    """

    frames: torch.Tensor
    log_mel: torch.Tensor | None
    boxes: torch.Tensor
    labels: torch.Tensor
    misaligned: torch.Tensor | None = None
    video_id: str = ""
    time: float = 0.0


@dataclass(frozen=True)
class Normalisation:
    """How pixels become what a network takes.

    Attributes:
        scale, shift: (3,) float32; a channel's value in 0..255 is multiplied by the one and the other is added.
        slow: (T/alpha,) int64, the frames of the Slow pathway among the T of the Fast one.
    """

    scale: torch.Tensor
    shift: torch.Tensor
    slow: torch.Tensor

    def __call__(self, frames: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
        """(B, 3, T, H, W) float32 of (B, T, H, W, 3) uint8 pictures; zeros, the mean colour, beyond each one's size.

        Args:
            frames: the pictures.
            sizes: (B, 2) int64 on the CPU, height and width of each clip's picture.
        """
        width = frames.shape[3]
        scale, shift = (one.to(frames.device).repeat(width) for one in (self.scale, self.shift))  # whole rows: faster
        pixels = torch.addcmul(shift, frames.flatten(3).float(), scale).unflatten(3, (width, 3))
        for picture, (height, width) in zip(pixels, sizes.tolist()):
            picture[:, height:] = 0
            picture[:, :, width:] = 0
        return pixels.permute(0, 4, 1, 2, 3)  # channels last, as torch.channels_last_3d has it: convolutions' fastest


_OF_CLIPS = ("frames", "sizes", "audio", "audio_present", "misaligned", "clips")


@dataclass
class Batch:
    """B clips with N persons in all, as `AVSlowFast.forward` takes them.

    Pictures are kept as bytes, a quarter of what a network takes; `fast` and `slow` are made of them when they are
    first asked for, on the device where the batch is then.

    Attributes:
        frames: (B, T, H, W, 3) uint8.
        sizes: (B, 2) int64 on the CPU, height and width of each clip's own picture, at the top left.
        audio: (B, 1, 1, A, M) float32.
        audio_present: (B,) bool, False where a clip's file has no sound track.
        boxes: (N, 5) float32, clip index and x1 y1 x2 y2 in pixels.
        labels: (N, K) float32, or (B, K) of clips that are labelled as a whole; K is 0 where they have no
            labels, and in a batch without clips.
        normalisation: how pixels become what a network takes.
        misaligned: (B, 1, 1, A, M) float32, zeros where a clip has no negative; None if none has.
        clips: video id and second of each clip.
        failed: what is wrong with each clip that was left out because it cannot be read.
    """

    frames: torch.Tensor
    sizes: torch.Tensor
    audio: torch.Tensor
    audio_present: torch.Tensor
    boxes: torch.Tensor
    labels: torch.Tensor
    normalisation: Normalisation
    misaligned: torch.Tensor | None = None
    clips: list[tuple[str, float]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def whole(self) -> bool:
        """Whether labels are of whole clips instead of boxes."""
        return len(self.labels) > len(self.boxes)

    @cached_property
    def fast(self) -> torch.Tensor:
        """(B, 3, T, H, W) float32, normalised, channels last."""
        return self.normalisation(self.frames, self.sizes)

    @cached_property
    def slow(self) -> torch.Tensor:
        """(B, 3, T/alpha, H, W) float32, those frames of `fast` that the Slow pathway sees."""
        return self.normalisation(self.frames[:, self.normalisation.slow.to(self.frames.device)], self.sizes)

    def part(self, start: int, end: int) -> Batch:
        """The clips from `start` to before `end`, with their boxes."""
        if start <= 0 and end >= len(self):
            return self
        clips = {name: one[start:end] for name in _OF_CLIPS if (one := getattr(self, name)) is not None}
        own = (self.boxes[:, 0] >= start) & (self.boxes[:, 0] < end)
        boxes = torch.cat((self.boxes[own, :1] - start, self.boxes[own, 1:]), dim=1)
        return replace(self, **clips, boxes=boxes, labels=self.labels[start:end] if self.whole else self.labels[own])

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The batch in memory from which a GPU copies while it computes."""
        return self._each(torch.Tensor.pin_memory)

    def _each(self, change: object) -> Batch:
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "sizes"}
        return replace(self, **{name: change(t) for name, t in tensors.items() if isinstance(t, torch.Tensor)})


class Collate:
    """Makes a batch of samples; smaller pictures are padded on the right and at the bottom with the mean colour.

    Args:
        spec: what clips are made of.
        slow_frames: frames of the Slow pathway.
        mean, std: (3,) of RGB in 0..1.
    """

    def __init__(self, spec: ClipSpec, slow_frames: int, mean: Sequence[float], std: Sequence[float]) -> None:
        self._spec = spec
        mean, std = torch.tensor(mean), torch.tensor(std)
        # truncated linspace: PySlowFast's choice of Slow frames among the Fast ones
        slow = torch.linspace(0, spec.num_frames - 1, slow_frames).long()
        self._normalisation = Normalisation(1 / (255 * std), -mean / std, slow)

    @classmethod
    def from_config(cls, cfg: object, spec: ClipSpec) -> Collate:
        """As a configuration's DATA and SLOWFAST keys say."""
        return cls(spec, cfg.DATA.NUM_FRAMES // cfg.SLOWFAST.ALPHA, cfg.DATA.MEAN, cfg.DATA.STD)

    def __call__(self, samples: Sequence[Sample], failed: Sequence[str] = ()) -> Batch:
        """Stack samples; none at all give a batch without clips.

        Args:
            samples: B of them.
            failed: what is wrong with each clip that is missing.
        """
        sizes = torch.tensor([s.frames.shape[1:3] for s in samples], dtype=torch.int64).reshape(-1, 2)
        height, width = sizes.amax(dim=0).tolist() if samples else (1, 1)
        frames = torch.empty(len(samples), self._spec.num_frames, height, width, 3, dtype=torch.uint8)
        negatives = [s.misaligned for s in samples]
        boxes = [torch.zeros(0, 5)]
        for i, sample in enumerate(samples):
            h, w = sample.frames.shape[1:3]
            frames[i, :, :h, :w] = sample.frames
            pixels = sample.boxes * torch.tensor((w, h, w, h), dtype=torch.float32)
            boxes.append(torch.cat((torch.full((len(pixels), 1), float(i)), pixels), dim=1))
        return Batch(
            frames=frames,
            sizes=sizes,
            audio=self._stack([s.log_mel for s in samples]),
            audio_present=torch.tensor([s.log_mel is not None for s in samples], dtype=torch.bool),
            boxes=torch.cat(boxes),
            labels=torch.cat([s.labels for s in samples]) if samples else torch.zeros(0, 0),
            normalisation=self._normalisation,
            misaligned=self._stack(negatives) if any(one is not None for one in negatives) else None,
            clips=[(s.video_id, s.time) for s in samples],
            failed=list(failed),
        )

    def _stack(self, log_mels: Sequence[torch.Tensor | None]) -> torch.Tensor:
        """(B, 1, 1, A, M): zeros where there is none."""
        stacked = torch.zeros(len(log_mels), 1, 1, self._spec.audio_frames, self._spec.num_mels)
        for row, one in zip(stacked, log_mels):
            if one is not None:
                row[0, 0] = one
        return stacked
