import hashlib

import pytest

from avsf_det.errors import UserError
from avsf_det.media.source import VideoSource
from detectors.files import file_sha256, fingerprint, write_whole


def test_sha256_is_of_the_whole_file(tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(content)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_fingerprint_follows_size_start_and_end(tmp_path, size):
    path = tmp_path / "file"
    contents = [bytes(size), bytes(size + 1)]
    if size:
        contents += [b"x" + bytes(size - 1)]
    if size > 1:
        contents += [bytes(size - 1) + b"x"]
    prints = set()
    for content in contents:
        path.write_bytes(content)
        prints.add(fingerprint(path))
    assert len(prints) == len(contents)


def test_fingerprint_follows_the_clock_and_the_frames_of_a_folder(tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"film")
    assert fingerprint(VideoSource(tmp_path / "film.mp4")) == fingerprint(tmp_path / "film.mp4")
    assert fingerprint(VideoSource(tmp_path / "film.mp4", 900.0)) != fingerprint(tmp_path / "film.mp4")
    prints = {fingerprint(VideoSource(tmp_path, 900.0)), fingerprint(VideoSource(tmp_path))}
    (tmp_path / "film.mp4").write_bytes(b"longer")
    prints.add(fingerprint(VideoSource(tmp_path)))
    (tmp_path / "film.mp4").rename(tmp_path / "other.mp4")
    assert len(prints | {fingerprint(VideoSource(tmp_path)), fingerprint(VideoSource(tmp_path, fps=25.0))}) == 5


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    path = tmp_path / "folder" / "file"
    write_whole(path, b"old")
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UserError, match="No space left on device"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old" and list(path.parent.iterdir()) == [path]
