"""From tables to the result: frame mAP, AP a class, mAP a group, and what was left out on the way."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ava_eval.average_precision import TIES
from ava_eval.csv_file import read_csv
from ava_eval.errors import InputError
from ava_eval.label_map import LabelMap, load_label_map
from ava_eval.matching import match
from ava_eval.pickle_file import SUFFIXES
from ava_eval.protocol import PROTOCOLS
from ava_eval.result import Evaluation
from ava_eval.results_file import read_results
from ava_eval.summary import summarize
from ava_eval.table import Table, check_values, table_from_memory

if TYPE_CHECKING:
    import pandas as pd

    Rows = str | os.PathLike[str] | pd.DataFrame | np.ndarray | list

NEAR_ZERO = 0.01  # mAP below which something is wrong
FAR = 0.4  # of the oracle mAP, below which the files are checked
FEWEST = 20  # ground truths from which on that is checked
FEW_BOXES = 0.6  # oracle mAP, below which they are checked too


def evaluate(
    ground_truth: Rows,
    detections: Rows,
    label_map: str | os.PathLike[str] | LabelMap | Mapping[int, str],
    excluded: Rows | None = None,
    *,
    iou: float = 0.5,
    protocol: str = "official",
    ties: str = "stable",
) -> Evaluation:
    """Frame mAP by the official AVA protocol (activitynet/ActivityNet, Evaluation/get_ava_performance.py) or another.

    Args:
        ground_truth: path of a csv (or .csv.gz), or DataFrame, array or list of rows: video, timestamp in seconds,
            x1, y1, x2, y2, action id and optionally person id; or video and timestamp alone for a frame without boxes.
        detections: likewise, the last column being the score (1 if left out).
        label_map: path of a pbtxt or name of one that comes with the package ("ava_v2.2"), a LabelMap, or {id: name};
            other action ids are ignored.
        excluded: likewise, rows of video and timestamp whose frames do not count.
        iou: least overlap of a true positive, above 0 and up to 1.
        protocol: "official", or "pyslowfast" or "mmaction2" to compare with numbers of those projects.
        ties: "stable" orders equal scores alike on every machine, "official" by the official code's sort, which does
            not.

    Raises:
        InputError: with one line that names the file and line, if an input cannot be read.
    """
    _check_options(iou, protocol, ties)
    rules = PROTOCOLS[protocol]
    labels, unseen = load_label_map(label_map)
    truth, found, excluded_rows = load_tables(ground_truth, detections, excluded)
    matches = match(truth, found, labels, excluded_rows, rules)
    result = summarize(matches, truth, found, labels, rules, iou, ties)
    result.warnings.extend(_warnings(result, excluded_rows, unseen))
    result.warnings.extend(_explain_low(result, excluded_rows))
    return result


def _explain_low(result: Evaluation, excluded: Table | None) -> list[str]:
    """What is wrong with the files, if the mAP is far below what the boxes allow, or few people have a box."""
    truth, found = result.truth, result.found
    labels = len(result.matches.ground_truth_rows)
    if not labels or (labels < FEWEST and result.mAP >= NEAR_ZERO):
        return []
    from ava_eval.check import diagnose, oracle_on_sample

    allowed = oracle_on_sample(truth, found, result.label_map) if result.mAP >= NEAR_ZERO else 1.0
    if result.mAP >= FAR * allowed and allowed > FEW_BOXES:
        return []
    lines = [issue.line() for issue in diagnose(truth, found, result.label_map, excluded).issues]
    if not lines and result.mAP < allowed / 4 and labels >= 100 and len(found):
        allowed = oracle_on_sample(truth, found, result.label_map)
        lines = [
            f"the mAP is {result.mAP:.4f}, with every action on these boxes right it would be {allowed:.4f}; "
            "`ava-eval check` finds no problem with the files, which leaves the scores of the actions"
        ]
    return lines


def load_tables(ground_truth: Rows, detections: Rows, excluded: Rows | None) -> tuple[Table, Table, Table | None]:
    """The three tables, checked.

    Raises:
        InputError: naming the file and line that cannot be read.
    """
    truth = as_table(ground_truth, "ground truth")
    check_values(truth, is_ground_truth=True)
    found = as_table(detections, "detections")
    check_values(found, is_ground_truth=False)
    left_out = None if excluded is None else as_table(excluded, "excluded timestamps")
    if left_out is not None and left_out.has_box.any():
        place = left_out.where(left_out.has_box.argmax())
        raise InputError(f"{place}: an excluded timestamp has two columns (video, timestamp), this row has more")
    return truth, found, left_out


def as_table(value: Rows, source: str) -> Table:
    """Reads a path, or takes what is in memory and calls it `source`."""
    if not isinstance(value, (str, os.PathLike)):
        return table_from_memory(value, source)
    return read_results(value) if os.fspath(value).lower().endswith(SUFFIXES) else read_csv(value)


def _check_options(iou: float, protocol: str, ties: str) -> None:
    if not 0 < iou <= 1:
        raise InputError(f"the IoU threshold is {iou}, expected a number above 0 and up to 1")
    if protocol not in PROTOCOLS:
        raise InputError(f"the protocol is {protocol!r}, expected one of {', '.join(PROTOCOLS)}")
    if ties not in TIES:
        raise InputError(f"ties are to be broken {ties!r}, expected one of {', '.join(TIES)}")


def _warnings(result: Evaluation, left_out: Table | None, unseen: list[str]) -> list[str]:
    truth, found, matches, rules = result.truth, result.found, result.matches, result.protocol
    lines = []
    if unseen:
        lines.append(
            f"label map: the official reader would not see {len(unseen)} of the classes ({unseen[0]!r} first), for "
            "it knows only lines that are indented by two blanks; here they count"
        )
    for table in (truth, found, left_out):
        if table is not None and table.skipped:
            lines.append(f"{table.source}: {_plural(table.skipped, 'blank line')} skipped")
        if table is not None:
            lines.extend(table.notes)
    empty = int((~truth.has_box).sum())
    if empty and not rules.reads_empty_frames:
        lines.append(f"{truth.source}: {_plural(empty, 'row')} of two columns skipped: {rules.name} has none")
    if not len(matches.ground_truth_rows):
        lines.append(f"{truth.source}: no ground truth of any class of the label map, so there is no mAP")
    x1, y1, x2, y2 = truth.boxes[matches.ground_truth_rows].T
    flat = matches.ground_truth_rows[(x1 >= x2) | (y1 >= y2)]
    if len(flat):
        lines.append(
            f"{truth.where(flat[0])}: x1 >= x2 or y1 >= y2 in {_plural(len(flat), 'ground-truth box', 'es')}, of which "
            "this is the first; they count as missed"
        )
    undetected = [name for name, ap in result.ap.items() if ap != ap and result.ground_truths[name]]
    if undetected:
        lines.append(
            f"{_plural(len(undetected), 'class', 'es')} with ground truth but no detection ({undetected[0]!r} first) "
            f"left out of the mean, as {rules.name} does; by the official protocol each has AP 0"
        )
    if result.ambiguous:
        low, high = result.mAP_range
        lines.append(
            f"{found.source}: {_plural(result.tied, 'detection')} of {len(matches.rows)} share their score with "
            f"another of their class, {result.ambiguous} with one of the other kind (true or false positive), so the "
            f"mAP is anything from {low:.6f} to {high:.6f}; write scores with all their digits (repr)"
        )
    if matches.tied_at_capacity:
        lines.append(
            f"{found.source}: {_plural(matches.tied_at_capacity, 'detection')} beyond the {rules.capacity} best of "
            "their frame score no less than one that was kept, so which of them count hangs on the order of the rows"
        )
    return lines


def _plural(count: int, noun: str, ending: str = "s") -> str:
    return f"{count} {noun}{ending if count != 1 else ''}"
