"""Candidate fixes, one function per aspect of the detections; `ava_eval.check` verifies them together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from ava_eval.box_layout import AS_WRITTEN, LAYOUTS, LEAST, BoxFix, find_box_fix, unit_names
from ava_eval.diagnosis import WORTH, Fix, Issue
from ava_eval.label_map import LabelMap
from ava_eval.score_checks import KINDS, NMS_IOU, kinds_by_video, overlapping, repeated, to_probabilities, without
from ava_eval.selection import class_indices, number_frames
from ava_eval.table import Table
from ava_eval.time_offset import find_clocks, likely_shifts
from ava_eval.what_if import (
    ID_CHANGES,
    evaluate_tables,
    of_videos,
    only_in,
    sample_mAP,
    shifted,
    video_mAPs,
    videos_with_labels,
)

RATIO, STEP = 1.5, 0.05  # a change must raise the mAP by both to be a fix
NMS_RATIO = 1.1  # less for overlapping boxes, which are there to see
SHIFT_RATIO = 1.25  # less for a shift: frames a second apart look alike
FREQUENT, CHANGED = 5, 0.02  # ground truths of a class, and AP, that count in `_most_improve`
TIME_WORTH = 0.02  # mAP that another start must gain: a start for each video fits wrong videos too
SCALED_WORTH = 0.1  # mAP that boxes of another image size must gain: any scale fits some wrong boxes better
VIDEO_STEP = 0.12  # mAP of a video by itself, in addition to RATIO
FEWEST = 2  # videos that must agree if a fix is for some only,
SINGLE_STEP = 0.25  # unless their own mAP rises that much
KNOWN = 0.5  # mAP that a change of ids is taken to cost if all its ids are outside the label map


def in_some(names: Iterable[str], found: Table) -> tuple[str, ...]:
    """The names, sorted; or none if they are all the videos of the detections."""
    names = sorted(set(names))
    return () if len(names) >= len(np.unique(found.videos)) else tuple(names)


def time_fixes(truth: Table, found: Table, labels: LabelMap) -> list[Fix]:
    """Clocks on which the detections' frames are labelled ones."""

    def quality(table: Table) -> float:
        return sample_mAP(truth, table, labels) + find_box_fix(truth, table).fixed

    fixes = []
    for clock in find_clocks(truth, found, quality):
        issue = Issue(clock.name, clock.evidence, clock.advice, in_some(clock.videos, found))
        change = lambda table, clock=clock: clock.apply(table, truth)  # noqa: E731
        fixes.append(Fix(issue, change, proven=clock.is_certain, worth=TIME_WORTH))
    return fixes


def row_fixes(truth: Table, found: Table, labels: LabelMap) -> list[Fix]:
    """Rows that are there twice, and several boxes of one person."""
    fixes = []
    again, same_score = repeated(found, number_frames(found)[0])
    if again.any():
        name = "rows twice" if same_score else "boxes twice with different scores"
        seen = f"{again.sum()} of {len(found)} rows repeat a row of the same frame, class and box"
        seen += "" if same_score else " with another score"
        advice = "write each detection once" + ("" if same_score else ", with one score")
        videos = in_some((found.video_names[code] for code in np.unique(found.videos[again])), found)
        issue = Issue(name, seen, advice, videos)
        fixes.append(Fix(issue, lambda table: without(table, repeated(table, number_frames(table)[0])[0])))
    table = fixes[-1].change(found) if fixes else found
    worse = overlapping(table, number_frames(table)[0])
    if worse.mean() > 0.1:
        before, after = sample_mAP(truth, table, labels), sample_mAP(truth, without(table, worse), labels)
        if after > max(before * NMS_RATIO, before + STEP):
            seen = f"{worse.mean():.0%} of the rows overlap a better one of their class by more than {NMS_IOU} (IoU)"
            issue = Issue("several boxes of the same person", seen, "apply non-maximum suppression to the boxes")
            fixes.append(Fix(issue, lambda table: without(table, overlapping(table, number_frames(table)[0]))))
    return fixes


def truth_row_fixes(truth: Table) -> list[Fix]:
    """Ground truth that is there twice."""
    fixes = []
    again, _ = repeated(truth, number_frames(truth)[0])
    if again.any():
        seen = f"{again.sum()} of {len(truth)} rows of the ground truth repeat a row of the same frame, class and box"
        issue = Issue("ground truth rows twice", seen, "write each row once: the second is never matched")
        change = lambda table: without(table, repeated(table, number_frames(table)[0])[0])  # noqa: E731
        fixes.append(Fix(issue, change, of_truth=True))
    return fixes


def truth_time_fixes(truth: Table, found: Table) -> list[Fix]:
    """Ground truth in a smaller unit of time than the detections, where no clock of the detections explains them."""
    fixes = []
    largest = [np.abs(table.microseconds).max(initial=0) for table in (truth, found)]
    if largest[0] > 5 * max(largest[1], 1):
        for clock in find_clocks(found, truth, lambda table: 0.0):
            name = clock.name.replace("timestamps", "timestamps of the ground truth", 1)
            seen = clock.evidence.replace("the detections are", "the ground truth is")
            seen = seen.replace(", the ground truth at", ", the detections at").replace(
                "labelled ones", "detected ones"
            )
            issue = Issue(name, seen, clock.advice, in_some(clock.videos, truth))
            change = lambda table, clock=clock: clock.apply(table, found)  # noqa: E731
            fixes.append(Fix(issue, change, proven=clock.is_certain, of_truth=True))
    return fixes


def truth_box_fixes(boxes: BoxFix, truth: Table, found: Table) -> list[Fix]:
    """Another layout of the ground truth, where none of the detections explains that boxes do not overlap."""
    if boxes.base > LEAST:
        return []
    fixes = []
    for fix in box_fixes(find_box_fix(found, truth), found, truth):
        name = fix.issue.name.replace("of the detections", "of the ground truth")
        name = name if "ground truth" in name else f"in the ground truth, {name}"
        seen = fix.issue.evidence.replace("those of the ground truth", "those of the detections")
        issue = Issue(name, seen, fix.issue.advice, fix.issue.videos)
        fixes.append(Fix(issue, fix.change, of_truth=True))
    return fixes


def box_fixes(boxes: BoxFix, truth: Table, found: Table) -> list[Fix]:
    """A fix per unit, then one per layout."""
    layouts: dict[str, list[str]] = {}
    for video, reading in boxes.readings.items():
        if reading.layout != AS_WRITTEN:
            layouts.setdefault(reading.layout, []).append(video)
    gain = f"the mean IoU of the detections with the ground truth is {boxes.base:.3f}, read this way {boxes.fixed:.3f}"
    fixes = []
    for name, videos in unit_names(boxes, found).items():
        scales = np.array([boxes.readings[video].scale for video in videos])
        seen = f"the coordinates go up to {_reach(found):.5g}, those of the ground truth to {_reach(truth):.5g}; {gain}"
        issue = Issue(name, seen, _unit_advice(name, videos, scales), in_some(videos, found))
        change = lambda table, videos=frozenset(videos): boxes.rescaled(table, videos)  # noqa: E731
        fixes.append(Fix(issue, change, worth=SCALED_WORTH if "another" in name else WORTH))
    for name, videos in layouts.items():
        issue = Issue(name, gain, LAYOUTS[name].advice, in_some(videos, found))
        fixes.append(Fix(issue, lambda table, name=name: boxes.rearranged(table, name)))
    return fixes


def _reach(table: Table) -> float:
    return float(np.abs(table.boxes[table.has_box]).max(initial=0))


def _unit_advice(name: str, videos: list[str], scales: np.ndarray) -> str:
    if "percent" in name:
        return "divide x and y by 100"
    if "ground truth" in name:
        scales = 1 / scales
    if "another" in name:
        x, y = np.median(scales, axis=0)
        return f"divide x by {x:.3g} and y by {y:.3g}, or write both files for the same image"
    sizes = {tuple(np.rint(scale).astype(int).tolist()) for scale in scales}
    low, high = scales.min(axis=0), scales.max(axis=0)
    advice = "divide x by the width and y by the height of the image"
    if (high < low * 1.06).all():
        x, y = np.median(scales, axis=0)
        return f"{advice}, about {x:.0f} x {y:.0f}"
    examples = ", ".join(f"{video!r} about {x:.0f} x {y:.0f}" for video, (x, y) in list(zip(videos, scales))[:3])
    return f"{advice}; the sizes differ ({len(sizes)} of them): {examples}"


def _known(table: Table, labels: LabelMap) -> float:
    """The fraction of the rows whose class is in the label map."""
    return float((class_indices(table.actions, labels)[table.has_box] >= 0).mean())


def _by_video(
    truth: Table,
    found: Table,
    labels: LabelMap,
    changed: dict[object, Table],
    ratio: float,
) -> dict[object, list[str]]:
    """{change: the videos whose own mAP it raises clearly, and more than every other change}."""
    names = videos_with_labels(truth, found)
    if not names or not changed:
        return {}
    base = video_mAPs(truth, found, labels, names)
    values = np.array([video_mAPs(truth, table, labels, names) for table in changed.values()])
    for row, table in zip(values, changed.values()):
        row -= [KNOWN * (1 - _known(of_videos(table, {name}), labels)) for name in names]
    keys = list(changed)
    groups: dict[object, list[str]] = {}
    gains: dict[str, float] = {}
    for place, name in enumerate(names):
        best = int(values[:, place].argmax())
        others = np.delete(values[:, place], best).max(initial=0.0)
        value = values[best, place]
        if value > max(base[place] * ratio, base[place] + VIDEO_STEP) and value > others:
            groups.setdefault(keys[best], []).append(name)
            gains[name] = value - base[place]
    few = max(FEWEST, len(names) // 10)
    return {
        key: members
        for key, members in groups.items()
        if len(members) >= few or min(gains[name] for name in members) > SINGLE_STEP
    }


def _some_or_all(
    truth: Table,
    found: Table,
    labels: LabelMap,
    changes: dict[object, Callable[[Table], Table]],
    ratio: float,
) -> list[tuple[object, tuple[str, ...], Callable[[Table], Table], str]]:
    """Changes that raise the mAP far: one for all videos, or some for some of them.

    Returns:
        The key of the change, the videos (none for all), the change as it is to be applied, and the evidence.
    """
    base = sample_mAP(truth, found, labels)
    changed = {key: change(found) for key, change in changes.items()}
    whole = {key: sample_mAP(truth, table, labels) for key, table in changed.items()}
    ranked = {key: value - KNOWN * (1 - _known(changed[key], labels)) for key, value in whole.items()}
    groups = _by_video(truth, found, labels, changed, ratio)
    mixed = found
    for key, members in groups.items():
        mixed = only_in(set(members), mixed, changed[key])
    split = sample_mAP(truth, mixed, labels) if groups else 0.0
    best = max(ranked, key=ranked.get, default=None)
    if best is not None and whole[best] <= max(base * ratio, base + STEP):
        best = None
    if best is not None and whole[best] >= split - 0.02:
        return [
            (best, (), changes[best], f"so changed, the mAP of a sample is {whole[best]:.3f} instead of {base:.3f}")
        ]
    if split <= base + STEP / 2:
        return []
    found_changes = []
    for key, members in groups.items():
        seen = f"so changed in these videos alone, the mAP of a sample is {split:.3f} instead of {base:.3f}"
        change = changes[key]
        part = lambda table, change=change, members=frozenset(members): only_in(members, table, change(table))  # noqa: E731
        found_changes.append((key, tuple(members), part, seen))
    return found_changes


def _most_improve(truth: Table, before: Table, after: Table, labels: LabelMap) -> bool:
    """Whether most of the frequent classes gain AP, and few lose some: other ids fit one or two classes by chance."""
    results = [evaluate_tables(truth, table, labels) for table in (before, after)]
    counts = np.array(list(results[0].ground_truths.values()))
    aps = np.nan_to_num([list(result.ap.values()) for result in results])[:, counts >= FREQUENT]
    gains = aps[1] - aps[0]
    gained, lost = (gains > CHANGED).sum(), (gains < -CHANGED).sum()
    return bool(gained >= max(0.6 * len(gains), 3 * lost)) if len(gains) else True


def class_fixes(truth: Table, found: Table, labels: LabelMap) -> list[Fix]:
    """Class ids that are shifted, or positions."""
    ids = np.unique(found.actions[found.has_box])
    changes = {name: (lambda table, change=change: change(table, labels)) for name, (change, _) in ID_CHANGES.items()}
    fixes = []
    candidates = _some_or_all(truth, found, labels, changes, RATIO)
    everything = found
    for _, _, change, _ in candidates:
        everything = change(everything)
    if candidates and not _most_improve(truth, found, everything, labels):
        candidates = []
    for name, videos, change, seen in candidates:
        issue = Issue(name, f"the ids are {_list(ids)}; {seen}", ID_CHANGES[name][1], in_some(videos, found))
        fixes.append(Fix(issue, change))
    is_known = class_indices(found.actions, labels)[found.has_box] >= 0
    if not fixes and is_known.mean() < 0.5:
        seen = f"{1 - is_known.mean():.1%} of the rows have ids that are not in it; the ids are {_list(ids)}, those of "
        seen += f"the map {_list(np.sort(labels.ids))}"
        advice = "translate the ids, or evaluate with the map of the model"
        fixes.append(Fix(Issue("class ids of another label map", seen, advice), lambda table: table, proven=True))
    return fixes


def score_fixes(truth: Table, found: Table, labels: LabelMap) -> list[Fix]:
    """Scores that are constant, of another kind than probabilities, mixed, or rise for worse detections."""
    scores = found.scores[found.has_box]
    low, high = float(scores.min()), float(scores.max())
    if low == high and len(scores) > 1:
        seen = f"all {len(scores)} detections have the score {low:g}"
        seen += "; a row of seven columns counts with score 1" if low == 1 else ""
        issue = Issue("scores are constant", seen, "write the score of each detection into the eighth column")
        return [Fix(issue, lambda table: table, proven=True)]
    fixes = []
    kinds = kinds_by_video(found)
    for kind, videos in kinds.items():
        if not kind:
            continue
        rows = np.isin(found.videos, [found.video_names.index(video) for video in videos]) & found.has_box
        values = found.scores[rows]
        seen = f"they range from {values.min():g} to {values.max():g}"
        mixed = len(kinds) > 1
        if not mixed:
            seen += "; this changes no AP by itself, only thresholds"
        issue = Issue(kind, seen, f"{KINDS[kind][1]}, so that they are probabilities", in_some(videos, found))
        change = lambda table, part={kind: videos}: to_probabilities(table, part)  # noqa: E731
        fixes.append(Fix(issue, change, proven=not mixed))
    before = sample_mAP(truth, found, labels)
    value = sample_mAP(truth, replace(found, scores=-found.scores), labels)
    if value > max(before * RATIO, before + STEP):
        seen = f"with falling scores the mAP of a sample is {value:.3f} instead of {before:.3f}"
        issue = Issue("scores rise for worse detections", seen, "write 1 - score")
        fixes.append(Fix(issue, lambda table: replace(table, scores=-table.scores)))
    return fixes


def shift_fixes(truth: Table, found: Table, labels: LabelMap) -> list[Fix]:
    """Detections some frames too early or late, on frames that are labelled all the same."""
    changes = {shift: (lambda table, shift=shift: shifted(table, shift)) for shift in likely_shifts(truth, found)}
    fixes = []
    for shift, videos, change, seen in _some_or_all(truth, found, labels, changes, SHIFT_RATIO):
        name, advice = "timestamps are shifted", f"add {shift / 1e6:g} to the timestamps"
        seen = f"moved by {shift / 1e6:+g} s: {seen}"
        fixes.append(Fix(Issue(name, seen, advice, in_some(videos, found)), change))
    return fixes


def _list(ids: np.ndarray) -> str:
    ids = ids.tolist()
    if len(ids) <= 6:
        return ", ".join(map(str, ids))
    return f"{', '.join(map(str, ids[:3]))} ... {ids[-1]} ({len(ids)} of them)"
