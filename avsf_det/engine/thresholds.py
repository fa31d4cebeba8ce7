"""The score from which each class counts as seen: chosen on validation, where F1 is best."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Sequence
from pathlib import Path

from avsf_det.errors import UserError

EXPECTED = "the evaluation_*.json of `avsf-det eval`, or {class name: score}"


def read_thresholds(path: Path, class_names: Sequence[str], default: float) -> tuple[float, ...]:
    """A threshold for each of K classes.

    Args:
        path: what `avsf-det eval` or `ava-eval --json` wrote, whose scores of best F1 are taken; or a plain JSON object
            of class names and scores.
        class_names: K names.
        default: for classes that the file has no score for, such as those that validation had no example of.

    Raises:
        UserError: if the file cannot be read as one of these, or names a class that there is not.
    """
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as thresholds: {error}; expected {EXPECTED}") from None
    if not isinstance(tree, dict):
        raise UserError(f"{path}: got a JSON {type(tree).__name__}, expected {EXPECTED}")
    scores = tree["best_F1"] if isinstance(tree.get("best_F1"), dict) else tree
    found = {name: _score(path, name, value) for name, value in scores.items()}
    unknown = next((name for name in found if name not in class_names), None)
    if unknown is not None:
        near = difflib.get_close_matches(unknown, class_names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; the model's classes are {class_names[0]!r} and so on"
        raise UserError(f"{path}: the model has no class {unknown!r}{hint}")
    chosen = (found.get(name) for name in class_names)
    return tuple(default if score is None else score for score in chosen)


def _score(path: Path, name: str, value: object) -> float | None:
    value = value.get("score") if isinstance(value, dict) else value
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and 0 <= value <= 1):
        raise UserError(f"{path}: class {name!r}: got {value!r}, expected a score within 0..1; {EXPECTED}")
    return float(value)
