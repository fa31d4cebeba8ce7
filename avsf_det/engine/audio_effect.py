"""What sound does to detections: their scores with it and without, for each and summed over a class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from ava_eval import Evaluation
from ava_eval.evaluation import as_table
from ava_eval.matching import match
from ava_eval.result import as_json, known
from ava_eval.summary import summarize

COLUMNS = ("AP with sound", "without", "difference", "change of right", "of others")


@dataclass(frozen=True)
class AudioEffect:
    """Numbers of one class, or means over classes; NaN where there are none.

    Attributes:
        ap: AP with sound.
        silent_ap: AP of the same boxes scored without.
        right: mean of score with sound less score without, over the true positives (of the scores with sound).
        others: the same over all other detections that count.
    """

    ap: float
    silent_ap: float
    right: float
    others: float


def audio_effects(evaluation: Evaluation, silent: np.ndarray, excluded: Path | None) -> dict[str, AudioEffect]:
    """The effect on each class, by name.

    Args:
        evaluation: of the detections with sound.
        silent: (R,) scores of its R detections, in their order, without sound.
        excluded: the csv of timestamps that do not count.
    """
    found, matches, rules = evaluation.found, evaluation.matches, evaluation.protocol
    table = replace(found, scores=silent.astype(np.float64))
    left_out = None if excluded is None else as_table(excluded, "excluded timestamps")
    other = match(evaluation.truth, table, evaluation.label_map, left_out, rules)
    without = summarize(other, evaluation.truth, table, evaluation.label_map, rules, evaluation.iou, evaluation.ties)
    change, hits = (found.scores - table.scores)[matches.rows], matches.true_positives(evaluation.iou)
    return {
        name: AudioEffect(
            evaluation.ap[name],
            without.ap[name],
            _mean(change[where][hits[where]]),
            _mean(change[where][~hits[where]]),
        )
        for name, where in zip(evaluation.ap, evaluation.class_slices())
    }


def mean_effect(effects: Iterable[AudioEffect]) -> AudioEffect:
    """The mean over the classes for which there is a number, each number for itself."""
    columns = np.array([tuple(asdict(effect).values()) for effect in effects]).reshape(-1, 4)
    return AudioEffect(*(_mean(column[~np.isnan(column)]) for column in columns.T))


def effect_table(effects: dict[str, AudioEffect]) -> str:
    """The effects as text: a line a class, the mean of the classes last."""
    rows = {**effects, "mean of the classes": mean_effect(effects.values())}
    width = max(map(len, rows))
    lines = [f"{'what sound does':<{width}}  " + "  ".join(COLUMNS)]
    for name, effect in rows.items():
        numbers = (effect.ap, effect.silent_ap, effect.ap - effect.silent_ap, effect.right, effect.others)
        kinds = (".4f", ".4f", "+.4f", "+.4f", "+.4f")
        cells = (f"{'-' if np.isnan(n) else format(n, kind):>{len(c)}}" for n, kind, c in zip(numbers, kinds, COLUMNS))
        lines.append(f"{name:<{width}}  " + "  ".join(cells))
    return "\n".join(lines)


def effect_json(effects: dict[str, AudioEffect]) -> str:
    """The effects as text of a JSON file, numbers at full precision."""
    rows = {**effects, "mean of the classes": mean_effect(effects.values())}
    return as_json({name: known(asdict(effect)) for name, effect in rows.items()})


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
