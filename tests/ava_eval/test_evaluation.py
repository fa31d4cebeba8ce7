import gzip
import json
import math
import os
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ava_eval import InputError, LabelMap, evaluate
from ava_eval.average_precision import TIES, average_precision_of_ranking
from ava_eval.protocol import PROTOCOLS

MAP = {1: "stand", 3: "sit", 7: "talk"}
BOX = "0.1,0.1,0.5,0.5"
OTHER = "0.6,0.6,0.9,0.9"


# --- the corners of the official protocol ---------------------------------------------------------------------------


def test_a_perfect_detection_scores_one_and_classes_without_ground_truth_are_nan(run):
    result = run([f"v,902,{BOX},1"], [f"v,902,{BOX},1,0.9"])
    assert result.mAP == 1.0
    assert result.ap["stand"] == 1.0 and math.isnan(result.ap["sit"])
    assert result.ground_truths == {"stand": 1, "sit": 0, "talk": 0}
    assert result.detections == {"stand": 1, "sit": 0, "talk": 0}
    assert result.ignored == {} and result.warnings == []


@pytest.mark.parametrize("timestamp", ["902", "0902", "902.0", " 902 ", "902.0000004", "9.02e2"])
def test_timestamps_are_equal_when_their_six_decimals_are(run, timestamp):
    assert run([f"v,902,{BOX},1"], [f"v,{timestamp},{BOX},1,0.9"]).mAP == 1.0


@pytest.mark.parametrize("timestamp", ["902.5", "902.000001"])
def test_other_timestamps_are_other_frames(run, timestamp):
    result = run([f"v,902,{BOX},1"], [f"v,{timestamp},{BOX},1,0.9"])
    assert result.mAP == 0.0
    assert result.ignored == {"detection on a frame without ground-truth row": 1}


def test_a_seventh_column_alone_means_score_one(run):
    result = run([f"v,1,{BOX},1", f"v,2,{BOX},1"], [f"v,1,{BOX},1", f"v,1,{OTHER},1,0.5"])
    assert result.ap["stand"] == 0.5
    assert result.matches.scores.tolist() == [1.0, 0.5]


def test_detections_on_a_frame_whose_rows_are_of_unknown_classes_are_false_positives(run):
    result = run([f"v,1,{BOX},1", f"v,2,{BOX},99"], [f"v,1,{BOX},1,0.5", f"v,2,{BOX},1,0.9"])
    assert result.ap["stand"] == 0.5
    assert result.ignored == {"ground truth of a class not in the label map": 1}


def test_detections_on_a_frame_given_by_a_two_column_row_are_false_positives(run):
    result = run([f"v,1,{BOX},1", "v,2"], [f"v,1,{BOX},1,0.5", f"v,2,{BOX},1,0.9", "v,1"])
    assert result.ap["stand"] == 0.5


def test_detections_on_frames_without_ground_truth_row_are_ignored_and_missing_detections_cost_recall(run):
    result = run([f"v,1,{BOX},1", f"v,2,{BOX},1"], [f"v,1,{BOX},1,0.5", f"v,3,{BOX},1,0.9"])
    assert result.ap["stand"] == 0.5
    assert result.ignored_rows == 1


def test_detections_of_unknown_classes_are_ignored(run):
    result = run([f"v,1,{BOX},1"], [f"v,1,{BOX},1,0.5", f"v,1,{BOX},2,0.9", f"v,1,{BOX},-1,0.9", f"v,1,{BOX},99,0.9"])
    assert result.mAP == 1.0
    assert result.ignored == {"detection of a class not in the label map": 3}


def test_excluded_timestamps_count_on_neither_side(run):
    truth, found = [f"v,1,{BOX},1", f"v,0002,{BOX},1"], [f"v,1,{BOX},1,0.5", f"v,2,{OTHER},1,0.9"]
    result = run(truth, found, excluded=["v,2.0", "w,1"])
    assert result.mAP == 1.0
    assert result.ignored == {"ground truth on an excluded frame": 1, "detection on an excluded frame": 1}


def test_an_excluded_row_with_more_columns_is_refused(run):
    with pytest.raises(InputError, match=r"excluded.csv:1: .*two columns"):
        run([], [], excluded=[f"v,1,{BOX},1"])


def test_a_frame_keeps_its_fifty_best_rows_of_all_classes_together(run):
    found = [f"v,1,{OTHER},3,{0.2 + i / 1000}" for i in range(50)] + [f"v,1,{BOX},1,0.1"]
    result = run([f"v,1,{BOX},1"], found)
    assert result.mAP == 0.0
    assert result.ignored == {"detection beyond the 50 best of its frame": 1}
    assert run([f"v,1,{BOX},1"], found[1:]).mAP == 1.0


def test_rows_of_unknown_classes_take_no_place_among_the_fifty(run):
    found = [f"v,1,{OTHER},9,0.9" for _ in range(80)] + [f"v,1,{BOX},1,0.1"]
    assert run([f"v,1,{BOX},1"], found).mAP == 1.0


def test_degenerate_detections_take_a_place_among_the_fifty(run):
    found = [f"v,1,0.5,0.5,0.1,0.1,1,{0.2 + i / 1000}" for i in range(50)] + [f"v,1,{BOX},1,0.1"]
    result = run([f"v,1,{BOX},1"], found)
    assert result.mAP == 0.0
    assert result.ignored["detection whose box has no area"] == 50


def test_at_the_fiftieth_score_the_earlier_row_stays(run):
    found = [f"v,1,{OTHER},3,0.5" for _ in range(49)]
    assert run([f"v,1,{BOX},1"], [*found, f"v,1,{BOX},1,0.5", f"v,1,{OTHER},3,0.5"]).mAP == 1.0
    assert run([f"v,1,{BOX},1"], [*found, f"v,1,{OTHER},3,0.5", f"v,1,{BOX},1,0.5"]).mAP == 0.0


def test_of_tied_rows_a_better_one_drives_out_the_least_class(run):
    found = [f"v,1,{OTHER},3,0.5"] * 49
    assert run([f"v,1,{BOX},1"], [f"v,1,{BOX},1,0.5", *found, f"v,1,{OTHER},3,0.9"]).mAP == 0.0
    assert run([f"v,1,{BOX},7"], [f"v,1,{BOX},7,0.5", *found, f"v,1,{OTHER},3,0.9"]).mAP == 1.0


@pytest.mark.parametrize("box", ["0.5,0.1,0.1,0.5", "0.1,0.5,0.5,0.1", "0.1,0.1,0.1,0.5", "0.1,0.1,0.5,0.1"])
def test_detections_without_area_are_dropped_and_counted(run, box):
    result = run([f"v,1,{BOX},1"], [f"v,1,{box},1,0.9", f"v,1,{BOX},1,0.1"])
    assert result.mAP == 1.0
    assert result.ignored == {"detection whose box has no area": 1}


@pytest.mark.parametrize("box", ["0.5,0.1,0.1,0.5", "0.1,0.5,0.5,0.1", "0.1,0.1,0.1,0.5"])
@pytest.mark.parametrize("found", [[f"v,1,{BOX},1,0.9"], []])
def test_ground_truth_without_area_counts_as_missed_with_a_warning(run, box, found):
    result = run([f"v,1,{BOX},1", f"v,1,{box},1"], found)
    assert result.ap["stand"] == 0.5 * len(found)
    assert re.search(r"gt.csv:2: x1 >= x2 or y1 >= y2 in 1 ground-truth box,", result.warnings[0])


def test_a_detection_whose_best_ground_truth_is_taken_does_not_fall_back_to_the_next(run):
    truth = ["v,1,0,0,1,1,1", "v,1,0,0,1,0.6,1"]
    found = ["v,1,0,0,1,1,1,0.9", "v,1,0,0,1,0.9,1,0.8"]  # the second has IoU 0.9 and 0.67
    result = run(truth, found)
    assert result.ap["stand"] == 0.5
    assert result.matches.true_positives(0.5).tolist() == [True, False]


def test_an_iou_of_exactly_the_threshold_is_enough(run):
    truth, found = ["v,1,0,0,1,1,1"], ["v,1,0,0,1,0.5,1,0.9"]
    assert run(truth, found).mAP == 1.0
    assert run(truth, found, iou=0.500001).mAP == 0.0


def test_boxes_are_neither_clipped_nor_expected_in_a_unit(run):
    assert run(["v,1,-50,-10,640,480,1"], ["v,1,-50,-10,640,480,1,0.9"]).mAP == 1.0


def test_of_two_tied_detections_the_later_comes_first_and_a_warning_states_the_possible_range(run):
    result = run([f"v,1,{BOX},1"], [f"v,1,{BOX},1,0.9", f"v,1,{BOX},1,0.9"])
    assert result.ap["stand"] == 0.5
    assert (result.tied, result.ambiguous, result.mAP_range) == (2, 2, (0.5, 1.0))
    assert "2 detections of 2 share their score" in result.warnings[0]
    assert "anything from 0.500000 to 1.000000" in result.warnings[0]


def test_ties_can_be_broken_by_the_official_sort(run):
    found = [f"v,{i},{BOX if i % 3 else OTHER},1,{0.1 * (i % 5)}" for i in range(200)]
    truth = [f"v,{i},{BOX},1" for i in range(200)]
    stable, official = (run(truth, found, ties=ties) for ties in ("stable", "official"))
    low, high = stable.mAP_range
    assert stable.mAP_range == official.mAP_range
    assert low < stable.mAP < high and low < official.mAP < high
    scores, hits = official.matches.scores, official.matches.true_positives(0.5)
    assert official.mAP == average_precision_of_ranking(hits[np.argsort(scores)[::-1]], 200)


def test_rows_tied_at_the_fiftieth_score_are_counted_in_a_warning(run):
    found = [f"v,1,{BOX},{k},0.5" for k in (1, 3) for _ in range(26)]
    [_, line] = run([f"v,1,{BOX},1"], found).warnings
    assert "2 detections beyond the 50 best of their frame score no less" in line


def test_a_class_with_ground_truth_and_no_detection_has_ap_zero(run):
    assert run([f"v,1,{BOX},1", f"v,1,{BOX},3"], [f"v,1,{BOX},1,0.9"]).mAP == 0.5


def test_without_any_ground_truth_the_map_is_nan_with_a_warning(run, recwarn):
    result = run(["v,1"], [f"v,1,{BOX},1,0.9"])
    assert math.isnan(result.mAP)
    assert "no ground truth" in result.warnings[0]
    assert not recwarn.list
    assert json.loads(result.to_json())["mAP"] is None


def test_a_nan_score_is_refused_because_the_official_sort_would_rank_it_first(run):
    with pytest.raises(InputError, match=r"det.csv:2: the last column is NaN"):
        run([f"v,1,{BOX},1"], [f"v,1,{BOX},1,0.5", f"v,1,{BOX},1,nan"])


@pytest.mark.parametrize("side", [0, 1])
def test_a_nan_box_is_refused(run, side):
    rows = [[f"v,1,{BOX},1"], [f"v,1,{BOX},1"]]
    rows[side].append("v,1,0,0,1,nan,1")
    with pytest.raises(InputError, match=r":2: the box is 0.0, 0.0, 1.0, nan, expected finite numbers"):
        run(*rows)


def test_infinite_scores_and_boxes_of_detections_are_ranked(run, recwarn):
    found = [f"v,1,{BOX},1,inf", f"v,1,{BOX},1,inf", "v,1,-inf,0,inf,1,1,-inf"]
    assert run([f"v,1,{BOX},1"], found).ap["stand"] == 0.5
    assert not recwarn.list


@pytest.mark.parametrize("iou", [0, -1, 1.5, math.nan])
def test_a_senseless_threshold_is_refused(run, iou):
    with pytest.raises(InputError, match="above 0 and up to 1"):
        run([], [], iou=iou)


# --- groups, output, inputs -----------------------------------------------------------------------------------------


def test_groups_are_means_over_their_classes_with_ground_truth(run):
    labels = LabelMap((1, 3, 7), ("stand", "sit", "talk"), ("pose", "pose", "person"))
    result = run([f"v,1,{BOX},1", f"v,1,{BOX},3"], [f"v,1,{BOX},1,0.9"], labels)
    assert result.groups["pose"] == 0.5 and math.isnan(result.groups["person"])
    assert re.search(r"^pose +0\.5000$", result.table(), re.MULTILINE)
    assert json.loads(result.to_json())["groups"] == {"pose": 0.5, "person": None}


def test_table_names_classes_counts_ignored_rows_and_map(run):
    text = run([f"v,1,{BOX},1"], [f"v,1,{BOX},1,0.9", f"v,9,{BOX},1,0.9"]).table()
    assert re.search(r"^stand +1\.0000 +1 +1 +1\.0000 +0\.9$", text, re.MULTILINE)
    assert re.search(r"^sit +- +0 +0 +- +-$", text, re.MULTILINE)
    assert re.search(r"^ +1  detection on a frame without ground-truth row$", text, re.MULTILINE)
    assert text.endswith("mAP@0.5IOU 1.000000")


def test_paths_gzip_frames_arrays_and_lists_give_the_same_result(random_rows, tmp_path):
    text = "".join(random_rows(np.random.default_rng(3), 200, 3, 4, 5, 8))
    truth, found = "".join(random_rows(np.random.default_rng(4), 50, 3, 4, 5, 7)), text
    (tmp_path / "gt.csv").write_text(truth)
    (tmp_path / "det.csv").write_text(found)
    (tmp_path / "det.csv.gz").write_bytes(gzip.compress(found.encode()))
    (tmp_path / "map.pbtxt").write_text(LabelMap.from_dict(MAP).to_pbtxt())
    expected = evaluate(tmp_path / "gt.csv", str(tmp_path / "det.csv"), tmp_path / "map.pbtxt")
    rows = [line.split(",") for line in found.splitlines()]
    frame = pd.DataFrame([[video, *map(float, numbers)] for video, *numbers in rows])
    truth_frame = pd.read_csv(tmp_path / "gt.csv", header=None)
    for detections in (tmp_path / "det.csv.gz", frame, frame.to_numpy(), frame.to_numpy().tolist(), np.array(rows)):
        result = evaluate(truth_frame, detections, MAP)
        assert (result.mAP, result.ap, result.ignored) == (expected.mAP, expected.ap, expected.ignored)
    assert 0 < expected.mAP < 1


def test_two_column_rows_stay_where_they_are_and_no_rows_are_fine(run):
    assert math.isnan(run([], []).mAP)
    assert evaluate([["v", 1, 0, 0, 1, 1, 1]], [], MAP).mAP == 0.0
    assert evaluate([["v", 1, 0, 0, 1, 1, 1]], np.zeros((0, 8)), MAP, excluded=[["v", 1]]).ignored_rows == 1


# --- against the straightforward evaluators -------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    truths=st.integers(0, 60),
    detections=st.integers(0, 400),
    frames=st.integers(1, 6),
    grid=st.sampled_from([1, 2, 3, 5, 50]),
    levels=st.sampled_from([1, 2, 5, 50, None]),
    person_ids=st.booleans(),
    iou=st.sampled_from([0.3, 0.5, 0.75]),
    ties=st.sampled_from(TIES),
)
def test_equals_the_straightforward_evaluator(
    references, random_rows, tmp_path, protocol, seed, truths, detections, frames, grid, levels, person_ids, iou, ties
):
    rng = np.random.default_rng(seed)
    paths = [tmp_path / name for name in ("gt.csv", "det.csv", "excluded.csv")]
    inverted = protocol != "mmaction2"  # which stops at them
    paths[0].write_text("".join(random_rows(rng, truths, frames, grid, 3, 8 if person_ids else 7, inverted)))
    paths[1].write_text("".join(random_rows(rng, detections, frames + 1, grid, levels, 8, inverted)))
    paths[2].write_text("".join(f"a,{i}.0\n" for i in range(frames) if rng.random() < 0.2))
    expected = references[protocol](paths[0], paths[1], MAP, paths[2], iou, ties)
    result = evaluate(paths[0], paths[1], MAP, paths[2], iou=iou, protocol=protocol, ties=ties)
    np.testing.assert_equal(list(result.ap.values()), list(expected.ap.values()))
    np.testing.assert_allclose(result.mAP, expected.mAP, rtol=0 if protocol != "mmaction2" else 1e-14)


@pytest.mark.parametrize("protocol", ["official", "mmaction2"])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter_without_tied_scores(random_rows, tmp_path, protocol, seed):
    rng = np.random.default_rng(seed)
    truth = list(random_rows(rng, 40, 3, 50, 0, 7))
    found = list(random_rows(rng, 300, 3, 4, 0, 8, inverted=False))
    results = []
    for order in (slice(None), rng.permutation(len(found))):
        (tmp_path / "gt.csv").write_text("".join(truth))
        (tmp_path / "det.csv").write_text("".join(np.array(found)[order]))
        results.append(evaluate(tmp_path / "gt.csv", tmp_path / "det.csv", MAP, protocol=protocol))
    assume(not results[0].tied)  # single precision may make some equal
    np.testing.assert_equal(list(results[0].ap.values()), list(results[1].ap.values()))


def test_a_label_map_that_the_official_reader_would_not_see_whole_is_a_warning(tmp_path):
    (tmp_path / "map.pbtxt").write_text('item {\n  name: "stand"\n  id: 1\n}\nitem { name: "sit" id: 3 }\n')
    result = evaluate([["v", 1, 0, 0, 1, 1, 3]], [["v", 1, 0, 0, 1, 1, 3, 0.5]], tmp_path / "map.pbtxt")
    assert result.mAP == 1.0
    assert "the official reader would not see 1 of the classes ('sit' first)" in result.warnings[0]


def test_a_path_may_be_a_path_object_of_any_kind(tmp_path):
    with pytest.raises(InputError, match=r"nowhere.csv: cannot read the file: No such file"):
        evaluate(os.fspath(tmp_path / "nowhere.csv"), [], MAP)
    with pytest.raises(InputError, match=r"nowhere.pbtxt: cannot read the label map: No such file"):
        evaluate([], [], tmp_path / "nowhere.pbtxt")
