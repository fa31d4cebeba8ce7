import numpy as np
import pytest

from ava_eval import evaluate
from ava_eval.persons import find_persons
from ava_eval.ranking import Ranking
from ava_eval.slices import by_frequency, by_height, iou_sweep, oracle, precision_recall

MAP = {1: "stand", 2: "sit"}


def parts(truth, found):
    result = evaluate(truth, found, MAP)
    return result, find_persons(result), Ranking.of(result)


def test_the_sweep_is_what_evaluating_at_each_threshold_gives(scene, rows_of):
    sweep = iou_sweep(scene, Ranking.of(scene))
    assert list(sweep) == pytest.approx([0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95], abs=0)
    for iou in (0.5, 0.75):
        assert sweep[iou] == evaluate(rows_of(scene.truth), rows_of(scene.found), "ava_v2.2", iou=iou).mAP


def test_curves_run_from_the_first_true_positive_to_the_last():
    truth = [["v", i, 0, 0, 1, 1, 1] for i in range(4)]
    found = [["v", 0, 0, 0, 1, 1, 1, 0.9], ["v", 0, 5, 5, 6, 6, 1, 0.8], ["v", 1, 0, 0, 1, 1, 1, 0.7]]
    result, _, ranking = parts(truth, found)
    curves = precision_recall(result, ranking)
    assert curves == {"stand": [(0.25, 1.0, 0.9), (0.5, 2 / 3, 0.7)], "sit": []}


def test_long_curves_are_thinned(scene):
    assert max(len(points) for points in precision_recall(scene, Ranking.of(scene)).values()) <= 101


def test_heights_part_ground_truth_and_detections():
    truth = [["v", i, 0, 0, 1, 1 + i, 1] for i in range(3)]
    found = [["v", 0, 0, 0, 1, 1, 1, 0.9], ["v", 1, 5, 5, 6, 8, 1, 0.8], ["v", 2, 0, 0, 1, 3, 1, 0.7]]
    small, medium, large = by_height(*parts(truth, found))
    assert (small.mAP, medium.mAP) == (1.0, 0.0)
    assert large.mAP == 0.5  # the false positive is as tall as the tallest
    assert [part.truths for part in (small, medium, large)] == [1, 1, 1]
    assert small.name.startswith("small (to 1.")


def test_classes_are_parted_by_powers_of_ten():
    truth = [["v", i, 0, 0, 1, 1, 1] for i in range(12)] + [["v", 1, 0, 0, 1, 1, 2]]
    result, _, ranking = parts(truth, [["v", 1, 0, 0, 1, 1, 2, 0.5]])
    assert [(p.name, p.truths, p.classes, p.mAP) for p in by_frequency(result, ranking)] == [
        ("1 to 9", 1, 1, 1.0),
        ("10 to 99", 12, 1, 0.0),
    ]


def test_the_oracle_is_what_oracle_actions_and_oracle_boxes_give(scene, rows_of):
    found = oracle(scene, find_persons(scene), Ranking.of(scene))
    truth = rows_of(scene.truth)
    boxes = {(row[0], row[1], *row[2:6]) for row in rows_of(scene.found)}
    every = [[*box, action, 1.0] for box in boxes for action in {row[6] for row in truth}]
    result = evaluate(truth, every, "ava_v2.2", protocol="pyslowfast")  # has no cap
    recalls = result.matches.true_positives(0.5)
    hit = np.bincount(result.matches.classes[recalls], minlength=60)
    counts = np.array(list(result.ground_truths.values()))
    assert found.oracle_actions == pytest.approx(np.mean(hit[counts > 0] / counts[counts > 0]), abs=0.01)
    assert scene.mAP < found.oracle_boxes <= 1
    assert found.persons == len({tuple(row[:6]) for row in truth})


def test_oracle_boxes_count_a_detection_once_for_each_person_and_class():
    truth = [["v", 1, 0, 0, 4, 4, 1], ["v", 1, 10, 10, 14, 14, 1]]
    found = [["v", 1, 0, 0, 4, 1, 1, 0.9], ["v", 1, 0, 0, 4, 4, 1, 0.8], ["v", 1, 30, 30, 31, 31, 1, 0.99]]
    result, persons, ranking = parts(truth, found)
    assert result.mAP == pytest.approx(1 / 6)
    assert oracle(result, persons, ranking).oracle_boxes == 0.5
    assert oracle(result, persons, ranking).person_recall == 0.5
