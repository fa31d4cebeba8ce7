"""The course of a training run as one picture."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from avsf_det.files import written_whole

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # of Okabe and Ito, as in palette.py
_SOFT = "#6b7680"
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _SOFT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "grid.color": "#e6e9ec",
    "legend.frameon": False,
    "text.parse_math": False,
}
_TITLES = {"top1": "top-1 accuracy, %", "action_top1": "top-1 accuracy of actions, %"}
_SMOOTH = 50  # a running mean is over so many times fewer records than there are


def draw_curves(path: str | Path, records: Iterable[Mapping], measure: str = "mAP") -> None:
    """Write the losses, the learning rate, a measure and the share of time that training waits for data, over epochs.

    Args:
        path: of the PNG, which is written whole or not at all.
        records: of a training log, in the order of steps. Each has "epoch", how many are done, and "kind": "train" has
            "loss" and further keys that end in "_loss", "lr", "data_seconds" and "compute_seconds", "eval" has the
            measure. Other kinds, keys that are missing and values that are no numbers are left out.
        measure: what the model is judged by.
    """
    records = list(records)
    steps = [record for record in records if record["kind"] == "train"]
    evaluations = [record for record in records if record["kind"] == "eval"]
    matplotlib_logger = logging.getLogger("matplotlib")
    level = matplotlib_logger.level
    matplotlib_logger.setLevel(logging.ERROR)  # it tells of building its cache of fonts
    try:
        with matplotlib.rc_context(_STYLE), written_whole(Path(path)) as unfinished:
            figure = Figure(figsize=(11, 6.6), layout="constrained")
            FigureCanvasAgg(figure)
            (loss, lr), (judged, waiting) = figure.subplots(2, 2, sharex=True)
            _draw_losses(loss, steps)
            _draw_lr(lr, steps)
            _draw_measure(judged, evaluations, measure)
            _draw_waiting(waiting, steps)
            for axes in (judged, waiting):
                axes.set_xlabel("epoch")
                axes.set_xlim(0, max((record["epoch"] for record in records), default=0) or 1)
            figure.savefig(unfinished, dpi=100)
    finally:
        matplotlib_logger.setLevel(level)


def _draw_losses(axes: Axes, records: Sequence[Mapping]) -> None:
    axes.set_title("loss")
    names = list(dict.fromkeys(key for record in records for key in record if key == "loss" or key.endswith("_loss")))
    for name, colour in zip(names, _COLOURS):
        epochs, values = _series(records, name)
        _draw_noisy(axes, epochs, values, _smooth(values), colour, name)
    if len(names) > 1:
        axes.legend()


def _draw_lr(axes: Axes, records: Sequence[Mapping]) -> None:
    axes.set_title("learning rate")
    epochs, values = _series(records, "lr")
    _draw_noisy(axes, epochs, values, values, _COLOURS[0])
    axes.set_ylim(bottom=0)


def _draw_measure(axes: Axes, records: Sequence[Mapping], measure: str) -> None:
    axes.set_title(_TITLES.get(measure, measure.replace("_", " ")))
    epochs, values = _series(records, measure)
    axes.plot(epochs, values, color=_COLOURS[2], marker="o", markersize=4, clip_on=False)
    axes.set_ylim(0, max([0.05, *values]) * 1.15)
    if len(values):
        best = int(values.argmax())
        place = {"xytext": (0, 7), "textcoords": "offset points", "ha": "center"}
        axes.annotate(f"{values[best]:.4g}", (epochs[best], values[best]), color=_COLOURS[2], **place)
    else:
        axes.text(0.5, 0.5, "no evaluation yet", transform=axes.transAxes, ha="center", color=_SOFT)


def _draw_waiting(axes: Axes, records: Sequence[Mapping]) -> None:
    timed = [record for record in records if "data_seconds" in record and "compute_seconds" in record]
    epochs, waits = _series(timed, "data_seconds")
    both = waits + _series(timed, "compute_seconds")[1]
    share = f": {waits.sum() / both.sum():.1%} in all" if both.sum() else ""
    axes.set_title(f"time spent waiting for data{share}")
    _draw_noisy(
        axes, epochs, waits / np.maximum(both, 1e-9), _smooth(waits) / np.maximum(_smooth(both), 1e-9), _COLOURS[3]
    )
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1))


def _draw_noisy(
    axes: Axes, epochs: np.ndarray, values: np.ndarray, smooth: np.ndarray, colour: str, name: str = ""
) -> None:
    """A series pale, and what it is on average strong."""
    axes.plot(epochs, values, color=colour, alpha=0.3, linewidth=1)
    axes.plot(epochs, smooth, color=colour, linewidth=1.6, label=name, marker="o" if len(epochs) == 1 else None)


def _smooth(values: np.ndarray) -> np.ndarray:
    """The running mean, at the ends over what there is."""
    if not len(values):
        return values
    window = np.ones(max(1, len(values) // _SMOOTH))
    return np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")


def _series(records: Sequence[Mapping], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs and finite values of a key."""
    pairs = [(record["epoch"], record[key]) for record in records if key in record]
    epochs, values = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    return epochs[np.isfinite(values)], values[np.isfinite(values)]
