"""One articulated figure: body, skeleton and drawing. Units are the figure's own height; y points up from the feet."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from avsf_det.data.scenes.activities import Beats

Point = tuple[float, float]
SUBPIXEL = 4
"""Fractional bits that OpenCV's drawing functions are given."""


@dataclass(frozen=True)
class Body:
    """What stays the same about a person.

    Attributes:
        build: thickness of limbs and torso against the average.
        head: head radius, as a share of the height.
        skin, hair, shirt, trousers, prop: RGB colours.
        hair_style: 0 bald, 1 short, 2 long, 3 hat.
    """

    build: float
    head: float
    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    shirt: tuple[int, int, int]
    trousers: tuple[int, int, int]
    prop: tuple[int, int, int]
    hair_style: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Body:
        """A random person."""
        skin = np.array((235, 190, 150)) * rng.uniform(0.35, 1.05)
        colours = rng.integers(20, 236, (4, 3))
        return cls(
            build=rng.uniform(0.8, 1.35),
            head=rng.uniform(0.085, 0.11),
            skin=tuple(int(c) for c in skin.clip(0, 255)),
            hair=tuple(int(c) for c in colours[0] // 2),
            shirt=tuple(int(c) for c in colours[1]),
            trousers=tuple(int(c) for c in colours[2] * 3 // 4),
            prop=tuple(int(c) for c in colours[3]),
            hair_style=int(rng.integers(4)),
        )


class Canvas:
    """Draws in a figure's units onto a picture and remembers the extent of what belongs to the body."""

    def __init__(self, image: np.ndarray, foot: Point, height: float) -> None:
        self.image, self.foot, self.height = image, foot, height
        self.extent = [np.inf, np.inf, -np.inf, -np.inf]

    def _pixels(self, point: Point) -> tuple[float, float]:
        return self.foot[0] + point[0] * self.height, self.foot[1] - point[1] * self.height

    def _fixed(self, point: Point) -> tuple[int, int]:
        x, y = self._pixels(point)
        return round(x * 2**SUBPIXEL), round(y * 2**SUBPIXEL)

    def _grow(self, point: Point, margin: float) -> None:
        (x, y), margin, e = self._pixels(point), margin * self.height, self.extent
        self.extent = [min(e[0], x - margin), min(e[1], y - margin), max(e[2], x + margin), max(e[3], y + margin)]

    def limb(self, points: list[Point], width: float, colour: tuple[int, int, int], body: bool = True) -> None:
        """A line through `points`, `width` thick."""
        thickness = max(1, round(width * self.height))
        fixed = np.array([self._fixed(p) for p in points], dtype=np.int32)
        cv2.polylines(self.image, [fixed], False, colour, thickness, cv2.LINE_AA, SUBPIXEL)
        if body:
            for point in points:
                self._grow(point, width / 2)

    def polygon(self, points: list[Point], colour: tuple[int, int, int], body: bool = True) -> None:
        """A filled convex shape."""
        fixed = np.array([self._fixed(p) for p in points], dtype=np.int32)
        cv2.fillConvexPoly(self.image, fixed, colour, cv2.LINE_AA, SUBPIXEL)
        if body:
            for point in points:
                self._grow(point, 0.0)

    def ellipse(self, centre: Point, axes: Point, colour: tuple[int, int, int], start: int = 0, end: int = 360) -> None:
        """A filled ellipse, or the part of it between two angles in degrees (clockwise from the right)."""
        size = tuple(max(1, round(a * self.height * 2**SUBPIXEL)) for a in axes)
        cv2.ellipse(self.image, self._fixed(centre), size, 0, start, end, colour, -1, cv2.LINE_AA, SUBPIXEL)
        self._grow(centre, min(axes))


UPPER_ARM, FOREARM = 0.165, 0.165
SHOULDER, HIP, NECK = (0.115, 0.755), (0.065, 0.45), 0.80
MITTENS, FLAGS = (245, 130, 30), ((225, 30, 60), (245, 245, 245))
"""RGB of what clapping hands wear and waving hands hold: bare hands are a pixel or two in small pictures."""
DROP = {"stand": 0.0, "walk": 0.0, "sit": 0.2, "crouch": 0.24}
"""How far the hips come down in each pose."""


def _elbow(shoulder: Point, hand: Point, side: int) -> tuple[Point, Point]:
    """Elbow and reachable hand of a two-bone arm that bends outward and down."""
    s, h = np.array(shoulder), np.array(hand)
    reach = float(np.linalg.norm(h - s))
    longest = (UPPER_ARM + FOREARM) * 0.999
    if reach > longest:
        h, reach = s + (h - s) * longest / reach, longest
    along = (h - s) / max(reach, 1e-6)
    offset = np.sqrt(max(UPPER_ARM**2 - (reach / 2) ** 2, 0.0))
    normal = np.array((along[1], -along[0])) * side
    if normal[1] > 0.5:
        normal = -normal
    return tuple((s + h) / 2 + normal * offset), tuple(h)


def _hands(motion: str | None, beats: Beats | None, t: float, walk: float | None, drop: float) -> dict[int, Point]:
    """Where the left (-1) and right (+1) hands are."""
    swing = 0.09 * np.sin(walk) if walk is not None else 0.012 * np.sin(2 * t)
    hands = {side: (side * 0.16 + swing, 0.455 - drop) for side in (-1, 1)}
    if motion is None:
        return hands
    beat, phase = beats.phase(t)
    arc = beats.swing(t)
    if motion == "clap":
        hands = {side: (side * (0.012 + 0.18 * arc), 0.66 - drop) for side in (-1, 1)}
    elif motion == "drum":
        for side in (-1, 1):
            struck = (beat % 2 == 0) == (side == 1)
            lift = np.sin(np.pi * (phase / 2 if struck else (phase + 1) / 2))
            hands[side] = (side * 0.13, 0.5 + 0.17 * lift - drop)
    elif motion == "bell":
        hands[1] = (0.2, 0.82 + 0.13 * arc - drop)
    elif motion == "mouth":
        hands[1] = (0.075, NECK - 0.01 - 0.06 * arc - drop)
    elif motion == "wave":
        lean = 0.05 * np.sin(np.pi * (beat + phase))
        hands = {side: (side * 0.28 + lean, 0.87 - drop) for side in (-1, 1)}
    elif motion == "carry":
        hands = {side: (side * 0.19, 0.53 - drop) for side in (-1, 1)}
    return hands


def _legs(canvas: Canvas, body: Body, pose: str, hip: float, walk: float | None) -> None:
    width = 0.075 * body.build
    if pose == "sit":
        canvas.polygon([(-0.13, hip), (0.13, hip), (0.11, 0.0), (-0.11, 0.0)], (70, 50, 35), body=False)
    for side in (-1, 1):
        top = (side * HIP[0], hip)
        if pose == "walk":
            stride = side * np.sin(walk)
            foot = (0.15 * stride, 0.035 * max(0.0, np.cos(walk) * side))
            knee = ((top[0] + foot[0]) / 2 + 0.03, (hip + foot[1]) / 2 + 0.01)
        elif pose == "sit":
            knee, foot = (side * 0.115, hip - 0.015), (side * 0.115, 0.02)
        elif pose == "crouch":
            knee, foot = (side * 0.19, 0.23), (side * 0.11, 0.02)
        else:
            knee, foot = (side * 0.07, hip / 2), (side * 0.075, 0.02)
        canvas.limb([top, knee, foot], width, body.trousers)
        canvas.limb([foot, (foot[0] + side * 0.03, foot[1])], 0.05, (30, 25, 25))


def _head(canvas: Canvas, body: Body, centre: Point, mouth: float) -> None:
    x, y = centre
    r = body.head
    if body.hair_style == 2:
        canvas.ellipse((x, y - 0.3 * r), (r * 1.15, r * 1.3), body.hair)
    canvas.ellipse(centre, (r * 0.9, r), body.skin)
    if body.hair_style:
        canvas.ellipse((x, y + 0.15 * r), (r * 0.95, r * 0.9), body.hair, 180, 360)
    if body.hair_style == 3:
        canvas.limb([(x - 1.3 * r, y + 0.35 * r), (x + 1.3 * r, y + 0.35 * r)], 0.025, body.prop)
    for side in (-1, 1):
        canvas.ellipse((x + side * 0.35 * r, y + 0.05 * r), (0.12 * r, 0.12 * r), (20, 20, 20))
    canvas.ellipse((x, y - 0.5 * r), (0.35 * r, (0.06 + 0.34 * mouth) * r), (90, 20, 25))


def _props(canvas: Canvas, body: Body, motion: str | None, hands: dict[int, Point], drop: float) -> None:
    left, right = hands[-1], hands[1]
    if motion == "drum":
        top, bottom = 0.47 - drop, max(0.3 - drop, 0.0)
        canvas.polygon([(-0.17, top), (0.17, top), (0.14, bottom), (-0.14, bottom)], body.prop, body=False)
        canvas.limb([(-0.17, top), (0.17, top)], 0.03, (240, 235, 220), body=False)
        for hand, side in ((left, -1), (right, 1)):
            tip = (hand[0] - side * 0.08, hand[1] - 0.02)
            canvas.limb([hand, tip], 0.018, (210, 170, 110), body=False)
    elif motion == "bell":
        x, y = right
        canvas.limb([(x, y - 0.13), (x, y - 0.17)], 0.05, (30, 25, 20), body=False)
        canvas.polygon(
            [(x - 0.03, y), (x + 0.03, y), (x + 0.095, y - 0.15), (x - 0.095, y - 0.15)], (245, 205, 40), body=False
        )
    elif motion == "mouth":
        x, y = right
        canvas.limb([(x + 0.035, y - 0.07), (x - 0.03, y + 0.05)], 0.05, (25, 25, 30), body=False)
        canvas.limb([(x - 0.03, y + 0.045), (x - 0.04, y + 0.06)], 0.095, (245, 245, 245), body=False)
    elif motion == "clap":
        for hand in (left, right):
            canvas.ellipse(hand, (0.085, 0.085), MITTENS)
    elif motion == "wave":
        for side, (x, y) in ((-1, left), (1, right)):
            top, middle, bottom = y + 0.18, y + 0.1, y + 0.02
            canvas.limb([(x, y - 0.04), (x, top)], 0.02, (60, 45, 30), body=False)
            for low, high, colour in ((middle, top, FLAGS[0]), (bottom, middle, FLAGS[1])):
                tip = x - side * 0.17
                canvas.polygon([(x, low), (x, high), (tip, high), (tip, low)], colour, body=False)
    elif motion == "carry":
        y = left[1]
        corners = [(-0.18, y - 0.12), (0.18, y - 0.12), (0.18, y + 0.13), (-0.18, y + 0.13)]
        canvas.polygon(corners, (196, 154, 96), body=False)
        canvas.limb([(0.0, y - 0.12), (0.0, y + 0.13)], 0.05, (250, 245, 230), body=False)


def draw_figure(
    image: np.ndarray,
    body: Body,
    foot: Point,
    height: float,
    t: float,
    pose: str,
    motion: str | None = None,
    beats: Beats | None = None,
    facing: int = 1,
) -> np.ndarray:
    """Draw one person onto `image` in place.

    Args:
        image: (H, W, 3) uint8 RGB.
        body: who it is.
        foot: x, y in pixels of the point between the feet.
        height: standing height in pixels.
        t: seconds, drives gait and sway.
        pose: one of POSES.
        motion: `Activity.motion`, or None for idle hands.
        beats: the beats of the activity; needed with a motion.
        facing: +1 or -1, mirrors nothing but the sway, so that walkers differ.

    Returns:
        (4,) x1 y1 x2 y2 of the body in pixels, not clipped to the picture.
    """
    canvas = Canvas(image, foot, height)
    walk = 2 * np.pi * 1.6 * t * facing if pose == "walk" else None
    drop = DROP[pose] - (0.012 * abs(np.sin(walk)) if walk is not None else 0.0)
    sway = 0.01 * np.sin(1.7 * t + facing)
    hip, shoulder = HIP[1] - drop, SHOULDER[1] - drop
    _legs(canvas, body, pose, hip, walk)
    half = SHOULDER[0] * (0.8 + 0.2 * body.build)
    waist = 0.085 * body.build
    canvas.polygon(
        [(sway - half, shoulder + 0.03), (sway + half, shoulder + 0.03), (waist, hip - 0.03), (-waist, hip - 0.03)],
        body.shirt,
    )
    canvas.limb([(sway, shoulder), (sway, NECK + 0.02 - drop)], 0.06, body.skin)
    mouth = beats.swing(t) if motion == "mouth" else 0.0
    _head(canvas, body, (sway, NECK + body.head - drop), mouth)
    hands = _hands(motion, beats, t, walk, drop)
    if motion in ("drum", "carry"):
        _props(canvas, body, motion, hands, drop)
    for side in (-1, 1):
        start = (sway + side * half, shoulder)
        elbow, hands[side] = _elbow(start, hands[side], side)
        canvas.limb([start, elbow], 0.08 * body.build, body.shirt)
        canvas.limb([elbow, hands[side]], 0.066 * body.build, body.skin)
        canvas.ellipse(hands[side], (0.052, 0.052), body.skin)
    if motion in ("bell", "mouth", "clap", "wave"):
        _props(canvas, body, motion, hands, drop)
    return np.array(canvas.extent, dtype=np.float64)
