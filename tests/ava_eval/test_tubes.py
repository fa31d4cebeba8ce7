import json
import math
import pickle
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_eval import InputError
from ava_eval.tube_file import Tube
from ava_eval.tubes import IOUS, evaluate_tubes, tube_iou

BOX = (0, 0, 2, 2)


def tube(frames, box=BOX, score=1.0, video="v", class_id=1):
    frames = np.array(frames, dtype=float)
    return Tube(video, class_id, frames, np.tile(np.array(box, dtype=float), (len(frames), 1)), score)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (tube(range(10)), tube(range(10)), 1.0),
        (tube(range(10)), tube(range(5)), 0.5),
        (tube(range(10)), tube(range(5, 15)), 5 / 15),
        (tube(range(10)), tube(range(10), (0, 0, 2, 1)), 0.5),
        (tube(range(10)), tube(range(5), (0, 0, 2, 1)), 0.25),
        (tube([0, 2, 4]), tube([0, 1, 2, 3, 4]), 0.6),  # gaps count as frames that the tube does not have
        (tube(range(3)), tube(range(3, 6)), 0.0),
        (tube([7]), tube([7]), 1.0),
        (tube([7], (0, 0, 0, 0)), tube([7], (0, 0, 0, 0)), 0.0),
    ],
)
def test_the_iou_of_tubes_worked_out_by_hand(a, b, expected):
    assert tube_iou(a, b) == pytest.approx(expected) == tube_iou(b, a)


def test_a_tube_with_enough_overlap_is_a_true_positive_up_to_its_iou():
    result = evaluate_tubes([tube(range(10))], [tube(range(6), score=0.9)])
    assert [result.mAP[iou] for iou in (0.2, 0.5, 0.6, 0.65)] == [1, 1, 1, 0]
    assert result.mAP_50_95 == pytest.approx(0.3)


def test_only_the_ground_truth_that_overlaps_most_is_looked_at():
    truths = [tube(range(10)), tube(range(10), (0, 0, 2, 1.5))]
    found = [tube(range(10), score=0.9), tube(range(10), (0, 0, 2, 1.9), score=0.8)]
    assert evaluate_tubes(truths, found).mAP[0.5] == 0.5


def test_videos_and_classes_are_kept_apart_and_counted():
    truths = [tube(range(4)), tube(range(4), class_id=2), tube(range(4), video="w")]
    found = [tube(range(4), score=0.9), tube(range(4), video="x", score=0.95), tube(range(4), class_id=7)]
    result = evaluate_tubes(truths, found)
    assert result.ap["class 1"][0.5] == 0.25  # the better one is in a video without it; one of two is found
    assert result.ap["class 2"][0.5] == 0.0 and result.mAP[0.5] == 0.125
    assert result.ignored == 1
    assert (result.ground_truths, result.detections) == ({"class 1": 2, "class 2": 1}, {"class 1": 2, "class 2": 0})


def test_classes_of_the_label_map_without_ground_truth_are_left_out():
    result = evaluate_tubes([tube(range(4))], [tube(range(4))], {1: "run", 2: "jump"})
    assert result.mAP[0.5] == 1.0 and math.isnan(result.ap["jump"][0.5])
    assert json.loads(result.to_json())["AP"]["jump"]["0.50"] is None
    assert re.search(r"^run +1\.0000  1\.0000 +1\.0000 +1 +1$", result.table(), re.MULTILINE)
    assert result.table().endswith("video-mAP@0.5:0.95 1.000000")


def slow_iou(a, b):
    first, second = (dict(zip(t.frames.tolist(), t.boxes.tolist())) for t in (a, b))
    total = 0.0
    for frame in first.keys() & second.keys():
        (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = first[frame], second[frame]
        shared = max(0, min(ax2, bx2) - max(ax1, bx1)) * max(0, min(ay2, by2) - max(ay1, by1))
        total += shared / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared) if shared else 0
    return total / len(first.keys() | second.keys())


def slow_ap(truths, found, least):
    taken, points, hits = set(), [], 0
    for seen, one in enumerate(sorted(found, key=lambda t: -t.score), 1):
        ious = [slow_iou(one, truth) if truth.video == one.video else 0 for truth in truths]
        best = max(range(len(truths)), key=lambda i: ious[i])
        if ious[best] >= least and best not in taken:
            taken.add(best)
            hits += 1
        points.append((hits / len(truths), hits / seen))
    ap, last = 0.0, 0.0
    for i, (recall, _) in enumerate(points):
        ap += (recall - last) * max(precision for _, precision in points[i:])
        last = recall
    return ap


tubes = st.builds(
    lambda start, length, x, y, w, video, score: tube(range(start, start + length), (x, y, x + w, y + 2), score, video),
    st.integers(0, 5), st.integers(1, 6), st.integers(0, 2), st.integers(0, 1), st.integers(1, 3),
    st.sampled_from("vw"), st.floats(0, 1),
)  # fmt: skip


@given(st.lists(tubes, min_size=1, max_size=5), st.lists(tubes, max_size=8))
def test_equals_a_straightforward_evaluator(truths, found):
    result = evaluate_tubes(truths, found)
    for iou in IOUS:
        assert result.mAP[iou] == pytest.approx(slow_ap(truths, found, iou), abs=1e-12)


def test_files_of_both_kinds_give_the_same(tmp_path):
    rows = [(frame, 0, 0, 2, 2) for frame in range(4)]
    (tmp_path / "gt.csv").write_text("".join(f"v,{','.join(map(str, row))},0,a\n" for row in rows))
    (tmp_path / "det.csv").write_text("".join(f"v,{','.join(map(str, row))},0,a,0.5\n" for row in rows[:3]))
    annotation = {"labels": ["run"], "test_videos": [["v"]], "gttubes": {"v": {0: [np.array(rows)]}}}
    (tmp_path / "gt.pkl").write_bytes(pickle.dumps(annotation))
    results = [evaluate_tubes(tmp_path / name, tmp_path / "det.csv") for name in ("gt.csv", "gt.pkl")]
    assert results[0].mAP == results[1].mAP and results[0].mAP[0.75] == 1
    assert list(results[0].ap) == ["class 0"] and list(results[1].ap) == ["run"]


def test_no_ground_truth_is_refused(tmp_path):
    with pytest.raises(InputError, match="ground truth: no tube"):
        evaluate_tubes([], [tube([1])])
