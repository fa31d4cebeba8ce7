import gzip
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ava_eval import csv_file
from ava_eval.csv_file import read_csv
from ava_eval.errors import InputError


@pytest.fixture
def read(tmp_path):
    def read_text(text, name="det.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_csv(path)

    return read_text


def test_reads_rows_of_two_seven_and_eight_columns(read):
    table = read("a,0902,0.1,0.2,0.3,0.4,12,0.75\nb,1.5\n\na,902.0,1,2,3,4,5\n")
    assert [table.video_names[v] for v in table.videos] == ["a", "b", "a"]
    assert table.microseconds.tolist() == [902_000_000, 1_500_000, 902_000_000]
    assert table.boxes.tolist() == [[0.1, 0.2, 0.3, 0.4], [0, 0, 0, 0], [1, 2, 3, 4]]
    assert table.actions.tolist() == [12, 0, 5]
    assert table.scores.tolist() == [0.75, 0, 1]
    assert table.has_box.tolist() == [True, False, True]
    assert [table.where(row).rpartition("/")[2] for row in range(3)] == ["det.csv:1", "det.csv:2", "det.csv:4"]
    assert table.skipped == 1


@pytest.mark.parametrize("text", ["a,1\r\nb,2\r\n", "a,1\rb,2", "\ufeffa,1\nb,2", 'a,1\n"b",2\n'])
def test_line_ends_byte_order_mark_and_quotes(read, text):
    assert read(text).video_names == ["a", "b"]


def test_an_empty_file_has_no_rows(read):
    assert len(read("")) == len(read("\n\n")) == 0


ROW = "v,902,0.1,0.2,0.3,0.4,12,0.5\n"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("v,902,0.1,0.2,0.3,0.4,12,0.5,x", "got 9 columns, expected 7 or 8"),
        ("v", "got 1 column, expected 7 or 8"),
        ("   ", "got 1 column, expected"),
        (
            "video_id,timestamp,x1,y1,x2,y2,action,score",
            "the timestamp is 'timestamp', expected a number; if this is a h",
        ),
        ("v,902,0.1,0.2,0.3,0.4,12.0,0.5", "the action id is '12.0', expected a whole number"),
        ("v,902,0.1,,0.3,0.4,12,0.5", "the y1 is '', expected a number"),
        ("v,902,0.1,0.2,0.3,0.4,12,", "the score is '', expected a number"),
        ("v,nan,0.1,0.2,0.3,0.4,12,0.5", "the timestamp is nan, expected seconds"),
        ("v,1e300", "the timestamp is 1e+300, expected seconds"),
        (f"v,902,0.1,0.2,0.3,0.4,{10**30},0.5", "the action id is out of range"),
        (b"\xff\xfe,902", "the file is not text in UTF-8"),
    ],
)
@pytest.mark.parametrize("pandas_from", [0, 1 << 20])
def test_a_row_that_is_malformed_is_named_by_its_line(read, monkeypatch, row, message, pandas_from):
    monkeypatch.setattr(csv_file, "PANDAS_BYTES", pandas_from)
    monkeypatch.setattr(csv_file, "BLOCK_BYTES", 100)
    row = row if isinstance(row, bytes) else row.encode()
    with pytest.raises(InputError) as error:
        read(6 * ROW.encode() + b"\n" + row + b"\n" + ROW.encode())
    assert f"det.csv:8: {message}" in str(error.value)
    assert "\n" not in str(error.value)


CUT_OFF = gzip.compress(6 * ROW.encode(), mtime=0)[:-9]


@pytest.mark.parametrize("content", [b"no gzip", CUT_OFF, b"\x1f\x8b\x08\x00garbage"])
def test_a_broken_gzip_file_is_named(read, content):
    with pytest.raises(InputError, match=r"det.csv.gz: cannot read the file: "):
        read(content, "det.csv.gz")


def test_a_folder_or_missing_file_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(InputError, match="cannot read the file"):
            read_csv(path)


fields = st.one_of(
    st.floats(allow_nan=False).map(repr),
    st.floats(0, 1).map("{:.6f}".format),
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(["", " 1", "1 ", "+1", "-0", "1_0", ".5", "5.", "1e5", "1E-400", "0x1", "nan", "inf", "-Infinity"]),
    st.text("0123456789.eE+-", max_size=25),
)
plain_rows = st.lists(st.one_of(st.floats(0, 1).map(repr), st.floats().map(repr)), min_size=7, max_size=7).map(
    lambda row: [*row[:5], "12", row[5]]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.one_of(plain_rows, st.lists(fields, min_size=6, max_size=8)), min_size=1, max_size=4),
    video=st.sampled_from(["v", "NA", " v ", "1.0", "é", "-5KQ66BBWC4", "true"]),
)
def test_the_fast_parser_reads_the_bits_that_python_reads_or_hands_over(rows, video):
    block = "".join(f"{video},{','.join(row)}\n" for row in rows).encode()
    with patch.object(csv_file, "PANDAS_BYTES", 0):
        fast = csv_file._parse_with_pandas(block)
    if fast is not None:
        slow = csv_file._parse_row_by_row(block, "x", 1)
        assert fast[0] == slow[0]
        for a, b in zip(fast[1:], slow[1:]):
            assert a.dtype == b.dtype or a.dtype.kind == b.dtype.kind == "i"
            np.testing.assert_array_equal(a, b)


def test_the_fast_parser_takes_ordinary_files_and_keeps_every_digit(monkeypatch):
    rng = np.random.default_rng(0)
    scores = rng.random(2000)
    block = "".join(f"v{i % 7},{i // 9},0.1,0.2,0.3,0.4,12,{s!r}\n" for i, s in enumerate(scores.tolist())).encode()
    monkeypatch.setattr(csv_file, "PANDAS_BYTES", 0)
    columns = csv_file._parse_with_pandas(block)
    assert columns is not None
    np.testing.assert_array_equal(columns[-1], scores)


def test_both_parsers_share_the_numbers_of_videos_across_blocks(read, monkeypatch):
    text = "".join(f"v{i % 5},{i},0,0,1,1,12,0.5\n" + (f"w{i % 3},{i}\n" if i % 4 == 0 else "") for i in range(100))
    expected = read(text)
    monkeypatch.setattr(csv_file, "PANDAS_BYTES", 0)
    monkeypatch.setattr(csv_file, "BLOCK_BYTES", 60)
    table = read(text)
    assert [table.video_names[v] for v in table.videos] == [expected.video_names[v] for v in expected.videos]
    np.testing.assert_array_equal(table.microseconds, expected.microseconds)
    np.testing.assert_array_equal(table.lines, np.arange(1, 126))
