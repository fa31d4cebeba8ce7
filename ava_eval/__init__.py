"""The AVA evaluator: frame mAP by the official protocol, exact and fast, whatever model the detections come from.

from ava_eval import evaluate
result = evaluate("ava_val.csv", "detections.csv", "labelmap.pbtxt", excluded="excluded.csv")
print(result.mAP, result.ap["stand"])
print(result.table())
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ava_eval.errors import InputError

if TYPE_CHECKING:
    from ava_eval.evaluation import evaluate
    from ava_eval.label_map import LabelMap, parse_label_map, read_label_map
    from ava_eval.result import Evaluation

__all__ = ["Evaluation", "InputError", "LabelMap", "evaluate", "parse_label_map", "read_label_map"]


def __getattr__(name: str) -> object:
    """Import the public names when they are first used: `ava-eval --help` need not wait for NumPy."""
    if name == "evaluate":
        from ava_eval import evaluation as module
    elif name == "Evaluation":
        from ava_eval import result as module
    elif name in ("LabelMap", "parse_label_map", "read_label_map"):
        from ava_eval import label_map as module
    else:
        raise AttributeError(f"module 'ava_eval' has no attribute {name!r}")
    return getattr(module, name)
