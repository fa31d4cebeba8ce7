import multiprocessing
import os
import shutil
import time
from dataclasses import replace

import pytest

from avsf_det.errors import UserError
from avsf_det.media import known
from avsf_det.media import video as video_module
from avsf_det.media.known import FileState, KnownFiles, content_key
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
        monkeypatch.setattr(known, "CACHE", KnownFiles())
        monkeypatch.setattr(video_module, "_probe", probed)
        return looked_at

    return forget


def test_probe_same_content_is_probed_once_whatever_its_date_and_name(cache, as_new, video, tmp_path):
    film = shutil.copy(video, tmp_path / "film.mp4")
    probed = as_new()
    info = probe(film)
    as_new()
    assert probe(film) == info and len(probed) == 1
    with VideoReader(film) as reader:
        assert reader.info == info and len(probed) == 1
    os.utime(film, ns=(0, time.time_ns()))
    copy = shutil.copy(film, tmp_path / "copy.mp4")
    as_new()
    assert probe(film) == info and probe(copy) == replace(info, path=str(copy)) and len(probed) == 1


def test_probe_changed_content_of_the_same_size_and_date_is_probed_again(cache, as_new, video, tmp_path):
    film = tmp_path / "film.mp4"
    shutil.copy(video, film)
    date = film.stat().st_mtime_ns
    probed = as_new()
    probe(film)
    content = bytearray(film.read_bytes())
    content[-1] ^= 1
    film.write_bytes(content)
    os.utime(film, ns=(date, date))
    as_new()
    probe(film)
    assert len(probed) == 2


def test_probe_of_an_older_version_is_not_used(cache, as_new, video, monkeypatch):
    probed = as_new()
    probe(video)
    monkeypatch.setattr(known, "_FOUND_BY", "another version")
    as_new()
    probe(video)
    assert len(probed) == 2


def test_probe_relative_path_is_reported_as_given(cache, as_new, video, tmp_path, monkeypatch):
    shutil.copy(video, tmp_path / "film.mp4")
    probed = as_new()
    probe(tmp_path / "film.mp4")
    monkeypatch.chdir(tmp_path)
    as_new()
    assert probe("film.mp4").path == "film.mp4" and len(probed) == 1


def test_content_key_follows_every_byte_and_nothing_else(cache, tmp_path):
    keys = set()
    for number, content in enumerate((b"", bytes(9), b"x" + bytes(8), bytes(8) + b"x", bytes(4) + b"x" + bytes(4))):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(content)
        keys.add(content_key(path))
    assert len(keys) == 5
    shutil.copy(tmp_path / "1.mp4", tmp_path / "copy.mp4")
    assert content_key(tmp_path / "copy.mp4") == content_key(tmp_path / "1.mp4")


def test_content_key_of_a_large_file_follows_size_date_and_samples(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(known, "_WHOLE", 100)
    path, keys = tmp_path / "film.mp4", set()
    for content, date in ((bytes(200), 1), (bytes(201), 1), (bytes(200), 2), (bytes(199) + b"x", 1)):
        path.write_bytes(content)
        os.utime(path, (date, date))
        keys.add(content_key(path))
    assert len(keys) == 4


def test_content_key_of_frames_follows_what_is_in_them(cache, tmp_path):
    keys = []
    for name, frames in (("a", (b"one", b"two")), ("b", (b"one", b"two")), ("c", (b"one", b"tow"))):
        (tmp_path / name).mkdir()
        for number, frame in enumerate(frames):
            (tmp_path / name / f"{number:06d}.png").write_bytes(frame)
        (tmp_path / name / ".DS_Store").write_text(name)
        keys.append(content_key(tmp_path / name))
    assert keys[0] == keys[1] != keys[2]
    frame = tmp_path / "a" / "000001.png"
    date = frame.stat().st_mtime_ns
    frame.write_bytes(b"2wo")  # as frames that were extracted again
    os.utime(frame, ns=(date, date))
    assert content_key(tmp_path / "a") not in keys
    (tmp_path / "b" / "000001.png").rename(tmp_path / "b" / "000002.png")
    assert content_key(tmp_path / "b") not in keys


def test_content_key_of_what_is_no_file_is_an_error(cache, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, reason in (("pipe", "not a regular file"), ("loop", "Too many levels"), ("none", "No such file")):
        with pytest.raises(UserError, match=reason):
            content_key(tmp_path / name)


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
        known.CACHE.tell(FileState.of(video), {"fps": "fast"})
    info = probe(video)
    assert info.duration == 4 and len(looked_at) == 1


def _tell_and_ask(folder, number):
    known = KnownFiles()
    states = [FileState(f"{folder}/{number}", str(turn)) for turn in range(100)]
    for turn, state in enumerate(states):
        known._contents[state] = f"{number} {turn}"
        known.tell(state, {"number": number, "turn": turn})
    return [known.get(state) for state in states]


def test_cache_is_shared_by_processes(cache, tmp_path):
    with multiprocessing.get_context("fork").Pool(4) as pool:
        told = pool.starmap(_tell_and_ask, [(str(tmp_path), number) for number in range(4)], chunksize=1)
    assert told == [[{"number": number, "turn": turn} for turn in range(100)] for number in range(4)]
    other = KnownFiles()
    other._contents[FileState("x", "y")] = "3 99"
    assert other.get(FileState("x", "y")) == {"number": 3, "turn": 99}
