"""Who a detector looks for, by name."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from avsf_det.errors import UserError

# The 80 classes of COCO's detection challenge, in the order in which networks have them (cocodataset.org).
COCO = tuple(
    """person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop
    sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack,
    umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball
    glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana,
    apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed,
    dining table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink,
    refrigerator, book, clock, vase, scissors, teddy bear, hair drier, toothbrush""".replace("\n    ", " ").split(", ")
)


def class_numbers(classes: Sequence[str], names: Sequence[str], known: int, whose: str) -> list[int]:
    """The numbers that a network has for classes. Where it has one class alone, that is who it was trained to find.

    Args:
        classes: names.
        names: those of the network's classes, in its order; empty where they are not known.
        known: how many classes it has.
        whose: the network, for errors.

    Raises:
        UserError: if a name is none of the network's, or its names are not known.
    """
    if known == 1:
        return [0]
    if not classes:
        raise UserError("DETECTOR.CLASSES: got [], expected one name or more, such as ['person']")
    for name in classes:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1) or list(names[:3])
            expected = f"one of its {known}, such as {', '.join(near)}" if names else "a network whose names are known"
            raise UserError(f"{whose}: cannot tell which of its {known} classes is {name!r}; expected {expected}")
    return [list(names).index(name) for name in classes]
