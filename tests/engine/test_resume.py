import numpy as np
import pytest

from avsf_det.engine.resume import FOLDER, Kept
from avsf_det.media.shots import Change, as_array
from avsf_det.structures import Persons

SOME = [
    Persons([[0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1]], [0.5, 1], [3, -1], [[0.25, 1 / 3], [0, 1]]),
    Persons.none().replace(actions=np.zeros((0, 2))),
]
CHANGES = as_array([Change(0.0, 0.0, 0.0), Change(0.04, 1 / 3, 0.0)])


@pytest.fixture
def stem(tmp_path):
    return tmp_path / "film"


def test_a_chunk_comes_back_to_the_bit(stem):
    Kept(stem, "key").keep_chunk(3, SOME, CHANGES)
    kept = Kept(stem, "key")
    assert kept.chunk(2) is None
    persons, changes = kept.chunk(3)
    np.testing.assert_array_equal(changes, CHANGES)
    for before, after in zip(SOME, persons, strict=True):
        for name in ("boxes", "scores", "ids", "actions"):
            one, other = getattr(before, name), getattr(after, name)
            assert one.dtype == other.dtype and one.tobytes() == other.tobytes() and one.shape == other.shape


def test_other_inputs_begin_anew_and_other_videos_stay(stem, tmp_path):
    for path in (stem, tmp_path / "film.2"):
        kept = Kept(path, "key")
        kept.keep_chunk(0, SOME, CHANGES)
    kept = Kept(stem, "another")
    assert kept.chunk(0) is None
    assert Kept(tmp_path / "film.2", "key").chunk(0)


@pytest.mark.parametrize("harm", [b"", b"PK\3\4 and so on", b"\x80\x04."])
def test_what_is_damaged_is_not_there(stem, tmp_path, harm):
    kept = Kept(stem, "key")
    kept.keep_chunk(0, SOME, CHANGES)
    for path in (tmp_path / FOLDER / "film").iterdir():
        if path.name != "key":
            path.write_bytes(harm)
    kept = Kept(stem, "key")
    assert kept.chunk(0) is None and kept.finished("so") is None


def test_results_are_finished_as_long_as_they_are_as_they_were_left(stem, tmp_path):
    csv = tmp_path / "film.csv"
    csv.write_text("rows")
    Kept(stem, "key").keep_finished("so", {"csv": csv}, {"persons": 2})
    assert Kept(stem, "key").finished("so") == {"persons": 2}
    assert Kept(stem, "key").finished("otherwise") is None
    csv.write_text("other rows")
    assert Kept(stem, "key").finished("so") is None
    csv.unlink()
    assert Kept(stem, "key").finished("so") is None
