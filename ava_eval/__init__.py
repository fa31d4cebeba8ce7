"""The AVA evaluator: frame mAP by the official protocol, exact and fast, whatever model the detections come from.

from ava_eval import analyse, evaluate
result = evaluate("ava_val.csv", "detections.csv", "labelmap.pbtxt", excluded="excluded.csv")
print(result.mAP, result.ap["stand"])
print(result.table())
print(analyse(result).text())
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ava_eval.errors import InputError

if TYPE_CHECKING:
    from ava_eval.bootstrap import compare
    from ava_eval.evaluation import evaluate
    from ava_eval.label_map import LabelMap, parse_label_map, read_label_map
    from ava_eval.report import analyse
    from ava_eval.result import Evaluation
    from ava_eval.tubes import evaluate_tubes

__all__ = [
    "Evaluation",
    "InputError",
    "LabelMap",
    "analyse",
    "compare",
    "evaluate",
    "evaluate_tubes",
    "parse_label_map",
    "read_label_map",
]
MODULE_OF = {
    "Evaluation": "result",
    "LabelMap": "label_map",
    "analyse": "report",
    "compare": "bootstrap",
    "evaluate": "evaluation",
    "evaluate_tubes": "tubes",
    "parse_label_map": "label_map",
    "read_label_map": "label_map",
}


def __getattr__(name: str) -> object:
    """Import the public names when they are first used: `ava-eval --help` need not wait for NumPy."""
    if name not in MODULE_OF:
        raise AttributeError(f"module 'ava_eval' has no attribute {name!r}")
    return getattr(import_module(f"ava_eval.{MODULE_OF[name]}"), name)
