"""Scenes of one person who does one thing: clips with a label, laid out as Kinetics is, or without any."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np

from avsf_det.data.scenes.activities import ACTIVITIES, Beats
from avsf_det.data.scenes.figure import Body
from avsf_det.data.scenes.generator import (
    FRAME_RATES,
    SAMPLE_RATES,
    SPLITS,
    ScenesSpec,
    cast_of,
    random_source,
    track_of,
    write_text,
    write_video,
    write_videos,
)
from avsf_det.data.scenes.scene import Actor, Scene, Span

HEADER = ("label", "youtube_id", "time_start", "time_end", "split")
LOUD = ("clap", "play a drum", "ring a bell", "talk")
"""Activities that are heard above any background noise."""
LOUD_SHARE = 0.85
"""Share of the unlabelled videos with sound that show one of `LOUD`; without sound alone nothing can be learned."""
JITTER, UNLABELLED_JITTER = 0.12, 0.4
"""By which share the gaps between beats vary. With even ones, sound that is late by a beat would nearly fit."""


_motions = Counter(activity.motion for activity in ACTIVITIES.values())
TOLD_BY_LOOKING = tuple(name for name, activity in ACTIVITIES.items() if _motions[activity.motion] == 1)
"""The activities without a twin."""


def _in_turn(count: int) -> tuple[str, ...]:
    """Each activity as often as any other; those of videos without sound can be told by looking."""
    mute = (number for number in range(count) if track_of(number) != "sound")
    shown = dict(zip(mute, cycle((*TOLD_BY_LOOKING, *TOLD_BY_LOOKING[::-1]))))  # each with either kind of track
    left = (sorted(ACTIVITIES) * (count // len(ACTIVITIES)))[::-1]
    for name in shown.values():
        left.remove(name)
    return tuple(shown.get(number) or left.pop() for number in range(count))


TURNS = _in_turn(50)
"""What labelled videos show, one after the other and all over again."""


class SoloScene(Scene):
    """A scene of one person who does the same all the time.

    Args:
        activity: one of `ACTIVITIES`.
        rng, bodies, place_seeds, width, height, duration: as of `Scene`.
        jitter: by which share the gaps between beats vary.
    """

    def __init__(
        self,
        activity: str,
        rng: np.random.Generator,
        bodies: Sequence[Body],
        place_seeds: Sequence[int],
        width: int,
        height: int,
        duration: float,
        jitter: float = JITTER,
    ) -> None:
        self._activity, self._jitter = ACTIVITIES[activity], jitter
        super().__init__(rng, bodies, place_seeds, width, height, duration)

    def _cast(self, rng: np.random.Generator, bodies: Sequence[Body], sounds: bool) -> list[Actor]:
        activity, x = self._activity, self.width * rng.uniform(0.25, 0.75)
        pose = str(rng.choice(["stand", "sit", "crouch"]))
        return [
            Actor(
                body=bodies[rng.integers(len(bodies))],
                height=rng.uniform(0.64, 0.88) * self.height,
                foot=self.height * rng.uniform(0.92, 0.98),
                facing=int(rng.choice((-1, 1))),
                voice=float(rng.uniform()),
                spans=(Span(-1, self.duration + 1, pose, activity.name, x, x),),
                beats={activity.motion: Beats.draw(rng, self.duration, rng.uniform(*activity.period), self._jitter)},
            )
        ]

    def sound(self, rate: int) -> np.ndarray:
        """(S,) float32: the sound track of the whole scene, in one channel, which is encoded in a third of the time."""
        return super().sound(rate).mean(axis=1)


def generate_solos(
    root: str | Path, spec: ScenesSpec, workers: int = 0, progress: Callable[[Iterable, int], Iterable] | None = None
) -> None:
    """Write a dataset of labelled clips to `root`; a whole one is left as it is, and of others the videos there are.

    All activities are equally frequent. Those with a twin look the same as another and differ from it by the sound
    of their beats alone, so that both are only in videos with sound. No split shares a body or a place with another.

    Files:
        <split>/<class>/<id>_000000_<seconds>.mp4
        annotations/<split>.csv: label,youtube_id,time_start,time_end,split

    Args:
        root: the folder; made if need be.
        spec: what to make.
        workers: processes; 0 for one per processor.
        progress: wraps (iterable, total) in a progress bar.

    Raises:
        UserError: as of `write_videos`.
    """
    tables = {split: Path(root, "annotations", f"{split}.csv") for split in SPLITS if spec.scenes.get(split)}
    rows = write_videos(Path(root), "kinetics", spec, _solo_video, _write_solo, [*tables.values()], workers, progress)
    for split, path in tables.items() if rows else ():
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([HEADER, *rows[split]])
        write_text(path, text.getvalue())


def generate_unlabelled(
    root: str | Path, spec: ScenesSpec, workers: int = 0, progress: Callable[[Iterable, int], Iterable] | None = None
) -> None:
    """Write videos of the same kind without annotations: what is seen and heard is all there is to learn from.

    Most show something that is clearly heard, at uneven beats. Bodies and places are those of no split.

    Files:
        unlabelled_<number>.mp4

    Args:
        root: the folder; made if need be.
        spec: what to make; the number of videos is that of "unlabelled".
        workers, progress: as of `generate_solos`.

    Raises:
        UserError: as of `write_videos`.
    """
    write_videos(Path(root), "unlabelled", spec, _unlabelled_video, _write_unlabelled, [], workers, progress)


def _solo_video(root: Path, spec: ScenesSpec, split: str, number: int) -> Path:
    label = TURNS[number % len(TURNS)]
    return root / split / label / f"{split}_{number:06d}_000000_{spec.duration:06d}.mp4"


def _write_solo(root: Path, spec: ScenesSpec, split: str, number: int) -> tuple[str, str, int, int, str]:
    """Write one video unless it is there; its row."""
    path, label = _solo_video(root, spec, split, number), TURNS[number % len(TURNS)]
    _write(path, spec, split, number, random_source(spec.seed, split, 4, number), label, JITTER)
    return label, f"{split}_{number:06d}", 0, spec.duration, split


def _unlabelled_video(root: Path, spec: ScenesSpec, split: str, number: int) -> Path:
    return root / f"{split}_{number:06d}.mp4"


def _write_unlabelled(root: Path, spec: ScenesSpec, split: str, number: int) -> None:
    """Write one video unless it is there."""
    rng = random_source(spec.seed, split, 4, number)
    loud = track_of(number) == "sound" and rng.uniform() < LOUD_SHARE
    activity = str(rng.choice(LOUD if loud else [name for name in ACTIVITIES if name not in LOUD]))
    _write(_unlabelled_video(root, spec, split, number), spec, split, number, rng, activity, UNLABELLED_JITTER)


def _write(
    path: Path,
    spec: ScenesSpec,
    split: str,
    number: int,
    rng: np.random.Generator,
    activity: str,
    jitter: float,
) -> None:
    if path.is_file():
        return
    scene = SoloScene(activity, rng, *cast_of(spec.seed, split), spec.width, spec.height, spec.duration, jitter)
    rate, sample_rate = FRAME_RATES[rng.integers(len(FRAME_RATES))], SAMPLE_RATES[rng.integers(len(SAMPLE_RATES))]
    write_video(path, spec, scene, track_of(number), rate, sample_rate)
