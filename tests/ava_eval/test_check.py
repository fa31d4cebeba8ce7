"""Each problem is planted into files that fit each other, and must be named; and none in files without."""

import re
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


def names(truth, found, labels=LABELS, excluded=None):
    return [issue.name for issue in diagnose(truth, found, labels, excluded).issues]


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
        "class ids are positions in the label map, from 0",
    ),
    "places from 1": (
        lambda t: replace(t, actions=np.array([PLACES[a] + 1 for a in t.actions.tolist()])),
        "class ids are positions in the label map, from 1",
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
        "boxes are center, width, height",
    ),
    "x1, x2, y1, y2": (lambda t: boxed(t, lambda b: b[:, [0, 2, 1, 3]]), "corners ordered x1, x2, y1, y2"),
    "y upwards": (
        lambda t: boxed(t, lambda b: np.stack([b[:, 0], 1 - b[:, 3], b[:, 2], 1 - b[:, 1]], axis=1)),
        "y counted from the bottom",
    ),
    "extension": (lambda t: renamed(t, "{}.mp4".format), "video ids with an extension"),
    "folder": (lambda t: renamed(t, "videos/val/{}".format), "video ids with a folder"),
    "folder and extension": (lambda t: renamed(t, "val/{}.mkv".format), "video ids with folder and extension"),
    "capitals": (lambda t: renamed(t, str.upper), "video ids in different case"),
    "other videos": (lambda t: renamed(t, lambda name: f"x{ord(name[-1])}y"), "no videos in common"),
    "other times": (lambda t: timed(t, lambda s: s * 0.0137 + 5000.3), "no frames in common"),
    "logits": (lambda t: replace(t, scores=logits(t.scores)), "scores are logits"),
    "log-probabilities": (lambda t: replace(t, scores=np.log(t.scores)), "scores are logarithms"),
    "percent": (lambda t: replace(t, scores=t.scores * 100), "scores are in percent"),
    "constant scores": (lambda t: replace(t, scores=np.ones(len(t))), "scores are constant"),
    "scores upside down": (lambda t: replace(t, scores=1 - t.scores), "scores rise for worse detections"),
}


@pytest.mark.parametrize(("plant", "expected"), PLANTED.values(), ids=PLANTED)
def test_diagnose_planted_problem_is_named_alone(files, plant, expected):
    truth, found = files
    assert names(truth, plant(found)) == [expected]


def test_diagnose_evidence_and_advice_hold_the_numbers(files):
    truth, found = files
    [issue] = diagnose(truth, timed(found, lambda s: np.rint(s * 25)), LABELS).issues
    assert "in 'film_0' the detections are at 22550 to 23275, the ground truth at 902 to 931" in issue.evidence
    assert issue.advice.endswith("divide them by 25")
    [issue] = diagnose(truth, replace(found, actions=found.actions - 1), LABELS).issues
    assert re.search(r"with this fix the mAP would be 0\.\d{4} instead of 0\.\d{4}", issue.evidence)
    assert "\n" not in issue.line()


def change_some(table, change, videos):
    """The table with the change for the rows of some videos."""
    changed = change(table)
    rows = np.isin(table.videos, videos)
    return replace(
        table,
        video_names=[changed.video_names[i] if i in videos else n for i, n in enumerate(table.video_names)],
        microseconds=np.where(rows, changed.microseconds, table.microseconds),
        boxes=np.where(rows[:, None], changed.boxes, table.boxes),
        actions=np.where(rows, changed.actions, table.actions),
        scores=np.where(rows, changed.scores, table.scores),
    )


def original_name(name):
    return name.removeprefix("videos/val/").removeprefix("val/").split(".")[0].lower()


@pytest.mark.parametrize(
    "kind",
    [
        "boxes in pixels",
        "boxes in percent",
        "ids from 0",
        "places from 0",
        "frames at 25",
        "milliseconds",
        "seconds from 0",
        "x and y swapped",
        "width and height",
        "centre and size",
        "x1, x2, y1, y2",
        "extension",
        "capitals",
        "logits",
    ],
)
@pytest.mark.parametrize("videos", [[1], [0, 2]])
def test_diagnose_problem_of_some_videos_names_them(files, kind, videos):
    truth, found = files
    plant, expected = PLANTED[kind]
    diagnosis = diagnose(truth, change_some(found, plant, videos), LABELS)
    [issue] = diagnosis.issues
    assert issue.name == expected
    assert sorted(map(original_name, issue.videos)) == sorted(found.video_names[i] for i in videos)
    assert f"in {len(videos)} videos: " in issue.line()


@pytest.mark.parametrize("layout", ["width and height", "centre and size", "x and y swapped", "x1, x2, y1, y2"])
def test_diagnose_layout_in_pixels_claims_the_right_one(files, layout):
    truth, found = files
    plant, expected = PLANTED[layout]
    pixels = plant(boxed(found, lambda b: b * [640, 480, 640, 480]))
    assert names(truth, pixels) == ["boxes of the detections are in pixels", expected]


def take_rows(table, rows):
    fields = ("lines", "videos", "microseconds", "has_box", "boxes", "actions", "scores")
    return replace(table, **{name: getattr(table, name)[rows] for name in fields})


def test_diagnose_rows_twice_tells_what_one_copy_would_give(files):
    truth, found = files
    diagnosis = diagnose(truth, take_rows(found, np.tile(np.arange(len(found)), 2)), LABELS)
    [issue] = diagnosis.issues
    assert issue.name == "rows twice" and f"{len(found)} of {2 * len(found)} rows" in issue.evidence


def test_diagnose_boxes_without_nms_are_named(files):
    truth, found = files
    rng = np.random.default_rng(0)
    both = take_rows(found, np.tile(np.arange(len(found)), 3))
    moved = both.boxes + rng.normal(0, 0.004, both.boxes.shape)
    both = replace(both, boxes=moved, scores=both.scores * rng.uniform(0.95, 1, len(both)))
    assert names(truth, both) == ["several boxes of the same person"]


def test_diagnose_one_score_for_all_actions_is_only_suspicious(files):
    truth, found = files
    _, box = np.unique(np.column_stack([found.microseconds, found.boxes]), axis=0, return_inverse=True)
    diagnosis = diagnose(truth, replace(found, scores=0.1 + box.ravel() / (2 * box.max())), LABELS)
    assert diagnosis.issues == []
    assert [issue.name for issue in diagnosis.suspicions] == ["scores do not depend on the class"]
    assert "SUSPICIOUS scores do not depend" in diagnosis.text()


def test_diagnose_ground_truth_of_another_layout_clock_or_twice_is_blamed(files):
    truth, found = files
    sized = boxed(truth, lambda b: np.hstack([b[:, :2], b[:, 2:] - b[:, :2]]))
    assert names(sized, found) == ["in the ground truth, boxes are x, y, width, height"]
    assert names(timed(truth, lambda s: s * 1000), found) == ["timestamps of the ground truth in milliseconds"]
    assert names(take_rows(truth, np.tile(np.arange(len(truth)), 2)), found) == ["ground truth rows twice"]


def enlarged(boxes):
    sizes = boxes[:, 2:] - boxes[:, :2]
    return np.hstack([boxes[:, :2] - 0.3 * sizes, boxes[:, 2:] + 0.3 * sizes])


def test_diagnose_permuted_classes_are_suspicious(files):
    truth, found = files
    shuffled = np.random.default_rng(3).permutation(IDS)[np.searchsorted(IDS, found.actions)]
    diagnosis = diagnose(truth, replace(found, actions=shuffled), LABELS)
    assert diagnosis.issues == []
    assert [issue.name for issue in diagnosis.suspicions] == ["class ids of another label map"]
    assert diagnose(truth, found, LABELS).suspicions == []


HOPELESS = {  # bad detections, none of which a rewritten file would fix
    "enlarged": lambda t: boxed(t, enlarged),
    "shrunk": lambda t: boxed(
        t, lambda b: np.hstack([0.7 * b[:, :2] + 0.3 * b[:, 2:], 0.3 * b[:, :2] + 0.7 * b[:, 2:]])
    ),
    "other videos": lambda t: replace(t, video_names=t.video_names[1:] + t.video_names[:1]),
    "random scores": lambda t: replace(t, scores=np.random.default_rng(0).random(len(t))),
    "random classes": lambda t: replace(
        t, actions=np.random.default_rng(0).permutation(IDS)[np.searchsorted(IDS, t.actions)]
    ),
    "half of the frames": lambda t: take_rows(t, t.microseconds // 1_000_000 % 2 == 0),
    "some boxes swapped": lambda t: boxed(t, lambda b: np.where(b[:, :1] * 1e4 % 2 < 1, b, b[:, [1, 0, 3, 2]])),
}


@pytest.mark.parametrize("plant", HOPELESS.values(), ids=HOPELESS)
@pytest.mark.parametrize("seed", [1, 2])
def test_diagnose_bad_detections_get_no_wrong_advice(make_scene, plant, seed):
    truth, found = make_scene(seed=seed)
    assert names(truth, plant(found)) == []


def test_ground_truth_in_pixels_is_named_as_such(files):
    truth, found = files
    assert names(boxed(truth, lambda b: b * 1000), found) == ["boxes of the ground truth are in pixels"]


def test_all_on_excluded_frames(files):
    truth, found = files
    rows = [[name, second] for name in truth.video_names for second in range(902, 932)]
    assert names(truth, found, excluded=table_from_memory(rows, "excluded")) == ["all boxes on excluded frames"]


def test_few_detections_none_and_no_ground_truth(files):
    truth, found = files
    few = replace(found, has_box=found.videos == 0)
    rows = [found.video_names[0]]
    part = table_from_memory([[rows[0], 902, 0.1, 0.1, 0.3, 0.6, int(IDS[0]), s] for s in (0.2, 0.4)], "few")
    assert names(truth, part)[0] == "most labelled videos have no detections"
    assert names(truth, replace(few, has_box=np.zeros(len(found), dtype=bool))) == ["no detections"]
    assert names(truth, found, LabelMap((900,), ("juggle",))) == ["no ground truth of the label map's classes"]


def test_diagnose_several_problems_are_named_together(files):
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
def test_diagnose_clean_files_have_no_problem_however_good_the_model(make_scene, seed, options):
    assert names(*make_scene(seed=seed + 1, **options)) == []


def test_a_model_of_all_eighty_classes_on_a_map_of_sixty_is_clean(files):
    truth, found = files
    actions = found.actions.copy()
    actions[::5] = 2
    assert names(truth, replace(found, actions=actions)) == []


def test_evaluate_mAP_far_below_the_oracle_explains_itself(files, rows_of):
    truth, found = files
    twice = take_rows(found, np.tile(np.arange(len(found)), 3))
    result = evaluate(rows_of(truth), rows_of(twice), LABELS)
    assert result.mAP > 0.1
    assert any(line.startswith("rows twice: ") and "instead of" in line for line in result.warnings)


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
    assert len(diagnosis.facts) >= 2 and all("\n" not in issue.line() for issue in diagnosis.issues)
