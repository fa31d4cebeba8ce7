import json
import re

import pytest

from ava_eval import evaluate
from ava_eval.bootstrap import compare
from ava_eval.report import analyse, comparison_dict, comparison_text


@pytest.fixture(scope="module")
def report(scene):
    return analyse(scene, draws=50)


def test_text_has_every_analysis_and_its_number(report):
    text = report.text()
    assert re.search(rf"^ +0\.50 +{report.result.mAP:.4f}$", text, re.MULTILINE)
    assert re.search(r"^wrong action +\d+ +\d+  0\.\d{4} \(\+0\.\d{4}\)$", text, re.MULTILINE)
    assert "persons have a box that overlaps enough" in text
    assert re.search(r"^small \(to 0\.\d+\) +\d+ +\d+  [0-9. -]+$", text, re.MULTILINE)
    assert "confidence interval of the mAP over videos (95 %): 0." in text


def test_json_has_the_evaluation_and_every_analysis_without_nan(report):
    content = json.loads(report.to_json(), parse_constant=lambda name: pytest.fail(name))
    assert content["mAP"] == report.result.mAP and content["AP"]["stand"] == report.result.to_dict()["AP"]["stand"]
    assert content["mAP_by_iou"]["0.75"] == report.sweep[0.75]
    assert content["confidence_interval"]["low"] < content["mAP"] < content["confidence_interval"]["high"]
    assert set(content["mistakes"]) == {"duplicate", "wrong action", "location", "background", "missed"}
    assert content["detector_ceiling"]["person_recall"] == report.ceiling.person_recall
    curve = next(curve for curve in content["precision_recall"].values() if curve)
    assert len(curve["recall"]) == len(curve["precision"]) == len(curve["score"])


@pytest.mark.parametrize(
    ("truth", "found"),
    [
        ([], []),
        ([["v", 1, 0, 0, 1, 1, 1]], []),
        ([], [["v", 1, 0, 0, 1, 1, 1, 0.5]]),
        ([["v", 1]], [["v", 1] + [None] * 5]),
    ],
)
@pytest.mark.parametrize("protocol", ["official", "mmaction2"])
def test_there_is_a_report_however_little_there_is(truth, found, protocol):
    report = analyse(evaluate(truth, found, {1: "stand", 2: "sit"}, protocol=protocol))
    assert "mistake" in report.text() and json.loads(report.to_json())["mistakes"]


def test_a_comparison_names_both_files_and_what_moved(scene):
    comparison = compare(scene, scene, draws=20)
    text = comparison_text(comparison)
    assert text.count(f"mAP {scene.mAP:.6f}") == 2
    assert "second - first: +0.000000" in text and "no class moved" in text
    content = json.loads(json.dumps(comparison_dict(comparison), allow_nan=False))
    assert content["difference"] == {"value": 0, "low": 0, "high": 0} and content["moved"] == []
