"""From tables to the result: frame mAP, AP a class, mAP a group, and what was left out on the way."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ava_eval.average_precision import average_precision, count_ambiguous, mean_of_known
from ava_eval.csv_file import read_csv
from ava_eval.errors import InputError
from ava_eval.label_map import LabelMap, read_label_map
from ava_eval.matching import MatchTable, match
from ava_eval.table import Table, check_values, table_from_memory

if TYPE_CHECKING:
    import pandas as pd

    Rows = str | os.PathLike[str] | pd.DataFrame | np.ndarray | list


@dataclass(frozen=True)
class Evaluation:
    """Frame mAP of one set of detections.

    Attributes:
        mAP: mean AP of the classes that have ground truth, within 0..1; NaN if none has.
        ap: {class name: AP}, in the order of the label map; NaN where the class has no ground truth.
        groups: {group: mean AP of its classes}, empty if the label map states no groups.
        ground_truths: {class name: how many count}.
        detections: {class name: how many count}.
        ignored: {what: rows of it that did not count}, only what there was.
        warnings: what the user should know of, a line each.
        iou: least overlap of a true positive.
        label_map: the classes.
        matches: the match table that all of this was computed from.
    """

    mAP: float
    ap: dict[str, float]
    groups: dict[str, float]
    ground_truths: dict[str, int]
    detections: dict[str, int]
    ignored: dict[str, int]
    warnings: list[str]
    iou: float
    label_map: LabelMap
    matches: MatchTable

    @property
    def ignored_rows(self) -> int:
        """How many rows of both tables did not count."""
        return sum(self.ignored.values())

    def to_dict(self) -> dict[str, object]:
        """What `--json` writes; numbers at full precision, None for NaN."""

        def known(values: Mapping[str, float]) -> dict[str, float | None]:
            return {key: None if math.isnan(value) else value for key, value in values.items()}

        return {
            **known({"mAP": self.mAP}),
            "AP": known(self.ap),
            "groups": known(self.groups),
            "ground_truths": self.ground_truths,
            "detections": self.detections,
            "ignored": self.ignored,
            "warnings": self.warnings,
            "iou": self.iou,
        }

    def to_json(self) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    def table(self) -> str:
        """The result as text: a line a class, a group and what was ignored, the mAP last."""
        width = max(len(name) for name in [*self.ap, *self.groups, "mean of the classes"])
        lines = [f"{'class':<{width}}  {'AP':>6}  {'ground truths':>13}  {'detections':>10}"]
        for name, ap in self.ap.items():
            counts = f"{self.ground_truths[name]:>13}  {self.detections[name]:>10}"
            lines.append(f"{name:<{width}}  {_decimals(ap)}  {counts}")
        lines.append("")
        lines += [f"{group:<{width}}  {_decimals(value)}" for group, value in self.groups.items()]
        lines.append(f"{'mean of the classes':<{width}}  {_decimals(self.mAP)}")
        if self.ignored:
            lines += ["", "rows that do not count"]
            lines += [f"{count:>10}  {what}" for what, count in self.ignored.items()]
        lines += ["", f"mAP@{self.iou:g}IOU {self.mAP:.6f}"]
        return "\n".join(lines)


def evaluate(
    ground_truth: Rows,
    detections: Rows,
    label_map: str | os.PathLike[str] | LabelMap | Mapping[int, str],
    excluded: Rows | None = None,
    *,
    iou: float = 0.5,
) -> Evaluation:
    """Frame mAP by the official AVA protocol (activitynet/ActivityNet, Evaluation/get_ava_performance.py).

    Args:
        ground_truth: path of a csv (or .csv.gz), or DataFrame, array or list of rows: video, timestamp in seconds,
            x1, y1, x2, y2, action id and optionally person id; or video and timestamp alone for a frame without boxes.
        detections: likewise, the last column being the score (1 if left out).
        label_map: path of a pbtxt, a LabelMap, or {id: name}; other action ids are ignored.
        excluded: likewise, rows of video and timestamp whose frames do not count.
        iou: least overlap of a true positive, above 0 and up to 1.

    Raises:
        InputError: with one line that names the file and line, if an input cannot be read.
    """
    if not 0 < iou <= 1:
        raise InputError(f"the IoU threshold is {iou}, expected a number above 0 and up to 1")
    labels = _as_label_map(label_map)
    truth = _as_table(ground_truth, "ground truth")
    check_values(truth, is_ground_truth=True)
    found = _as_table(detections, "detections")
    check_values(found, is_ground_truth=False)
    left_out = None if excluded is None else _as_table(excluded, "excluded timestamps")
    if left_out is not None and left_out.has_box.any():
        place = left_out.where(left_out.has_box.argmax())
        raise InputError(f"{place}: an excluded timestamp has two columns (video, timestamp), this row has more")

    matches = match(truth, found, labels, left_out)
    true_positives = matches.true_positives(iou)
    true_counts = np.bincount(matches.ground_truth_classes, minlength=len(labels)).tolist()
    bounds = np.searchsorted(matches.classes, np.arange(len(labels) + 1))
    aps, ambiguous = np.full(len(labels), np.nan), 0
    for k, ground_truths in enumerate(true_counts):
        of_class = slice(bounds[k], bounds[k + 1])
        aps[k] = average_precision(matches.scores[of_class], true_positives[of_class], ground_truths)
        if ground_truths:
            ambiguous += count_ambiguous(matches.scores[of_class], true_positives[of_class])
    by_id = np.full(max(labels.ids), np.nan)  # the official mean runs over all ids up to the highest
    by_id[np.array(labels.ids) - 1] = aps
    groups = {
        group: mean_of_known(aps[[other == group for other in labels.groups]])
        for group in dict.fromkeys(labels.groups)
        if group
    }
    return Evaluation(
        mAP=mean_of_known(by_id),
        ap=dict(zip(labels.names, aps.tolist())),
        groups=groups,
        ground_truths=dict(zip(labels.names, true_counts)),
        detections=dict(zip(labels.names, np.diff(bounds).tolist())),
        ignored={what: count for what, count in matches.ignored.items() if count},
        warnings=_warnings(truth, found, left_out, matches, ambiguous),
        iou=iou,
        label_map=labels,
        matches=matches,
    )


def _as_label_map(value: str | os.PathLike[str] | LabelMap | Mapping[int, str]) -> LabelMap:
    if isinstance(value, LabelMap):
        return value
    return LabelMap.from_dict(value) if isinstance(value, Mapping) else read_label_map(value)


def _as_table(value: Rows, source: str) -> Table:
    return read_csv(value) if isinstance(value, (str, os.PathLike)) else table_from_memory(value, source)


def _warnings(truth: Table, found: Table, left_out: Table | None, matches: MatchTable, ambiguous: int) -> list[str]:
    lines = []
    for table in (truth, found, left_out):
        if table is not None and table.skipped:
            lines.append(f"{table.source}: {table.skipped} blank line{'s' * (table.skipped > 1)} passed over")
    if not len(matches.ground_truth_rows):
        lines.append(f"{truth.source}: no ground truth of any class of the label map, so there is no mAP")
    x1, y1, x2, y2 = truth.boxes[matches.ground_truth_rows].T
    flat = matches.ground_truth_rows[(x1 >= x2) | (y1 >= y2)]
    if len(flat):
        lines.append(
            f"{truth.where(flat[0])}: x1 >= x2 or y1 >= y2 in {len(flat)} ground-truth box{'es' * (len(flat) > 1)}, "
            "of which this is the first; they count as missed"
        )
    if ambiguous:
        lines.append(
            f"{found.source}: {ambiguous} detections share their score with one of the other kind (true or false "
            "positive), so the AP depends on how this NumPy sorts; write scores with all their digits (repr)"
        )
    return lines


def _decimals(value: float) -> str:
    return f"{'-':>6}" if math.isnan(value) else f"{value:6.4f}"
