"""Why one class is bad: its error types, what it is confused with, and its worst errors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ava_eval.error_analysis import KINDS, MEANING, ErrorType, confident_detections, confusion, count_errors, kinds_of
from ava_eval.errors import InputError
from ava_eval.persons import Persons, find_persons
from ava_eval.ranking import Ranking
from ava_eval.result import Evaluation, decimals

WORST = 5  # false positives and misses of a class
CONFUSED = 6  # classes


@dataclass(frozen=True)
class Example:
    """One error in a video.

    Attributes:
        kind: "Cls", "Loc", "Dup", "Bkg" or "Miss".
        video: its name.
        seconds: the timestamp.
        box: x1, y1, x2, y2 as in the file.
        score: of the detection; for a miss the best score that the class has on this person, NaN if none.
        labels: the classes of the person of the ground truth, empty if there is none.
        line: of the csv.
    """

    kind: str
    video: str
    seconds: float
    box: tuple[float, ...]
    score: float
    labels: tuple[str, ...]
    line: str

    def text(self) -> str:
        """The example in one line."""
        box = ", ".join(f"{value:.3f}" for value in self.box)
        score = "no detection of the class" if self.score != self.score else f"score {self.score:.3f}"
        truth = f"; ground truth: {', '.join(self.labels)}" if self.labels else "; nobody in the ground truth"
        return f"{self.kind:<4} {self.video} at {self.seconds:.6g} s, box {box}, {score}{truth} ({self.line})"


@dataclass(frozen=True)
class ClassErrors:
    """The errors of one class.

    Attributes:
        name: of the class.
        ap: its AP.
        ground_truths: how many.
        true_positives: at its best F1.
        threshold: the score that gives the best F1; NaN without a true positive.
        counts: {error type: (all, at the best F1, the AP if it were fixed)}.
        confused: {class: how many confident Cls errors are on a person who does that}.
        false_positives: the worst ones, the highest score first.
        misses: ground truth without a detection matched to it, the largest box first.
    """

    name: str
    ap: float
    ground_truths: int
    true_positives: int
    threshold: float
    counts: dict[str, tuple[int, int, float]]
    confused: dict[str, int]
    false_positives: list[Example]
    misses: list[Example]

    def text(self) -> str:
        """The errors for a terminal."""
        lines = [
            f"{self.name}: AP {decimals(self.ap).strip()}, {self.ground_truths} ground truths, {self.true_positives} "
            f"TP at the best F1 (from score {decimals(self.threshold).strip()})",
            "",
            f"{'error':<5} {'all':>8} {'at best F1':>10}  {'fixed AP':>8}    gain",
        ]
        for kind, (count, confident, fixed) in self.counts.items():
            gain = "      -" if fixed != fixed else f"{fixed - self.ap:+.4f}"
            lines.append(f"{kind:<5} {count:>8} {confident:>10}  {decimals(fixed):>8} {gain}  {MEANING[kind]}")
        if self.confused:
            lines += ["", "confused with (what the person does instead, at the best F1)"]
            lines += [f"{count:>8}  {name}" for name, count in self.confused.items()]
        for title, examples in (("worst FP", self.false_positives), ("worst misses (FN)", self.misses)):
            if examples:
                lines += ["", title, *(f"  {example.text()}" for example in examples)]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """The errors for JSON."""

        def number(value: float) -> float | None:
            return None if value != value else value

        return {
            "AP": number(self.ap),
            "ground_truths": self.ground_truths,
            "true_positives": self.true_positives,
            "threshold": number(self.threshold),
            "errors": {k: {"count": a, "confident": b, "fixed_AP": number(c)} for k, (a, b, c) in self.counts.items()},
            "confused_with": self.confused,
            **{
                key: [
                    {
                        "type": e.kind,
                        "video": e.video,
                        "timestamp": e.seconds,
                        "box": list(e.box),
                        "score": number(e.score),
                        "labels": list(e.labels),
                        "line": e.line,
                    }
                    for e in examples
                ]
                for key, examples in (("false_positives", self.false_positives), ("misses", self.misses))
            },
        }


class Explainer:
    """The errors of any class of an evaluation.

    Example:
        >>> Explainer(evaluate("val.csv", "detections.csv", "ava_v2.2")).explain("stand").text()
    """

    def __init__(self, result: Evaluation) -> None:
        self.result = result
        self.persons: Persons = find_persons(result)
        self.ranking = Ranking.of(result)
        self.errors: list[ErrorType] = count_errors(result, self.persons, self.ranking)
        self.confusion = confusion(result, self.persons)
        self.hits = result.matches.true_positives(result.iou)
        self.kinds = kinds_of(result, self.persons, self.hits)
        self.confident = confident_detections(result)
        self._by_person = np.argsort(self.persons.of_truth, kind="stable")
        self._people = self.persons.of_truth[self._by_person]

    def find(self, text: str) -> str:
        """The name of the class that `text` means: its name, its id, or a part of one name alone.

        Raises:
            InputError: if there is none or more than one.
        """
        labels = self.result.label_map
        if text in labels.names:
            return text
        if text.strip().isdigit() and int(text) in labels.ids:
            return labels.names[labels.ids.index(int(text))]
        fitting = [name for name in labels.names if text.strip().lower() in name.lower()]
        if len(fitting) == 1:
            return fitting[0]
        what = f"could be {', '.join(map(repr, fitting[:8]))}" if fitting else "is not in the label map"
        raise InputError(f"the class {text!r} {what}; expected a name or an id of the label map")

    def explain(self, name: str, worst: int = WORST) -> ClassErrors:
        """The errors of a class.

        Args:
            name: as the label map has it.
            worst: how many false positives and misses to show.
        """
        k = self.result.label_map.names.index(name)
        part = self.result.class_slices()[k]
        counts = {e.kind: (int(e.counts[k]), int(e.confident[k]), float(e.fixed_aps[k])) for e in self.errors}
        order = np.argsort(-self.confusion[k], kind="stable")[:CONFUSED]
        names = self.result.label_map.names
        return ClassErrors(
            name=name,
            ap=self.result.ap[name],
            ground_truths=self.result.ground_truths[name],
            true_positives=int((self.hits & self.confident)[part].sum()),
            threshold=self.result.best_f1[name][1],
            counts={kind: counts[kind] for kind in MEANING},
            confused={names[other]: int(self.confusion[k, other]) for other in order if self.confusion[k, other]},
            false_positives=self._false_positives(part, worst),
            misses=self._misses(k, part, worst),
        )

    def _labels(self, person: int) -> tuple[str, ...]:
        """What a person of the ground truth does."""
        if person < 0:
            return ()
        first, last = np.searchsorted(self._people, [person, person + 1])
        classes = np.unique(self.result.matches.ground_truth_classes[self._by_person[first:last]])
        return tuple(self.result.label_map.names[k] for k in classes)

    def _false_positives(self, part: slice, worst: int) -> list[Example]:
        matches, found = self.result.matches, self.result.found
        wrong = part.start + np.flatnonzero(~self.hits[part])
        wrong = wrong[np.argsort(-matches.scores[wrong], kind="stable")[:worst]]
        examples = []
        for place in wrong:
            row = matches.rows[place]
            kind = list(KINDS)[self.kinds[place]]
            person = self.persons.nearest[place] if kind != "Bkg" else -1
            example = Example(kind, *_place(found, row), float(matches.scores[place]), self._labels(person), "")
            examples.append(replace(example, line=found.where(row)))
        return examples

    def _misses(self, k: int, part: slice, worst: int) -> list[Example]:
        matches, truth = self.result.matches, self.result.truth
        mine = np.flatnonzero(matches.ground_truth_classes == k)
        rows = matches.ground_truth_rows[mine]
        matched = matches.nearest[part][self.hits[part]]
        left = np.flatnonzero(~np.isin(rows, matched))
        x1, y1, x2, y2 = truth.boxes[rows[left]].T
        left = left[np.argsort(-(x2 - x1) * (y2 - y1), kind="stable")[:worst]]
        on_enough = self.persons.ious[part] >= self.result.iou
        examples = []
        for place in left:
            person = self.persons.of_truth[mine[place]]
            scores = matches.scores[part][on_enough & (self.persons.nearest[part] == person)]
            score = float(scores.max()) if len(scores) else float("nan")
            example = Example("Miss", *_place(truth, rows[place]), score, self._labels(person), "")
            examples.append(replace(example, line=truth.where(rows[place])))
        return examples


def _place(table: object, row: int) -> tuple[str, float, tuple[float, ...]]:
    return table.video_names[table.videos[row]], float(table.microseconds[row]) / 1e6, tuple(table.boxes[row].tolist())
