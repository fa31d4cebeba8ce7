"""The result of an evaluation: its numbers, as text and as JSON."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ava_eval.label_map import LabelMap
from ava_eval.matching import MatchTable
from ava_eval.protocol import Protocol
from ava_eval.table import Table


@dataclass(frozen=True)
class Evaluation:
    """Frame mAP of one set of detections.

    Attributes:
        mAP: mean AP of the classes that have ground truth, within 0..1; NaN if none has.
        ap: {class name: AP}, in the order of the label map; NaN where the class has no ground truth.
        groups: {group: mean AP of its classes}, empty if the label map states no groups.
        ground_truths: {class name: how many count}.
        detections: {class name: how many count}.
        best_f1: {class name: (the highest F1, the least score of the detections that give it)}; NaN where no detection
            is a true positive.
        ignored: {what: rows of it that did not count}, only what there was.
        warnings: what the user should know of, a line each.
        tied: how many detections share their score with another of their class.
        ambiguous: how many of them share it with one of the other kind, true or false positive.
        mAP_range: the lowest and the highest mAP that some order of the tied detections gives.
        iou: least overlap of a true positive.
        protocol: whose way of counting.
        ties: how ties are broken, "stable" or "official".
        label_map: the classes.
        matches: the match table that all of this was computed from.
        truth: the ground-truth table.
        found: the table of detections.
    """

    mAP: float
    ap: dict[str, float]
    groups: dict[str, float]
    ground_truths: dict[str, int]
    detections: dict[str, int]
    best_f1: dict[str, tuple[float, float]]
    ignored: dict[str, int]
    warnings: list[str]
    tied: int
    ambiguous: int
    mAP_range: tuple[float, float]
    iou: float
    protocol: Protocol
    ties: str
    label_map: LabelMap
    matches: MatchTable
    truth: Table
    found: Table

    @property
    def ignored_rows(self) -> int:
        """How many rows of both tables did not count."""
        return sum(self.ignored.values())

    def class_slices(self) -> list[slice]:
        """For each of the K classes, where its detections are in the match table."""
        bounds = np.searchsorted(self.matches.classes, np.arange(len(self.label_map) + 1)).tolist()
        return [slice(first, last) for first, last in itertools.pairwise(bounds)]

    def to_dict(self) -> dict[str, object]:
        """What `--json` writes; numbers at full precision, None for NaN."""
        return {
            "mAP": known(self.mAP),
            "AP": known(self.ap),
            "groups": known(self.groups),
            "ground_truths": self.ground_truths,
            "detections": self.detections,
            "best_F1": {name: known(dict(zip(("F1", "score"), best))) for name, best in self.best_f1.items()},
            "ignored": self.ignored,
            "warnings": self.warnings,
            "iou": self.iou,
            "protocol": self.protocol.name,
            "ties": {
                "broken": self.ties,
                "tied_detections": self.tied,
                "ambiguous_detections": self.ambiguous,
                "lowest_mAP": known(self.mAP_range[0]),
                "highest_mAP": known(self.mAP_range[1]),
            },
        }

    def to_json(self) -> str:
        """`to_dict` as text."""
        return as_json(self.to_dict())

    def table(self) -> str:
        """The result as text: a line a class, a group and what was ignored, the mAP last."""
        width = max(len(name) for name in [*self.ap, *self.groups, "mean of the classes"])
        lines = [f"{'class':<{width}}  {'AP':>6}  {'ground truths':>13}  {'detections':>10}  best F1  from score"]
        for name, ap in self.ap.items():
            counts = f"{self.ground_truths[name]:>13}  {self.detections[name]:>10}"
            best, score = self.best_f1[name]
            at = "-" if math.isnan(score) else f"{score:.4g}"
            lines.append(f"{name:<{width}}  {decimals(ap)}  {counts}  {decimals(best):>7}  {at:>10}")
        lines.append("")
        lines += [f"{group:<{width}}  {decimals(value)}" for group, value in self.groups.items()]
        lines.append(f"{'mean of the classes':<{width}}  {decimals(self.mAP)}")
        if self.ignored:
            lines += ["", "ignored rows"]
            lines += [f"{count:>10}  {what}" for what, count in self.ignored.items()]
        if self.protocol.name != "official":
            lines += ["", f"by the protocol of {self.protocol.name}, not the official one"]
        lines += ["", f"mAP@{self.iou:g}IOU {self.mAP:.6f}"]
        return "\n".join(lines)


def known(value: float | Mapping[str, float]) -> object:
    """The number, or mapping of numbers, with None for NaN, which JSON has not."""
    if isinstance(value, Mapping):
        return {key: known(number) for key, number in value.items()}
    return None if math.isnan(value) else value


def as_json(value: object) -> str:
    """Text of a JSON file."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def decimals(value: float) -> str:
    """Four decimals in six places; a dash for NaN."""
    return f"{'-':>6}" if math.isnan(value) else f"{value:6.4f}"
