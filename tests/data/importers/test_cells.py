import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.data.importers import cells


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        ("1:02", 62),
        ("00:01:02.5", 62.5),
        ("0:01:02,5", 62.5),
        ("PT1M2.5S", 62.5),
        ("1 min 2 s", 62),
        ("62.5s", 62.5),
        ("1500 ms", 1.5),
        ("1h 0m 2s", 3602),
    ],
)
def test_time_of_a_cell_with_a_unit_is_in_seconds(cell, seconds):
    assert cells.time(cell) == (pytest.approx(seconds), True)


def test_time_of_a_plain_number_says_no_unit():
    assert cells.time("62.5") == (62.5, False) and cells.time("62,5", decimal_comma=True) == (62.5, False)
    assert cells.time("four") is None and cells.time("nan") is None and cells.time("9" * 400) is None


def test_time_code_with_frames_needs_the_frame_rate():
    with pytest.raises(ValueError, match="set --frame-rate"):
        cells.time("00:01:02:15")
    assert cells.time("00:01:02:15", frame_rate=30) == (62.5, True)
    for cell in ("00:01:02:30", "00:75:00:00", "00:01:02;15"):
        with pytest.raises(ValueError, match="got"):
            cells.time(cell, frame_rate=30)


@pytest.mark.parametrize("cell", ["00:00:75", "00:75:00"])
def test_time_with_parts_beyond_59_is_an_error(cell):
    with pytest.raises(ValueError, match="below 60"):
        cells.time(cell)


def test_number_with_a_comma_that_may_separate_thousands_is_none():
    assert cells.number("1,500") is None
    assert cells.uses_decimal_comma(["1,5"]) and cells.uses_decimal_comma(["0,125"])
    assert not cells.uses_decimal_comma(["1,500", "run, sit"])


@pytest.mark.parametrize("cell", ["[1.0, 4.5]", "1.0-4.5", "1.0 to 4.5", "(1.0;4.5)", "1.0 – 4.5"])
def test_time_range_of_a_cell(cell):
    assert cells.time_range(cell) == ("1.0", "4.5")


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("run|sit", ("run", "sit")),
        ("run; sit", ("run", "sit")),
        ('["run", "sit"]', ("run", "sit")),
        ("['run', 'sit']", ("run", "sit")),
        ("12,80", ("12", "80")),
        ("talk to (e.g., self)", ("talk to (e.g., self)",)),
        ("carry/hold", ("carry/hold",)),
    ],
)
def test_labels_in_a_cell(cell, labels):
    assert cells.LabelSplitter([cell]).split(cell) == labels


def test_comma_separates_labels_only_where_that_is_clear():
    splitter = cells.LabelSplitter(["run, sit", "sit", "run"])
    assert splitter.split("run, sit") == ("run", "sit") and not splitter.unclear
    assert cells.LabelSplitter(["talk, loudly", "sit"]).unclear == "talk, loudly"
    assert cells.LabelSplitter(["talk, loudly"], "none").split("talk, loudly") == ("talk, loudly",)
    assert cells.LabelSplitter(["a+b"], "+").split("a+b") == ("a", "b")


@given(st.text(max_size=30))
def test_any_cell_is_read_or_one_clear_error(cell):
    try:
        cells.time(cell, frame_rate=25)
    except ValueError as error:
        assert "expected" in str(error)
    cells.number(cell), cells.coordinates(cell), cells.time_range(cell), cells.holds_numbers(cell)
    cells.LabelSplitter([cell]).split(cell)
