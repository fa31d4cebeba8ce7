import numpy as np
import pytest

from ava_eval import evaluate
from ava_eval.error_analysis import KINDS, MISSED, count_mistakes, kinds_of
from ava_eval.persons import find_persons
from ava_eval.ranking import Ranking

MAP = {1: "stand", 2: "sit"}
STANDS, SITS = [0, 0, 4, 4], [5, 5, 9, 9]
TRUTH = [["v", 1, *STANDS, 1], ["v", 1, *SITS, 2], ["v", 2, *STANDS, 1]]
FOUND = {
    "true positive": ["v", 1, *STANDS, 1, 0.9],
    "duplicate": ["v", 1, *STANDS, 1, 0.8],
    "wrong action": ["v", 1, *SITS, 1, 0.7],
    "location": ["v", 2, 0, 0, 4, 1.5, 1, 0.6],
    "background": ["v", 2, 20, 20, 30, 30, 1, 0.5],
}


def analysed(truth, found):
    result = evaluate(truth, found, MAP)
    persons = find_persons(result)
    return result, persons, count_mistakes(result, persons, Ranking.of(result))


def test_each_kind_is_told_from_the_others():
    result, persons, mistakes = analysed(TRUTH, list(FOUND.values()))
    kinds = kinds_of(result, persons, result.matches.true_positives(0.5))
    named = [list(KINDS)[kind] if kind >= 0 else "true positive" for kind in kinds]
    assert dict(zip(result.matches.rows.tolist(), named)) == dict(enumerate(FOUND))
    assert {m.kind: m.count for m in mistakes} == dict.fromkeys(KINDS, 1) | {MISSED: 2}
    assert {m.kind: m.confident for m in mistakes} == dict.fromkeys(KINDS, 0) | {MISSED: 2}  # best F1 is at 0.9


@pytest.mark.parametrize("kind", ["duplicate", "wrong action", "background"])
def test_mending_takes_the_detections_away(kind):
    _, _, mistakes = analysed(TRUTH, list(FOUND.values()))
    without = evaluate(TRUTH, [row for name, row in FOUND.items() if name != kind], MAP)
    assert next(m.mended for m in mistakes if m.kind == kind) == without.mAP


def test_mending_a_location_puts_the_box_where_it_belongs_unless_another_is_there():
    twice = [*FOUND.values(), ["v", 2, 0, 0, 4, 1.4, 1, 0.55]]
    _, _, mistakes = analysed(TRUTH, twice)
    mended = [row for name, row in FOUND.items() if name != "location"] + [["v", 2, *STANDS, 1, 0.6]]
    assert next(m.mended for m in mistakes if m.kind == "location") == evaluate(TRUTH, mended, MAP).mAP


def test_mending_what_is_missed_takes_it_out_of_the_ground_truth():
    _, _, mistakes = analysed(TRUTH, list(FOUND.values()))
    assert mistakes[-1].kind == MISSED
    assert mistakes[-1].mended == evaluate(TRUTH[:1], list(FOUND.values()), MAP).mAP


def test_counts_add_up_and_nothing_mended_is_worse(scene):
    persons = find_persons(scene)
    mistakes = count_mistakes(scene, persons, Ranking.of(scene))
    hits = int(scene.matches.true_positives(0.5).sum())
    assert sum(m.count for m in mistakes[:-1]) == len(scene.matches.rows) - hits
    assert mistakes[-1].count == len(scene.matches.ground_truth_rows) - hits
    assert all(m.count > 0 and m.mended >= scene.mAP for m in mistakes)
    assert np.argmax([m.mended for m in mistakes[:-1]]) == 2  # the scene's boxes are far off
