"""What the figures of a scene can do: AVA-style classes, how each moves the hands and the mouth, what it sounds like.

A figure always has one *pose* and at most one *activity*. An activity with a `twin` looks exactly like the twin and
differs from it in sound alone. `Beats` drive both the motion and the sound, so that they are in time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ava_eval.label_map import LabelMap

POSES = ("stand", "walk", "sit", "crouch")


@dataclass(frozen=True)
class Activity:
    """One thing to do besides a pose.

    Attributes:
        name: the class name, as the label map has it.
        motion: which motion it shows; twins share it.
        sound: which sound each beat makes, or None.
        period: shortest and longest time between beats, in seconds; twins share it.
    """

    name: str
    motion: str
    sound: str | None
    period: tuple[float, float]


ACTIVITIES = {
    activity.name: activity
    for activity in (
        Activity("carry a box", "carry", None, (1.0, 1.0)),
        Activity("play a drum", "drum", "drum", (0.25, 0.5)),
        Activity("mime a drum", "drum", None, (0.25, 0.5)),
        Activity("eat", "mouth", "crunch", (0.25, 0.5)),
        Activity("ring a bell", "bell", "bell", (0.32, 0.42)),
        Activity("swing a mute bell", "bell", None, (0.32, 0.42)),
        Activity("clap", "clap", "clap", (0.35, 0.6)),
        Activity("mime a clap", "clap", None, (0.35, 0.6)),
        Activity("talk", "mouth", "voice", (0.25, 0.5)),
        Activity("wave", "wave", None, (0.5, 0.9)),
    )
}

SOUND_PAIRS = {
    "clap": ("clap", "mime a clap"),
    "mouth": ("talk", "eat"),
    "drum": ("play a drum", "mime a drum"),
}
"""Motion -> the two classes that look the same and differ in sound: whether it is heard at all tells them apart."""

TIMING_PAIR = ("ring a bell", "swing a mute bell")
"""Two people swing bells by turns and one bell is heard: only timing tells whose. At rest it is behind the back."""

REST = 1.5
"""Seconds: a longer pause between beats is a rest, and the beat that ends it makes no sound."""

PAUSE = 0.6
"""Seconds between turns, in which nobody swings."""

GROUPS = {
    "PERSON_MOVEMENT": POSES,
    "OBJECT_MANIPULATION": ("carry a box", "play a drum", "mime a drum", "eat", *TIMING_PAIR),
    "PERSON_INTERACTION": ("clap", "mime a clap", "talk", "wave"),
}


def label_map() -> LabelMap:
    """The scenes' classes, ids from 1, in AVA's three groups."""
    names = [name for group in GROUPS.values() for name in group]
    groups = [group for group, members in GROUPS.items() for _ in members]
    return LabelMap(ids=tuple(range(1, len(names) + 1)), names=tuple(names), groups=tuple(groups))


class Beats:
    """The moments at which an activity claps, hits, rings or opens the mouth.

    Args:
        times: (n,) ascending seconds; covers the scene with a beat before its start and one after its end.
    """

    def __init__(self, times: np.ndarray) -> None:
        self.times = times

    @classmethod
    def draw(cls, rng: np.random.Generator, duration: float, period: float, jitter: float) -> Beats:
        """Beats `period` seconds apart, each gap varied by up to the share `jitter`, from a random start."""
        count = int(duration / period / (1 - jitter)) + 4
        gaps = period * rng.uniform(1 - jitter, 1 + jitter, count)
        return cls(np.cumsum(gaps) - period * (1 + jitter + rng.uniform()))

    @classmethod
    def take_turns(cls, rng: np.random.Generator, duration: float, period: tuple[float, float]) -> tuple[Beats, Beats]:
        """The beats of two people who take turns every two or three seconds, midway between whole seconds."""
        turns, start, who = ([], []), -0.5 - int(rng.integers(0, 2)), int(rng.integers(2))
        while start < duration + 1:
            length = int(rng.integers(2, 4))
            swings = round((length - PAUSE) / rng.uniform(*period))
            turns[who].extend(np.linspace(start + PAUSE / 2, start + length - PAUSE / 2, swings + 1))
            start, who = start + length, 1 - who
        return tuple(cls(np.array([-9.0, *times, duration + 9.0])) for times in turns)

    def sounding(self) -> np.ndarray:
        """(n,) the times that end a swing."""
        return self.times[1:][np.diff(self.times) <= REST]

    def resting(self, t: float) -> bool:
        """Whether `t` is in a rest."""
        i, _ = self.phase(t)
        return bool(self.times[i + 1] - self.times[i] > REST)

    def swing(self, t: float) -> float:
        """How far out the hands are at `t`: 0 at each beat, 1 half way between beats."""
        return float(np.sin(np.pi * self.phase(t)[1]))

    def phase(self, t: float) -> tuple[int, float]:
        """The number of the last beat before `t`, and how far `t` is on the way to the next, 0..1."""
        i = int(np.clip(np.searchsorted(self.times, t, side="right") - 1, 0, len(self.times) - 2))
        return i, float((t - self.times[i]) / (self.times[i + 1] - self.times[i]))
