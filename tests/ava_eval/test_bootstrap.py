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


def draw_video(rng):
    """Per class: scores, whether each is a true positive, and how many ground truths; videos differ a lot."""
    quality, classes = rng.normal(0, 0.7), []
    for rate in (3, 2, 1):
        truths = rng.poisson(rate * np.exp(rng.normal(0, 0.8)))
        hits = np.concatenate([np.ones(rng.binomial(truths, 0.85), bool), np.zeros(rng.poisson(5), bool)])
        classes.append((rng.normal(1.5 * hits + quality * (0.5 + hits / 2), 1), hits, truths))
    return classes


def rows_of_videos(videos):
    """The same as rows: each ground truth and each detection at a box of its own."""
    truth, found = [], []
    for v, classes in enumerate(videos):
        for k, (scores, hits, truths) in enumerate(classes):
            truth += [[f"v{v}", 1, 10 * i, 10 * k, 10 * i + 5, 10 * k + 5, k + 1] for i in range(truths)]
            places = np.where(hits, np.cumsum(hits) - 1, 1000 + np.arange(len(hits)))
            for i, score in zip(places, scores):
                found.append([f"v{v}", 1, 10 * i, 10 * k, 10 * i + 5, 10 * k + 5, k + 1, float(score)])
    return truth, found


@pytest.mark.parametrize(("videos", "least"), [(5, 0.85), (20, 0.87)])
def test_interval_covers_the_population_mAP(videos, least):
    rng = np.random.default_rng(0)
    labels = {1: "stand", 2: "sit", 3: "walk"}
    population = [draw_video(rng) for _ in range(1500)]
    true_mAP = evaluate(*rows_of_videos(population), labels, protocol="pyslowfast").mAP
    held = []
    for _ in range(120):
        chosen = [population[i] for i in rng.integers(0, len(population), videos)]
        result = evaluate(*rows_of_videos(chosen), labels, protocol="pyslowfast")
        found = interval(result, Ranking.of(result), draws=100)
        held.append(found.low <= true_mAP <= found.high)
    assert np.mean(held) >= least


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (63, 1.998)]
)
def test_student_t_matches_published_quantiles(freedom, quantile):
    assert bootstrap.student_t(freedom) == pytest.approx(quantile, rel=0.01)


def test_interval_of_equal_videos_is_the_mAP():
    rows = [[f"v{i}", 1, 0, 0, 1, 1, 1] for i in range(4)]
    result = evaluate(rows, [[*row, 0.5] for row in rows], {1: "stand"})
    assert interval(result, Ranking.of(result)) == bootstrap.Interval(1.0, 1.0, 1.0)
