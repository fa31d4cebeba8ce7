"""A film looked at once: keyframes, the clips around them, and what changes from frame to frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, pairwise
from math import inf
from pathlib import Path

import numpy as np

from avsf_det.data.clip import Clip, ClipSpec, log_mel_of
from avsf_det.errors import UserError
from avsf_det.media.audio import AudioReader
from avsf_det.media.shots import Change, Changes
from avsf_det.media.source import VideoSource, open_audio, open_video, start_of
from avsf_det.media.video import ROUNDING, DecodedFrame, scaled


@dataclass
class Moment:
    """A keyframe of a film.

    Attributes:
        time: seconds on the clock.
        views: of the clips around it; a frame that clips share is in memory once.
        image: (H, W, 3) uint8 RGB, at full size; None where it was not asked for.
        changes: of the frames since the moment before; those of the last moment go on to the end of the film.
    """

    time: float
    views: list[View]
    image: np.ndarray | None = None
    changes: list[Change] = field(default_factory=list)

    def clips(self) -> list[Clip]:
        """The clips around it, with frames of their own."""
        return [Clip(np.stack(view.frames), view.log_mel) for view in self.views]

    @property
    def begins(self) -> float:
        """When its first frame is due."""
        return self.views[0].due[0]

    @property
    def whole(self) -> bool:
        """Whether all frames are there."""
        return all(len(view.frames) == len(view.due) for view in self.views)


@dataclass
class View:
    """A clip while it is being put together.

    Attributes:
        center: seconds on the clock.
        due: (T,) seconds: each frame is the last one that is on display from then or earlier.
        frames: up to T of (H, W, 3) uint8 RGB.
        log_mel: as a `Clip` has it.
    """

    center: float
    due: np.ndarray
    frames: list[np.ndarray] = field(default_factory=list)
    log_mel: np.ndarray | None = None


class Film:
    """The moments of a film; memory holds those that are not whole yet.

    Clips are, to the bit, those that `avsf_det.data.clip.read_clips` reads at the same times. That one jumps over what
    no clip shows; here every frame is decoded, once, for it is asked whether it is a cut.

    Args:
        path: the video.
        spec: what clips are made of.
        times: seconds of the keyframes, ascending, within the video.
        shifts: seconds by which each clip of a keyframe lies after it, ascending.
        pictures: whether moments have images.
    """

    def __init__(
        self,
        path: str | Path | VideoSource,
        spec: ClipSpec,
        times: Sequence[float],
        shifts: Sequence[float] = (0.0,),
        pictures: bool = True,
    ) -> None:
        self._path, self._spec, self._times, self._shifts, self._pictures = path, spec, times, shifts, pictures

    def moments(self, first: int = 0, seen: Sequence[float] = ()) -> Iterator[Moment]:
        """The moments in order, in one pass.

        Args:
            first: number of the first one, where those before are known.
            seen: the times of the first frame that further changes depend on, and of the last one whose change is
                known (`avsf_det.media.shots.resume_times`).

        Raises:
            UserError: if the film cannot be read.
        """
        with ExitStack() as stack:
            video = stack.enter_context(open_video(self._path))
            audio = stack.enter_context(open_audio(self._path, self._spec.sample_rate))
            upcoming = self._upcoming(first, start_of(self._path), video.info.duration)
            begun, ahead, changes, fresh = deque(), next(upcoming, None), Changes(), []
            if ahead is None:
                return
            start = min([ahead.begins - ROUNDING, *seen[:1]])
            for frame, after in pairwise(chain(video.decoded(start), (None,))):
                until = inf if after is None else after.time
                if not seen or frame.time >= seen[0]:
                    change = changes.see(frame)
                    fresh += [change] if not seen or frame.time > seen[-1] else []
                while ahead is not None and ahead.begins < until:
                    begun.append(ahead)
                    ahead = next(upcoming, None)
                self._show(frame, until, begun, video.info.height, video.info.width)
                while begun and begun[0].whole and (after is None or ahead is not None or len(begun) > 1):
                    moment = begun.popleft()
                    for view in moment.views:
                        view.log_mel = self._log_mel(audio, view.center)
                    moment.changes, fresh = fresh, []
                    yield moment
            if begun or ahead is not None:
                raise UserError(f"{self._path}: no frame can be decoded from {start:.2f} s on; re-encode the file")

    def _upcoming(self, first: int, begin: float, end: float) -> Iterator[Moment]:
        """The moments as they are before anything is seen of them."""
        for time in self._times[first:]:
            centers = [time + shift for shift in self._shifts]
            yield Moment(time, [View(c, self._spec.frame_times(c).clip(begin, end) + ROUNDING) for c in centers])

    def _show(self, frame: DecodedFrame, until: float, moments: Sequence[Moment], height: int, width: int) -> None:
        """Let the moments have a frame, which is on display until a time, as far as they want it."""
        once = _Once(frame, scaled(height, width, self._spec.short_side))
        for moment in moments:
            for view in moment.views:
                wanted = int(np.searchsorted(view.due, until)) - len(view.frames)
                view.frames += [once.small] * wanted if wanted > 0 else []
            if self._pictures and moment.image is None and moment.time + ROUNDING < until:
                moment.image = frame.image(height, width)

    def _log_mel(self, audio: AudioReader, center: float) -> np.ndarray | None:
        if not audio.has_audio:
            return None
        return log_mel_of(audio.read(*self._spec.sound_span(center)), self._spec).numpy()


class _Once:
    """A frame that is scaled when the first clip wants it."""

    def __init__(self, frame: DecodedFrame, size: tuple[int, int]) -> None:
        self._frame, self._size = frame, size

    @cached_property
    def small(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        return self._frame.image(*self._size)
