import math

import pytest

from ava_eval import InputError, LabelMap
from ava_eval.average_precision import TIES
from ava_eval.cli import _parser
from ava_eval.protocol import OFFICIAL, PROTOCOLS

BOX = "0.1,0.1,0.5,0.5"
OTHER = "0.6,0.6,0.9,0.9"


def test_the_command_offers_the_protocols_and_ways_to_break_ties_that_there_are():
    actions = {action.dest: action.choices for action in _parser()._actions}
    assert tuple(actions["protocol"]) == tuple(PROTOCOLS)
    assert tuple(actions["ties"]) == TIES


def test_names_are_keys_and_the_official_protocol_comes_first():
    assert all(name == protocol.name for name, protocol in PROTOCOLS.items())
    assert next(iter(PROTOCOLS.values())) is OFFICIAL


def test_pyslowfast_matches_in_the_order_of_the_file(run):
    found = ["v,1,0.1,0.1,0.5,0.4,1,0.2", f"v,1,{BOX},1,0.9"]  # the better box comes second and finds it taken
    assert run([f"v,1,{BOX},1"], found).mAP == 1.0
    assert run([f"v,1,{BOX},1"], found, protocol="pyslowfast").mAP == 0.5


def test_pyslowfast_counts_detections_on_frames_without_ground_truth(run):
    truth, found = [f"v,1,{BOX},1"], [f"v,1,{BOX},1,0.5", f"v,2,{BOX},1,0.9"]
    assert [run(truth, found, protocol=p).mAP for p in PROTOCOLS] == [1.0, 0.5, 1.0]


def test_only_the_official_protocol_counts_frames_of_other_classes_and_only_it_has_a_cap(run):
    truth, found = [f"v,1,{BOX},1", f"v,2,{BOX},99"], [f"v,1,{BOX},1,0.5", f"v,2,{BOX},1,0.9"]
    assert [run(truth, found, protocol=p).mAP for p in PROTOCOLS] == [0.5, 0.5, 1.0]
    found = [f"v,1,{OTHER},3,0.9" for _ in range(50)] + [f"v,1,{BOX},1,0.1"]
    assert [run(truth[:1], found, protocol=p).mAP for p in PROTOCOLS] == [0.0, 1.0, 1.0]


def test_mmaction2_still_counts_excluded_ground_truth(run):
    truth, found = [f"v,1,{BOX},1", f"v,2,{BOX},1"], [f"v,1,{BOX},1,0.5", f"v,2,{OTHER},1,0.9"]
    assert [run(truth, found, excluded=["v,2"], protocol=p).mAP for p in PROTOCOLS] == [1.0, 1.0, 0.5]


def test_mmaction2_leaves_undetected_classes_out_of_the_mean_with_a_warning(run):
    truth, found = [f"v,1,{BOX},1", f"v,1,{BOX},3"], [f"v,1,{BOX},1,0.5"]
    results = [run(truth, found, protocol=p) for p in PROTOCOLS]
    assert [result.mAP for result in results] == [0.5, 0.5, 1.0]
    assert math.isnan(results[2].ap["sit"])
    assert "1 class with ground truth but no detection ('sit' first) left out" in results[2].warnings[0]


def test_mmaction2_stops_at_an_inverted_detection_and_counts_a_flat_one(run):
    truth = [f"v,1,{BOX},1"]
    with pytest.raises(InputError, match=r"det.csv:2: x1 > x2 or y1 > y2, at which mmaction2 stops"):
        run(truth, [f"v,1,{BOX},1,0.5", "v,1,0.5,0.5,0.1,0.1,1,0.9"], protocol="mmaction2")
    found = [f"v,1,{BOX},1,0.5", "v,1,0.1,0.1,0.1,0.5,1,0.9"]
    assert [run(truth, found, protocol=p).mAP for p in PROTOCOLS] == [1.0, 1.0, 0.5]


def test_mmaction2_computes_in_single_precision(run):
    truth, found = [f"v,1,{BOX},1"], [f"v,1,{BOX},1,0.900000001", f"v,1,{OTHER},1,0.9"]
    assert [run(truth, found, protocol=p).tied for p in PROTOCOLS] == [0, 0, 2]


def test_mmaction2_groups_by_id_whatever_the_label_map_says(run):
    labels = LabelMap((1, 20, 70), ("a", "b", "c"))
    truth, found = [f"v,1,{BOX},1", f"v,1,{BOX},20"], [f"v,1,{BOX},1,0.5", f"v,1,{OTHER},20,0.5"]
    groups = run(truth, found, labels, protocol="mmaction2").groups
    assert groups["pose"] == 1.0 and groups["object"] == 0.0 and math.isnan(groups["person"])


@pytest.mark.parametrize("protocol", ["pyslowfast", "mmaction2"])
def test_the_forks_know_whole_seconds_and_no_frames_without_boxes(run, protocol):
    result = run([f"v,1.0,{BOX},1", "v,1", "v,2"], [f"v,0001,{BOX},1,0.5"], protocol=protocol)
    assert result.mAP == 1.0
    assert f"2 rows of two columns skipped: {protocol} has none" in result.warnings[0]
    with pytest.raises(InputError, match=rf"det.csv:1: the timestamp is 1.5, but {protocol} knows frames by whole"):
        run([f"v,1,{BOX},1"], [f"v,1.5,{BOX},1,0.5"], protocol=protocol)


def test_the_table_says_which_protocol_it_is_unless_it_is_the_official_one(run):
    texts = [run([f"v,1,{BOX},1"], [f"v,1,{BOX},1,0.9"], protocol=p).table() for p in PROTOCOLS]
    assert ["not the official one" in text for text in texts] == [False, True, True]
    assert "by the protocol of mmaction2" in texts[2]


@pytest.mark.parametrize("options", [{"protocol": "coco"}, {"ties": "random"}])
def test_an_unknown_choice_is_refused_with_the_known_ones(run, options):
    with pytest.raises(InputError, match=r"expected one of (official, pyslowfast|stable, official)"):
        run([], [], **options)
