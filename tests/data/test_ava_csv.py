import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.data import ava_csv
from avsf_det.data.ava_csv import join, read_boxes, read_timestamps
from avsf_det.errors import UserError

BOX = "0.1,0.2,0.5,0.8"
FIELDS = ["0.1", "0.5", "-0.1", "1.2", "3", "nan", "inf", "", "x", "0902", " 7", "1e2", "12.0", "-1", "007"]


@pytest.fixture
def write(tmp_path):
    def write(*rows, name="boxes.csv"):
        (tmp_path / name).write_text("".join(f"{row}\n" for row in rows))
        return tmp_path / name

    return write


@pytest.fixture(params=["fast", "slow"])
def way(request, monkeypatch):
    """Both ways to parse a file."""
    monkeypatch.setattr(ava_csv, "FAST_BYTES", 0 if request.param == "fast" else 1 << 30)


def rows_of(table):
    names = [table.video_names[video] for video in table.videos]
    columns = (table.times, table.boxes, table.actions, table.persons, table.scores)
    assert len(table.lines) == len(table.outside) == len(table)
    return list(zip(names, *(column.tolist() for column in columns)))


def test_rows_of_ground_truth(write, way):
    table = read_boxes(write(f"v,0902,{BOX},12,7", f"w,0903.5,-0.1,0,0.5,1.5,80,{2**40}"))
    assert rows_of(table) == [
        ("v", 902.0, [0.1, 0.2, 0.5, 0.8], 12, 7, 1.0),
        ("w", 903.5, [0.0, 0.0, 0.5, 1.0], 80, 2**40, 1.0),
    ]
    assert table.bad == []


def test_rows_know_their_line_and_how_far_their_box_reached_beyond_the_picture(write, way):
    rows = [f"v,1,{BOX},1,1", "v,1,0.5,0.5,0.4,0.6,1,1", "v,2,-0.25,0,0.5,1.5,1,1", f"w,3,{BOX},1,1"]
    table = read_boxes(write(*rows))
    assert table.lines.tolist() == [1, 3, 4] and table.outside.tolist() == [0.0, 0.5, 0.0]
    assert join([table, table]).lines.tolist() == [1, 3, 4, 1, 3, 4]


def test_a_label_without_a_box_is_named(write, way):
    bad = read_boxes(write(f"v,1,{BOX},1,1", "v,2,,,,,7,1")).bad
    assert len(bad) == 1 and ":2: label 7 has no box, expected x1,y1,x2,y2" in bad[0]


def test_persons_need_no_id(write, way):
    assert rows_of(read_boxes(write(f"v,0902,{BOX},12")))[0][4] == -1


def test_predicted_persons_in_pyslowfast_s_dialects(write, way):
    """Of ava_*_predicted_boxes.csv (label -1) and of ava_detection_*_boxes_and_labels*.csv (label empty)."""
    table = read_boxes(write(f"v,0902,{BOX},-1,0.742486", f"v,0902,{BOX},,0.9", f"v,902,{BOX},80,1.0"), predicted=True)
    assert table.scores.tolist() == [0.742486, 0.9, 1.0] and table.times.tolist() == [902.0] * 3
    assert table.persons.tolist() == [-1] * 3


def test_ground_truth_listed_as_predicted_is_told_from_scores(write, way):
    with pytest.raises(
        UserError, match=r"no usable row; .*first: .*:1: got '?12.*' for the score.*not, say, a person id"
    ):
        read_boxes(write(f"v,0902,{BOX},80,12"), predicted=True)


def test_a_bad_value_is_named_with_its_line(write, way):
    rows = [f"v,0902,{BOX},12,7", "v,0902,10,20,50,80,12,7", f"v,0902,{BOX},12,inf", "v,0902,0.5,0,0.5,1,1,1"]
    table = read_boxes(write(*rows))
    assert len(table) == 1 and [row.split(": ")[0].rpartition(":")[2] for row in table.bad] == ["2", "3", "4"]
    assert "looks like pixels" in table.bad[0] and "12,inf for action and person" in table.bad[1]


def test_both_ways_to_parse_agree_whatever_the_file_holds(tmp_path_factory):
    field = st.sampled_from(FIELDS)
    good = st.builds("v{},090{},0.{},0.{},0.9,0.95,{},{}".format, *[st.integers(0, 8)] * 6)
    row = st.one_of(good, st.lists(field, min_size=1, max_size=9).map(",".join), st.tuples(*[field] * 8).map(",".join))

    @given(st.lists(row, min_size=1, max_size=6), st.booleans(), st.sampled_from(["\n", "\r\n"]))
    def check(rows, predicted, end):
        path = tmp_path_factory.mktemp("csv") / "boxes.csv"
        path.write_bytes(("\ufeff" + end.join(rows) + end).encode())
        found = []
        for least in (0, 1 << 30):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(ava_csv, "FAST_BYTES", least)
                try:
                    table = read_boxes(path, predicted)
                    found.append((rows_of(table), table.bad))
                except UserError as error:
                    found.append(str(error))
        assert found[0] == found[1]

    check()


def test_tables_are_joined(write):
    one = read_boxes(write(f"v,1,{BOX},1,1", f"w,2,{BOX},2,2", "bad"))
    other = read_boxes(write(f"w,3,{BOX},3,3", f"u,4,{BOX},4,4", name="more.csv"))
    table = join([one, other])
    assert [row[:2] for row in rows_of(table)] == [("v", 1.0), ("w", 2.0), ("w", 3.0), ("u", 4.0)]
    assert table.bad == one.bad and join([one]) is one


def test_excluded_timestamps(write, tmp_path):
    assert list(read_timestamps(write("v,0902", "w,1038"))) == [("v", 902.0), ("w", 1038.0)]
    with pytest.raises(UserError, match=r"none.csv: cannot be read as csv"):
        list(read_timestamps(tmp_path / "none.csv"))


def test_a_large_file_is_not_parsed_row_by_row(write, monkeypatch):
    rows = [f"v{i % 7},{902 + i % 897:04d},{BOX},{1 + i % 80},{i % 50}" for i in range(40_000)]
    path = write(*rows)
    monkeypatch.setattr(ava_csv, "_parse_rows", lambda *_: pytest.fail("row by row"))
    table = read_boxes(path)
    assert len(table) == 40_000 and table.video_names[table.videos[8]] == "v1"
    np.testing.assert_array_equal(table.actions[:3], [1, 2, 3])
