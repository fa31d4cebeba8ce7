"""Why is the mAP zero: what is wrong with how the files fit each other, with the evidence and what to change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from ava_eval.label_map import LabelMap
from ava_eval.selection import class_indices, number_frames
from ava_eval.table import Table
from ava_eval.times import find_clock, likely_shifts
from ava_eval.trials import ID_CHANGES, LAYOUTS, best_ious, sample, sample_mAP, shifted
from ava_eval.video_names import same_names

RATIO, STEP = 1.5, 0.05  # a change must raise the sample's mAP by both to be named as what was wrong
BETTER = 0.1  # by which another order of the columns must raise the mean IoU: where the order is right, none does
SHIFT_RATIO = 1.25  # less for a shift: pictures a second apart are alike
FEW = 0.5  # of the labelled frames


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        name: the cause, as the documentation lists it.
        evidence: what was seen.
        advice: what to change.
    """

    name: str
    evidence: str
    advice: str

    def line(self) -> str:
        """The fault in one line."""
        return f"{self.name}: {self.evidence}; {self.advice}"


@dataclass
class Diagnosis:
    """What was looked at and what was found.

    Attributes:
        facts: what the files hold, a line each.
        faults: what is wrong, the first cause first.
    """

    facts: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def text(self) -> str:
        """The diagnosis for a terminal."""
        lines = [*self.facts, ""]
        for fault in self.faults:
            lines += [f"FAULT {fault.name}", f"  seen:   {fault.evidence}", f"  change: {fault.advice}"]
        if not self.faults:
            lines.append("no fault found: the files fit each other; if the mAP is low, the model is")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """The diagnosis for JSON."""
        faults = [{"name": f.name, "evidence": f.evidence, "advice": f.advice} for f in self.faults]
        return {"facts": self.facts, "faults": faults}


@np.errstate(over="ignore", invalid="ignore")  # the numbers may be of any size
def diagnose(truth: Table, found: Table, labels: LabelMap, left_out: Table | None = None) -> Diagnosis:
    """Looks for one cause after the other: videos, time, boxes, classes, scores. What is found is mended for the rest.

    A change of boxes, ids or seconds is named only if it makes a sample of the detections fit much better.

    Args:
        truth: the ground truth.
        found: the detections.
        labels: the classes.
        left_out: rows of excluded frames.
    """
    result = Diagnosis()
    say, blame = result.facts.append, result.faults.append
    say(
        f"ground truth: {truth.has_box.sum()} boxes in {len(np.unique(number_frames(truth)[0]))} frames of "
        f"{len(truth.video_names)} videos"
    )
    say(
        f"detections: {found.has_box.sum()} boxes in {len(np.unique(number_frames(found)[0]))} frames of "
        f"{len(found.video_names)} videos"
    )
    scored = truth.has_box & (class_indices(truth.actions, labels) >= 0)
    if not scored.any():
        blame(_no_ground_truth(truth, labels))
        return result
    if not found.has_box.any():
        blame(Fault("no detections", f"{found.source} has no row with a box", "write the detections into it"))
        return result
    for fault in _score_faults(found):
        blame(fault)

    truth, found, naming = same_names(truth, found)
    if naming:
        blame(Fault(*naming))
        if not set(truth.video_names) & set(found.video_names):
            return result
    found, clock = find_clock(truth, found)
    if clock:
        blame(Fault(*clock))
    fault = _all_excluded(truth, found, left_out)
    if fault:
        blame(fault)
        return result
    true_frames, frames = number_frames(truth, found)
    shared = np.intersect1d(true_frames, frames)
    labelled = np.unique(true_frames[truth.has_box])
    covered = np.isin(labelled, frames).mean()
    say(f"frames in common: {len(shared)}; {covered:.1%} of the frames with ground-truth boxes have detections")
    if not len(shared):
        blame(_no_frames(truth, found))
        return result
    if covered < FEW:
        blame(_few_frames(truth, found, covered))

    truth, found = sample(truth, found)
    found = _boxes(truth, found, labels, result)
    found = _classes(truth, found, labels, result)
    _ranking(truth, found, labels, result)
    return result


def _all_excluded(truth: Table, found: Table, left_out: Table | None) -> Fault | None:
    if left_out is None:
        return None
    true_frames, frames, excluded = number_frames(truth, found, left_out)
    for what, numbers in (("detections", frames), ("ground truth", true_frames)):
        share = np.isin(numbers, excluded).mean()
        if share > 0.9:
            seen = f"{share:.1%} of the rows of the {what} are on frames that {left_out.source} excludes"
            return Fault("all boxes on excluded frames", seen, "check that the exclusions are of this split")
    return None


def _no_ground_truth(truth: Table, labels: LabelMap) -> Fault:
    ids = np.unique(truth.actions[truth.has_box])
    seen = (
        f"its class ids are {_list(ids)}, those of the label map {_list(np.sort(labels.ids))}"
        if len(ids)
        else (f"{truth.source} has no row with a box")
    )
    return Fault("no ground truth of the label map's classes", seen, "take the label map that belongs to this file")


def _no_frames(truth: Table, found: Table) -> Fault:
    video = next(name for name in found.video_names if name in set(truth.video_names))
    ranges = []
    for table in (found, truth):
        times = table.microseconds[table.videos == table.video_names.index(video)] / 1e6
        ranges.append(f"{times.min():g} to {times.max():g}" if len(times) else "none")
    seen = f"in {video!r} the detections are at {ranges[0]}, the ground truth at {ranges[1]}"
    return Fault("no frames in common", seen, "timestamps are seconds of the film, the same in both files")


def _few_frames(truth: Table, found: Table, covered: float) -> Fault:
    missing = [name for name in dict.fromkeys(truth.video_names) if name not in set(found.video_names)]
    which = f", and {len(missing)} of its videos ({missing[0]!r} first) have none at all" if missing else ""
    seen = f"only {covered:.1%} of the labelled frames have detections{which}"
    return Fault("most labelled frames have no detections", seen, "detect on all of them, or evaluate against fewer")


def _score_faults(found: Table) -> Iterator[Fault]:
    scores = found.scores[found.has_box]
    low, high = float(scores.min()), float(scores.max())
    if low == high and len(scores) > 1:
        seen = f"all {len(scores)} detections have the score {low:g}"
        yield Fault("scores are constant", seen, "write each detection's own score into the eighth column")
    elif low < 0 or high > 1:
        if low >= 0:
            kind, advice = "scores are not within 0 to 1", "divide them by their maximum (100 for percent)"
        elif high <= 0:
            kind, advice = "scores are logarithms", "write exp(score)"
        else:
            kind, advice = "scores are logits", "write 1 / (1 + exp(-score))"
        yield Fault(kind, f"they run from {low:g} to {high:g}", f"{advice}, so that they compare across classes")


def _boxes(truth: Table, found: Table, labels: LabelMap, result: Diagnosis) -> Table:
    """Mends unit and layout of the boxes."""
    sizes = [_reach(table.boxes[table.has_box]) for table in (truth, found)]
    ratio = float(np.max(sizes[1]) / np.max(sizes[0]))
    if not 0.2 < ratio < 5:
        unit = "pixels" if max(np.max(sizes[0]), np.max(sizes[1])) > 110 else "percent"
        which, other = ("detections", "ground truth") if ratio > 1 else ("ground truth", "detections")
        large, small = (sizes[1], sizes[0]) if ratio > 1 else (sizes[0], sizes[1])
        result.faults.append(
            Fault(
                f"boxes of the {which} are in {unit}",
                f"their x2 and y2 reach {large[0]:g} and {large[1]:g}, those of the {other} {small[0]:g} and "
                f"{small[1]:g} (99 of 100 are below)",
                f"divide x by the width and y by the height of the {'picture' if unit == 'pixels' else 'scale, 100'}",
            )
        )
        found = replace(found, boxes=found.boxes * np.tile(sizes[0] / sizes[1], 2))
    base = _mean(best_ious(truth, found))
    result.facts.append(f"mean of the highest IoU of each detection with a person of its frame: {base:.3f}")
    trials = {}
    for name, (change, advice) in LAYOUTS.items():
        changed = change(found, labels)
        trials[name] = (_mean(best_ious(truth, changed)), changed, advice)
    name, (value, changed, advice) = max(trials.items(), key=lambda item: item[1][0])
    if value > base + BETTER:
        seen = f"the boxes overlap those of the ground truth by {base:.3f} (mean IoU), read this way by {value:.3f}"
        result.faults.append(Fault(name, seen, advice))
        return changed
    return found


def _classes(truth: Table, found: Table, labels: LabelMap, result: Diagnosis) -> Table:
    """Mends the class ids."""
    ids = np.unique(found.actions[found.has_box])
    is_known = class_indices(found.actions, labels)[found.has_box] >= 0
    result.facts.append(f"class ids of the detections: {_list(ids)}; {is_known.mean():.1%} of the rows are in the map")
    base = sample_mAP(truth, found, labels)
    result.facts.append(f"mAP of a sample: {base:.4f}")
    trials = {}
    for name, (change, advice) in ID_CHANGES.items():
        changed = change(found, labels)
        trials[name] = (sample_mAP(truth, changed, labels), changed, advice)
    name, (value, changed, advice) = max(trials.items(), key=lambda item: item[1][0])
    if value > max(base * RATIO, base + STEP):
        seen = f"the ids are {_list(ids)}; so changed, the mAP of a sample is {value:.3f} instead of {base:.3f}"
        result.faults.append(Fault(name, seen, advice))
        return changed
    if is_known.mean() < 0.5:
        seen = f"{1 - is_known.mean():.1%} of the rows have ids that are not in it; the ids are {_list(ids)}, those of "
        seen += f"the map {_list(np.sort(labels.ids))}"
        result.faults.append(
            Fault("class ids of another label map", seen, "translate the ids, or evaluate with the map of the model")
        )
    return found


def _ranking(truth: Table, found: Table, labels: LabelMap, result: Diagnosis) -> None:
    """Detections a frame too early or late, and scores that fall as they should rise."""
    base = sample_mAP(truth, found, labels)
    value = sample_mAP(truth, replace(found, scores=-found.scores), labels)
    if value > max(base * RATIO, base + STEP):
        seen = f"with falling scores the mAP of a sample is {value:.3f} instead of {base:.3f}"
        result.faults.append(Fault("scores rise for worse detections", seen, "write 1 - score"))
    trials = {shift: sample_mAP(truth, shifted(found, shift), labels) for shift in likely_shifts(truth, found)}
    shift, value = max(trials.items(), key=lambda item: item[1])
    if value > max(base * SHIFT_RATIO, base + STEP):
        seen = f"moved by {shift / 1e6:+g} s, the mAP of a sample is {value:.3f} instead of {base:.3f}"
        result.faults.append(Fault("timestamps are shifted", seen, f"add {shift / 1e6:g} to the timestamps"))


def _reach(boxes: np.ndarray) -> np.ndarray:
    """(2,) what 99 of 100 of the x2 and y2 do not exceed; 1 where there is nothing to go by."""
    boxes = boxes[np.isfinite(boxes).all(axis=1)]
    if not len(boxes):
        return np.ones(2)
    sizes = np.quantile(np.abs(boxes[:, 2:]), 0.99, axis=0)
    return np.where(sizes > 0, sizes, 1.0)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0


def _list(ids: np.ndarray) -> str:
    ids = ids.tolist()
    if len(ids) <= 6:
        return ", ".join(map(str, ids))
    return f"{', '.join(map(str, ids[:3]))} ... {ids[-1]} ({len(ids)} of them)"
