import numpy as np

from ava_eval.ranking import Ranking


def test_gives_the_aps_of_the_evaluation(scene):
    ranking = Ranking.of(scene)
    hits = scene.matches.true_positives(0.5)
    np.testing.assert_equal(ranking.average_precisions(hits), list(scene.ap.values()))
    assert ranking.mean(hits) == scene.mAP


def test_detections_can_be_left_out_and_ground_truths_counted_otherwise(scene):
    ranking = Ranking.of(scene)
    hits = scene.matches.true_positives(0.5)
    only_hits = ranking.average_precisions(hits, keep=hits)
    found = np.bincount(scene.matches.classes[hits], minlength=60)
    recalls = np.where(ranking.truths > 0, found / np.maximum(ranking.truths, 1), np.nan)
    np.testing.assert_allclose(only_hits, recalls)
    doubled = ranking.average_precisions(hits, truths=2 * ranking.truths)
    np.testing.assert_allclose(doubled, ranking.average_precisions(hits) / 2)
