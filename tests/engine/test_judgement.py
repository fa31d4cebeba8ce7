import numpy as np
import pytest

from ava_eval import evaluate
from ava_eval.label_map import LabelMap
from avsf_det.data.action_rows import read_action_rows
from avsf_det.engine.judgement import judge, unfound, with_verdicts
from avsf_det.structures import Persons
from avsf_det.visual.verdicts import MISSED, RIGHT, UNFOUND, UNJUDGED, WRONG

LABELS = LabelMap((1, 2), ("sit", "talk"))
HERE, NEAR, AWAY = "0.1,0.1,0.5,0.9", "0.12,0.1,0.5,0.9", "0.6,0.1,0.9,0.9"


@pytest.fixture
def tables(tmp_path):
    """Detections and ground truth of given lines."""

    def make(found, truth):
        tables = []
        for name, lines in (("found.csv", found), ("truth.csv", truth)):
            (tmp_path / name).write_text("\n".join(lines) + "\n")
            tables.append(read_action_rows(tmp_path / name, "a", (64, 48), LABELS, name == "truth.csv"))
        return tables

    return make


def test_the_best_of_a_labelled_box_is_right_and_the_rest_is_wrong(tables):
    found, truth = tables(
        [f"a,1,{NEAR},1,0.6", f"a,1,{HERE},1,0.9", f"a,1,{HERE},2,0.8", f"a,1,{AWAY},1,0.7", f"a,2,{HERE},1,0.9"],
        [f"a,1,{HERE},1,0", f"a,1,{AWAY},2,1"],
    )
    judgement = judge(found, truth, 0.3)
    assert judgement.verdicts.tolist() == [WRONG, RIGHT, WRONG, WRONG, UNJUDGED]
    assert judgement.missed.tolist() == [False, True]
    assert judgement.summary() == "1 right, 3 wrong, 1 missed: precision 0.250, recall 0.500 at IoU 0.5"


def test_what_scores_below_the_threshold_is_not_judged_and_its_truth_missed(tables):
    found, truth = tables([f"a,1,{HERE},1,0.2", f"a,1,{HERE},,0.9"], [f"a,1,{HERE},1,0"])
    judgement = judge(found, truth, 0.3)
    assert judgement.verdicts.tolist() == [UNJUDGED, UNJUDGED] and judgement.missed.all()


def test_a_keyframe_labelled_as_empty_makes_detections_wrong(tables):
    found, truth = tables([f"a,1,{HERE},1,0.9", f"a,2,{HERE},1,0.9"], ["a,1"])
    assert judge(found, truth, 0.3).verdicts.tolist() == [WRONG, UNJUDGED]


def test_it_counts_as_the_evaluator_does(tables):
    generator = np.random.default_rng(0)

    def lines(number, scored):
        corners = generator.uniform(0, 0.4, (number, 2)).round(1)
        last = generator.uniform(0.3, 1, number) if scored else np.arange(number)
        return [
            f"a,{i % 5},{x},{y},{x + 0.5},{y + 0.5},{1 + i % 2},{s}" for i, ((x, y), s) in enumerate(zip(corners, last))
        ]

    found, truth = tables(lines(200, True), lines(40, False))
    judgement = judge(found, truth, 0.0)
    result = evaluate(str(truth.path), str(found.path), LABELS)
    assert (judgement.verdicts == RIGHT).sum() == result.matches.true_positives(0.5).sum() > 5
    assert (~judgement.missed).sum() == (judgement.verdicts == RIGHT).sum()


def test_missed_actions_go_to_whoever_was_found_and_missed_persons_come_apart(tables):
    _, truth = tables(["a,1"], [f"a,1,{HERE},1,0", f"a,1,{HERE},2,0", f"a,1,{AWAY},2,5", f"a,2,{AWAY},1,5"])
    found = Persons([(0.1, 0.1, 0.5, 0.9)], [1.0], [3], [(0.9, 0.1)])
    lost, attached = unfound(truth, np.array([False, True, True, True]), found, 1.0)
    assert attached.tolist() == [[False, True]]
    assert lost.ids.tolist() == [UNFOUND + 5] and lost.actions.tolist() == [[0, 1]]
    shown = with_verdicts(found, lost, attached, np.array([[RIGHT, UNJUDGED]]))
    assert shown.ids.tolist() == [3, UNFOUND + 5]
    by_verdict = shown.actions.reshape(2, 4, 2)
    np.testing.assert_allclose(by_verdict[0, [UNJUDGED, RIGHT, WRONG]], [(0, 0.1), (0.9, 0), (0, 0)], rtol=1e-6)
    assert by_verdict[:, MISSED].tolist() == [[0, 1], [0, 1]]
