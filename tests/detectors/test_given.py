import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.errors import UserError
from avsf_det.structures import Keyframe
from detectors.given import GivenBoxes, read_boxes, video_name

BOX = "0.1,0.2,0.5,0.9"


def persons_of(path, text, video="v", time=1.0, **options):
    path.write_text(text)
    return GivenBoxes(path, **options).detect([Keyframe(video, time)])[0]


@pytest.fixture
def csv(tmp_path):
    return tmp_path / "boxes.csv"


@pytest.mark.parametrize(
    "text, scores, ids",
    [
        pytest.param(f"v,1,{BOX}\n", [1.0], [-1], id="box alone"),
        pytest.param(f"v,0001,{BOX},12\nv,0001,{BOX},17\n", [1.0], [-1], id="a row per label is one person"),
        pytest.param(f"v,1,{BOX},,0.75\n", [0.75], [-1], id="score, empty label"),
        pytest.param(f"v,1,{BOX},12,0.25\nv,1,{BOX},17,0.5\n", [0.5], [-1], id="best score of all labels"),
        pytest.param(f"v,1,{BOX},12,3\nv,1,{BOX},17,3\nv,1,0,0,1,1,12,4\n", [1.0, 1.0], [4, 3], id="person ids"),
        pytest.param(f"v,1,{BOX},,1\nv,1,0,0,1,1,,0\n", [1.0, 0.0], [-1, -1], id="integers without label are scores"),
        pytest.param(f"v.mp4,1.0,{BOX}\n", [1.0], [-1], id="video with suffix"),
        pytest.param(f"\ufeffv,1,{BOX}\r\n\r\n", [1.0], [-1], id="byte order mark, carriage returns, empty line"),
        pytest.param("v,1\n", [], [], id="AVA-Kinetics: nobody"),
    ],
)
def test_dialects(csv, text, scores, ids):
    persons = persons_of(csv, text)
    assert persons.scores.tolist() == scores
    assert sorted(persons.ids.tolist(), reverse=True) == ids
    if len(ids) == 1:
        np.testing.assert_allclose(persons.boxes, [[0.1, 0.2, 0.5, 0.9]], rtol=1e-6)


def test_best_score_comes_first_and_the_threshold_holds(csv):
    text = "".join(
        f"v,1,0,0,{width},1,,{score}\n" for width, score in ((0.1, 0.3), (0.2, 0.9), (0.3, 0.79), (0.4, 0.8))
    )
    assert persons_of(csv, text, score_threshold=0.8).scores.tolist() == pytest.approx([0.9, 0.8])


@pytest.mark.parametrize(
    "second, found", [(10.0, 0.1), (10.24, 0.1), (10.26, 0.2), (10.75, 0.2), (10.8, None), (9.75, 0.1), (9.7, None)]
)
def test_takes_the_nearest_time_within_half_the_spacing(csv, second, found):
    text = f"v,10,0,0,0.1,1\nv,10.5,0,0,0.2,1\nv,20,{BOX}\nv,20.5,{BOX}\n"
    persons = persons_of(csv, text, time=second)
    assert persons.boxes[:, 2].tolist() == pytest.approx([found] if found else [])


def test_a_time_without_persons_is_not_filled_from_its_neighbour(csv):
    assert len(persons_of(csv, f"v,1,{BOX}\nv,2\nv,3,{BOX}\n", time=2.2)) == 0


def test_sparse_csv_does_not_reach_beyond_half_a_second(csv):
    assert len(persons_of(csv, f"v,10,{BOX}\nv,60,{BOX}\n", time=11.0)) == 0


def test_malformed_rows_are_named_and_left_out(csv, caplog):
    text = f"v,1,{BOX}\nv,1,0.1,0.2\nv,x,{BOX}\nv,1,0.1,0.2,nan,0.9\nv,1,{BOX},,high\n"
    assert len(persons_of(csv, text)) == 1
    assert "4 malformed rows" in caplog.text
    for line in (2, 3, 4, 5):
        assert f"{csv}:{line}: " in caplog.text


def test_boxes_beyond_the_picture_are_clipped_and_counted(csv, caplog):
    persons = persons_of(csv, f"v,1,-0.1,0.2,0.5,1.2\nv,1,{BOX}\n")
    np.testing.assert_allclose(sorted(persons.boxes.tolist())[0], [0, 0.2, 0.5, 1.0], rtol=1e-6)
    assert "clipped 1 box" in caplog.text


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "empty"),
        ("a header,of,no,use\n", "1.*columns"),
        (f"v,1,{BOX}\nv,1,10,20,110,220\n", "2.*pixels"),
        ("v,1,0.5,0.2,0.1,0.9\n", "1.*x1 < x2"),
        (f"v,1,{BOX}\nv,1,0.5,0.5,0.2,0.2,,0.9\n", "2.*x1 < x2"),
        ("v,1,1.2,0.2,1.5,0.9\n", "1.*outside"),
        (f"v,1,{BOX},,7\n", "1.*score 7"),
    ],
)
def test_a_file_of_another_kind_is_refused(csv, text, message):
    csv.write_text(text)
    with pytest.raises(UserError, match=message) as error:
        GivenBoxes(csv)
    assert str(csv) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00v", b"v,1\x00,2"])
def test_a_file_that_is_no_text_is_refused(csv, content):
    csv.write_bytes(content)
    with pytest.raises(UserError):
        GivenBoxes(csv)


def test_a_missing_file_is_refused(csv):
    with pytest.raises(UserError, match="cannot be read"):
        GivenBoxes(csv)


def test_a_video_without_boxes_is_named_once(csv, caplog):
    csv.write_text(f"v,1,{BOX}\n")
    detector = GivenBoxes(csv)
    assert [len(persons) for persons in detector.detect([Keyframe("w", 1.0), Keyframe("w", 2.0)])] == [0, 0]
    assert caplog.text.count("'w'") == 1


def test_identity_follows_the_content_and_the_threshold(csv, tmp_path):
    csv.write_text(f"v,1,{BOX}\n")
    other = tmp_path / "other.csv"
    other.write_text(f"v,1,{BOX},,0.5\n")
    copy = tmp_path / "copy.csv"
    copy.write_text(csv.read_text())
    assert GivenBoxes(csv).identity == GivenBoxes(copy).identity
    assert len({GivenBoxes(csv).identity, GivenBoxes(other).identity, GivenBoxes(csv, 0.5).identity}) == 3


@pytest.mark.parametrize(
    "file, video", [("a/b/c.mp4", "c"), ("c.MKV", "c"), ("c", "c"), ("scene.v2", "scene.v2"), ("a.b.webm", "a.b")]
)
def test_video_name(file, video):
    assert video_name(file) == video


unit = st.floats(0, 1, width=32)


@given(
    st.lists(
        st.tuples(st.sampled_from("vw"), st.integers(0, 5), unit, unit, unit, unit, unit).filter(
            lambda row: row[2] < row[4] and row[3] < row[5]
        ),
        min_size=1,
        max_size=20,
        unique_by=lambda row: row[:6],
    )
)
def test_every_row_is_found_again(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("given") / "boxes.csv"
    path.write_text("".join(f"{v},{t},{a!r},{b!r},{c!r},{d!r},,{s!r}\n" for v, t, a, b, c, d, s in rows))
    detector = GivenBoxes(path, tolerance=0.1)
    for video, second in {row[:2] for row in rows}:
        persons = detector.detect([Keyframe(video, float(second))])[0]
        expected = [row[2:] for row in rows if row[:2] == (video, second)]
        assert sorted(zip(*persons.boxes.T.tolist(), persons.scores.tolist())) == sorted(expected)
        assert (np.diff(persons.scores) <= 0).all()


@given(st.text(alphabet='v,.0123456789-e\n"\t x', max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("given") / "boxes.csv"
    path.write_text(text)
    try:
        videos = read_boxes(path)
    except UserError:
        return
    for video in videos.values():
        for row in range(len(video.times)):
            boxes = video.persons(row).boxes
            assert ((boxes >= 0) & (boxes <= 1)).all() and (boxes[:, :2] <= boxes[:, 2:]).all()


@pytest.mark.parametrize(
    ("text", "duration", "warned"),
    [
        (
            f"v,30,{BOX}\nv,60,{BOX}\n",
            6,
            "2 of 2 times of video 'v' are beyond its end: it lasts 6.0 s and they go",
        ),
        (
            f"v,3,{BOX}\nv,7.5,{BOX}\n",
            6,
            "1 of 2 times of video 'v' are beyond its end: it lasts 6.0 s and they go",
        ),
        (f"v,3,{BOX}\nv,6.5,{BOX}\n", 6, ""),
        (f"other,30,{BOX}\n", 6, ""),
    ],
)
def test_warn_of_times_beyond_names_a_csv_that_counts_frames(csv, caplog, text, duration, warned):
    csv.write_text(text)
    GivenBoxes(csv).warn_of_times_beyond("v.mp4", duration)
    assert warned in caplog.text and bool(caplog.text) == bool(warned)
