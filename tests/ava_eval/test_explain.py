import json

import pytest

from ava_eval import InputError, evaluate
from ava_eval.explain import Explainer

STANDS, SITS = [0, 0, 4, 4], [5, 5, 9, 9]
TRUTH = [["v", 1, *STANDS, 1], ["v", 1, *SITS, 2], ["v", 2, *STANDS, 1], ["w", 7, *STANDS, 1]]
FOUND = [
    ["v", 1, *STANDS, 1, 0.9],
    ["v", 1, *STANDS, 1, 0.8],
    ["v", 1, *SITS, 1, 0.95],
    ["v", 2, 0, 0, 4, 1.5, 1, 0.6],
    ["v", 2, 20, 20, 30, 30, 1, 0.5],
]


@pytest.fixture(scope="module")
def explainer():
    return Explainer(evaluate(TRUTH, FOUND, {1: "stand", 2: "sit down", 3: "sit up"}))


def test_explain_counts_examples_and_confusions(explainer):
    errors = explainer.explain("stand")
    assert {kind: count for kind, (count, _, _) in errors.counts.items()} == {
        "Cls": 1,
        "Loc": 1,
        "Dup": 1,
        "Bkg": 1,
        "Miss": 2,
    }
    assert errors.confused == {"sit down": 1}
    first = errors.false_positives[0]
    assert (first.kind, first.video, first.seconds, first.labels) == ("Cls", "v", 1.0, ("sit down",))
    assert [e.kind for e in errors.false_positives] == ["Cls", "Dup", "Loc", "Bkg"]
    assert sorted((e.video, e.seconds) for e in errors.misses) == [("v", 2.0), ("w", 7.0)]
    assert "no detection of the class" in errors.text()
    json.dumps(errors.to_dict(), allow_nan=False)


@pytest.mark.parametrize("name", ["sit down", "sit up"])
def test_explain_class_without_detections_or_ground_truth(explainer, name):
    errors = explainer.explain(name)
    assert errors.false_positives == [] and "nan" not in errors.text()
    json.dumps(errors.to_dict(), allow_nan=False)


def test_find_takes_name_id_or_unique_part(explainer):
    assert explainer.find("stand") == explainer.find("1") == explainer.find("TAN") == "stand"
    with pytest.raises(InputError, match="could be 'sit down', 'sit up'"):
        explainer.find("sit")
    with pytest.raises(InputError, match="is not in the label map"):
        explainer.find("99")
