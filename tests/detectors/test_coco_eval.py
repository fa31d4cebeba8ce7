import numpy as np
import pytest

from avsf_det.structures import Keyframe, Persons
from detectors.coco_eval import coco_ap, evaluate_detector
from detectors.given import GivenBoxes

SIZE = (100, 200)
TRUTH = [
    Persons(np.array([[0.1, 0.1, 0.3, 0.9], [0.5, 0.1, 0.7, 0.9]]), np.ones(2)),
    Persons(np.array([[0.2, 0.2, 0.6, 0.8]]), np.ones(1)),
]


def test_the_truth_is_perfect():
    metrics = coco_ap(TRUTH, TRUTH, [SIZE] * 2)
    assert metrics["AP"] == metrics["AP50"] == metrics["AR100"] == pytest.approx(1.0)


def test_average_precision_counts_misses_and_false_alarms():
    # Best first: a person, a false alarm, a person; the third person is missed. Precision 1 up to recall 1/3,
    # 2/3 up to 2/3, then 0: of COCO's 101 recalls 34, 33 and 34.
    found = [
        Persons(np.array([[0.1, 0.1, 0.3, 0.9], [0.8, 0.1, 0.9, 0.3]]), np.array([0.9, 0.8])),
        Persons(np.array([[0.2, 0.2, 0.6, 0.8]]), np.array([0.7])),
    ]
    metrics = coco_ap(TRUTH, found, [SIZE] * 2)
    assert metrics["AP50"] == pytest.approx((34 + 33 * 2 / 3) / 101)


def test_nobody_found_is_zero(capsys):
    metrics = coco_ap(TRUTH, [Persons.none()] * 2, [SIZE] * 2)
    assert metrics["AP"] == metrics["AP50"] == 0
    assert capsys.readouterr().out == ""


def test_detector_is_evaluated_on_a_dataset(dataset):
    boxes = dataset / "annotations" / "val_person_boxes.csv"
    assert evaluate_detector(GivenBoxes(boxes), dataset, "val")["AP"] == pytest.approx(1.0)


def test_detector_sees_the_keyframes(dataset):
    class Brightest:
        """The box around what is bright: the figure."""

        identity = "brightest"

        def detect(self, frames: list[Keyframe]):
            found = []
            for frame in frames:
                rows, columns = np.nonzero(frame.image[..., 0] > 150)
                box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]])
                found.append(Persons.from_pixels(box, np.ones(1), frame.image.shape[1], frame.image.shape[0]))
            return found

    assert evaluate_detector(Brightest(), dataset, "val")["AP75"] == pytest.approx(1.0)
