"""A clip: the frames and the sound around a moment, on one clock, and the tensors a network takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from avsf_det.errors import UserError
from avsf_det.media.audio import AudioReader
from avsf_det.media.frame_folder import frame_names, picture_fault
from avsf_det.media.logmel import LogMel
from avsf_det.media.source import VideoSource, as_source, open_audio, open_video, probe_source, start_of
from avsf_det.media.video import VideoReader


@dataclass(frozen=True)
class ClipSpec:
    """What a clip is made of.

    Attributes:
        num_frames: T, frames of the Fast pathway.
        sampling_rate: every how many frames of `target_fps` one is taken.
        target_fps: frame rate by which the span is reckoned.
        short_side: pixels of the picture's shorter side.
        audio_frames: A, log-mel frames.
        num_mels: M.
        sample_rate: Hz.
        window_ms, step_ms: of the log-mel.
        mean, std: of the log-mel.
        audio_span: "window" takes the sound of `audio_frames` log-mel frames, centred on the clip (2.048 s by default);
            "clip" the sound of the clip's whole span (2.133 s), of whose log-mel frames it takes `audio_frames` evenly,
            as fanyix/SlowFast does.
    """

    num_frames: int = 32
    sampling_rate: int = 2
    target_fps: float = 30
    short_side: int = 256
    audio_frames: int = 128
    num_mels: int = 80
    sample_rate: int = 16000
    window_ms: float = 32
    step_ms: float = 16
    mean: float = -7.03
    std: float = 4.66
    audio_span: str = "window"

    @classmethod
    def from_config(cls, cfg: object, short_side: int) -> ClipSpec:
        """The clip that a configuration's DATA keys describe."""
        data = cfg.DATA
        return cls(
            num_frames=data.NUM_FRAMES,
            sampling_rate=data.SAMPLING_RATE,
            target_fps=data.TARGET_FPS,
            short_side=short_side,
            audio_frames=data.AUDIO_FRAME_NUM,
            num_mels=data.AUDIO_MEL_NUM,
            sample_rate=data.AUDIO_SAMPLE_RATE,
            window_ms=data.AUDIO_WIN_SZ,
            step_ms=data.AUDIO_STEP_SZ,
            mean=data.LOGMEL_MEAN,
            std=data.LOGMEL_STD,
            audio_span=data.AUDIO_SPAN,
        )

    @property
    def duration(self) -> float:
        """Seconds that a clip spans."""
        return self.num_frames * self.sampling_rate / self.target_fps

    def frame_times(self, center: float) -> np.ndarray:
        """(T,) seconds of the frames of the clip at `center`.

        As PySlowFast's AVA clips: every `sampling_rate`-th frame from half the clip before the centre on.
        """
        steps = np.arange(self.num_frames) - self.num_frames // 2
        return center + steps * self.sampling_rate / self.target_fps

    def touches(self, center: float, begin: float, end: float) -> bool:
        """Whether a frame of the clip at `center` lies within a video that lasts from `begin` to `end` seconds."""
        times = self.frame_times(center)
        return bool(times[-1] >= begin and times[0] < end)

    def sound_span(self, center: float) -> tuple[float, float]:
        """(start, end) in seconds of the sound of the clip at `center`.

        Raises:
            UserError: if `audio_span` is unknown.
        """
        if self.audio_span not in ("window", "clip"):
            raise UserError(f"DATA.AUDIO_SPAN: got {self.audio_span!r}, expected window or clip")
        if self.audio_span == "window":
            return self.log_mel().span(center, self.audio_frames)
        return center - self.duration / 2, center + self.duration / 2

    def log_mel(self) -> LogMel:
        """The log-mel of this clip's sound; made once, for its filters take longer to make than to use."""
        return _log_mel(self)


@lru_cache(maxsize=8)
def _log_mel(spec: ClipSpec) -> LogMel:
    return LogMel(spec.num_mels, spec.sample_rate, spec.window_ms, spec.step_ms, spec.mean, spec.std)


@dataclass(frozen=True)
class Clip:
    """Frames and sound around a moment.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB.
        log_mel: (A, M) float32, or None where the file has no sound track.
    """

    frames: np.ndarray
    log_mel: np.ndarray | None


def read_clips(path: str | Path | VideoSource, centers: Sequence[float], spec: ClipSpec) -> Iterator[Clip]:
    """The clips of a video at ascending times; every frame is decoded once, however much the clips overlap.

    Frames before the first or after the last of the video are the nearest one, and sound where it has none is silence.

    Raises:
        UserError: if the video cannot be read.
    """
    with open_video(path, spec.short_side) as video, open_audio(path, spec.sample_rate) as audio:
        begin, end = start_of(path), video.info.duration
        times = [spec.frame_times(center).clip(begin, end) for center in centers]
        for center, frames in zip(centers, _read_frames(video, times)):
            sound = _read_sound(audio, center, spec)
            yield Clip(frames, None if sound is None else sound.numpy())


def within_video(
    path: str | Path | VideoSource, times: Sequence[float], spec: ClipSpec, whole: bool = False
) -> tuple[list[float], str | None]:
    """The times that there is something to see at, and where there are others, a line of text that names them.

    Others are those whose clip has no frame within the video and those of `picture_faults`, of their own pictures or,
    with `whole`, of any that their clips show.

    Raises:
        UserError: if the video cannot be read.
    """
    begin, end = start_of(path), probe_source(path).duration
    within = [time for time in times if spec.touches(time, begin, end)]
    beyond, lines = sorted(set(times) - set(within)), []
    if beyond:
        lines.append(
            f"{path}: lasts from second {begin:g} to {end:.1f}, and {len(beyond)} keyframes are beyond, such as "
            f"{beyond[0]:g}; expected a whole film, or AVA.VIDEO_START as it was cut"
        )
    faults = picture_faults(path, within, spec if whole else None)
    if faults:
        time, fault = next(iter(faults.items()))
        lines.append(f"{path}: {len(faults)} keyframes lack pictures, such as that at {time:g}, of which {fault}")
    return [time for time in within if time not in faults], "; ".join(lines) or None


def picture_faults(
    path: str | Path | VideoSource, times: Sequence[float], spec: ClipSpec | None = None
) -> dict[float, str]:
    """Times of a folder of frames whose picture is missing or broken -> which picture, and what is wrong with it.

    Args:
        path: the folder; a file has no pictures that could be missing.
        times: seconds.
        spec: look at the pictures that the clips there show, too, of which one that is missing is no fault.
    """
    source = as_source(path)
    if not source.path.is_dir():
        return {}
    names, start, found = frame_names(source.path), start_of(source), {}
    fault = lru_cache(maxsize=None)(lambda number: picture_fault(source.path / names.name(number)))
    for time in times:
        own = names.at(np.array([time - start]), source.fps)
        shown = [] if spec is None else names.shown(names.at(spec.frame_times(time) - start, source.fps)).tolist()
        numbers = [*(own if names.is_missing(own)[0] else names.shown(own)).tolist(), *shown]
        broken = next((number for number in numbers if fault(number)), None)
        if broken is not None:
            found[time] = f"{names.name(broken)} {fault(broken)}"
    return found


def read_log_mel(path: str | Path | VideoSource, center: float, spec: ClipSpec) -> torch.Tensor | None:
    """(A, M) float32: the log-mel of a video's sound around a moment; None without a sound track.

    Raises:
        UserError: if the video cannot be read.
    """
    with open_audio(path, spec.sample_rate) as audio:
        return _read_sound(audio, center, spec)


def _read_sound(audio: AudioReader, center: float, spec: ClipSpec) -> torch.Tensor | None:
    """(A, M): the log-mel of the clip at `center`; None without a sound track."""
    return log_mel_of(audio.read(*spec.sound_span(center)), spec) if audio.has_audio else None


def log_mel_of(samples: np.ndarray, spec: ClipSpec) -> torch.Tensor:
    """(A, M) float32: the log-mel of the (S,) samples of a clip's `sound_span`."""
    frames = spec.log_mel()(torch.from_numpy(samples))
    if len(frames) == spec.audio_frames:
        return frames
    return frames[torch.linspace(0, len(frames) - 1, spec.audio_frames).long()]


def misaligned_center(
    center: float, duration: float, spec: ClipSpec, gap: float, draw: float, begin: float = 0.0
) -> float | None:
    """The moment of another span of sound of the same file, for a hard negative of synchronisation.

    Both spans are as long; the other one lies within the file (in fanyix/SlowFast it may run over the end).

    Args:
        center: seconds, the clip's own moment.
        duration: second at which the file ends.
        spec: what clips are made of.
        gap: seconds that the two moments are apart at least.
        draw: a number within 0..1 that chooses among all that is possible.
        begin: second at which the file begins.

    Returns:
        Seconds; None if the file is too short.
    """
    start, end = spec.sound_span(0.0)
    first, last = begin - start, duration - end
    before = max(0.0, min(last, center - gap) - first)
    after = max(0.0, last - max(first, center + gap))
    if before + after == 0.0:
        return None
    at = draw * (before + after)
    return first + at if at < before or after == 0.0 else last - (before + after - at)


def _read_frames(video: VideoReader, clips: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """For each clip's (T,) times, ascending from clip to clip, its (T, H, W, 3) frames.

    Before a clip is complete, all that later clips need up to its end is read too, so that time never goes back.
    """
    waiting: deque[tuple[np.ndarray, list[np.ndarray]]] = deque()
    upcoming = iter(clips)
    ahead = next(upcoming, None)
    while waiting or ahead is not None:
        end = waiting[0][0][-1] if waiting else ahead[-1]
        while ahead is not None and ahead[0] <= end:
            waiting.append((ahead, []))
            ahead = next(upcoming, None)
        wanted = np.unique(np.concatenate([t[len(f) : np.searchsorted(t, end, side="right")] for t, f in waiting]))
        images = dict(zip(wanted.tolist(), video.frames_at(wanted)))
        for times, frames in waiting:
            frames += [images[t] for t in times[len(frames) :].tolist() if t in images]
        yield np.stack(waiting.popleft()[1])
