"""Scenes of one person who does one thing: a dataset of labelled clips, laid out as Kinetics is."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from avsf_det.data.scenes.activities import ACTIVITIES, Beats
from avsf_det.data.scenes.figure import Body
from avsf_det.data.scenes.generator import (
    BODIES,
    FRAME_RATES,
    SAMPLE_RATES,
    SPLITS,
    ScenesSpec,
    leave_interrupts_to_parent,
    random_source,
    write_text,
)
from avsf_det.data.scenes.scene import Actor, Scene, Span
from avsf_det.media.writer import VideoWriter

HEADER = ("label", "youtube_id", "time_start", "time_end", "split")


class SoloScene(Scene):
    """A scene of one person who does the same all the time.

    Args:
        activity: one of `ACTIVITIES`.
        rng, bodies, place_seeds, width, height, duration: as of `Scene`.
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
    ) -> None:
        self._activity = ACTIVITIES[activity]
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
                beats={activity.motion: Beats.draw(rng, self.duration, rng.uniform(*activity.period), 0.12)},
            )
        ]


def generate_solos(
    root: Path, spec: ScenesSpec, workers: int = 0, progress: Callable[[Iterable, int], Iterable] | None = None
) -> None:
    """Write a dataset of labelled clips to `root`; videos that are there are left as they are.

    All activities are equally frequent; those with a `twin` look the same as another and sound otherwise. No split
    shares a body or a place with another.

    Files:
        <split>/<class>/<id>_000000_<seconds>.mp4
        annotations/<split>.csv: label,youtube_id,time_start,time_end,split

    Args:
        root: the folder; made if need be.
        spec: what to make.
        workers: processes; 0 for one per processor.
        progress: wraps (iterable, total) in a progress bar.
    """
    jobs = [(split, number) for split in SPLITS for number in range(spec.scenes.get(split, 0))]
    with ProcessPoolExecutor(workers or os.cpu_count(), initializer=leave_interrupts_to_parent) as pool:
        rows = pool.map(partial(_write_solo, root, spec), *zip(*jobs))
        rows = list(progress(rows, len(jobs)) if progress else rows)
    for split in {split for split, _ in jobs}:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([HEADER, *(row for row in rows if row[-1] == split)])
        write_text(root / "annotations" / f"{split}.csv", text.getvalue())


def _write_solo(root: Path, spec: ScenesSpec, split: str, number: int) -> tuple[str, str, int, int, str]:
    """Write one video unless it is there; its row."""
    names = sorted(ACTIVITIES)
    label, video = names[number % len(names)], f"{split}_{number:06d}"
    path = root / split / label / f"{video}_000000_{spec.duration:06d}.mp4"
    if not path.is_file():
        people = random_source(spec.seed, split, 1)
        bodies = [Body.draw(people) for _ in range(BODIES[split])]
        places = [int(place) for place in people.integers(2**31, size=BODIES[split])]
        rng = random_source(spec.seed, split, 4, number)
        scene = SoloScene(label, rng, bodies, places, spec.width, spec.height, spec.duration)
        rate, sample_rate = FRAME_RATES[rng.integers(len(FRAME_RATES))], SAMPLE_RATES[rng.integers(len(SAMPLE_RATES))]
        path.parent.mkdir(parents=True, exist_ok=True)
        with VideoWriter(path, spec.width, spec.height, rate, sound=(scene.sound(sample_rate), sample_rate)) as writer:
            for i in range(int(spec.duration * rate)):
                writer.write(scene.frame(float(i / rate), i)[0], float(i / rate))
    return label, video, 0, spec.duration, split
