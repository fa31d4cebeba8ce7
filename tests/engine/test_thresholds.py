import json

import pytest

from avsf_det.engine.evaluate import evaluate_weights
from avsf_det.engine.predictor import Predictor
from avsf_det.engine.thresholds import read_thresholds
from avsf_det.errors import UserError

NAMES = ("stand", "talk to (e.g., self, a person, a group)", "clap")


@pytest.fixture
def read(tmp_path):
    def read(text, default=0.3):
        (tmp_path / "thresholds.json").write_text(text)
        return read_thresholds(tmp_path / "thresholds.json", NAMES, default)

    return read


def test_classes_without_a_score_have_the_default(read):
    assert read('{"clap": 0.7}') == (0.3, 0.3, 0.7)
    assert read('{"best_F1": {"stand": {"F1": null, "score": null}, "clap": {"F1": 1, "score": 1}}}') == (0.3, 0.3, 1.0)


def test_an_evaluation_gives_the_scores_of_best_f1(weights, scenes, tmp_path):
    result = evaluate_weights(weights, ["DATA.ROOT", str(scenes), "OUTPUT_DIR", str(tmp_path)])
    names = Predictor.load(weights).label_map.names
    found = dict(zip(names, read_thresholds(tmp_path / "evaluation_val.json", names, 2.0)))
    best = {name: score for name, (f1, score) in result.evaluation.best_f1.items() if f1 == f1}
    assert best and {name: score for name, score in found.items() if score != 2.0} == pytest.approx(best)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as thresholds"),
        ("[0.5]", "got a JSON list, expected the evaluation_"),
        ('{"clapp": 0.5}', "the model has no class 'clapp'; did you mean 'clap'"),
        ('{"clap": 1.5}', "class 'clap': got 1.5, expected a score within 0..1"),
        ('{"clap": NaN}', "class 'clap': got nan"),
        ('{"clap": true}', "class 'clap': got True"),
        (json.dumps({"clap": {"score": "high"}}), "class 'clap': got 'high'"),
    ],
)
def test_what_is_no_threshold_is_named(read, text, message):
    with pytest.raises(UserError, match=r"thresholds\.json: ") as error:
        read(text)
    assert message in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none.json: cannot be read as thresholds: .*No such file"):
        read_thresholds(tmp_path / "none.json", NAMES, 0.3)
