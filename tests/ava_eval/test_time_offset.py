import numpy as np
import pytest

from ava_eval.table import table_from_memory
from ava_eval.times import find_clock, likely_shifts


def tables(labelled, found):
    return [table_from_memory([["v", float(second)] for second in seconds], "x") for seconds in (labelled, found)]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda s: s * 1000, "timestamps in milliseconds"),
        (lambda s: np.rint(s * 24000 / 1001), "timestamps in frames"),
        (lambda s: s * 30, "timestamps in frames"),
        (lambda s: s - 900.25, "timestamps are shifted"),
        (lambda s: (s - 902) * 30, "timestamps in frames and shifted"),
    ],
)
def test_another_clock_is_found_and_set_right(change, name):
    seconds = np.arange(902, 990, 3.0)
    truth, found = tables(seconds, change(seconds))
    mended, (found_name, evidence, advice) = find_clock(truth, found)
    assert (found_name == name and "in 'v' the detections are at" in evidence and "divide" in advice) or "add" in advice
    assert mended.microseconds.tolist() == truth.microseconds.tolist()


@pytest.mark.parametrize("found", [np.arange(902, 990), np.arange(0, 1800), np.arange(902, 1000, 0.5), [902.0]])
def test_a_clock_that_fits_or_that_nothing_fits_is_left_alone(found):
    truth, detections = tables(np.arange(902, 990, 3.0), found)
    assert find_clock(truth, detections) == (detections, None)


def test_videos_of_one_labelled_frame_do_not_make_dense_detections_wrong():
    truth, found = tables([4.5], np.arange(0, 10, 0.25))
    assert find_clock(truth, found)[1] is None


def test_likely_shifts_are_some_steps_and_the_first_and_last_frames():
    truth, found = tables(np.arange(10.0, 20), np.arange(15.0, 26))
    assert {-1e6, 1e6, -5e6, -6e6} <= set(likely_shifts(truth, found))
