"""Everything that one matching pass tells, together: as text and as JSON (`ava_eval.page` makes it HTML)."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ava_eval.bootstrap import DRAWS, Comparison, Interval, interval
from ava_eval.breakdown import Ceiling, Part, by_frequency, by_height, ceiling, iou_sweep, precision_recall
from ava_eval.mistakes import KINDS, MISSED, Mistake, count_mistakes
from ava_eval.persons import find_persons
from ava_eval.ranking import Ranking
from ava_eval.result import Evaluation, as_json, decimals, known

Curve = list[tuple[float, float, float]]


@dataclass(frozen=True)
class Report:
    """The analyses of one evaluation.

    Attributes:
        result: the evaluation.
        interval: the mAP with its confidence interval over videos.
        sweep: {IoU threshold: mAP}.
        mistakes: every kind of mistake.
        ceiling: how far boxes limit the mAP.
        heights: the mAP by the height of the box.
        frequencies: the mAP by the frequency of the class.
        curves: {class name: points of recall, precision and score}.
    """

    result: Evaluation
    interval: Interval
    sweep: dict[float, float]
    mistakes: list[Mistake]
    ceiling: Ceiling
    heights: list[Part]
    frequencies: list[Part]
    curves: dict[str, Curve]

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
            "mistakes": {
                m.kind: {"count": m.count, "confident": m.confident, "mAP_if_mended": known(m.mended)}
                for m in self.mistakes
            },
            "detector_ceiling": known(asdict(self.ceiling)),
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
        lines += [f"{'mistake':<13} {'count':>9} {'confident':>9}  mAP if mended"]
        for m in self.mistakes:
            lines.append(f"{m.kind:<13} {m.count:>9} {m.confident:>9}  {decimals(m.mended)} ({m.mended - base:+.4f})")
        lines += [""]
        lines += [f"  {kind}: {what}" for kind, what in KINDS.items()]
        lines += [f"  {MISSED}: ground truth that no detection is matched to"]
        lines += ["  confident: at the score that gives the class its best F1", ""]
        ceiling = self.ceiling
        lines += [
            f"{decimals(ceiling.person_recall)}  of {ceiling.persons} persons have a box that overlaps enough",
            f"{decimals(ceiling.perfect_actions)}  would be the mAP of perfect actions on these boxes",
            f"{decimals(base)}  is the mAP",
            f"{decimals(ceiling.perfect_boxes)}  would be the mAP of these actions on perfect boxes",
        ]
        for title, parts in (("height of box", self.heights), ("ground truths a class", self.frequencies)):
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
        draws: how often the videos are drawn anew for the confidence interval.
        seed: of these draws.
    """
    ranking, persons = Ranking.of(result), find_persons(result)
    return Report(
        result=result,
        interval=interval(result, ranking, draws, seed),
        sweep=iou_sweep(result, ranking),
        mistakes=count_mistakes(result, persons, ranking),
        ceiling=ceiling(result, persons, ranking),
        heights=by_height(result, persons, ranking),
        frequencies=by_frequency(result, ranking),
        curves=precision_recall(result, ranking),
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
