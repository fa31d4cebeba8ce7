import numpy as np
import pytest

from ava_eval import evaluate
from ava_eval.error_analysis import KINDS, MISS, confusion, count_errors, kinds_of
from ava_eval.persons import find_persons
from ava_eval.ranking import Ranking

MAP = {1: "stand", 2: "sit"}
STANDS, SITS = [0, 0, 4, 4], [5, 5, 9, 9]
TRUTH = [["v", 1, *STANDS, 1], ["v", 1, *SITS, 2], ["v", 2, *STANDS, 1]]
FOUND = {
    "true positive": ["v", 1, *STANDS, 1, 0.9],
    "Dup": ["v", 1, *STANDS, 1, 0.8],
    "Cls": ["v", 1, *SITS, 1, 0.7],
    "Loc": ["v", 2, 0, 0, 4, 1.5, 1, 0.6],
    "Bkg": ["v", 2, 20, 20, 30, 30, 1, 0.5],
}


def analysed(truth, found):
    result = evaluate(truth, found, MAP)
    persons = find_persons(result)
    return result, persons, count_errors(result, persons, Ranking.of(result))


def test_each_kind_is_told_from_the_others():
    result, persons, errors = analysed(TRUTH, list(FOUND.values()))
    kinds = kinds_of(result, persons, result.matches.true_positives(0.5))
    named = [list(KINDS)[kind] if kind >= 0 else "true positive" for kind in kinds]
    assert dict(zip(result.matches.rows.tolist(), named)) == dict(enumerate(FOUND))
    assert {m.kind: m.count for m in errors} == dict.fromkeys(KINDS, 1) | {MISS: 2}
    assert {m.kind: m.confident_count for m in errors} == dict.fromkeys(KINDS, 0) | {MISS: 2}  # best F1 is at 0.9


@pytest.mark.parametrize("kind", ["Dup", "Cls", "Bkg"])
def test_fixing_takes_the_detections_away(kind):
    _, _, errors = analysed(TRUTH, list(FOUND.values()))
    without = evaluate(TRUTH, [row for name, row in FOUND.items() if name != kind], MAP)
    assert next(m.fixed for m in errors if m.kind == kind) == without.mAP


def test_fixing_a_location_puts_the_box_where_it_belongs_unless_another_is_there():
    twice = [*FOUND.values(), ["v", 2, 0, 0, 4, 1.4, 1, 0.55]]
    _, _, errors = analysed(TRUTH, twice)
    fixed = [row for name, row in FOUND.items() if name != "Loc"] + [["v", 2, *STANDS, 1, 0.6]]
    assert next(m.fixed for m in errors if m.kind == "Loc") == evaluate(TRUTH, fixed, MAP).mAP


def test_fixing_what_is_missed_takes_it_out_of_the_ground_truth():
    _, _, errors = analysed(TRUTH, list(FOUND.values()))
    assert errors[-1].kind == MISS
    assert errors[-1].fixed == evaluate(TRUTH[:1], list(FOUND.values()), MAP).mAP


def test_counts_add_up_and_no_fix_is_worse(scene):
    persons = find_persons(scene)
    errors = count_errors(scene, persons, Ranking.of(scene))
    hits = int(scene.matches.true_positives(0.5).sum())
    assert sum(m.count for m in errors[:-1]) == len(scene.matches.rows) - hits
    assert errors[-1].count == len(scene.matches.ground_truth_rows) - hits
    assert all(m.count > 0 and m.fixed >= scene.mAP for m in errors)
    assert max(errors[:-1], key=lambda error: error.fixed).kind == "Loc"  # the scene's boxes are far off


def test_confusion_counts_confident_errors_by_what_the_person_does():
    truth = [["v", i, *STANDS, 1] for i in range(3)] + [["v", i, *SITS, 2] for i in range(3)]
    found = [["v", 0, *STANDS, 1, 0.5], ["v", 0, *SITS, 1, 0.9], ["v", 1, *SITS, 1, 0.8], ["v", 2, *SITS, 1, 0.1]]
    result = evaluate(truth, found, MAP)
    assert confusion(result, find_persons(result)).tolist() == [[0, 2], [0, 0]]


def test_count_errors_of_a_class_sum_to_those_of_all(scene):
    for error in count_errors(scene, find_persons(scene), Ranking.of(scene)):
        assert error.count == sum(error.counts) and error.confident_count == sum(error.confident)
        assert error.fixed == pytest.approx(np.nanmean(error.fixed_aps))
