import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_eval.errors import InputError
from ava_eval.table import microseconds, table_from_memory


@given(st.lists(st.one_of(st.floats(0, 8e12), st.integers(0, 10**12).map(lambda i: (i + 0.5) / 1e6)), min_size=1))
def test_microseconds_round_as_the_official_key_does(seconds):
    expected = [f"{s:.6f}" for s in seconds]
    rounded = microseconds(np.array(seconds), "x", np.arange(len(seconds))).tolist()
    assert [f"{m // 10**6}.{m % 10**6:06d}" for m in rounded] == expected


def test_rows_of_a_data_frame_without_box_only_name_a_frame():
    frame = pd.DataFrame([["v", 1, 0.1, 0.2, 0.3, 0.4, 12], ["v", 2, *[None] * 5]])
    table = table_from_memory(frame, "ground truth")
    assert table.has_box.tolist() == [True, False]
    assert table.actions.tolist() == [12, 0]
    assert table.scores.tolist() == [1, 0]
    assert table.where(1) == "ground truth:2"


def test_a_video_that_is_a_number_has_the_name_that_a_csv_would_give_it():
    assert table_from_memory(np.array([[7.0, 1.0], [8.5, 1.0]]), "x").video_names == ["7", "8.5"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((2, 5)), "det: got 5 columns, expected 2, 7 or 8"),
        (np.zeros(8), "det: expected a 2-D array"),
        ([["v", 1], ["v", 1, 2]], "det: expected "),
        (3, "det: expected a path"),
        ([["v", 1, 0, 0, 1, 1, 2, 0.5], ["v", 1, 0, 0, 1, 1, 2.5, 0.5]], "det:2: the action id is 2.5, expected"),
        ([["v", 1, 0, 0, 1, 1, None, 0.5]], "det:1: the action id is nan, expected"),
        ([["v", 1, 0, "wide", 1, 1, 2, 0.5]], "det:1: the y1 is 'wide', expected a number"),
        ([["v", "nan"]], "det:1: the timestamp is nan, expected seconds"),
    ],
)
def test_says_what_is_wrong_with_data_in_memory(data, message):
    with pytest.raises(InputError) as error:
        table_from_memory(data, "det")
    assert str(error.value).startswith(message)
