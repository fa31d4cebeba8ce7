"""Person detectors: where the people are in a keyframe.

`build_detector` makes one by name; every one of them keeps to `detectors.protocol.PersonDetector`.
"""

from __future__ import annotations

from typing import Any

from avsf_det.errors import UserError
from detectors.cache import CachedDetector
from detectors.detectron import DetectronDetector
from detectors.given import GivenBoxes
from detectors.protocol import PersonDetector
from detectors.yolox import YoloxDetector

__all__ = [
    "DETECTORS",
    "CachedDetector",
    "DetectronDetector",
    "GivenBoxes",
    "PersonDetector",
    "YoloxDetector",
    "build_detector",
]

DETECTORS = {"detectron2": DetectronDetector, "yolox": YoloxDetector, "boxes": GivenBoxes}


def build_detector(name: str, **kwargs: Any) -> PersonDetector:
    """The detector of that name; `kwargs` go to its constructor.

    Raises:
        UserError: if there is no such detector, or the detector cannot be made.
    """
    if name not in DETECTORS:
        raise UserError(f"there is no person detector '{name}'; choose one of {', '.join(DETECTORS)}")
    return DETECTORS[name](**kwargs)
