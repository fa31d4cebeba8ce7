import pickle
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.data.ava_csv import BoxTable, read_boxes
from avsf_det.data.keyframes import Keyframes

IDS = (3, 7, 12)
BOXES = [(0.1, 0.1, 0.5, 0.9), (0.1, 0.1, 0.5, 0.91), (0.6, 0.2, 0.9, 0.8)]
ROWS = st.tuples(
    st.sampled_from("vwa"),
    st.sampled_from([902.0, 2.5, 1000.0]),
    st.integers(0, len(BOXES) - 1),
    st.sampled_from([3, 7, 12, 80, -1, 10**6]),
    st.integers(-1, 2),
)


def table_of(rows, scores=None):
    """A table of (video, time, box number, action, person id)."""
    names = list(dict.fromkeys(row[0] for row in rows))
    return BoxTable(
        Path("made.csv"),
        names,
        np.array([names.index(row[0]) for row in rows], dtype=np.int32),
        np.array([row[1] for row in rows], dtype=float),
        np.array([row[2] if isinstance(row[2], tuple) else BOXES[row[2]] for row in rows], dtype=float).reshape(-1, 4),
        np.array([row[3] for row in rows], dtype=np.int64),
        np.array([row[4] for row in rows], dtype=np.int64),
        np.ones(len(rows)) if scores is None else np.array(scores, dtype=float),
        np.arange(len(rows)) + 1,
        np.zeros(len(rows)),
        [],
    )


def in_words(keyframes):
    """Keyframes as (video, time, [(box, id, score, action columns)])."""
    return [
        (
            k.video_id,
            k.time,
            [
                (tuple(box.astype(float).round(3).tolist()), i, round(score, 3), np.flatnonzero(actions).tolist())
                for box, i, score, actions in zip(
                    k.persons.boxes, k.persons.ids.tolist(), k.persons.scores.tolist(), k.persons.actions
                )
            ],
        )
        for k in keyframes
    ]


def expected(rows):
    """The same, a row at a time."""
    found = {}
    for video, time, box, action, person in rows:
        actions = found.setdefault((video, time), {}).setdefault((BOXES[box], person), set())
        if action in IDS:
            actions.add(IDS.index(action))
    return [
        (*key, [(box, person, 1.0, sorted(actions)) for (box, person), actions in persons.items()])
        for key, persons in sorted(found.items())
    ]


@given(st.lists(ROWS, min_size=1, max_size=30))
def test_keyframes_are_those_that_rows_make_one_by_one(rows):
    keyframes = Keyframes.from_table(table_of(rows), IDS)
    assert in_words(keyframes) == expected(rows)
    assert len(keyframes) == len(expected(rows))
    assert keyframes[0].persons.actions.shape[1] == 3 and keyframes[0].persons.actions.dtype == np.float32
    counts = [sum(column in p[3] for _, _, persons in expected(rows) for p in persons) for column in range(3)]
    assert keyframes.class_counts.tolist() == counts


@given(st.lists(ROWS, min_size=1, max_size=30), st.data())
def test_some_are_selected_by_number_mask_or_slice(rows, data):
    keyframes, whole = Keyframes.from_table(table_of(rows), IDS), expected(rows)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(whole), max_size=len(whole))))
    wanted = [k for k, chosen in zip(whole, mask) if chosen]
    assert in_words(keyframes.select(mask)) == in_words(keyframes.select(np.flatnonzero(mask))) == wanted
    assert in_words(keyframes[1:]) == whole[1:] and in_words([keyframes[-1]]) == whole[-1:]
    with pytest.raises(IndexError):
        keyframes[len(whole)]


@given(st.lists(ROWS, min_size=1, max_size=30))
def test_times_of_a_video_are_found(rows):
    keyframes = Keyframes.from_table(table_of(rows), IDS)
    own = {video: [time for name, time, _ in expected(rows) if name == video] for video in {row[0] for row in rows}}
    assert {name: times.tolist() for name, times in keyframes.by_video().items()} == own
    for video, times in own.items():
        at = keyframes.find(video, [*times, 902.25])
        assert [(keyframes[i].video_id, keyframes[i].time) for i in at[:-1]] == [(video, time) for time in times]
        assert at[-1] == -1
    assert keyframes.find("nobody", [902.0]).tolist() == [-1]


def test_predicted_persons_that_fit_are_persons_with_the_labels_of_whom_they_fit():
    truth = [("v", 902.0, 0, 3, 1), ("v", 902.0, 0, 12, 1), ("v", 902.0, 2, 7, 2), ("w", 902.0, 0, 7, 0)]
    near, far = (0.1, 0.1, 0.49, 0.9), (0.1, 0.1, 0.4, 0.9)  # IoU 0.975 and 0.75
    predicted = [
        ("w", 902.0, near, 0, -1),
        ("v", 902.0, near, 0, -1),
        ("v", 902.0, far, 0, -1),
        ("v", 902.0, near, 0, -1),  # the same box with another label
        ("v", 902.0, (0.6, 0.2, 0.9, 0.79), 0, -1),
        ("v", 903.0, near, 0, -1),  # not a keyframe
        ("x", 902.0, near, 0, -1),  # not a video
    ]
    table = table_of(predicted, [0.8, 0.9, 1.0, 0.9, 0.79, 1, 1])
    keyframes, added = Keyframes.from_table(table_of(truth), IDS).with_predicted(table, 0.8)
    assert added == 2
    assert in_words(keyframes) == [
        ("v", 902.0, [(BOXES[0], 1, 1.0, [0, 2]), (BOXES[2], 2, 1.0, [1]), (near, -1, 0.9, [0, 2])]),
        ("w", 902.0, [(BOXES[0], 0, 1.0, [1]), (near, -1, 0.8, [1])]),
    ]


def test_with_predicted_negatives_boxes_that_fit_nobody_have_no_labels():
    truth = [("v", 902.0, 0, 3, 1), ("w", 902.0, 0, 7, 0)]
    near, far = (0.1, 0.1, 0.49, 0.9), (0.1, 0.1, 0.4, 0.9)
    predicted = [("v", 902.0, far, 0, -1), ("v", 902.0, near, 0, -1), ("w", 902.0, far, 0, -1)]
    table = table_of(predicted, [0.9, 0.8, 0.7])
    keyframes, added = Keyframes.from_table(table_of(truth), IDS).with_predicted(table, 0.8, negatives=True)
    assert added == 2
    assert in_words(keyframes) == [
        ("v", 902.0, [(BOXES[0], 1, 1.0, [0]), (near, -1, 0.8, [0]), (far, -1, 0.9, [])]),
        ("w", 902.0, [(BOXES[0], 0, 1.0, [1])]),
    ]


@given(st.lists(ROWS, min_size=1, max_size=20), st.lists(st.tuples(ROWS, st.floats(0, 1)), max_size=20))
def test_ground_truth_stays_first_and_every_addition_fits_it(rows, predicted):
    before = Keyframes.from_table(table_of(rows), IDS)
    table = table_of([row for row, _ in predicted], [score for _, score in predicted])
    after, added = before.with_predicted(table, 0.5)
    assert len(after.boxes) == len(before.boxes) + added
    for one, other in zip(before, after, strict=True):
        assert (one.video_id, one.time) == (other.video_id, other.time)
        count = len(one.persons)
        np.testing.assert_array_equal(other.persons.boxes[:count], one.persons.boxes)
        np.testing.assert_array_equal(other.persons.actions[:count], one.persons.actions)
        for person in range(count, len(other.persons)):
            assert other.persons.scores[person] >= 0.5
            same = [tuple(box) == tuple(other.persons.boxes[person]) for box in one.persons.boxes]
            near = np.abs(one.persons.boxes - other.persons.boxes[person]).max(axis=1) < 0.011
            assert near.any()
            if any(same):  # of several persons at that place one of them
                labels = [one.persons.actions[i].tolist() for i in np.flatnonzero(same)]
                assert other.persons.actions[person].tolist() in labels


def large(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("".join(f"v{i // 900},{902 + i % 900},0.1,0.1,0.5,0.9,7,{i % 5}\n" for i in range(20_000)))
    return Keyframes.from_table(read_boxes(path), IDS)


def test_what_goes_to_a_worker_process_is_the_same_memory(tmp_path):
    keyframes = large(tmp_path)
    received = pickle.loads(ForkingPickler.dumps(keyframes))
    assert in_words(received[:3]) == in_words(keyframes[:3]) and len(received) == len(keyframes)
    keyframes.times[:] = 7.0
    assert (received.times == 7.0).all()


def test_they_are_small_and_next_to_nothing_is_sent(tmp_path):
    keyframes = large(tmp_path)
    assert keyframes.nbytes < 80 * len(keyframes)
    assert len(ForkingPickler.dumps(keyframes)) < 10_000
