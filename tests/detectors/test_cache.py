import numpy as np
import pytest

from avsf_det.structures import Keyframe, Persons
from detectors.cache import CachedDetector

IMAGE = np.zeros((4, 6, 3), np.uint8)


class Counting:
    """Finds as many persons as the time says, and remembers what it was asked."""

    identity = "counting"

    def __init__(self):
        self.asked = []

    def detect(self, frames):
        self.asked += [frame.time for frame in frames]
        return [self.persons(int(frame.time)) for frame in frames]

    @staticmethod
    def persons(number):
        boxes = np.tile([0.1, 0.2, 0.3, 0.4], (number, 1)) * np.arange(1, number + 1).reshape(-1, 1) / 4
        return Persons(boxes, np.linspace(1, 0.5, number), np.arange(number))


def frames(*times, image=IMAGE):
    return [Keyframe("v", time, image) for time in times]


def assert_right(found, times):
    for persons, time in zip(found, times, strict=True):
        expected = Counting.persons(int(time))
        np.testing.assert_array_equal(persons.boxes, expected.boxes)
        np.testing.assert_array_equal(persons.scores, expected.scores)
        np.testing.assert_array_equal(persons.ids, expected.ids)


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "video.mp4"
    path.write_bytes(bytes(range(256)) * 4000)
    return path


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "boxes"


def test_what_was_found_is_not_looked_for_again(video, folder):
    first, second = Counting(), Counting()
    times = (2.0, 0.0, 1.5)
    assert_right(CachedDetector(first, video, folder).detect(frames(*times)), times)
    times = (1.5, 3.0, 2.0, 0.0, 3.0)
    assert_right(CachedDetector(second, video, folder).detect(frames(*times)), times)
    assert first.asked == [2.0, 0.0, 1.5]
    assert second.asked == [3.0]
    assert len(list(folder.iterdir())) == 1


def test_nobody_on_any_frame_is_remembered(video, folder):
    CachedDetector(Counting(), video, folder).detect(frames(0.0, 0.5))
    again = Counting()
    assert_right(CachedDetector(again, video, folder).detect(frames(0.5)), [0.5])
    assert again.asked == []


def test_a_renamed_video_is_known(video, folder):
    CachedDetector(Counting(), video, folder).detect(frames(1.0))
    again = Counting()
    CachedDetector(again, video.rename(video.with_name("other.mp4")), folder).detect(frames(1.0))
    assert again.asked == []


@pytest.mark.parametrize("change", ["video", "detector", "size"])
def test_what_changes_the_boxes_makes_them_new(video, folder, change):
    CachedDetector(Counting(), video, folder).detect(frames(1.0))
    again, image = Counting(), IMAGE
    if change == "video":
        content = bytearray(video.read_bytes())
        content[-1] ^= 1
        video.write_bytes(content)
    elif change == "detector":
        again.identity = "another"
    else:
        image = np.zeros((8, 12, 3), np.uint8)
    CachedDetector(again, video, folder).detect(frames(1.0, image=image))
    assert again.asked == [1.0]


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"\0" * len(b), lambda b: b[:-9]]
)
def test_a_damaged_file_is_made_anew(video, folder, damage):
    CachedDetector(Counting(), video, folder).detect(frames(1.0, 2.0))
    (file,) = folder.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    again = Counting()
    assert_right(CachedDetector(again, video, folder).detect(frames(1.0, 2.0)), (1.0, 2.0))
    assert again.asked == [1.0, 2.0]
    mended = Counting()
    CachedDetector(mended, video, folder).detect(frames(1.0, 2.0))
    assert mended.asked == []


def test_two_processes_add_to_each_other(video, folder):
    one, other = (CachedDetector(Counting(), video, folder) for _ in range(2))
    one.detect(frames(1.0))
    other.detect(frames(2.0))
    third = Counting()
    CachedDetector(third, video, folder).detect(frames(1.0, 2.0))
    assert third.asked == []


def test_nothing_half_written_is_left(video, folder, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        CachedDetector(Counting(), video, folder).detect(frames(1.0))
    assert list(folder.iterdir()) == []


def test_identity_is_the_detectors(video, folder):
    assert CachedDetector(Counting(), video, folder).identity == "counting"
