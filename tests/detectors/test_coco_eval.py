import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.structures import Persons
from detectors.coco_eval import measure

SIZE = (100, 200)
TRUTH = [
    Persons(np.array([[0.1, 0.1, 0.3, 0.9], [0.5, 0.1, 0.7, 0.9]]), np.ones(2)),
    Persons(np.array([[0.2, 0.2, 0.6, 0.8]]), np.ones(1)),
]


def test_the_truth_is_perfect():
    metrics = measure(TRUTH, TRUTH, [SIZE] * 2).metrics
    assert metrics["AP"] == metrics["AP50"] == metrics["AR100"] == pytest.approx(1.0)


def test_average_precision_counts_misses_and_false_alarms():
    # Best first: a person, a false alarm, a person; the third person is missed. Precision 1 up to recall 1/3,
    # 2/3 up to 2/3, then 0: of COCO's 101 recalls 34, 33 and 34.
    found = [
        Persons(np.array([[0.1, 0.1, 0.3, 0.9], [0.8, 0.1, 0.9, 0.3]]), np.array([0.9, 0.8])),
        Persons(np.array([[0.2, 0.2, 0.6, 0.8]]), np.array([0.7])),
    ]
    metrics = measure(TRUTH, found, [SIZE] * 2).metrics
    assert metrics["AP50"] == pytest.approx((34 + 33 * 2 / 3) / 101)


def test_nobody_found_is_zero(capsys):
    metrics = measure(TRUTH, [Persons.none()] * 2, [SIZE] * 2).metrics
    assert metrics["AP"] == metrics["AP50"] == 0
    assert capsys.readouterr().out == ""


def test_recall_and_precision_at_a_score():
    # best first: a person (0.9), a false alarm (0.8), a person (0.7), the same again (0.6); the third person is missed
    found = [
        Persons(np.array([[0.1, 0.1, 0.3, 0.9], [0.8, 0.1, 0.9, 0.3]]), np.array([0.9, 0.8])),
        Persons(np.array([[0.2, 0.2, 0.6, 0.8], [0.22, 0.2, 0.6, 0.8]]), np.array([0.7, 0.6])),
    ]
    quality = measure(TRUTH, found)
    assert quality.persons == 3
    points = {score: (quality.at(score).recall, quality.at(score).precision) for score in (0.95, 0.85, 0.75, 0.65, 0.5)}
    assert points[0.95] == (0, 0)
    assert points[0.85] == pytest.approx((1 / 3, 1))
    assert points[0.75] == pytest.approx((1 / 3, 1 / 2))
    assert points[0.65] == pytest.approx((2 / 3, 2 / 3))
    assert points[0.5] == pytest.approx((2 / 3, 1 / 2))
    best = quality.best()
    assert (best.score, best.f1) == pytest.approx((0.7, 2 / 3))
    table = quality.table().splitlines()
    assert any(line.split()[:4] == ["0.5", "0.6667", "0.5000", "0.5714"] for line in table)
    assert any(line.startswith("best F1") and "from 0.7000 on" in line for line in table)


@pytest.mark.parametrize("iou, right", [(0.49, False), (0.51, True)])
def test_a_person_is_found_from_iou_half_on(iou, right):
    truth = [Persons(np.array([[0.0, 0.0, 1.0, 1.0]]), np.ones(1))]
    found = [Persons(np.array([[0.0, 0.0, 1.0, iou]]), np.ones(1))]
    assert measure(truth, found).right.tolist() == [right]


def test_persons_of_one_score_are_taken_together():
    found = [Persons(TRUTH[0].boxes, np.full(2, 0.5)), Persons(np.array([[0.0, 0.9, 0.1, 1.0]]), np.array([0.5]))]
    best = measure(TRUTH, found).best()
    assert (best.recall, best.precision) == pytest.approx((2 / 3, 2 / 3))


def test_sizes_of_pictures_matter_to_areas_alone():
    found = [persons.replace(boxes=persons.boxes * 0.97) for persons in TRUTH]
    known, unknown = measure(TRUTH, found, [SIZE] * 2).metrics, measure(TRUTH, found).metrics
    assert known.keys() - unknown.keys() == {"APs", "APm", "APl"}
    assert all(unknown[name] == pytest.approx(known[name]) for name in unknown)


@given(st.lists(st.tuples(st.floats(0, 0.5), st.floats(0.01, 0.5), st.floats(0, 1, width=32)), max_size=12))
def test_lower_scores_never_cost_recall(rows):
    boxes = np.array([(x, x, x + w, x + w) for x, w, _ in rows]).reshape(-1, 4)
    quality = measure(TRUTH, [Persons(boxes, np.array([score for *_, score in rows])), Persons.none()])
    recalls = [quality.at(score).recall for score in np.linspace(1, 0, 11)]
    assert recalls == sorted(recalls) and quality.best().f1 >= max(quality.at(s).f1 for s in np.linspace(0, 1, 11))
