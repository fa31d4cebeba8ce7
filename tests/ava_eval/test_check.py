"""Each fault is planted into files that fit each other, and must be named; and none in files without."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_eval import LabelMap, evaluate
from ava_eval.check import diagnose
from ava_eval.label_map import read_label_map
from ava_eval.table import table_from_memory

LABELS = read_label_map("ava_v2.2")
IDS = np.array(LABELS.ids)


@pytest.fixture(scope="module")
def files(make_scene):
    return make_scene()


def names(truth, found, labels=LABELS, left_out=None):
    return [fault.name for fault in diagnose(truth, found, labels, left_out).faults]


def renamed(table, rename):
    return replace(table, video_names=[rename(name) for name in table.video_names])


def boxed(table, change):
    return replace(table, boxes=change(table.boxes))


def timed(table, change):
    return replace(table, microseconds=np.rint(change(table.microseconds / 1e6) * 1e6).astype(np.int64))


def logits(scores):
    return np.log(scores / (1 - scores))


PLACES = {class_id: place for place, class_id in enumerate(sorted(LABELS.ids))}
PLANTED = {
    "boxes in pixels": (
        lambda t: boxed(t, lambda b: b * [640, 360, 640, 360]),
        "boxes of the detections are in pixels",
    ),
    "boxes in percent": (lambda t: boxed(t, lambda b: b * 100), "boxes of the detections are in percent"),
    "ids from 0": (lambda t: replace(t, actions=t.actions - 1), "class ids one too low"),
    "ids one too high": (lambda t: replace(t, actions=t.actions + 1), "class ids one too high"),
    "places from 0": (
        lambda t: replace(t, actions=np.array([PLACES[a] for a in t.actions.tolist()])),
        "class ids are places in the label map, from 0",
    ),
    "places from 1": (
        lambda t: replace(t, actions=np.array([PLACES[a] + 1 for a in t.actions.tolist()])),
        "class ids are places in the label map, from 1",
    ),
    "other label map": (lambda t: replace(t, actions=t.actions + 400), "class ids of another label map"),
    "frames at 25": (lambda t: timed(t, lambda s: np.rint(s * 25)), "timestamps in frames"),
    "frames at 29.97": (lambda t: timed(t, lambda s: np.rint(s * 30000 / 1001)), "timestamps in frames"),
    "milliseconds": (lambda t: timed(t, lambda s: s * 1000), "timestamps in milliseconds"),
    "seconds from 0": (lambda t: timed(t, lambda s: s - 902), "timestamps are shifted"),
    "half a second late": (lambda t: timed(t, lambda s: s + 0.5), "timestamps are shifted"),
    "a second early": (lambda t: timed(t, lambda s: s - 1), "timestamps are shifted"),
    "ten seconds late": (lambda t: timed(t, lambda s: s + 10), "timestamps are shifted"),
    "frames from 0": (lambda t: timed(t, lambda s: (s - 902) * 25), "timestamps in frames and shifted"),
    "x and y swapped": (lambda t: boxed(t, lambda b: b[:, [1, 0, 3, 2]]), "x and y swapped"),
    "width and height": (
        lambda t: boxed(t, lambda b: np.hstack([b[:, :2], b[:, 2:] - b[:, :2]])),
        "boxes are x, y, width, height",
    ),
    "centre and size": (
        lambda t: boxed(t, lambda b: np.hstack([(b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]])),
        "boxes are centre, width, height",
    ),
    "x1, x2, y1, y2": (lambda t: boxed(t, lambda b: b[:, [0, 2, 1, 3]]), "corners ordered x1, x2, y1, y2"),
    "y upwards": (
        lambda t: boxed(t, lambda b: np.stack([b[:, 0], 1 - b[:, 3], b[:, 2], 1 - b[:, 1]], axis=1)),
        "y counted from the bottom",
    ),
    "extension": (lambda t: renamed(t, "{}.mp4".format), "video ids with an extension"),
    "folder": (lambda t: renamed(t, "videos/val/{}".format), "video ids with a folder"),
    "folder and extension": (lambda t: renamed(t, "val/{}.mkv".format), "video ids with folder and extension"),
    "capitals": (lambda t: renamed(t, str.upper), "video ids in other letters"),
    "other videos": (lambda t: renamed(t, "other_{}".format), "no videos in common"),
    "other times": (lambda t: timed(t, lambda s: s * 0.0137 + 5000.3), "no frames in common"),
    "logits": (lambda t: replace(t, scores=logits(t.scores)), "scores are logits"),
    "log-probabilities": (lambda t: replace(t, scores=np.log(t.scores)), "scores are logarithms"),
    "percent": (lambda t: replace(t, scores=t.scores * 100), "scores are not within 0 to 1"),
    "constant scores": (lambda t: replace(t, scores=np.ones(len(t))), "scores are constant"),
    "scores upside down": (lambda t: replace(t, scores=1 - t.scores), "scores rise for worse detections"),
}


@pytest.mark.parametrize(("plant", "expected"), PLANTED.values(), ids=PLANTED)
def test_a_planted_fault_is_named_and_it_alone(files, plant, expected):
    truth, found = files
    assert names(truth, plant(found)) == [expected]


def test_the_evidence_and_the_advice_hold_the_numbers(files):
    truth, found = files
    [fault] = diagnose(truth, timed(found, lambda s: np.rint(s * 25)), LABELS).faults
    assert "in 'film_0' the detections are at 22550 to 23275, the ground truth at 902 to 931" in fault.evidence
    assert fault.advice.endswith("divide them by 25")
    [fault] = diagnose(truth, replace(found, actions=found.actions - 1), LABELS).faults
    assert "the mAP of a sample is 0." in fault.evidence
    assert "\n" not in fault.line()


def test_ground_truth_in_pixels_is_named_as_such(files):
    truth, found = files
    assert names(boxed(truth, lambda b: b * 1000), found) == ["boxes of the ground truth are in pixels"]


def test_all_on_excluded_frames(files):
    truth, found = files
    rows = [[name, second] for name in truth.video_names for second in range(902, 932)]
    assert names(truth, found, left_out=table_from_memory(rows, "excluded")) == ["all boxes on excluded frames"]


def test_few_detections_none_and_no_ground_truth(files):
    truth, found = files
    few = replace(found, has_box=found.videos == 0)
    rows = [found.video_names[0]]
    part = table_from_memory([[rows[0], 902, 0.1, 0.1, 0.3, 0.6, int(IDS[0]), s] for s in (0.2, 0.4)], "few")
    assert names(truth, part)[0] == "most labelled frames have no detections"
    assert names(truth, replace(few, has_box=np.zeros(len(found), dtype=bool))) == ["no detections"]
    assert names(truth, found, LabelMap((900,), ("juggle",))) == ["no ground truth of the label map's classes"]


def test_faults_that_come_together_are_named_together(files):
    truth, found = files
    both = renamed(boxed(timed(found, lambda s: s * 1000), lambda b: b * [640, 360, 640, 360]), "{}.mp4".format)
    assert names(truth, both) == [
        "video ids with an extension",
        "timestamps in milliseconds",
        "boxes of the detections are in pixels",
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "options",
    [{}, {"skill": 0.7}, {"skill": 0.0, "noise": 0.4}, {"frames": 4, "videos": 2}, {"first": 0, "recall": 0.6}],
)
def test_clean_files_have_no_fault_however_good_the_model_is(make_scene, seed, options):
    assert names(*make_scene(seed=seed + 1, **options)) == []


def test_a_model_of_all_eighty_classes_on_a_map_of_sixty_is_clean(files):
    truth, found = files
    actions = found.actions.copy()
    actions[::5] = 2
    assert names(truth, replace(found, actions=actions)) == []


def test_a_map_near_zero_explains_itself(files):
    truth, _ = files
    rows = [
        [truth.video_names[v], t / 1e6, *b, a]
        for v, t, b, a in zip(truth.videos, truth.microseconds, truth.boxes.tolist(), truth.actions)
    ]
    found = [[f"{row[0]}.mp4", *row[1:], 0.5 + i % 7 / 20] for i, row in enumerate(rows)]
    result = evaluate(rows, found, "ava_v2.2")
    assert result.mAP == 0.0
    assert any(line.startswith("video ids with an extension: ") for line in result.warnings)
    result = evaluate(rows, [[*row, 0.5 + i % 7 / 20] for i, row in enumerate(rows)], "ava_v2.2")
    assert result.mAP > 0.5
    assert not any(line.startswith("video ids") for line in result.warnings)


numbers = st.one_of(st.integers(-3, 1000), st.floats(0, 1), st.sampled_from([-1e300, 1e300, 1e-300, 0.0]))
boxes = st.lists(numbers, min_size=4, max_size=4)
truths = st.tuples(st.sampled_from(["v", "w.mp4", ""]), st.one_of(st.integers(-2, 3), st.floats(-1e9, 1e9)), boxes)
scores = st.one_of(st.floats(0, 1), st.floats(allow_nan=False))


@pytest.mark.filterwarnings("error")
@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(truths, st.sampled_from([None, 12, 12, 17, 999]))),
    st.lists(st.tuples(truths, st.sampled_from([-1, 0, 12, 17, 2**40]), scores)),
    st.booleans(),
)
def test_whatever_the_tables_hold_there_is_a_diagnosis(true_rows, found_rows, infinite):
    truth = [[v, t, *(box if k else [None] * 4), k] for (v, t, box), k in true_rows]
    found = [[v, t, *box, k, score] for (v, t, box), k, score in found_rows]
    if infinite and found:
        found[0][4] = float("inf")
    diagnosis = diagnose(table_from_memory(truth, "truth"), table_from_memory(found, "found"), LABELS)
    assert len(diagnosis.facts) >= 2 and all("\n" not in fault.line() for fault in diagnosis.faults)
