"""Why is the mAP so low: how the files disagree, with the evidence, the fix, and what the fix would gain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ava_eval.box_layout import find_box_fix
from ava_eval.diagnosis import Diagnosis, Fix, Issue
from ava_eval.fixes import (
    box_fixes,
    class_fixes,
    in_some,
    row_fixes,
    score_fixes,
    shift_fixes,
    time_fixes,
    truth_box_fixes,
    truth_row_fixes,
    truth_time_fixes,
)
from ava_eval.label_map import LabelMap
from ava_eval.persons import find_persons
from ava_eval.ranking import Ranking
from ava_eval.result import Evaluation
from ava_eval.score_checks import ignores_class
from ava_eval.selection import class_indices, number_frames
from ava_eval.slices import oracle
from ava_eval.table import Table
from ava_eval.video_names import find_namings
from ava_eval.what_if import evaluate_tables, sample, sample_mAP

WORTH_RATIO = 1.01  # by which a fix must multiply the mAP, with all others in place
BEST = 15  # detections of a class that show what it is
FEW = 0.5  # of the labelled videos or frames


@np.errstate(all="ignore")  # the numbers may be of any size
def diagnose(truth: Table, found: Table, labels: LabelMap, excluded: Table | None = None) -> Diagnosis:
    """Looks for one cause after the other: videos, time, repeated rows, boxes, classes, scores.

    What is found is fixed for the rest. At the end each fix is left out by itself: only if that costs mAP is it
    claimed, otherwise it is a suspicion.

    Args:
        truth: the ground truth.
        found: the detections.
        labels: the classes.
        excluded: rows of excluded frames.
    """
    result = Diagnosis()
    for what, table in (("ground truth", truth), ("detections", found)):
        frames = len(np.unique(number_frames(table)[0]))
        result.facts.append(
            f"{what}: {table.has_box.sum()} boxes in {frames} frames of {len(table.video_names)} videos"
        )
    scored = truth.has_box & (class_indices(truth.actions, labels) >= 0)
    if not scored.any():
        result.add(_no_ground_truth(truth, labels))
        return result
    if not found.has_box.any():
        result.add(Issue("no detections", f"{found.source} has no row with a box", "write the detections into it"))
        return result
    fixes: list[Fix] = []
    for naming in find_namings(truth, found):
        if not naming.names:
            result.add(Issue(naming.name, naming.evidence, naming.advice))
            return result
        videos = in_some(naming.names, found)
        fixes.append(Fix(Issue(naming.name, naming.evidence, naming.advice, videos), naming.apply, proven=True))
        found = naming.apply(found)
    for issue in _coverage(truth, found, excluded, result):
        result.add(issue)
        if issue.name == "all boxes on excluded frames":
            _report(result, [fix.issue for fix in fixes])
            return result
    truth, found = sample(truth, found)
    written = found  # names are as in the ground truth already: the sample is of common videos
    name_fixes, fixes = fixes, []

    given = truth

    def apply(fix: Fix) -> None:
        nonlocal found, truth
        fixes.append(fix)
        if fix.of_truth:
            truth = fix.change(truth)
        else:
            found = fix.change(found)

    for fix in time_fixes(truth, found, labels) or truth_time_fixes(truth, found):
        apply(fix)
    for fix in truth_row_fixes(truth):
        apply(fix)
    if not len(np.intersect1d(*number_frames(truth, found))):
        _report(result, [fix.issue for fix in (*name_fixes, *fixes)])
        result.add(_no_frames(truth, found))
        return result
    for fix in row_fixes(truth, found, labels):
        apply(fix)
    boxes = find_box_fix(truth, found)
    for fix in box_fixes(boxes, truth, found) or truth_box_fixes(boxes, truth, found):
        apply(fix)
    for fix in class_fixes(truth, found, labels):
        apply(fix)
    for fix in score_fixes(truth, found, labels):
        apply(fix)
    for fix in shift_fixes(truth, found, labels):
        apply(fix)
    for remark in boxes.suspicious:
        result.add(Issue("layout of the boxes", remark, "check the order of the columns", is_certain=False))
    _report(result, [fix.issue for fix in name_fixes])
    _verify(given, written, fixes, labels, result)
    _remarks(truth, found, labels, result)
    return result


def _report(result: Diagnosis, issues: list[Issue]) -> None:
    for issue in issues:
        result.add(issue)


def _verify(truth: Table, written: Table, fixes: list[Fix], labels: LabelMap, result: Diagnosis) -> None:
    """Leaves each fix out and reports what that costs; takes a fix that costs nothing for a suspicion."""

    def mAP(fixes: list[Fix]) -> float:
        tables = {True: truth, False: written}
        for fix in fixes:
            tables[fix.of_truth] = fix.change(tables[fix.of_truth])
        return sample_mAP(tables[True], tables[False], labels)

    before = mAP([])
    of_sample = "" if len(written) < 1e5 else " of a sample"
    result.facts.append(f"mAP{of_sample}: {before:.4f}")
    # from the last: what is taken for wrong is out when the ones before it are looked at
    kept = list(fixes)
    total = mAP(kept)
    lines: dict[int, Issue] = {}
    for fix in reversed(fixes):
        rest = [other for other in kept if other is not fix]
        value = mAP(rest)
        if total < max(value + fix.worth, value * WORTH_RATIO) and not fix.proven:
            kept, total = rest, value
            lines[id(fix)] = replace(fix.issue, is_certain=False)
    for fix in fixes:
        issue = lines.get(id(fix))
        if issue is None:
            value = mAP([other for other in kept if other is not fix])
            others = " (and those of the other problems)" if len(kept) > 1 else ""
            gain = f"; with this fix{others} the mAP{of_sample} would be {total:.4f} instead of {value:.4f}"
            changes = f"{total:.4f}" != f"{value:.4f}"
            issue = replace(fix.issue, evidence=f"{fix.issue.evidence}{gain if changes else ''}")
        result.add(issue)
    if kept:
        result.facts.append(f"mAP{of_sample} with every fix below: {total:.4f}")


def _coverage(truth: Table, found: Table, excluded: Table | None, result: Diagnosis) -> list[Issue]:
    """Frames that are excluded, and videos without detections."""
    if excluded is not None:
        true_frames, frames, numbers = number_frames(truth, found, excluded)
        for what, rows in (("detections", frames), ("ground truth", true_frames)):
            fraction = np.isin(rows, numbers).mean()
            if fraction > 0.9:
                seen = f"{fraction:.1%} of the rows of the {what} are on frames that {excluded.source} excludes"
                return [Issue("all boxes on excluded frames", seen, "check that the exclusions are of this split")]
    labelled = {truth.video_names[code] for code in np.unique(truth.videos[truth.has_box])}
    missing = sorted(labelled - {found.video_names[code] for code in np.unique(found.videos[found.has_box])})
    result.facts.append(f"videos with ground truth that have no detections: {len(missing)} of {len(labelled)}")
    if len(missing) < FEW * len(labelled):
        return []
    seen = f"{len(missing)} of {len(labelled)} videos with ground truth have no detections ({missing[0]!r} first)"
    advice = "detect in all of them, or evaluate against fewer"
    return [Issue("most labelled videos have no detections", seen, advice)]


def _remarks(truth: Table, found: Table, labels: LabelMap, result: Diagnosis) -> None:
    """What the boxes allow, once everything is fixed, and what looks odd but cannot be verified."""
    evaluation = evaluate_tables(truth, found, labels)
    allowed = oracle(evaluation, find_persons(evaluation), Ranking.of(evaluation))
    result.facts.append(
        f"people whose box is detected: {allowed.person_recall:.1%}; oracle mAP, with every action on these boxes "
        f"right: {allowed.oracle_actions:.4f}"
    )
    moved = _moved_classes(evaluation)
    if moved and evaluation.mAP < allowed.oracle_actions / 2:
        seen = "the best detections of many classes are on people who do one other thing: "
        seen += ", ".join(f"of id {a} mostly {name!r} (id {b})" for a, b, name in moved[:3])
        advice = "compare the label map of the model with this one"
        result.add(Issue("class ids of another label map", seen, advice, is_certain=False))
    if ignores_class(found, number_frames(found)[0]):
        seen = "all actions of a box have the same score"
        advice = "write the score of each action, not that of the person's box"
        result.add(Issue("scores do not depend on the class", seen, advice, is_certain=False))


def _moved_classes(result: Evaluation) -> list[tuple[int, int, str]]:
    """Class ids whose best detections are on people of one other class; empty unless many classes are such."""
    persons, matches, labels = find_persons(result), result.matches, result.label_map
    if not len(persons.boxes):
        return []
    does = np.zeros((len(persons.boxes), len(labels)), dtype=bool)
    does[persons.of_truth, matches.ground_truth_classes] = True
    usual = does.mean(axis=0)
    moved, examined = [], 0
    for a, part in enumerate(result.class_slices()):
        on_person = part.start + np.flatnonzero(persons.ious[part] >= result.iou)
        best = on_person[np.argsort(-matches.scores[on_person], kind="stable")[:BEST]]
        if len(best) < BEST:
            continue
        examined += 1
        rates = does[persons.nearest[best]].mean(axis=0)
        b = int((rates - usual).argmax())
        if b != a and rates[b] > max(0.5, 3 * usual[b]) and rates[a] < 0.2:
            moved.append((labels.ids[a], labels.ids[b], labels.names[b]))
    return moved if len(moved) >= max(3, examined / 5) else []


def oracle_on_sample(truth: Table, found: Table, labels: LabelMap) -> float:
    """The oracle mAP of a sample, with every action on the boxes of the detections right; 0 if there is none."""
    truth, found = sample(truth, found)
    evaluation = evaluate_tables(truth, found, labels)
    value = oracle(evaluation, find_persons(evaluation), Ranking.of(evaluation)).oracle_actions
    return 0.0 if np.isnan(value) else value


def _no_ground_truth(truth: Table, labels: LabelMap) -> Issue:
    ids = np.unique(truth.actions[truth.has_box]).tolist()
    seen = f"the ground truth has the class ids {ids[:5] or 'none'}, the label map has {sorted(labels.ids)[:5]}"
    return Issue("no ground truth of the label map's classes", seen, "use the label map of this ground truth")


def _no_frames(truth: Table, found: Table) -> Issue:
    common = sorted(set(truth.video_names) & set(found.video_names))
    times = []
    for table in (truth, found):
        seconds = table.microseconds[table.videos == table.video_names.index(common[0])] / 1e6
        times.append(f"{seconds.min():.9g} to {seconds.max():.9g}")
    seen = f"in {common[0]!r} the detections are at {times[1]}, the ground truth at {times[0]}"
    return Issue("no frames in common", seen, "timestamps are seconds of the video, the same in both files")
