"""Uploads that are detected on by a tiny model with given boxes."""

import pytest

from avsf_det.engine.detect import DetectOptions
from avsf_det.engine.persons import open_detector
from avsf_det.engine.predictor import Predictor
from avsf_det.web.uploads import Uploads


@pytest.fixture(scope="session")
def predictor(weights):
    return Predictor.load(weights)


@pytest.fixture
def uploads(predictor, scenes, tmp_path):
    boxes = open_detector(str(scenes / "annotations" / "test_person_boxes.csv"))
    return Uploads(tmp_path / "served", predictor, boxes, DetectOptions(rate=1.0))
