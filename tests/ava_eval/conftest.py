"""A slow evaluator with dicts and loops, written from the description of the official one, to compare with."""

import csv
import heapq
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest


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


def voc_ap(scores, labels, truths):
    if not scores:
        return 0.0
    points, found = [], 0
    for seen, index in enumerate(np.argsort(np.array(scores))[::-1], start=1):
        found += labels[index]
        points.append((found / truths, found / seen))
    recall = [0.0, *(r for r, _ in points), 1.0]
    precision = [0.0, *(p for _, p in points), 0.0]
    for i in reversed(range(len(precision) - 1)):
        precision[i] = max(precision[i], precision[i + 1])
    steps = [(recall[i] - recall[i - 1]) * precision[i] for i in range(1, len(recall)) if recall[i] != recall[i - 1]]
    return float(np.sum(np.array(steps)))


def evaluate_slowly(ground_truth, detections, class_ids, excluded=None, iou=0.5):
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
            aps[class_id - 1] = voc_ap(scores[class_id], labels[class_id], truth_counts[class_id])
    mean = float("nan") if np.isnan(aps).all() else float(np.nanmean(aps))
    return SimpleNamespace(mAP=mean, ap={class_id: float(aps[class_id - 1]) for class_id in class_ids})


def make_rows(rng, count, frames, grid, levels, width):
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
        score = float(rng.integers(levels) / levels if levels else rng.random())
        last = f",{score!r}" if width == 8 else ""
        yield f"{place},{','.join(map(repr, corners.ravel().tolist()))},{rng.choice([1, 1, 3, 3, 7, 9])}{last}\n"


@pytest.fixture(scope="session")
def reference():
    """evaluate_slowly(ground_truth, detections, class_ids, excluded=None, iou=0.5) with .mAP and .ap by class id."""
    return evaluate_slowly


@pytest.fixture(scope="session")
def random_rows():
    """make_rows(rng, count, frames, grid, levels, width): lines of a csv."""
    return make_rows
