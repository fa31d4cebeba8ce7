import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.data.importers.clock import SECONDS, Clock
from avsf_det.data.importers.export import SHARES, ExportedVideo, Track
from avsf_det.data.importers.moments import sightings

BOX = (0.1, 0.2, 0.5, 0.6)


class Seconds:
    """A clock of a video of ten seconds at ten frames a second."""

    period, end = 0.1, 10.0

    def seconds(self, places):
        return np.asarray(places, dtype=float)

    def within(self, seconds):
        return (seconds >= 0) & (seconds <= self.end)


def run(*tracks, rate=1.0, size=SHARES):
    return sightings(ExportedVideo(("v",), "x", Clock(SECONDS), tracks=list(tracks)), Seconds(), size, rate)


def track(places, boxes=None, **more):
    boxes = [BOX] * len(places) if boxes is None else boxes
    return Track(places, boxes, [{"n": (str(i),)} for i in range(len(places))], "x: track 1", **more)


def times(found):
    return [round(one.time, 4) for one in found]


def test_tracks_are_interpolated_at_whole_seconds():
    found, bad = run(track([0.5, 2.5], [(0, 0, 0.2, 0.2), (0.4, 0, 0.6, 0.2)], interpolated=True))
    assert times(found) == [1, 2] and not bad
    np.testing.assert_allclose([one.box for one in found], [(0.1, 0, 0.3, 0.2), (0.3, 0, 0.5, 0.2)], atol=1e-9)
    assert [one.values for one in found] == [{"n": ("0",)}] * 2


def test_nobody_is_there_once_gone_until_back():
    gone = track([0.5, 1.5, 2.6, 4.5], shown=[True, False, True, True], interpolated=True)
    assert times(run(gone)[0]) == [1, 3, 4]


def test_values_hold_from_their_keyframe_on():
    found, _ = run(track([1, 3, 5], interpolated=True))
    assert [one.values["n"][0] for one in found] == ["0", "0", "1", "1", "2"]


def test_boxes_one_by_one_that_are_dense_between_two_keyframes_are_taken_in_the_middle():
    assert times(run(*(track([second]) for second in (1.3, 1.4, 1.5, 1.6, 1.7)))[0]) == [1.5]


def test_a_track_between_two_keyframes_is_taken_at_its_middle_with_all_who_are_there():
    found, _ = run(track([1.2, 1.3, 1.6, 1.7], interpolated=True), track([0.9, 2.0], interpolated=True))
    assert [(one.time, one.track) for one in found] == [(1, 1), (1.6, 0), (1.6, 1), (2, 1)]


@pytest.mark.parametrize(
    ("places", "rate", "wanted"),
    [
        ([1, 2, 3.5], 1, [1, 2, 3.5]),  # no more than wanted: all, when they are
        ([0, 1, 2], 1, [0, 1, 2]),
        (np.arange(0.05, 3, 0.1), 1, [0.95, 1.95, 2.95]),  # the nearest
        (np.arange(0.0, 3, 0.1), 2, [0.5, 1, 1.5, 2, 2.5]),
        (np.arange(0.1, 0.5, 0.1), 1, [0.3]),
    ],
)
def test_boxes_on_single_frames_are_thinned_to_the_rate(places, rate, wanted):
    found, _ = run(track(places), rate=rate)
    assert times(found) == wanted


def test_boxes_of_unknown_persons_are_thinned_too():
    found, _ = run(*(track([n / 10]) for n in range(40)))
    assert times(found) == [1, 2, 3]


def test_boxes_are_clipped_and_those_outside_or_beyond_the_end_named():
    boxes = [(-10, 10, 30, 60), (70, 0, 90, 10), (5, 5, 5, 9), (1, 1, 2, 2)]
    found, bad = run(track([1, 2, 3, 11], boxes), size=(64, 48))
    np.testing.assert_allclose([one.box for one in found], [(0, 10 / 48, 30 / 64, 1)])
    assert [line.split(": ")[1] for line in bad] == ["track 1 at 11", "track 1 at 2", "track 1 at 3"]
    assert "box 70,0,90,10 is empty or outside the picture of 64x48" in bad[1]


@given(st.lists(st.floats(0, 10), min_size=1, max_size=12), st.booleans(), st.sampled_from([0.5, 1.0, 4.0]))
def test_whatever_the_times_keyframes_are_where_the_track_is(places, interpolated, rate):
    found, bad = run(track(places, interpolated=interpolated), rate=rate)
    assert not bad and found
    assert all(min(places) - 1e-3 <= one.time <= max(places) + 0.1 for one in found)
    assert len({one.time for one in found}) == len(found)
