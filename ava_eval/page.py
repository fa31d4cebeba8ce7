"""Reports and comparisons as one HTML file that needs nothing else: no network, images within."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from ava_eval import markup, plots
from ava_eval.bootstrap import Comparison
from ava_eval.error_analysis import MEANING
from ava_eval.explain import ClassErrors, Example
from ava_eval.report import Report, nothing_known
from ava_eval.result import Evaluation
from ava_eval.thumbnails import Thumbnails

SHOWN = 3  # false positives and misses of a class that get a thumbnail


def report_page(report: Report, thumbnails: Thumbnails | None = None) -> str:
    """The page of an evaluation.

    Args:
        report: its analyses.
        thumbnails: of the videos, if the worst errors are to be shown.
    """
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
                ("person recall", _number(report.oracle.person_recall)),
            ]
        ),
        f"<p>{_protocol(report)}</p>",
        *(f"<div class=warning>{escape(warning)}</div>" for warning in result.warnings),
        "<h2>What costs most: error types</h2>",
        markup.picture(plots.errors(report), "mAP gained by fixing each type of error, and how many there are"),
        _errors_table(report),
        "<h2>Boxes or actions?</h2>",
        f"<p>Of {report.oracle.persons:,} people, {_percent(report.oracle.person_recall)} have a box that overlaps "
        "enough. With oracle actions, every action on these boxes is right; with oracle boxes, these actions are on "
        "the boxes of the ground truth.</p>",
        markup.picture(plots.oracle(report), "mAP beside what oracle boxes or oracle actions would give"),
        "<h2>Precision and recall; how exact the boxes are</h2>",
        markup.row(
            markup.picture(
                plots.precision_recall(report),
                "precision over recall: thin lines are classes, thick lines the mean of a group",
            ),
            markup.picture(plots.sweep(report), "mAP over IoU thresholds"),
        ),
        "<h2>Small people, rare classes</h2>",
        markup.row(
            markup.picture(plots.heights(report), "mAP by height of the box") if report.heights else "",
            markup.picture(plots.frequencies(report), "AP of each class over its ground truths"),
        ),
        markup.table(
            ["ground truths per class", "classes", "mAP"],
            [[part.name, str(part.classes), _number(part.mAP)] for part in report.frequencies],
        ),
        "<h2>Classes</h2>",
        markup.picture(plots.classes(report), "AP of every class"),
        _class_table(report),
        "<h2>Confusion</h2>",
        _confusion(report),
        "<h2>Each class: why is it bad?</h2>",
        *_class_errors(report, thumbnails),
    ]
    if result.ignored:
        body += [
            "<h2>Ignored rows</h2>",
            markup.table(["why", "rows"], [[what, f"{count:,}"] for what, count in result.ignored.items()]),
        ]
    return markup.page("Action detection: evaluation", body, sorts=True)


def class_page(result: Evaluation, errors: ClassErrors, thumbnails: Thumbnails | None) -> str:
    """The page of one class."""
    images = thumbnails.render([*errors.false_positives, *errors.misses]) if thumbnails else {}
    skipped = thumbnails.skipped.items() if thumbnails else ()
    body = [
        f"<h1>Action detection: {escape(errors.name)}</h1>",
        f"<p class=files>detections {escape(result.found.source)}<br>ground truth {escape(result.truth.source)}</p>",
        *(f"<div class=warning>no thumbnails of {escape(video)}: {escape(why)}</div>" for video, why in skipped),
        class_section(errors, images).replace("<details>", "<details open>", 1),
    ]
    return markup.page(f"Action detection: {errors.name}", body)


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


def _errors_table(report: Report) -> str:
    rows = [
        [e.kind, f"{e.count:,}", f"{e.confident_count:,}", _number(e.fixed), _signed(e.fixed - report.result.mAP)]
        for e in report.errors
    ]
    header = ["error", "all", "at best F1", "fixed mAP", "gain", ""]
    return markup.table(header, rows, [f"<td class=text>{escape(MEANING[e.kind])}</td>" for e in report.errors])


def _confusion(report: Report) -> str:
    names = [name for name, count in report.result.ground_truths.items() if count]
    chosen = [report.result.label_map.names.index(name) for name in names]
    counts = report.explainer.confusion[chosen][:, chosen]
    if not counts.any():
        return "<p>No confident detection is on a person who does something else.</p>"
    most = sorted(((int(counts[i, j]), i, j) for i, j in zip(*counts.nonzero())), reverse=True)[:10]
    rows = [[names[i], names[j], f"{count:,}"] for count, i, j in most]
    note = (
        "<p>Cls errors at each class's best F1: detected (rows) on a person who does something else instead (columns, "
        "numbered as the rows). A person who does several things counts for each.</p>"
    )
    table = markup.table(["detected", "the person does", "errors"], rows)
    return note + table + markup.details("all classes", markup.heat(names, counts.tolist()))


def _class_errors(report: Report, thumbnails: Thumbnails | None) -> list[str]:
    """A folded part per class with ground truth, the lowest AP first."""
    known = [name for name, count in report.result.ground_truths.items() if count]
    known.sort(key=lambda name: (math.isnan(report.result.ap[name]), report.result.ap[name]))
    classes = [report.explainer.explain(name) for name in known]
    images: dict[Example, bytes] = {}
    if thumbnails:
        images = thumbnails.render(e for c in classes for e in (*c.false_positives[:SHOWN], *c.misses[:SHOWN]))
    parts = ["<p>TP and FP at the score of the best F1; the lowest AP comes first.</p>"]
    if thumbnails and thumbnails.skipped:
        reasons = [f"{video}: {why}" for video, why in thumbnails.skipped.items()]
        more = f" and {len(reasons) - 5} more" if len(reasons) > 5 else ""
        text = f"{len(reasons)} videos without thumbnails: {'; '.join(reasons[:5])}{more}"
        parts.append(f"<div class=warning>{escape(text)}</div>")
    return parts + [class_section(errors, images) for errors in classes]


def class_section(errors: ClassErrors, images: dict[Example, bytes]) -> str:
    """The errors of one class, folded."""
    rows, meanings = [], []
    for kind, (count, confident, fixed) in errors.counts.items():
        rows.append([kind, f"{count:,}", f"{confident:,}", _number(fixed), _signed(fixed - errors.ap)])
        meanings.append(f"<td class=text>{escape(MEANING[kind])}</td>")
    parts = [markup.table(["error", "all", "at best F1", "fixed AP", "gain", ""], rows, meanings)]
    if errors.confused:
        names = ", ".join(f"{name} ({count:,})" for name, count in errors.confused.items())
        parts.append(f"<p>Detected on people who do something else instead: {escape(names)}</p>")
    for title, examples in (("Worst FP", errors.false_positives), ("Worst misses (FN)", errors.misses)):
        if examples:
            items = "".join(f"<li>{escape(example.text())}</li>" for example in examples)
            parts.append(f"<p>{title}</p><ul>{items}</ul>")
            parts.append(
                markup.figures((images[e], f"{e.kind} {e.video} {e.seconds:g} s") for e in examples if e in images)
            )
    worst = max(errors.counts, key=lambda kind: _or_zero(errors.counts[kind][2]))
    summary = f"{errors.name}: AP {_number(errors.ap)}, {errors.ground_truths:,} ground truths, most to gain: {worst}"
    return markup.details(summary, *parts)


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _class_table(report: Report) -> str:
    result = report.result
    group_of = dict(zip(result.label_map.names, result.label_map.groups))
    place = {name: k for k, name in enumerate(result.label_map.names)}
    rows, curves = [], []
    by_ap = sorted(result.ap.items(), key=lambda item: (math.isnan(item[1]), item[1]))
    without = [name for name, count in result.ground_truths.items() if not count]
    for name, ap in by_ap:
        if name in without:
            continue
        best, score = result.best_f1[name]
        counts = [f"{result.ground_truths[name]:,}", f"{result.detections[name]:,}"]
        gains = [_signed(float(e.fixed_aps[place[name]]) - ap) for e in report.errors]
        rows.append([name, group_of[name], _number(ap), *counts, _number(best), _number(score), *gains])
        curves.append(f"<td>{_curve(report.curves[name])}</td>")
    kinds = [f"{e.kind} gain" for e in report.errors]
    header = ["class", "group", "AP", "GT", "detections", "best F1", "from score", *kinds, "precision over recall"]
    table = "<p>Click a header to sort. The gains are of AP, if that type of error were fixed.</p>"
    table += f"<div class=wide>{markup.table(header, rows, curves, sortable=True)}</div>"
    if without:
        folded = [[name, f"{result.detections[name]:,}"] for name in without]
        table += markup.details(
            f"{len(without)} classes without ground truth", markup.table(["class", "detections"], folded)
        )
    return table


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
