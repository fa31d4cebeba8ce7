"""One scene: who is in it, what each does when, and how it looks and sounds at any moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avsf_det.data.scenes.activities import ACTIVITIES, SOUND_PAIRS, TIMING_PAIR, Activity, Beats
from avsf_det.data.scenes.figure import Body, draw_figure
from avsf_det.data.scenes.place import Place
from avsf_det.data.scenes.sound import mix

MIN_VISIBLE = 0.4
"""Share of a body's box that must lie inside the picture for the person to be annotated."""

MOTIONS = {"clap": 0.26, "mouth": 0.26, "drum": 0.26, "carry": 0.09, "wave": 0.09, "none": 0.04}
"""How likely the next person of a scene takes each motion, as long as nobody there has it; bells are dealt apart."""
TIMING_SHARE = 0.4
"""Share of scenes with sound in which two people swing bells."""


@dataclass(frozen=True)
class Span:
    """What a person does from `start` to `end` seconds: a pose, an activity or None, and the way from x0 to x1."""

    start: float
    end: float
    pose: str
    activity: str | None
    x0: float
    x1: float


@dataclass(frozen=True)
class Actor:
    """A person of a scene.

    Attributes:
        body: how the person looks.
        height: standing height in pixels.
        foot: y of the feet in pixels.
        facing: +1 or -1.
        voice: 0..1, pitch of the person's sounds.
        spans: what the person does, without gaps over the time the person is there.
        beats: motion -> its beats.
    """

    body: Body
    height: float
    foot: float
    facing: int
    voice: float
    spans: tuple[Span, ...]
    beats: dict[str, Beats]

    def span(self, t: float) -> Span | None:
        """What the person does at `t`, or None when not in the scene."""
        return next((span for span in self.spans if span.start <= t < span.end), None)

    def activity(self, t: float) -> Activity | None:
        """What the hands or the mouth do at `t`; None also in a rest."""
        span = self.span(t)
        activity = ACTIVITIES.get(span.activity) if span else None
        return None if activity is None or self.beats[activity.motion].resting(t) else activity

    def actions(self, t: float) -> tuple[str, ...]:
        """The class names that hold at `t`; none when not in the scene."""
        span, activity = self.span(t), self.activity(t)
        return (span.pose, activity.name) if activity else (span.pose,) if span else ()


class Scene:
    """A random scene.

    Args:
        rng: random source; the same state gives the same scene.
        bodies: the people it may cast.
        place_seeds: the places it may play at.
        width, height: of the picture, in pixels.
        duration: seconds.
        sounds: whether anything is heard; without, nobody does what only sound tells apart.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        bodies: Sequence[Body],
        place_seeds: Sequence[int],
        width: int,
        height: int,
        duration: float,
        sounds: bool = True,
    ) -> None:
        self.width, self.height, self.duration = width, height, duration
        self.place = Place(np.random.default_rng(rng.choice(place_seeds)), width, height)
        self.actors = self._cast(rng, bodies, sounds)
        self._sound_seed = int(rng.integers(2**31))

    def _cast(self, rng: np.random.Generator, bodies: Sequence[Body], sounds: bool) -> list[Actor]:
        timing = sounds and rng.uniform() < TIMING_SHARE
        motions = [str(m) for m in rng.choice(list(MOTIONS), len(MOTIONS), replace=False, p=list(MOTIONS.values()))]
        if not sounds:
            motions = [m for m in motions if m not in SOUND_PAIRS] + ["none"]
        count = int(rng.choice([2, 3, 4], p=[0.5, 0.4, 0.1]))
        slots = rng.permutation((np.arange(count) + 0.5 + rng.uniform(-0.25, 0.25, count)) / count)
        chosen = rng.choice(len(bodies), count, replace=False)
        if timing:
            motions = ["bell", "bell", *motions]
            turns = Beats.take_turns(rng, self.duration, ACTIVITIES["ring a bell"].period)
        actors = []
        for i in range(count):
            beats = {}
            for activity in ACTIVITIES.values():
                if activity.motion not in beats:
                    period = rng.uniform(*activity.period)
                    beats[activity.motion] = Beats.draw(rng, self.duration, period, 0.12)
            if timing and i < 2:
                beats["bell"] = turns[i]
            size = rng.uniform(0.64, 0.88) * self.height  # raised hands are in the picture
            actors.append(
                Actor(
                    body=bodies[chosen[i]],
                    height=size,
                    foot=self.height * rng.uniform(0.92, 0.98),
                    facing=int(rng.choice((-1, 1))),
                    voice=float(rng.uniform()),
                    spans=self._plan(rng, motions[i], slots[i] * self.width, TIMING_PAIR[i % 2]),
                    beats=beats,
                )
            )
        return sorted(actors, key=lambda actor: actor.foot)

    def _plan(self, rng: np.random.Generator, motion: str, x: float, bell: str) -> tuple[Span, ...]:
        """The spans of a person whose place is at `x` and whose motion is `motion`."""
        end = self.duration + 1
        if motion == "bell":
            return (Span(-1, end, str(rng.choice(["stand", "sit"])), bell, x, x),)
        twins = SOUND_PAIRS.get(motion)
        if twins:
            first, second = (str(name) for name in rng.permutation(twins))
        else:
            first = second = next((a.name for a in ACTIVITIES.values() if a.motion == motion), None)
        pose = str(rng.choice(["stand", "sit", "crouch"], p=[0.5, 0.25, 0.25]))
        walking = first if motion in ("carry", "wave") else None
        edge = -0.1 * self.width if x < self.width / 2 else 1.1 * self.width
        kind = rng.choice(["stay", "enter", "leave", "change", "stroll"], p=[0.4, 0.18, 0.12, 0.2, 0.1])
        turn = float(rng.choice(np.arange(1.5, self.duration - 1)))  # between keyframes, which are at whole seconds
        if kind == "enter":
            return Span(-1, turn, "walk", walking, edge, x), Span(turn, end, pose, first, x, x)
        if kind == "leave":
            return Span(-1, turn, pose, first, x, x), Span(turn, end, "walk", walking, x, edge)
        if kind == "change":
            return Span(-1, turn, pose, first, x, x), Span(turn, end, pose, second, x, x)
        if kind == "stroll" and not twins:
            return (Span(-1, end, "walk", walking, x, self.width - x + rng.uniform(-20, 20)),)
        return (Span(-1, end, pose, first, x, x),)

    def frame(self, t: float, number: int) -> tuple[np.ndarray, list[np.ndarray | None]]:
        """The picture at `t` seconds, frame `number`.

        Returns:
            (H, W, 3) uint8 RGB, and for each actor the (4,) box x1 y1 x2 y2 in 0..1 within the picture, or None
            where the actor is not in the scene or less than MIN_VISIBLE of the body is inside the picture.
        """
        image = self.place.view(t)
        boxes = [self._draw(image, actor, t) for actor in self.actors]
        return self.place.add_noise(image, number), boxes

    def _draw(self, image: np.ndarray, actor: Actor, t: float) -> np.ndarray | None:
        span = actor.span(t)
        if span is None:
            return None
        way = np.clip((t - span.start) / (span.end - span.start), 0, 1)
        foot = (span.x0 + way * (span.x1 - span.x0), actor.foot)
        activity = actor.activity(t)
        motion = activity.motion if activity else None
        box = draw_figure(
            image, actor.body, foot, actor.height, t, span.pose, motion, actor.beats.get(motion), actor.facing
        )
        inside = np.clip(box, 0, (self.width, self.height) * 2)
        area = (box[2] - box[0]) * (box[3] - box[1])
        visible = max(inside[2] - inside[0], 0) * max(inside[3] - inside[1], 0) / area
        return inside / ((self.width, self.height) * 2) if visible >= MIN_VISIBLE else None

    def actions(self, t: float) -> list[tuple[str, ...]]:
        """For each actor the class names that hold at `t`."""
        return [actor.actions(t) for actor in self.actors]

    def sound(self, rate: int) -> np.ndarray:
        """(S, 2) float32: the sound track of the whole scene."""
        rng = np.random.default_rng(self._sound_seed)
        events = []
        for actor in self.actors:
            gain = 0.35 + 0.3 * actor.height / self.height
            for span in actor.spans:
                activity = ACTIVITIES.get(span.activity)
                if activity is None or activity.sound is None:
                    continue
                pan = np.clip(2 * span.x0 / self.width - 1, -0.8, 0.8)
                times = actor.beats[activity.motion].sounding()
                chosen = times[(times >= max(span.start, 0)) & (times < span.end)]
                events += [(float(t), activity.sound, gain, pan, actor.voice) for t in chosen]
        return mix(rng, rate, self.duration, sorted(events), rng.uniform(-45, -33))
