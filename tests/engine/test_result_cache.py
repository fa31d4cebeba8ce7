import json
import os
import shutil

import numpy as np
import pytest

from avsf_det.engine.result_cache import STATE_FOLDER, Owner, ResultCache, choose_name, conflict, written_files
from avsf_det.errors import UserError
from avsf_det.media.shots import Change, as_array
from avsf_det.structures import Persons

SOME = [
    Persons([[0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1]], [0.5, 1], [3, -1], [[0.25, 1 / 3], [0, 1]]),
    Persons.none().replace(actions=np.zeros((0, 2))),
]
CHANGES = as_array([Change(0.0, 0.0, 0.0), Change(0.04, 1 / 3, 0.0)])


VIDEO = Owner("/videos/film.mp4", "content")
OTHER = Owner("/others/film.mp4", "other content")


@pytest.fixture
def stem(tmp_path):
    return tmp_path / "film"


def cache(stem, key="key", owner=VIDEO, files=("film.csv",), **options):
    return ResultCache(stem, owner, key, files, **options)


def finish(stem, owner=VIDEO, text="rows"):
    """The csv of a finished run."""
    path = stem.with_name(f"{stem.name}.csv")
    with cache(stem, owner=owner, files=[path.name]) as kept:
        with kept.writing(path):
            path.write_text(text)
        kept.finish("so", [path], {"persons": 2})
    return path


def test_chunk_kept_comes_back_to_the_bit(stem):
    with cache(stem) as kept:
        kept.keep_chunk(3, SOME, CHANGES)
    with cache(stem) as kept:
        assert kept.chunk(2) is None
        persons, changes = kept.chunk(3)
    np.testing.assert_array_equal(changes, CHANGES)
    for before, after in zip(SOME, persons, strict=True):
        for name in ("boxes", "scores", "ids", "actions"):
            one, other = getattr(before, name), getattr(after, name)
            assert one.dtype == other.dtype and one.tobytes() == other.tobytes() and one.shape == other.shape


def test_chunk_of_another_key_is_ignored_and_other_videos_stay(stem, tmp_path):
    for path in (stem, tmp_path / "film.2"):
        with cache(path) as kept:
            kept.keep_chunk(0, SOME, CHANGES)
    with cache(stem, "another") as kept:
        assert kept.chunk(0) is None
    with cache(tmp_path / "film.2") as kept:
        assert kept.chunk(0)


def test_chunk_copied_from_another_run_is_ignored(stem, tmp_path):
    with cache(tmp_path / "other", "other key") as kept:
        kept.keep_chunk(0, SOME, CHANGES)
    with cache(stem) as kept:
        kept.keep_chunk(1, SOME, CHANGES)
        chunk = (tmp_path / STATE_FOLDER / "other" / "000000.npz").read_bytes()
        (tmp_path / STATE_FOLDER / "film" / "000000.npz").write_bytes(chunk)
        assert kept.chunk(0) is None and kept.chunk(1)


@pytest.mark.parametrize("harm", [b"", b"PK\3\4 and so on", b"\x80\x04.", b"[]", b'{"files": 3}'])
def test_cache_damaged_is_as_if_empty(stem, tmp_path, harm):
    with cache(stem) as kept:
        kept.keep_chunk(0, SOME, CHANGES)
    for path in (tmp_path / STATE_FOLDER / "film").iterdir():
        path.write_bytes(harm)
    with cache(stem) as kept:
        assert kept.chunk(0) is None and kept.finished("so") is None


def test_finished_is_kept_until_options_or_files_change(stem):
    csv = finish(stem)
    with cache(stem) as kept:
        assert kept.finished("so") == {"persons": 2} and kept.finished("otherwise") is None
    csv.unlink()
    with cache(stem) as kept:
        assert kept.finished("so") is None


def test_finished_in_a_folder_that_was_copied_is_kept(stem, tmp_path):
    finish(stem)
    shutil.copytree(tmp_path, tmp_path.parent / "copy", copy_function=shutil.copyfile)  # files get new dates
    with cache(tmp_path.parent / "copy" / "film") as kept:
        assert kept.finished("so") == {"persons": 2}


def test_cache_entered_twice_is_an_error(stem):
    with cache(stem), pytest.raises(UserError, match="another process is writing these results"), cache(stem):
        pass
    with cache(stem):
        pass


def test_results_of_another_video_are_not_replaced(stem, tmp_path):
    finish(stem)
    with (
        pytest.raises(UserError, match=r"has the results of /videos/film.mp4; .*--overwrite"),
        cache(stem, owner=OTHER),
    ):
        pass
    with cache(stem, owner=OTHER, overwrite=True) as kept:
        assert kept.finished("so") is None
        with kept.writing(stem.with_name("film.csv")):
            pass
    assert choose_name("film", tmp_path, OTHER, [".csv"]) == "film"


def test_scores_of_an_interrupted_run_keep_the_name(stem, tmp_path):
    with cache(stem) as kept:
        assert choose_name("film", tmp_path, OTHER, [".csv"]) == "film_2"  # a run is at work under that name
        kept.keep_chunk(0, SOME, CHANGES)
    assert choose_name("film", tmp_path, OTHER, [".csv"]) == "film_2"
    assert choose_name("film", tmp_path, VIDEO, [".csv"]) == "film"


def test_choose_name_file_of_the_user_gets_a_number_and_a_warning(tmp_path, caplog):
    (tmp_path / "film.csv").write_text("mine")
    assert choose_name("film", tmp_path, VIDEO, [".mp4", ".csv"]) == "film_2"
    assert "film.csv exists and was not written by avsf-det" in caplog.text and "get a number" in caplog.text
    assert choose_name("film", tmp_path, VIDEO, [".mp4"]) == "film"
    assert choose_name("film", tmp_path, VIDEO, [".mp4", ".csv"], overwrite=True) == "film"
    assert choose_name("film", tmp_path, VIDEO, [".mp4"], taken={"film.mp4"}) == "film_2"


def test_choose_name_result_that_the_user_edited_gets_a_number(stem, tmp_path):
    csv = finish(stem)
    assert choose_name("film", tmp_path, VIDEO, [".csv"]) == "film"
    csv.write_text("corrected by hand")
    assert choose_name("film", tmp_path, VIDEO, [".csv"]) == "film_2"
    assert "was changed after avsf-det wrote it" in conflict(tmp_path, "film", VIDEO, ["film.csv"])


def test_choose_name_copy_of_the_video_elsewhere_is_the_same_video(stem, tmp_path):
    finish(stem)
    assert choose_name("film", tmp_path, Owner("/moved/film.mp4", "content"), [".csv"]) == "film"
    assert choose_name("film", tmp_path, Owner("/moved/film.mp4", ""), [".csv"]) == "film_2"


def test_choose_name_dangling_link_is_not_replaced(tmp_path):
    (tmp_path / "film.csv").symlink_to(tmp_path / "elsewhere")
    assert choose_name("film", tmp_path, VIDEO, [".csv"]) == "film_2"


def test_written_files_lists_results_and_nothing_else(stem, tmp_path):
    finish(stem)
    (tmp_path / "mine.csv").touch()
    assert written_files(tmp_path) == {"film.csv"} and written_files(tmp_path / "none") == set()


def test_file_of_the_user_that_came_while_scores_were_computed_is_kept(stem):
    path = stem.with_name("film.csv")
    with cache(stem) as kept:
        path.write_text("mine")
        with pytest.raises(UserError, match="was not written by avsf-det"), kept.writing(path):
            path.write_text("results")
    assert path.read_text() == "mine"


def test_file_of_the_user_that_came_after_an_interruption_is_kept(stem, tmp_path):
    with pytest.raises(KeyboardInterrupt), cache(stem, files=["film.csv", "film.html"]) as kept:
        with kept.writing(stem.with_name("film.csv")):
            stem.with_name("film.csv").write_text("results")
        raise KeyboardInterrupt
    assert choose_name("film", tmp_path, VIDEO, [".csv", ".html"]) == "film"
    stem.with_name("film.html").write_text("mine")
    assert choose_name("film", tmp_path, VIDEO, [".csv", ".html"]) == "film_2"


def test_video_itself_is_never_replaced(tmp_path):
    (tmp_path / "film.mp4").write_text("video")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "film.mp4").symlink_to(tmp_path / "film.mp4")
    (tmp_path / "hard").mkdir()
    (tmp_path / "hard" / "film.mp4").hardlink_to(tmp_path / "film.mp4")
    owner = Owner(str(tmp_path / "film.mp4"), "content")
    for folder in (tmp_path, tmp_path / "link", tmp_path / "hard"):
        assert choose_name("film", folder, owner, [".mp4"], overwrite=True) == "film_2"
        own = ResultCache(folder / "film", owner, "key", ["film.mp4"], overwrite=True)
        with pytest.raises(UserError, match="is the video itself"), own:
            pass


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_state_folder_of_somebody_else_is_not_touched(stem, tmp_path, kind):
    folder, foreign = tmp_path / STATE_FOLDER / "film", tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "000001.npz").write_text("mine")
    folder.parent.mkdir()
    if kind == "link":
        folder.symlink_to(foreign)
    else:
        folder.mkdir()
        os.mkfifo(folder / "lock")
    with pytest.raises(UserError, match="cannot write to"), cache(stem):
        raise AssertionError("it was entered")
    assert [path.name for path in foreign.iterdir()] == ["000001.npz"]


@pytest.mark.parametrize("name", ["a\0b", "../film.csv", "gone.csv"])
def test_record_of_results_that_are_gone_does_not_block_a_name(stem, tmp_path, name):
    folder = tmp_path / STATE_FOLDER / "film"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps({"video": "other", "files": {name: None}}))
    assert choose_name("film", tmp_path, VIDEO, [".csv"]) == "film"
    with cache(stem):
        pass
