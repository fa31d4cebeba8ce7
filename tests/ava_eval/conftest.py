"""Slow evaluators with dicts and loops, written from descriptions of the public ones, to compare with."""

import csv
import heapq
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest

from ava_eval import evaluate
from ava_eval.label_map import read_label_map
from ava_eval.table import table_from_memory


def read_rows(path, class_ids, capacity):
    entries, frames = defaultdict(list), set()
    with open(path, newline="") as file:
        for row in csv.reader(file):
            frame = row[0], f"{float(row[1]):.6f}"
            frames.add(frame)
            if len(row) == 2 or int(row[6]) not in class_ids:
                continue
            x1, y1, x2, y2 = map(float, row[2:6])
            entry = (float(row[7]) if len(row) == 8 else 1.0, int(row[6]), y1, x1, y2, x2)
            heap = entries[frame]
            if capacity is None or len(heap) < capacity:
                heapq.heappush(heap, entry)
            elif entry[0] > heap[0][0]:
                heapq.heapreplace(heap, entry)
    return {frame: sorted(heap, key=lambda entry: -entry[0]) for frame, heap in entries.items()}, frames


def overlap(a, b):
    (ay1, ax1, ay2, ax2), (by1, bx1, by2, bx2) = a, b
    height, width = max(0.0, min(ay2, by2) - max(ay1, by1)), max(0.0, min(ax2, bx2) - max(ax1, bx1))
    shared = height * width
    return shared / ((ay2 - ay1) * (ax2 - ax1) + (by2 - by1) * (bx2 - bx1) - shared)


def label_frame(detections, truths, least_iou):
    """True or false positive for each of one class's detections in one frame."""
    taken, labels = set(), []
    for box in detections:
        overlaps = [overlap(box, truth) for truth in truths]
        best = max(overlaps, default=0.0)
        choice = overlaps.index(best) if truths else None
        labels.append(best >= least_iou and choice not in taken)
        if labels[-1]:
            taken.add(choice)
    return labels


def voc_ap(scores, labels, truths, ties="stable"):
    if not len(scores):
        return 0.0
    points, found = [], 0
    for seen, index in enumerate(np.argsort(np.array(scores), kind="stable" if ties == "stable" else None)[::-1], 1):
        found += labels[index]
        points.append((found / truths, found / seen))
    recall = [0.0, *(r for r, _ in points), 1.0]
    precision = [0.0, *(p for _, p in points), 0.0]
    for i in reversed(range(len(precision) - 1)):
        precision[i] = max(precision[i], precision[i + 1])
    steps = [(recall[i] - recall[i - 1]) * precision[i] for i in range(1, len(recall)) if recall[i] != recall[i - 1]]
    return float(np.sum(np.array(steps)))


def evaluate_slowly(ground_truth, detections, class_ids, excluded=None, iou=0.5, ties="stable"):
    truths, frames = read_rows(ground_truth, class_ids, None)
    found, _ = read_rows(detections, class_ids, 50)
    left_out = read_rows(excluded, class_ids, None)[1] if excluded else set()
    truth_counts, scores, labels = defaultdict(int), defaultdict(list), defaultdict(list)
    for frame, entries in truths.items():
        for entry in entries:
            truth_counts[entry[1]] += frame not in left_out
    for frame, entries in found.items():
        if frame not in frames or frame in left_out:
            continue
        entries = [entry for entry in entries if entry[2] < entry[4] and entry[3] < entry[5]]
        for class_id in class_ids:
            of_class = [entry for entry in entries if entry[1] == class_id]
            rivals = [t[2:] for t in truths.get(frame, []) if t[1] == class_id and t[2] <= t[4] and t[3] <= t[5]]
            scores[class_id] += [entry[0] for entry in of_class]
            labels[class_id] += label_frame([entry[2:] for entry in of_class], rivals, iou)
    aps = np.full(max(class_ids), np.nan)
    for class_id in class_ids:
        if truth_counts[class_id]:
            aps[class_id - 1] = voc_ap(scores[class_id], labels[class_id], truth_counts[class_id], ties)
    mean = float("nan") if np.isnan(aps).all() else float(np.nanmean(aps))
    return SimpleNamespace(mAP=mean, ap={class_id: float(aps[class_id - 1]) for class_id in class_ids})


def read_by_second(path, class_ids):
    """{(video, whole second): [(score, class, box), ...]} in the order of the file, as both forks of it read."""
    entries = defaultdict(list)
    for row in csv.reader(path.read_text().splitlines()):
        if len(row) > 2 and int(row[6]) in class_ids:
            x1, y1, x2, y2 = map(float, row[2:6])
            score = float(row[7]) if len(row) == 8 else 1.0
            entries[row[0], int(float(row[1]))].append((score, int(row[6]), (y1, x1, y2, x2)))
    return entries


def read_excluded_seconds(path):
    return (
        {(video, int(float(second))) for video, second in csv.reader(path.read_text().splitlines())} if path else set()
    )


def evaluate_like_pyslowfast(ground_truth, detections, class_ids, excluded=None, iou=0.5, ties="stable"):
    """No cap, no sorting within a frame, and every frame counts, labelled or not."""
    truths, found = read_by_second(ground_truth, class_ids), read_by_second(detections, class_ids)
    left_out = read_excluded_seconds(excluded)
    aps = np.full(max(class_ids), np.nan)
    for class_id in class_ids:
        count = sum(k == class_id for frame in truths if frame not in left_out for _, k, _ in truths[frame])
        scores, labels = [], []
        for frame in found:
            if frame in left_out:
                continue
            mine = [(s, b) for s, k, b in found[frame] if k == class_id and b[0] < b[2] and b[1] < b[3]]
            rivals = [b for _, k, b in truths.get(frame, []) if k == class_id and b[0] <= b[2] and b[1] <= b[3]]
            scores += [score for score, _ in mine]
            labels += label_frame([box for _, box in mine], rivals, iou)
        if count:
            aps[class_id - 1] = voc_ap(scores, labels, count, ties)
    mean = float("nan") if np.isnan(aps).all() else float(np.nanmean(aps))
    return SimpleNamespace(mAP=mean, ap={class_id: float(aps[class_id - 1]) for class_id in class_ids})


def overlaps_in_single_precision(box, truths):
    """Differences and areas are float32, intersections float64: what NumPy makes of float32 boxes beside np.zeros."""
    box, truths = np.array(box, dtype=np.float32), np.array(truths, dtype=np.float32).reshape(-1, 4)
    heights = np.maximum(np.zeros(len(truths)), np.minimum(box[2], truths[:, 2]) - np.maximum(box[0], truths[:, 0]))
    widths = np.maximum(np.zeros(len(truths)), np.minimum(box[3], truths[:, 3]) - np.maximum(box[1], truths[:, 1]))
    areas = (truths[:, 2] - truths[:, 0]) * (truths[:, 3] - truths[:, 1])
    with np.errstate(invalid="ignore"):
        return heights * widths / ((box[2] - box[0]) * (box[3] - box[1]) + areas - heights * widths)


def evaluate_like_mmaction2(ground_truth, detections, class_ids, excluded=None, iou=0.5, ties="stable"):
    """No cap; frames with ground truth only; excluded ground truth still counts; undetected classes do not."""
    truths, found = read_by_second(ground_truth, class_ids), read_by_second(detections, class_ids)
    left_out = read_excluded_seconds(excluded)
    ap = {}
    for class_id in class_ids:
        count = sum(k == class_id for rows in truths.values() for _, k, _ in rows)
        scores, labels = [], []
        for frame in truths:
            if frame in left_out:
                continue
            rivals = [b for _, k, b in sorted(truths[frame], key=lambda row: -row[0]) if k == class_id]
            taken = set()
            for score, k, box in sorted(found.get(frame, []), key=lambda row: -row[0]):
                if k != class_id:
                    continue
                ious = overlaps_in_single_precision(box, rivals)
                best = int(ious.argmax()) if len(rivals) else None
                scores.append(score)
                labels.append(bool(len(rivals) and ious[best] >= iou and best not in taken))
                if labels[-1]:
                    taken.add(best)
        ap[class_id] = voc_ap(np.array(scores, dtype=np.float32), labels, count, ties) if scores and count else np.nan
    values = np.array(list(ap.values()))
    return SimpleNamespace(mAP=float(np.nanmean(values)) if not np.isnan(values).all() else float("nan"), ap=ap)


REFERENCES = {
    "official": evaluate_slowly,
    "pyslowfast": evaluate_like_pyslowfast,
    "mmaction2": evaluate_like_mmaction2,
}


def make_rows(rng, count, frames, grid, levels, width, inverted=True):
    """Rows crowded onto few frames, coordinates and scores, so that ties, duplicates and flat boxes abound."""
    for _ in range(count):
        place = f"{'ab'[rng.integers(2)]},{rng.integers(frames)}"
        if width == 7 and rng.random() < 0.1:
            yield place + "\n"
            continue
        corners = rng.integers(0, grid, (2, 2)) / grid
        if rng.random() < 0.8:
            corners.sort(axis=0)
            corners[1] += 1 / grid
        elif not inverted:
            corners.sort(axis=0)
        score = float(rng.integers(levels) / levels if levels else rng.random())
        last = f",{score!r}" if width == 8 else ""
        yield f"{place},{','.join(map(repr, corners.ravel().tolist()))},{rng.choice([1, 1, 3, 3, 7, 9])}{last}\n"


def make_scene_tables(seed=0, videos=4, frames=30, first=902, skill=3.0, recall=0.9, noise=0.03):
    """Ground truth and detections of persons who move slowly and change what they do now and then."""
    ids = np.array(read_label_map("ava_v2.2").ids)
    rng = np.random.default_rng(seed)
    truth, found = [], []
    common = rng.choice(ids, 12, replace=False)
    for video in (f"film_{v}" for v in range(videos)):
        place = rng.uniform(0.05, 0.35, (3, 2)) + np.array([[0, 0.2], [0.3, 0.1], [0.5, 0.2]])
        doing = [set(rng.choice(common, 2, replace=False)) for _ in range(3)]
        for second in range(first, first + frames):
            place += rng.normal(0, 0.02, place.shape)
            for person in range(3):
                if rng.random() < 0.3:
                    doing[person] = set(rng.choice(common, 2, replace=False))
                x1, y1 = np.clip(place[person], 0, [0.85, 0.4])
                box = np.array([x1, y1, x1 + 0.12, y1 + 0.35 + 0.1 * person])
                truth += [[video, second, *box, action] for action in doing[person]]
                if rng.random() < recall:
                    seen = box + rng.normal(0, noise, 4) * [0.12, 0.35, 0.12, 0.35]
                    scores = rng.normal(-2, 1, len(ids)) + skill * np.isin(ids, list(doing[person]))
                    for k in np.argsort(-scores)[:12]:
                        found.append([video, second, *seen, ids[k], 1 / (1 + np.exp(-scores[k]))])
    return table_from_memory(truth, "truth"), table_from_memory(found, "found")


@pytest.fixture(scope="session")
def make_scene():
    """make_scene(**options): tables of ground truth and detections."""
    return make_scene_tables


@pytest.fixture(scope="session")
def references():
    """{protocol: function of (ground_truth, detections, class_ids, excluded, iou, ties) with .mAP and .ap by id}."""
    return REFERENCES


@pytest.fixture(scope="session")
def random_rows():
    """make_rows(rng, count, frames, grid, levels, width, inverted=True): lines of a csv."""
    return make_rows


@pytest.fixture(scope="session")
def scene():
    """The result of an evaluation of four videos whose detections make mistakes of every kind."""
    truth, found = make_scene_tables(noise=0.25, frames=20)
    return evaluate(to_rows(truth), to_rows(found), "ava_v2.2")


def to_rows(table):
    columns = (table.videos, table.microseconds / 1e6, table.boxes.tolist(), table.actions, table.scores)
    return [[table.video_names[v], second, *box, action, score] for v, second, box, action, score in zip(*columns)]


@pytest.fixture(scope="session")
def rows_of():
    """rows_of(table): its rows as lists."""
    return to_rows


MAP = {1: "stand", 3: "sit", 7: "talk"}


@pytest.fixture
def run(tmp_path):
    """Evaluates rows given as strings."""

    def run_rows(truth, found, label_map=MAP, excluded=None, **options):
        paths = []
        for name, rows in (("gt.csv", truth), ("det.csv", found), ("excluded.csv", excluded)):
            paths.append(None if rows is None else tmp_path / name)
            if rows is not None:
                paths[-1].write_text("".join(row + "\n" for row in rows))
        return evaluate(paths[0], paths[1], label_map, paths[2], **options)

    return run_rows
