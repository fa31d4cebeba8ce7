import collections
import gzip
import os
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ava_eval.errors import InputError
from ava_eval.tube_file import read_tube_pickle, read_tubes


def test_rows_of_a_video_class_and_tube_id_are_a_tube(tmp_path):
    text = "v,2,0,0,1,1,3,a,0.4\nv,1,0,0,2,2,3,a,0.8\n\nv,1,0,0,1,1,4,a,0.5\nw,1,0,0,1,1,3,a,0.5\n"
    (tmp_path / "t.csv").write_text(text)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("t.csv", "t.csv.gz"):
        first, second, third = read_tubes(tmp_path / name)
        assert (first.video, first.class_id, first.frames.tolist(), first.score) == ("v", 3, [1, 2], pytest.approx(0.6))
        assert first.boxes.tolist() == [[0, 0, 2, 2], [0, 0, 1, 1]]
        assert (second.class_id, third.video) == (4, "w")


def test_ground_truth_with_person_ids_is_a_file_of_tubes(tmp_path):
    (tmp_path / "ava.csv").write_text("v,0902,0,0,1,1,12,7\nv,0903,0,0,1,1,12,7\nv,0903,0,0,1,1,12,8\n")
    assert [tube.frames.tolist() for tube in read_tubes(tmp_path / "ava.csv")] == [[902, 903], [903]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("v,1,0,0,1,1,3", "got 7 columns, expected 8 or 9"),
        ("v,1,0,0,1,1,3.0,a", "the class id is '3.0', expected a whole number"),
        ("v,1,0,x,1,1,3,a", "the y1 is 'x', expected a number"),
        ("v,1,0,0,1,1,3,a,nan", "the score is 'nan', expected a finite number"),
        ("v,inf,0,0,1,1,3,a,1", "the frame is 'inf', expected a finite number"),
    ],
)
def test_a_malformed_row_is_named_by_its_line(tmp_path, row, message):
    (tmp_path / "t.csv").write_text(f"v,9,0,0,1,1,3,a\n{row}\n")
    with pytest.raises(InputError) as error:
        read_tubes(tmp_path / "t.csv")
    assert f"t.csv:2: {message}" in str(error.value)


def test_a_frame_twice_in_a_tube_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("v,9,0,0,1,1,3,a\nv,9.0,0,0,2,2,3,a\n")
    with pytest.raises(InputError, match=r"tube 'a' of class 3 in video 'v' has frame 9 twice"):
        read_tubes(tmp_path / "t.csv")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=60), st.lists(st.sampled_from("v,1,0,0,2,2,3,a\n9.5-"), max_size=80).map("".join)))
def test_whatever_a_file_holds_there_are_tubes_or_one_line(tmp_path, content):
    path = tmp_path / "fuzz.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for read in (read_tubes, read_tube_pickle):
        try:
            read(path)
        except InputError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error)


ANNOTATION = {
    "labels": ["run", "jump"],
    "train_videos": [["t"], []],
    "test_videos": [["v"], ["w"]],
    "gttubes": {
        "v": {1: [np.array([[1, 0, 0, 2, 2], [2, 0, 0, 2, 2]], dtype=np.float32)]},
        "w": {0: [np.array([[5.0, 0, 0, 2, 2]])]},
        "t": {0: [np.zeros((0, 5))]},
    },
}


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_reads_pickled_ground_truth_of_a_split(tmp_path, protocol):
    path = tmp_path / "GT.pkl"
    path.write_bytes(pickle.dumps(ANNOTATION, protocol=protocol))
    [tube], names = read_tube_pickle(path)
    assert (tube.video, tube.class_id, tube.frames.tolist(), names) == ("v", 1, [1, 2], {0: "run", 1: "jump"})
    assert [tube.video for tube in read_tube_pickle(path, split=2)[0]] == ["w"]
    with pytest.raises(InputError, match=r"GT.pkl: not ground-truth tubes with a split 3"):
        read_tube_pickle(path, split=3)


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("owned",)


@pytest.mark.parametrize("content", [Hostile(), {"labels": Hostile()}, collections.Counter("ab"), [1], {"labels": 3}])
def test_a_pickle_of_anything_else_is_refused_and_nothing_in_it_runs(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "GT.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=r"GT.pkl: (holds|not ground-truth tubes)"):
        read_tube_pickle(path)
    assert os.listdir(tmp_path) == ["GT.pkl"]
