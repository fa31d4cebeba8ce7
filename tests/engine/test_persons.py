import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.engine.persons import BATCH, find_persons, iou, link_persons, open_detector, smooth_actions
from avsf_det.errors import UserError
from avsf_det.media.source import VideoSource
from avsf_det.structures import Persons


def at(*lefts, ids=None):
    """Persons 0.2 wide whose boxes begin at `lefts`."""
    return Persons([[x, 0.1, x + 0.2, 0.9] for x in lefts], np.ones(len(lefts)), ids)


def linked(*persons, step=0.5, cuts=()):
    times = [number * step for number in range(len(persons))]
    return [found.ids.tolist() for found in link_persons(persons, times, cuts)]


def test_people_keep_their_ids_as_they_move_and_swap_places_in_the_list():
    assert linked(at(0.1, 0.6), at(0.58, 0.13), at(0.16, 0.55)) == [[0, 1], [1, 0], [0, 1]]


def test_who_comes_gets_a_new_id_that_nobody_had():
    assert linked(at(0.1), at(0.1, 0.7), at(0.7), at(0.7, 0.4)) == [[0], [0, 1], [1], [1, 2]]


def test_the_best_overlap_goes_first():
    assert linked(at(0.10), at(0.15, 0.11)) == [[0], [1, 0]]


def test_nobody_at_a_keyframe_does_not_break_a_track():
    assert linked(at(0.1), Persons.none(), at(0.12)) == [[0], [], [0]]
    assert linked(Persons.none()) == [[]]


def test_who_is_missed_for_a_moment_is_known_again_but_not_much_later_nor_in_another_shot():
    missed = at(0.1, 0.7), at(0.7), at(0.7, 0.12)
    assert linked(*missed) == [[0, 1], [1], [1, 0]]
    assert linked(*missed, cuts=[0.7]) == [[0, 1], [1], [2, 3]]
    assert linked(at(0.1), Persons.none(), at(0.1), step=60) == [[0], [], [1]]


def test_link_persons_dip_to_black_keeps_ids():
    dip = [Persons.none()] * 4  # 1.5 s of black keyframes, two a second
    assert linked(at(0.1, 0.6), *dip, at(0.14, 0.56))[-1] == [0, 1]
    assert linked(at(0.1, 0.6), *dip, at(0.14, 0.56), cuts=[1.2])[-1] == [2, 3]


def test_who_jumps_is_somebody_else():
    assert linked(at(0.1), at(0.7)) == [[0], [1]]


def test_ids_that_are_given_stay_and_new_ones_are_others():
    assert linked(at(0.1, 0.6, ids=[7, 3]), at(0.12, 0.3)) == [[7, 3], [7, 8]]


@given(st.lists(st.lists(st.floats(0, 0.8), max_size=5), max_size=6))
def test_no_id_comes_twice_at_a_keyframe_and_boxes_stay(lefts):
    persons = [at(*row) for row in lefts]
    for before, after in zip(persons, link_persons(persons, range(len(persons)), []), strict=True):
        assert len(set(after.ids.tolist())) == len(after) and (after.ids >= 0).all()
        np.testing.assert_array_equal(after.boxes, before.boxes)


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=1, max_size=4))
def test_iou_is_a_share_and_1_with_itself(boxes):
    boxes = np.array([(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in boxes])
    overlap = iou(boxes, boxes)
    assert ((overlap >= 0) & (overlap <= 1 + 1e-9)).all()
    np.testing.assert_allclose(overlap, overlap.T)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    np.testing.assert_allclose(np.diag(overlap)[areas > 1e-6], 1)


def test_iou_of_known_boxes():
    a, b = np.array([[0, 0, 0.2, 0.2]]), np.array([[0.1, 0, 0.3, 0.2], [0.5, 0.5, 0.6, 0.6]])
    np.testing.assert_allclose(iou(a, b), [[1 / 3, 0]])


class Bright:
    """Finds as many persons as the mean grey level has tens, and counts the keyframes it is shown."""

    identity = "bright"

    def __init__(self):
        self.sizes = []

    def detect(self, frames):
        self.sizes.append(len(frames))
        return [at(*np.linspace(0, 0.8, int(frame.image.mean() // 10))) for frame in frames]


def test_a_detector_is_shown_a_few_keyframes_at_once_and_with_a_cache_never_again(scenes, tmp_path):
    video, times, done = scenes / "videos" / "val_0000.mp4", [i / 5 for i in range(11)], []
    detector = Bright()
    first = find_persons(video, times, detector, tmp_path / "cache", done.append)
    assert detector.sizes == [BATCH, 11 - BATCH] and sum(done) == 11
    again = find_persons(video, times, detector, tmp_path / "cache")
    assert detector.sizes == [BATCH, 11 - BATCH]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)


def test_the_times_of_a_cut_video_are_those_of_the_film(scenes, tmp_path):
    video, times = scenes / "videos" / "val_0000.mp4", [0.0, 1.5, 3.0]
    cut = VideoSource(video, 900.0)
    found = find_persons(cut, [900 + time for time in times], Bright(), tmp_path)
    for one, other in zip(find_persons(video, times, Bright()), found, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
    assert len(find_persons(video, [903.0], Bright(), tmp_path)) == 1 and len(list(tmp_path.iterdir())) == 2


def test_given_boxes_need_no_picture(tmp_path):
    (tmp_path / "boxes.csv").write_text("film,1,0.1,0.1,0.5,0.9,,0.7\nfilm,1,0.5,0.1,0.9,0.9,,0.3\n")
    detector = open_detector(str(tmp_path / "boxes.csv"), score_threshold=0.5)
    found = find_persons(tmp_path / "film.mp4", [0.0, 1.0], detector)
    assert [len(persons) for persons in found] == [0, 1]


@pytest.mark.parametrize("cached", [False, True])
def test_a_video_that_is_not_there_is_a_user_error(tmp_path, cached):
    with pytest.raises(UserError, match=r"missing.mp4: cannot be opened"):
        find_persons(tmp_path / "missing.mp4", [0.0], Bright(), tmp_path / "cache" if cached else None)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("yolo", "unknown detector 'yolo'; expected yolox, or a file: .onnx, .csv"),
        ("missing.csv", "missing.csv: cannot be read"),
        ("missing.onnx", "missing.onnx: no such weight file"),
        ("missing.pth", r"missing.pth: the checkpoint cannot be read \(No such file"),
        ("missing.yaml", "missing.yaml: neither a file nor a configuration"),
    ],
)
def test_a_detector_that_cannot_be_made_is_named(model, message, monkeypatch, tmp_path):
    if model.endswith((".pth", ".yaml")):
        pytest.importorskip("detectron2")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        open_detector(model)


def scored(*rows, ids=(0,)):
    """A keyframe for each row of scores of the persons `ids`."""
    return [at(*np.linspace(0, 0.6, len(ids)), ids=list(ids)).replace(actions=row) for row in rows]


def test_scores_are_averaged_along_a_track_and_not_across_persons():
    persons = scored([[0.0], [1.0]], [[1.0], [1.0]], [[0.0], [1.0]], ids=(4, 9))
    smooth = smooth_actions(persons, [0.0, 0.5, 1.0], 0.5)
    near, far = np.exp(-0.5), np.exp(-2.0)
    expected = [near / (1 + near + far), 1 / (1 + 2 * near), near / (1 + near + far)]
    np.testing.assert_allclose([found.actions[0, 0] for found in smooth], expected, rtol=1e-6)
    np.testing.assert_allclose([found.actions[1, 0] for found in smooth], 1)
    assert persons[0].actions[0, 0] == 0.0


def test_a_persons_place_among_others_may_change_and_who_has_no_id_is_left_alone():
    first, second = scored([[0.0], [1.0]], ids=(4, 9))[0], scored([[1.0], [0.0]], ids=(9, 4))[0]
    smooth = smooth_actions([first, second], [0.0, 0.1], 1.0)
    np.testing.assert_array_equal(smooth[0].actions, first.actions)
    unknown = scored([[0.0]], [[1.0]], ids=(-1,))
    assert [found.actions[0, 0] for found in smooth_actions(unknown, [0.0, 0.1], 1.0)] == [0.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0.01, 5))
def test_smoothed_scores_stay_among_those_they_are_made_of(values, sigma):
    smooth = smooth_actions(scored(*[[[value]] for value in values]), [i / 2 for i in range(len(values))], sigma)
    after = np.array([found.actions[0, 0] for found in smooth])
    assert (after >= min(values) - 1e-6).all() and (after <= max(values) + 1e-6).all()
    if sigma < 0.16:  # the next keyframe is beyond three standard deviations
        np.testing.assert_allclose(after, values, atol=1e-6)
