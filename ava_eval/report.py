"""All analyses of one evaluation, as text and as JSON; `ava_eval.page` makes HTML of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ava_eval.bootstrap import DRAWS, Comparison, Interval, interval
from ava_eval.error_analysis import MEANING, ErrorType
from ava_eval.explain import Explainer
from ava_eval.result import Evaluation, as_json, decimals, known
from ava_eval.slices import Oracle, Part, by_frequency, by_height, iou_sweep, oracle, precision_recall

Curve = list[tuple[float, float, float]]


@dataclass(frozen=True)
class Report:
    """The analyses of one evaluation.

    Attributes:
        result: the evaluation.
        interval: the mAP with its confidence interval over videos.
        sweep: {IoU threshold: mAP}.
        errors: each of TIDE's error types.
        oracle: how far boxes and actions limit the mAP.
        heights: the mAP by the height of the box.
        frequencies: the mAP by the frequency of the class.
        curves: {class name: points of recall, precision and score}.
        explainer: of single classes.
    """

    result: Evaluation
    interval: Interval
    sweep: dict[float, float]
    errors: list[ErrorType]
    oracle: Oracle
    heights: list[Part]
    frequencies: list[Part]
    curves: dict[str, Curve]
    explainer: Explainer

    @property
    def sweep_mean(self) -> float:
        """The mean over the thresholds 0.5 to 0.95."""
        return sum(self.sweep.values()) / len(self.sweep)

    def to_dict(self) -> dict[str, object]:
        """What `--json` writes if there is a report: the evaluation's dict and an entry for each analysis."""
        return self.result.to_dict() | {
            "confidence_interval": known({"low": self.interval.low, "high": self.interval.high}),
            "mAP_by_iou": {f"{iou:.2f}": known(value) for iou, value in self.sweep.items()},
            "mAP_0.5_to_0.95": known(self.sweep_mean),
            "errors": {
                e.kind: {"count": e.count, "confident": e.confident_count, "fixed_mAP": known(e.fixed)}
                for e in self.errors
            },
            "oracle": known(asdict(self.oracle)),
            "by_height": [_part(part) for part in self.heights],
            "by_class_frequency": [_part(part) for part in self.frequencies],
            "precision_recall": {
                name: {
                    "recall": [p[0] for p in points],
                    "precision": [p[1] for p in points],
                    "score": [p[2] for p in points],
                }
                for name, points in self.curves.items()
            },
        }

    def to_json(self) -> str:
        """`to_dict` as text."""
        return as_json(self.to_dict())

    def text(self) -> str:
        """The analyses for a terminal; the table of classes is `Evaluation.table`."""
        base = self.result.mAP
        lines = [f"confidence interval of the mAP over videos (95 %): {_range(self.interval)}", ""]
        lines += ["IoU threshold   mAP"]
        lines += [f"{iou:>13.2f}  {decimals(value)}" for iou, value in self.sweep.items()]
        lines += [f"{'0.50 to 0.95':>13}  {decimals(self.sweep_mean)}", ""]
        lines += [f"{'error':<6} {'count':>9} {'at best F1':>10}  fixed mAP"]
        for e in self.errors:
            lines.append(
                f"{e.kind:<6} {e.count:>9} {e.confident_count:>10}  {decimals(e.fixed)} ({e.fixed - base:+.4f})"
            )
        lines += ["", *(f"  {kind}: {what}" for kind, what in MEANING.items())]
        lines += ["  at best F1: of the detections that score enough for their class's best F1", ""]
        allowed = self.oracle
        lines += [
            f"{decimals(allowed.person_recall)}  recall of the {allowed.persons} people: a box overlaps enough",
            f"{decimals(allowed.oracle_actions)}  mAP with oracle actions: every action on these boxes right",
            f"{decimals(base)}  mAP",
            f"{decimals(allowed.oracle_boxes)}  mAP with oracle boxes: these actions on the boxes of the ground truth",
        ]
        for title, parts in (("box height", self.heights), ("GT per class", self.frequencies)):
            if parts:
                width = max(len(title), *(len(part.name) for part in parts))
                lines += ["", f"{title:<{width}}  {'ground truths':>13}  {'classes':>7}     mAP"]
                lines += [
                    f"{part.name:<{width}}  {part.truths:>13}  {part.classes:>7}  {decimals(part.mAP)}"
                    for part in parts
                ]
        return "\n".join(lines)


def analyse(result: Evaluation, draws: int = DRAWS, seed: int = 0) -> Report:
    """All analyses of an evaluation.

    Args:
        result: the evaluation.
        draws: how often the videos are resampled for the confidence interval.
        seed: of these draws.
    """
    explainer = Explainer(result)
    ranking, persons = explainer.ranking, explainer.persons
    return Report(
        result=result,
        interval=interval(result, ranking, draws, seed),
        sweep=iou_sweep(result, ranking),
        errors=explainer.errors,
        oracle=oracle(result, persons, ranking),
        heights=by_height(result, persons, ranking),
        frequencies=by_frequency(result, ranking),
        curves=precision_recall(result, ranking),
        explainer=explainer,
    )


def comparison_dict(comparison: Comparison) -> dict[str, object]:
    """A comparison for JSON."""
    return {
        "first": {"mAP": known(comparison.first.mAP), "AP": known(comparison.first.ap)},
        "second": {"mAP": known(comparison.second.mAP), "AP": known(comparison.second.ap)},
        "difference": known(asdict(comparison.mAP)),
        "p_value": known(comparison.p_value),
        "videos": comparison.videos,
        "AP_difference": {name: known(asdict(change)) for name, change in comparison.ap.items()},
        "moved": list(comparison.moved),
    }


def comparison_text(comparison: Comparison) -> str:
    """A comparison for a terminal."""
    first, second, change = comparison.first, comparison.second, comparison.mAP
    lines = [
        f"first   {first.found.source}: mAP {_six(first.mAP)}",
        f"second  {second.found.source}: mAP {_six(second.mAP)}",
    ]
    if not comparison.is_known:
        return "\n".join([*lines, f"second - first: {_six(change.value, '+')}", "", nothing_known(comparison)])
    lines += [
        f"second - first: {_six(change.value, '+')}, 95 % interval over {comparison.videos} videos "
        f"{_range(change, '+')}, p <= {comparison.p_value:.3g}",
        "",
    ]
    if not comparison.moved:
        return "\n".join([*lines, "no class moved: every class's interval contains zero"])
    width = max(map(len, comparison.moved))
    lines.append(f"{'classes that moved':<{max(width, 18)}}   first  second  difference  95 % interval")
    for name, moved in comparison.moved.items():
        aps = f"{decimals(first.ap[name])}  {decimals(second.ap[name])}"
        lines.append(f"{name:<{max(width, 18)}}  {aps}  {moved.value:>+10.4f}  {_range(moved, '+')}")
    return "\n".join(lines)


def nothing_known(comparison: Comparison) -> str:
    """Why a comparison has no interval and no p-value."""
    if comparison.videos >= 2:
        return "no interval and no p-value: no class has ground truth"
    videos = ("no video counts", "only one video counts")[comparison.videos]
    return (
        f"{videos}: whether the difference is chance cannot be said, for any class; compare on two videos or more "
        "(on ten or more for a useful interval)"
    )


def _part(part: Part) -> dict[str, object]:
    return asdict(part) | {"mAP": known(part.mAP)}


def _range(interval: Interval, sign: str = "") -> str:
    if interval.low != interval.low:
        return "unknown (fewer than two videos)"
    return f"{interval.low:{sign}.4f} to {interval.high:{sign}.4f}"


def _six(value: float, sign: str = "") -> str:
    return "-" if value != value else f"{value:{sign}.6f}"
