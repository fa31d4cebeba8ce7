import os
import subprocess
import sys
from pathlib import Path

import pytest

from avsf_det.files import cache_folder, make_scratch, remove_leftovers, remove_scratch, walk_folder, written_whole

KILLED = """
import os, pathlib, signal, sys
from avsf_det.files import written_whole
with written_whole(pathlib.Path(sys.argv[1])) as path:
    path.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_file_appears_when_it_is_whole(tmp_path):
    target = tmp_path / "new" / "folder" / "table.csv"
    with written_whole(target) as path:
        path.write_text("half")
        assert not target.exists() and path.suffix == ".csv"
        path.write_text("whole")
    assert target.read_text() == "whole" and list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("reason", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_was_there_stays_when_writing_fails(tmp_path, reason):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(type(reason)), written_whole(target) as path:
        path.write_text("half")
        raise reason
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_what_a_killed_process_left_is_removed_and_what_others_write_is_not(tmp_path):
    for name in ("film.mp4", "no suffix"):
        subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / name)], check=False)
    left = list(tmp_path.iterdir())
    assert len(left) == 2 and all(path.name.startswith(".") for path in left)
    for name in (".notes.part.txt", ".film.1.part.mp4", "film.mp4"):
        (tmp_path / name).touch()
    with written_whole(tmp_path / "film.mp4") as mine:
        mine.write_text("half")
        remove_leftovers(tmp_path)
        assert mine.exists()
        mine.write_text("whole")
    assert sorted(os.listdir(tmp_path)) == [".film.1.part.mp4", ".notes.part.txt", "film.mp4"]


def test_remove_scratch_folder_without_marker_stays(tmp_path):
    scratch, own = make_scratch(tmp_path / "scratch"), tmp_path / "own"
    own.mkdir()
    for folder in (scratch, own):
        (folder / "file").touch()
    (tmp_path / "link").symlink_to(scratch)
    for folder in (own, tmp_path / "link", tmp_path / "none"):
        remove_scratch(folder)
    assert (own / "file").exists() and (scratch / "file").exists()
    remove_scratch(scratch)
    assert not scratch.exists()


def test_walk_folder_links_that_loop_are_followed_once(tmp_path):
    (tmp_path / "a" / ".hidden").mkdir(parents=True)
    for name in ("a/b.mp4", "a/._b.mp4", "a/.hidden/c.mp4", "d.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    found = [(str(folder.relative_to(tmp_path)), names) for folder, names in walk_folder(tmp_path)]
    assert found == [(".", ["d.mp4", "self"]), ("a", ["b.mp4"])]


def test_cache_folder_own_variable_comes_before_the_desktops(monkeypatch):
    monkeypatch.delenv("AVSF_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache_folder() == Path("/cache/avsf_det")
    monkeypatch.setenv("AVSF_CACHE", "/mine")
    assert cache_folder() == Path("/mine")
    monkeypatch.delenv("AVSF_CACHE")
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache_folder() == Path.home() / ".cache" / "avsf_det"
