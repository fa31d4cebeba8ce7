import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ava_eval.label_map import LabelMap
from avsf_det.data.action_rows import join_classes, read_action_rows
from avsf_det.errors import UserError

LABELS = LabelMap((4, 7), ("sit", "talk to"))
SIZE = (640, 360)


@pytest.fixture
def read(tmp_path):
    """Writes lines to a csv and reads those of video "a"."""

    def rows(*lines, label_map=LABELS, **options):
        path = tmp_path / "rows.csv"
        path.write_text("\n".join(lines) + "\n")
        return read_action_rows(path, "a", SIZE, label_map, **options)

    return rows


BOX = "0.1,0.2,0.5,0.8"


@pytest.mark.parametrize(
    ("line", "action", "score", "person"),
    [
        (f"a,0902,{BOX},4,0.25", 0, 0.25, -1),  # PySlowFast's results
        (f"a,902,{BOX},7,3", 1, 1.0, 3),  # AVA's ground truth
        (f"a,902.0,{BOX},7", 1, 1.0, -1),  # AVA-Kinetics
        (f"a,902,{BOX}", -1, 1.0, -1),
        (f"a,902,{BOX},,0.75", -1, 0.75, -1),  # PySlowFast's persons
        (f"a,902,{BOX},-1,0.75", -1, 0.75, -1),
        (f"a,902,{BOX},7,0.5,12", 1, 0.5, 12),
        (f"a,902,{BOX},7,12,0.5", 1, 0.5, 12),
        (f"a,902,{BOX},talk to,0.5", 1, 0.5, -1),
        (f"videos/a.mp4,902,{BOX},7.0,0.5", 1, 0.5, -1),
        ("\t".join(f"a,902,{BOX},7,0.5".split(",")), 1, 0.5, -1),
        ("; ".join(f"a,902,{BOX},7,0.5".split(",")), 1, 0.5, -1),
        ("a,902,64,72,320,288,7,0.5", 1, 0.5, -1),  # in pixels
        (f"\ufeffa,902,{BOX},7,0.5", 1, 0.5, -1),
    ],
)
def test_dialects(read, line, action, score, person):
    rows = read(line)
    assert not rows.bad and rows.times.tolist() == rows.keyframes.tolist() == [902.0]
    np.testing.assert_allclose(rows.boxes, [(0.1, 0.2, 0.5, 0.8)])
    assert (rows.classes.tolist(), rows.scores.tolist(), rows.persons.tolist()) == ([action], [score], [person])


def test_a_header_tells_the_columns(read):
    rows = read(
        "Video_ID,person_id,x1,y1,x2,y2,timestamp,label,confidence,note", f"a,5,{BOX},1.5,sit,0.5,ok", f"b,5,{BOX},,,,"
    )
    assert (rows.times, rows.classes, rows.scores, rows.persons) == ([1.5], [0], [0.5], [5])


def test_whole_numbers_that_two_boxes_share_are_scores_but_in_ground_truth_ids(read):
    lines = f"a,1,{BOX},4,1", "a,1,0.6,0.2,0.9,0.8,4,1"
    assert read(*lines).persons.tolist() == [-1, -1]
    assert read(*lines, truth=True).persons.tolist() == [1, 1]


def test_keyframes_with_nobody_are_kept(read):
    rows = read("a,1", f"a,2.5,{BOX},4,0.5", "b,9")
    assert rows.keyframes.tolist() == [1.0, 2.5] and len(rows) == 1


def test_bad_rows_are_named_and_left_out(read):
    rows = read(
        f"a,1,{BOX},4,0.5",
        "a,1,0.5,0.2,0.1,0.8,4,0.5",
        f"a,1,{BOX},99,0.5",
        f"a,x,{BOX},4,0.5",
        f"a,1,{BOX},4,1.5",
        "a,1,0.1",
        f"a,nan,{BOX},4,0.5",
    )
    assert len(rows) == 1 and len(rows.bad) == 6
    for number, words in {
        2: "empty",
        3: "'99' is not in the label map",
        4: "got x",
        5: "'1.5'",
        6: "3 columns",
    }.items():
        assert any(f"rows.csv:{number}: " in line and words in line for line in rows.bad), number


def test_a_video_that_is_not_there_is_named_beside_those_that_are(read):
    with pytest.raises(UserError, match=r"no row of video 'a' among those of 2 videos, such as .*--video-id"):
        read(f"b,1,{BOX},4,0.5", f"c,1,{BOX},4,0.5")


@pytest.mark.parametrize("lines", [[""], ["a,1,b"], [f"a,x,{BOX},4,0.5"]])
def test_a_file_without_a_usable_row_is_an_error(read, lines):
    with pytest.raises(UserError, match="expected video, second"):
        read(*lines)


def test_pixels_of_a_larger_picture_are_refused(read):
    with pytest.raises(UserError, match=r"outside the picture of 640 x 360 pixels"):
        read("a,1,800,200,1900,1000,4,0.5")


def test_without_a_label_map_the_classes_are_those_named(read):
    by_id = read(f"a,1,{BOX},12,0.5", f"a,1,{BOX},3,0.5", label_map=None)
    assert by_id.label_map.ids == (3, 12) and by_id.label_map.names == ("action 3", "action 12")
    other = read(f"a,1,{BOX},5,0.5", label_map=None)
    assert join_classes(by_id, other).ids == (3, 5, 12)
    names = read(f"a,1,{BOX},wave,0.5", label_map=None)
    assert names.label_map.names == ("wave",)
    with pytest.raises(UserError, match="ids as well as names, such as 'wave'"):
        join_classes(by_id, names)


@given(st.text(alphabet='a0.,;\t"\n-x', max_size=60))
@example('a;"0\n0')
def test_any_text_is_read_or_refused_in_one_line(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    path.write_text(text)
    try:
        rows = read_action_rows(path, "a", SIZE, LABELS)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert ((rows.boxes >= 0) & (rows.boxes <= 1)).all() and len(rows.boxes) == len(rows.times)
