import multiprocessing
import os
import shutil
import time

import pytest

from avsf_det.media import video as video_module
from avsf_det.media.known import FileState, KnownFiles
from avsf_det.media.video import VideoReader, probe


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("AVSF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def as_new(monkeypatch):
    """A function after which this process knows of videos what a new one does; counts those it looks at."""
    looked_at, look = [], video_module._probe

    def probed(picture):
        looked_at.append(picture.path)
        return look(picture)

    def forget():
        monkeypatch.setattr(video_module, "_INFOS", {})
        monkeypatch.setattr(video_module, "_KNOWN", KnownFiles())
        monkeypatch.setattr(video_module, "_probe", probed)
        return looked_at

    return forget


def test_a_video_is_looked_at_once_until_it_changes(cache, as_new, video, tmp_path):
    film = shutil.copy(video, tmp_path / "film.mp4")
    looked_at = as_new()
    info = probe(film)
    as_new()
    assert probe(film) == info and len(looked_at) == 1
    with VideoReader(film) as reader:
        assert reader.info == info and len(looked_at) == 1
    os.utime(film, ns=(0, time.time_ns()))
    as_new()
    assert probe(film) == info and len(looked_at) == 2


def test_it_is_known_by_its_place_and_told_by_the_path_that_was_asked_for(cache, as_new, video, tmp_path, monkeypatch):
    shutil.copy(video, tmp_path / "film.mp4")
    looked_at = as_new()
    probe(tmp_path / "film.mp4")
    monkeypatch.chdir(tmp_path)
    as_new()
    assert probe("film.mp4").path == "film.mp4" and len(looked_at) == 1


@pytest.mark.parametrize("state", ["no database", "no folder", "nonsense"])
def test_without_a_cache_folder_that_works_every_process_looks_for_itself(cache, as_new, video, state):
    if state == "no folder":
        cache.write_text("a file")
    else:
        cache.mkdir()
    looked_at = as_new()
    if state == "no database":
        (cache / "media.sqlite").write_bytes(b"no database" * 1000)
    elif state == "nonsense":
        video_module._KNOWN.tell(FileState.of(video), {"fps": "fast"})
    info = probe(video)
    assert info.duration == 4 and len(looked_at) == 1


def _tell_and_ask(number):
    known = KnownFiles()
    for turn in range(100):
        known.tell(FileState(f"{number}/{turn}", number, turn), {"number": number, "turn": turn})
    return [known.get(FileState(f"{number}/{turn}", number, turn)) for turn in range(100)]


def test_several_processes_share_it(cache):
    with multiprocessing.get_context("fork").Pool(4) as pool:
        told = pool.map(_tell_and_ask, range(4), chunksize=1)
    assert told == [[{"number": number, "turn": turn} for turn in range(100)] for number in range(4)]
    assert KnownFiles().get(FileState("3/99", 3, 99)) == {"number": 3, "turn": 99}
    assert KnownFiles().get(FileState("3/99", 3, 98)) is None
