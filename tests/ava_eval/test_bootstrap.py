import math

import numpy as np
import pytest

from ava_eval import bootstrap, evaluate
from ava_eval.bootstrap import compare, interval
from ava_eval.ranking import Ranking


def repeated(rows, names, weights):
    """The rows of each video as often as it is drawn, under names of their own."""
    return [
        [f"{name}#{copy}", *row[1:]]
        for name, weight in zip(names, weights)
        for copy in range(int(weight))
        for row in rows
        if row[0] == name
    ]


@pytest.mark.parametrize("most_cells", [bootstrap.MOST_CELLS, 0])
def test_a_draw_is_an_evaluation_of_the_videos_drawn(scene, rows_of, monkeypatch, most_cells):
    monkeypatch.setattr(bootstrap, "MOST_CELLS", most_cells)
    videos = bootstrap._videos(scene)
    weights = bootstrap._weights(len(videos), 5, seed=1)
    drawn = bootstrap._drawn_aps(scene, Ranking.of(scene), videos, weights)
    for aps, draw in zip(drawn, weights):
        rows = [repeated(rows_of(table), videos, draw) for table in (scene.truth, scene.found)]
        expected = evaluate(*rows, "ava_v2.2")
        np.testing.assert_allclose(aps, list(expected.ap.values()), rtol=1e-6)


def test_the_interval_holds_the_value_and_is_the_same_again(scene):
    found = interval(scene, Ranking.of(scene), draws=200)
    assert found.low < found.value < found.high
    assert found == interval(scene, Ranking.of(scene), draws=200)
    assert found != interval(scene, Ranking.of(scene), draws=200, seed=1)


def test_one_video_has_no_interval():
    result = evaluate([["v", 1, 0, 0, 1, 1, 1]], [["v", 1, 0, 0, 1, 1, 1, 0.5]], {1: "stand"})
    found = interval(result, Ranking.of(result))
    assert found.value == 1.0 and math.isnan(found.low) and math.isnan(found.high)
    assert compare(result, result).moved == {}


def test_a_file_does_not_differ_from_itself(scene):
    same = compare(scene, scene, draws=50)
    assert (same.mAP.value, same.mAP.low, same.mAP.high, same.p_value) == (0, 0, 0, 1)
    assert same.moved == {}


def test_the_classes_that_moved_are_named_with_how_far(scene, rows_of):
    better = rows_of(scene.found)
    common = max(scene.ground_truths, key=scene.ground_truths.get)
    class_id = scene.label_map.ids[scene.label_map.names.index(common)]
    true_rows = set(scene.matches.rows[scene.matches.true_positives(0.5)].tolist())
    for index, row in enumerate(better):
        if row[6] == class_id and index in true_rows:
            row[7] = 0.5 + row[7] / 2
    comparison = compare(scene, evaluate(rows_of(scene.truth), better, "ava_v2.2"), draws=200)
    assert list(comparison.moved) == [common]
    change = comparison.moved[common]
    assert 0 < change.low <= change.value <= change.high
    assert comparison.mAP.value == pytest.approx(change.value / sum(not math.isnan(ap) for ap in scene.ap.values()))
    assert comparison.p_value <= 0.05 and comparison.videos == 4
