import json
import math

import numpy as np

from ava_eval import evaluate
from ava_eval.label_map import LabelMap
from avsf_det.engine.audio_effect import audio_effects, effect_json, effect_table

LABELS = LabelMap((1, 2, 3), ("clap", "sit", "wave"))
TRUTH = [["v", 1, 0.1, 0.1, 0.4, 0.9, 1], ["v", 1, 0.1, 0.1, 0.4, 0.9, 2]]
FOUND = [
    ["v", 1, 0.1, 0.1, 0.4, 0.9, 1, 0.9],
    ["v", 1, 0.6, 0.1, 0.9, 0.9, 1, 0.5],
    ["v", 1, 0.1, 0.1, 0.4, 0.9, 2, 0.7],
    ["v", 1, 0.6, 0.1, 0.9, 0.9, 2, 0.2],
]


def effects(excluded=None):
    return audio_effects(evaluate(TRUTH, FOUND, LABELS, excluded), np.array([0.4, 0.6, 0.7, 0.1]), excluded)


def test_ap_and_scores_with_and_without_sound_by_class():
    found = effects()
    clap, sit, wave = found["clap"], found["sit"], found["wave"]
    assert (clap.ap, clap.silent_ap) == (1.0, 0.5)  # without sound the wrong person claps first
    np.testing.assert_allclose((clap.right, clap.others, sit.right, sit.others), (0.5, -0.1, 0.0, 0.1))
    assert (sit.ap, sit.silent_ap) == (1.0, 1.0) and math.isnan(wave.ap) and math.isnan(wave.right)


def test_the_table_has_a_line_a_class_and_the_mean():
    lines = effect_table(effects()).splitlines()
    assert [line.split("  ")[0] for line in lines] == ["what sound does", "clap", "sit", "wave", "mean of the classes"]
    assert lines[1].split()[1:] == ["1.0000", "0.5000", "+0.5000", "+0.5000", "-0.1000"]
    assert lines[3].split()[1:] == ["-"] * 5 and len({len(line) for line in lines}) == 1
    assert lines[4].split()[4:] == ["1.0000", "0.7500", "+0.2500", "+0.2500", "+0.0000"]


def test_json_has_full_precision_and_null_where_there_is_no_number():
    written = json.loads(effect_json(effects()))
    assert written["clap"] == {"ap": 1.0, "silent_ap": 0.5, "right": 0.5, "others": written["clap"]["others"]}
    assert written["wave"]["ap"] is None


def test_excluded_timestamps_count_on_neither_side(tmp_path):
    (tmp_path / "excluded.csv").write_text("v,1\n")
    assert all(math.isnan(effect.right) for effect in effects(tmp_path / "excluded.csv").values())
