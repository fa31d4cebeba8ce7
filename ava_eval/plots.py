"""The pictures of the HTML page, each an SVG of its own."""

from __future__ import annotations

import io
import logging
import math
import unicodedata
import warnings
from collections.abc import Callable

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from ava_eval.bootstrap import Comparison
from ava_eval.report import Report

COLOURS = ("#3b6fb6", "#d9822b", "#4a9a5d", "#8a5aa8", "#b0473a", "#6b7680")
GREY = "#9aa3ab"
STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.parse_math": False,  # a class may be called $1
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#6b7680",
    "axes.labelcolor": "#333a40",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e6e9ec",
    "xtick.color": "#4b545c",
    "ytick.color": "#333a40",
}


def draw(width: float, height: float, paint: Callable[[Figure], None]) -> bytes:
    """An SVG of `width` by `height` inches; the same picture has the same bytes."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)  # letters that the font lacks are the browser's business
    try:
        with matplotlib.rc_context(STYLE | {"svg.hashsalt": "ava_eval"}), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            figure = Figure(figsize=(width, height), layout="constrained")
            FigureCanvasSVG(figure)
            paint(figure)
            buffer = io.BytesIO()
            figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    finally:
        logger.setLevel(level)
    return buffer.getvalue()


def classes(report: Report) -> bytes:
    """AP of every class that has one, a bar each, in the colour of its group."""
    result = report.result
    rows = sorted((ap, name) for name, ap in result.ap.items() if not math.isnan(ap))
    group_of = dict(zip(result.label_map.names, result.label_map.groups))
    colour_of = _group_colours(report)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.barh(range(len(rows)), [ap for ap, _ in rows], color=[colour_of[group_of[name]] for _, name in rows])
        axes.set_yticks(range(len(rows)), [_label(name) for _, name in rows])
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, 1)
        axes.set_xlabel(f"AP at IoU {result.iou:g}")
        axes.axvline(result.mAP, color="#333a40", linewidth=1, linestyle="--")
        axes.annotate(f" mAP {result.mAP:.3f}", (result.mAP, -0.5), va="bottom", color="#333a40")
        _legend(axes, colour_of)

    return draw(8.6, 1.0 + 0.2 * len(rows), paint)


def precision_recall(report: Report) -> bytes:
    """The curve of every class, and the mean of each group."""
    names = [name for name, count in report.result.ground_truths.items() if count]
    group_of = dict(zip(report.result.label_map.names, report.result.label_map.groups))
    colour_of = _group_colours(report)
    recalls = np.linspace(0, 1, 101)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        envelopes: dict[str, list[np.ndarray]] = {}
        for name in names:
            points = report.curves[name]
            precision = np.zeros(len(recalls))
            if points:
                recall, found = np.array([(point[0], point[1]) for point in points]).T
                envelope = np.maximum.accumulate(found[::-1])[::-1]
                place = np.searchsorted(recall, recalls)
                precision = np.where(place < len(recall), envelope[np.minimum(place, len(recall) - 1)], 0)
            envelopes.setdefault(group_of[name], []).append(precision)
            axes.plot(recalls, precision, color=colour_of[group_of[name]], alpha=0.25, linewidth=0.8)
        for group, curves in envelopes.items():
            axes.plot(recalls, np.mean(curves, axis=0), color=colour_of[group], linewidth=2.4)
        axes.set(xlim=(0, 1), ylim=(0, 1.01), xlabel="recall", ylabel="precision")
        _legend(axes, colour_of)

    return draw(5.2, 3.8, paint)


def sweep(report: Report) -> bytes:
    """The mAP over IoU thresholds."""

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot(list(report.sweep), list(report.sweep.values()), marker="o", markersize=4, color=COLOURS[0])
        axes.set(xlabel="IoU threshold", ylabel="mAP", ylim=(0, max([0.05, *_finite(report.sweep.values())]) * 1.1))

    return draw(5.2, 3.8, paint)


def errors(report: Report) -> bytes:
    """What fixing each type of error would gain, and how many errors the confident detections have."""
    base = report.result.mAP
    kinds = [e.kind for e in report.errors]

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        gains = [e.fixed - base for e in report.errors]
        bars = left.barh(kinds, gains, color=COLOURS[: len(kinds)])
        left.bar_label(bars, [f"{gain:+.3f}" for gain in gains], padding=3)
        left.invert_yaxis()
        left.grid(visible=False, axis="y")
        left.set_xlim(0, max([0.01, *_finite(gains)]) * 1.25)
        left.set_xlabel("mAP gained if fixed")
        counts = [e.confident_count for e in report.errors]
        bars = right.barh(kinds, counts, color=COLOURS[: len(kinds)])
        right.bar_label(bars, [f"{count:,}" for count in counts], padding=3)
        right.invert_yaxis()
        right.set_yticklabels([])
        right.grid(visible=False, axis="y")
        right.set_xlim(0, max([1, *counts]) * 1.35)
        right.xaxis.set_major_locator(MaxNLocator(3, integer=True))
        right.set_xlabel("errors at each class's best F1")

    return draw(8.6, 2.5, paint)


def oracle(report: Report) -> bytes:
    """The mAP beside the oracle mAPs."""
    found = report.oracle
    rows = {
        "mAP": report.result.mAP,
        "mAP with oracle boxes": found.oracle_boxes,
        "mAP with oracle actions": found.oracle_actions,
        "person recall": found.person_recall,
    }

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        bars = axes.barh(list(rows), list(rows.values()), color=[COLOURS[0], GREY, GREY, GREY])
        axes.bar_label(bars, [f"{value:.3f}" for value in rows.values()], padding=3)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, 1.12)

    return draw(5.2, 2.1, paint)


def heights(report: Report) -> bytes:
    """The mAP by the height of the box."""

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        values = [part.mAP for part in report.heights]
        bars = axes.bar([part.name for part in report.heights], np.nan_to_num(values), color=COLOURS[0], width=0.6)
        axes.bar_label(bars, [f"{value:.3f}" for value in values], padding=2)
        axes.grid(visible=False, axis="x")
        axes.set(ylabel="mAP", xlabel="height of the box", ylim=(0, max([0.05, *_finite(values)]) * 1.18))

    return draw(5.2, 3.2, paint)


def frequencies(report: Report) -> bytes:
    """AP against ground truths, a dot a class."""
    result = report.result
    rows = [(result.ground_truths[name], ap, name) for name, ap in result.ap.items() if not math.isnan(ap)]
    group_of = dict(zip(result.label_map.names, result.label_map.groups))
    colour_of = _group_colours(report)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for group, colour in colour_of.items():
            chosen = [(count, ap) for count, ap, name in rows if group_of[name] == group]
            axes.scatter(*np.array(chosen).reshape(-1, 2).T, s=22, color=colour, alpha=0.8, linewidths=0)
        axes.set_xscale("log")
        axes.set(xlabel="ground truths of the class", ylabel="AP", ylim=(-0.02, 1.02))
        counts = [count for count, *_ in rows] or [1]
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(counts) < 100 * min(counts) else (1,)))
        axes.xaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")  # its own way writes powers in TeX
        axes.xaxis.set_minor_formatter(lambda *_: "")
        _legend(axes, colour_of)

    return draw(5.2, 3.2, paint)


def changes(comparison: Comparison) -> bytes:
    """The difference of AP of every class with its interval; those that moved in colour."""
    rows = sorted((change.value, name) for name, change in comparison.ap.items() if not math.isnan(change.value))
    moved = set(comparison.moved)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        colours = [(COLOURS[2] if value > 0 else COLOURS[4]) if name in moved else GREY for value, name in rows]
        axes.barh(range(len(rows)), [value for value, _ in rows], color=colours)
        for place, (_, name) in enumerate(rows):
            change = comparison.ap[name]
            axes.plot([change.low, change.high], [place, place], color="#333a40", linewidth=0.9)
        axes.set_yticks(range(len(rows)), [_label(name) for _, name in rows])
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.axvline(0, color="#333a40", linewidth=0.8)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("AP of the second minus AP of the first, with its 95 % interval")

    return draw(8.6, 1.0 + 0.2 * len(rows), paint)


def _group_colours(report: Report) -> dict[str, str]:
    groups = dict.fromkeys(report.result.label_map.groups)
    return {group: COLOURS[i % len(COLOURS)] for i, group in enumerate(groups)}


def _legend(axes: Axes, colour_of: dict[str, str]) -> None:
    if any(colour_of):
        texts = [_short(group or "no group") for group in colour_of]
        handles = [
            matplotlib.patches.Patch(color=colour, label=text + _padding(text))
            for text, colour in zip(texts, colour_of.values())
        ]
        widest = max(sum(map(_columns, text)) for text in texts)
        ncols = 3 if widest <= 18 else 2 if widest <= 28 else 1
        place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}
        axes.legend(handles=handles, frameon=False, ncols=ncols, **place)


def _finite(values: object) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _label(name: str) -> str:
    """A name on the vertical axis, which ends at the axis."""
    short = _short(name)
    return _padding(short) + short


def _short(name: str, longest: int = 34) -> str:
    """A name as it fits: wide characters (CJK, emoji) take two columns, marks none, and no letter loses its marks.

    Control characters, bidirectional overrides and lone surrogates, which SVG cannot hold, become "?".
    """
    name = "".join(c if c.isprintable() or c in "\u00a0\u200c\u200d\u3000" else "?" for c in name[: 8 * longest])
    columns = np.cumsum([_columns(character) for character in name])
    if not name or columns[-1] <= longest:
        return name
    end = int(np.searchsorted(columns, longest - 1, side="right"))
    while end and not _columns(name[end]):
        end -= 1
    return name[:end] + "…"


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _padding(name: str) -> str:
    """No-break spaces that make up for wide characters that the browser draws wider than matplotlib measures them.

    They stand on the side of the text that may overflow. From 3.11 on matplotlib measures what its font lacks as wide.
    """
    if matplotlib.__version_info__ >= (3, 11):
        return ""
    return "\u00a0" * math.ceil(1.3 * sum(_columns(character) == 2 for character in name))
