import numpy as np
import pytest

from ava_eval.table import table_from_memory
from ava_eval.time_offset import find_clocks, likely_shifts


def tables(labelled, found):
    return [table_from_memory([["v", float(second)] for second in seconds], "x") for seconds in (labelled, found)]


def clocks(truth, found):
    return find_clocks(truth, found, lambda table: 0.0)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda s: s * 1000, "timestamps in milliseconds"),
        (lambda s: np.rint(s * 24000 / 1001), "timestamps in frames"),
        (lambda s: s * 30, "timestamps in frames"),
        (lambda s: s - 900.25, "timestamps are shifted"),
        (lambda s: (s - 902) * 30, "timestamps in frames and shifted"),
        (lambda s: s * 30 / 25, "timestamps at another frame rate"),
        (lambda s: s * 30 / 29.97, "timestamps at another frame rate"),
    ],
)
def test_find_clocks_other_clock_is_undone(change, name):
    seconds = np.arange(902, 990, 3.0)
    truth, found = tables(seconds, change(seconds))
    [clock] = clocks(truth, found)
    assert clock.name == name and "in 'v' the detections are at" in clock.evidence
    assert clock.apply(found, truth).microseconds.tolist() == truth.microseconds.tolist()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda s: np.rint(s * 1000), "timestamps in milliseconds"),
        (lambda s: np.floor(s * 1000), "timestamps in milliseconds"),
        (lambda s: np.round(s, 2), "timestamps are rounded"),
    ],
)
def test_find_clocks_fractional_seconds_survive_rounding(change, name):
    seconds = np.arange(30) * 3 + 5.016949
    truth, found = tables(seconds, change(seconds))
    [clock] = clocks(truth, found)
    assert clock.name == name and "all decimals" in clock.advice
    assert clock.apply(found, truth).microseconds.tolist() == truth.microseconds.tolist()


@pytest.mark.parametrize("found", [np.arange(902, 990), np.arange(0, 1800), np.arange(902, 1000, 0.5), [902.0]])
def test_find_clocks_fitting_or_hopeless_times_find_nothing(found):
    assert clocks(*tables(np.arange(902, 990, 3.0), found)) == []


def test_find_clocks_one_labelled_frame_does_not_blame_dense_detections():
    assert clocks(*tables([4.5], np.arange(0, 10, 0.25))) == []


def test_find_clocks_some_videos_are_named_and_others_left_alone():
    rows = [[video, second] for video in "abcd" for second in range(902, 930)]
    changed = [[v, s * 1000 if v in "bd" else s] for v, s in rows]
    truth, found = table_from_memory(rows, "t"), table_from_memory(changed, "f")
    [clock] = clocks(truth, found)
    assert clock.videos == {"b", "d"} and clock.is_certain
    assert clock.apply(found, truth).microseconds.tolist() == truth.microseconds.tolist()


def test_likely_shifts_are_some_steps_and_the_first_and_last_frames():
    truth, found = tables(np.arange(10.0, 20), np.arange(15.0, 26))
    assert {-1e6, 1e6, -5e6, -6e6} <= set(likely_shifts(truth, found))
