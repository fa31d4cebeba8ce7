import json
import re

import pytest

from ava_eval import evaluate
from ava_eval.bootstrap import compare
from ava_eval.page import comparison_page
from ava_eval.report import analyse, comparison_dict, comparison_text


@pytest.fixture(scope="module")
def report(scene):
    return analyse(scene, draws=50)


def test_text_has_every_analysis_and_its_number(report):
    text = report.text()
    assert re.search(rf"^ +0\.50 +{report.result.mAP:.4f}$", text, re.MULTILINE)
    assert re.search(r"^Cls +\d+ +\d+  0\.\d{4} \(\+0\.\d{4}\)$", text, re.MULTILINE)
    assert "people: a box overlaps enough" in text
    assert re.search(r"^small \(to 0\.\d+\) +\d+ +\d+  [0-9. -]+$", text, re.MULTILINE)
    assert "confidence interval of the mAP over videos (95 %): 0." in text


def test_json_has_the_evaluation_and_every_analysis_without_nan(report):
    content = json.loads(report.to_json(), parse_constant=lambda name: pytest.fail(name))
    assert content["mAP"] == report.result.mAP and content["AP"]["stand"] == report.result.to_dict()["AP"]["stand"]
    assert content["mAP_by_iou"]["0.75"] == report.sweep[0.75]
    assert content["confidence_interval"]["low"] < content["mAP"] < content["confidence_interval"]["high"]
    assert set(content["errors"]) == {"Cls", "Loc", "Dup", "Bkg", "Miss"}
    assert content["oracle"]["person_recall"] == report.oracle.person_recall
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
    assert "fixed mAP" in report.text() and json.loads(report.to_json())["errors"]


def test_a_comparison_names_both_files_and_what_moved(scene):
    comparison = compare(scene, scene, draws=20)
    text = comparison_text(comparison)
    assert text.count(f"mAP {scene.mAP:.6f}") == 2
    assert "second - first: +0.000000" in text and "no class moved" in text
    content = json.loads(json.dumps(comparison_dict(comparison), allow_nan=False))
    assert content["difference"] == {"value": 0, "low": 0, "high": 0} and content["moved"] == []


@pytest.mark.parametrize("truth", [[["v", 1, 0, 0, 1, 1, 1]], []])
def test_comparison_text_one_video_says_that_nothing_can_be_said(truth):
    found = [["v", 1, 0, 0, 1, 1, 1, 0.5]]
    comparison = compare(evaluate(truth, found, {1: "stand"}), evaluate(truth, [], {1: "stand"}))
    text = comparison_text(comparison)
    assert "whether the difference is chance cannot be said" in text
    assert "nan" not in text.lower() and "no class moved" not in text
    assert "nan" not in re.sub('base64,[^"]+', "", comparison_page(comparison)).lower()
    assert json.loads(json.dumps(comparison_dict(comparison), allow_nan=False))["p_value"] is None
