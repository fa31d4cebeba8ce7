"""What a mirrored picture changes besides its pixels: boxes, and classes that name a side."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch

_OTHER = {"left": "right", "Left": "Right", "LEFT": "RIGHT"}
_OTHER |= {right: left for left, right in _OTHER.items()}
_SIDE = re.compile(rf"(?<![A-Za-z])({'|'.join(_OTHER)})(?![A-Za-z])")


def mirrored_classes(names: Sequence[str]) -> tuple[int, ...]:
    """For each class the index of what it is in a mirrored picture: most are themselves, "turn left" is "turn right".

    Two classes change places where their names are the same but for the whole words left and right, however many. A
    class without such a counterpart is itself: AVA's are all.

    Args:
        names: K different class names.

    Returns:
        A permutation of 0..K-1 that is its own inverse: in a mirrored picture labels (N, K) become labels[:, list(it)].
    """
    index = {name: i for i, name in enumerate(names)}
    return tuple(index.get(_SIDE.sub(lambda side: _OTHER[side[0]], name), i) for i, name in enumerate(names))


def mirrored_boxes(boxes: torch.Tensor) -> torch.Tensor:
    """(N, 4) boxes, x1 y1 x2 y2 in 0..1, as they lie in the mirrored picture."""
    x1, y1, x2, y2 = boxes.unbind(dim=1)
    return torch.stack((1 - x2, y1, 1 - x1, y2), dim=1)
