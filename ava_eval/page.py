"""Reports and comparisons as one HTML file that needs nothing else: no network, no script, pictures within."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from ava_eval import markup, plots
from ava_eval.bootstrap import Comparison
from ava_eval.mistakes import KINDS, MISSED
from ava_eval.report import Report, nothing_known


def report_page(report: Report) -> str:
    """The page of an evaluation."""
    result, interval = report.result, report.interval
    body = [
        "<h1>Action detection: evaluation</h1>",
        f"<p class=files>detections {escape(result.found.source)}<br>ground truth {escape(result.truth.source)}</p>",
        markup.tiles(
            [
                (f"mAP at IoU {result.iou:g}", _number(result.mAP)),
                ("95 % interval over videos", f"{_number(interval.low, 3)} – {_number(interval.high, 3)}"),
                ("mAP at IoU 0.5 to 0.95", _number(report.sweep_mean)),
                *((f"{group} classes", _number(value)) for group, value in result.groups.items()),
                ("person recall", _number(report.ceiling.person_recall)),
            ]
        ),
        f"<p>{_protocol(report)}</p>",
        *(f"<div class=warning>{escape(warning)}</div>" for warning in result.warnings),
        "<h2>What costs most</h2>",
        markup.picture(plots.mistakes(report), "mAP gained by mending each kind of mistake, and how many there are"),
        _mistakes_table(report),
        "<h2>Boxes or actions?</h2>",
        f"<p>Of {report.ceiling.persons:,} persons, {_percent(report.ceiling.person_recall)} have a box that overlaps "
        "enough. Were every action on these boxes right, the mAP would be that of perfect actions; were these actions "
        "on the true boxes, that of perfect boxes.</p>",
        markup.picture(plots.ceiling(report), "mAP beside what perfect boxes or perfect actions would give"),
        "<h2>Precision and recall; how exact the boxes are</h2>",
        markup.row(
            markup.picture(
                plots.precision_recall(report), "precision over recall: thin a class, thick the mean of a group"
            ),
            markup.picture(plots.sweep(report), "mAP over IoU thresholds"),
        ),
        "<h2>Small persons, rare classes</h2>",
        markup.row(
            markup.picture(plots.heights(report), "mAP by height of the box") if report.heights else "",
            markup.picture(plots.frequencies(report), "AP of each class over its ground truths"),
        ),
        markup.table(
            ["ground truths a class", "classes", "mAP"],
            [[part.name, str(part.classes), _number(part.mAP)] for part in report.frequencies],
        ),
        "<h2>Classes</h2>",
        markup.picture(plots.classes(report), "AP of every class"),
        _class_table(report),
    ]
    if result.ignored:
        body += [
            "<h2>Rows that do not count</h2>",
            markup.table(["why", "rows"], [[what, f"{count:,}"] for what, count in result.ignored.items()]),
        ]
    return markup.page("Action detection: evaluation", body)


def comparison_page(comparison: Comparison) -> str:
    """The page of a comparison."""
    first, second, change = comparison.first, comparison.second, comparison.mAP
    rows = [
        [
            name,
            _number(first.ap[name]),
            _number(second.ap[name]),
            _signed(moved.value),
            f"{_signed(moved.low)} … {_signed(moved.high)}",
        ]
        for name, moved in comparison.moved.items()
    ]
    body = [
        "<h1>Action detection: comparison</h1>",
        f"<p class=files>first {escape(first.found.source)}<br>second {escape(second.found.source)}<br>"
        f"ground truth {escape(first.truth.source)}</p>",
        markup.tiles(
            [
                ("mAP of the first", _number(first.mAP)),
                ("mAP of the second", _number(second.mAP)),
                ("difference", _signed(change.value)),
                (f"95 % interval over {comparison.videos} videos", f"{_signed(change.low)} … {_signed(change.high)}"),
                ("p at most, two-sided", f"{comparison.p_value:.3g}" if comparison.is_known else "–"),
            ]
        ),
        *(
            f"<div class=warning>{name}: {escape(warning)}</div>"
            for name, result in (("first", first), ("second", second))
            for warning in result.warnings
        ),
        "<h2>Classes that moved</h2>",
        markup.table(["class", "first", "second", "difference", "95 % interval"], rows)
        if rows
        else f"<p>{'None: every interval contains zero.' if comparison.is_known else nothing_known(comparison)}</p>",
        "<h2>All classes</h2>",
        markup.picture(plots.changes(comparison), "difference of AP of every class"),
    ]
    return markup.page("Action detection: comparison", body)


def _protocol(report: Report) -> str:
    result = report.result
    ties = f"{result.tied:,} of {len(result.matches.rows):,} detections share their score with another of their class"
    low, high = result.mAP_range
    reach = f"; by their order the mAP may be {low:.6f} to {high:.6f}" if result.ambiguous else ""
    return escape(f"Protocol: {result.protocol.name}. Ties: {result.ties}; {ties}{reach}.")


def _mistakes_table(report: Report) -> str:
    meaning = KINDS | {MISSED: "ground truth that no detection is matched to"}
    rows = [
        [m.kind, f"{m.count:,}", f"{m.confident:,}", _number(m.mended), _signed(m.mended - report.result.mAP)]
        for m in report.mistakes
    ]
    table = markup.table(
        ["mistake", "all", "at best F1", "mAP if mended", "gain", ""],
        rows,
        [f"<td class=text>{escape(meaning[m.kind])}</td>" for m in report.mistakes],
    )
    return table


def _class_table(report: Report) -> str:
    result = report.result
    group_of = dict(zip(result.label_map.names, result.label_map.groups))
    rows, curves = [], []
    for name, ap in result.ap.items():
        best, score = result.best_f1[name]
        counts = [f"{result.ground_truths[name]:,}", f"{result.detections[name]:,}"]
        rows.append([name, group_of[name], _number(ap), *counts, _number(best), _number(score)])
        curves.append(f"<td>{_curve(report.curves[name])}</td>")
    header = ["class", "group", "AP", "ground truths", "detections", "best F1", "from score", "precision over recall"]
    return markup.table(header, rows, curves)


def _curve(points: Sequence[tuple[float, float, float]]) -> str:
    """A small precision-recall curve."""
    if not points:
        return ""
    line = " ".join(f"{60 * recall:.1f},{18 - 17 * precision:.1f}" for recall, precision, _ in points)
    return (
        '<svg width="62" height="20" viewBox="-1 -1 62 20"><path d="M0,0V18H60" fill="none" stroke="#d3d8dc"/>'
        f'<polyline points="0,{18 - 17 * points[0][1]:.1f} {line}" fill="none" stroke="#3b6fb6"/></svg>'
    )


def _number(value: float, places: int = 4) -> str:
    return "–" if math.isnan(value) else f"{value:.{places}f}"


def _signed(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.4f}"


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.1f} %"
