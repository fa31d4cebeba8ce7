import numpy as np
import pytest

from avsf_det.data.importers.clock import EITHER, FRAMES, SECONDS, Clock, VideoClock, count_frames, fitting, frame_times
from avsf_det.media.source import VideoSource, probe_source
from tests.data.importers.files import film, frames


def clock_of(path, clock, places=(), fps=10.0):
    source = VideoSource(path, fps=fps)
    return VideoClock(source, probe_source(source), clock, np.array(places, dtype=float))


def test_frames_of_an_even_video(videos):
    clock = clock_of(videos / "clip 1.mp4", Clock(FRAMES, 1))
    np.testing.assert_allclose(clock.seconds([1, 2, 21, 40]), [0, 0.1, 2, 3.9], atol=1e-6)
    assert clock.within(clock.seconds([0, 1, 40, 41])).tolist() == [False, True, True, False]


def test_frames_of_a_video_of_varying_rate_are_when_they_are_shown(tmp_path):
    film(tmp_path / "phone.mkv", 5, times=[0, 40, 80, 1000, 1040])
    source = VideoSource(tmp_path / "phone.mkv")
    np.testing.assert_allclose(frame_times(source, probe_source(source)), [0, 0.04, 0.08, 1, 1.04])
    np.testing.assert_allclose(clock_of(source.path, Clock(FRAMES, 0)).seconds([3, 4]), [1, 1.04])


def test_a_tool_that_counts_at_a_rate_of_its_own(videos):
    clock = clock_of(videos / "clip 1.mp4", Clock(FRAMES, 1, rate=24))
    np.testing.assert_allclose(clock.seconds([1, 49]), [0, 2])


@pytest.mark.parametrize(("places", "first"), [([5, 9], 1), ([0, 9], 0)])
def test_numbers_of_pictures_begin_at_nought_or_one(videos, places, first):
    clock = clock_of(videos / "clip 1.mp4", Clock(FRAMES, None), places)
    np.testing.assert_allclose(clock.seconds([first]), [0], atol=1e-6)


def test_a_folder_of_frames_with_the_first_missing_keeps_its_numbers(tmp_path):
    frames(tmp_path / "clip", 20)
    for number in (1, 2, 7):
        (tmp_path / "clip" / f"img_{number:05d}.jpg").unlink()
    clock = clock_of(tmp_path / "clip", Clock(FRAMES, None), [3])
    np.testing.assert_allclose(clock.seconds([3, 11, 20]), [0.2, 1.0, 1.9])
    assert clock.within(clock.seconds([20, 21])).tolist() == [True, False]


def test_seconds_are_seconds_to_the_very_end(videos):
    clock = clock_of(videos / "clip 1.mp4", Clock(SECONDS), [1.5])
    assert clock.within(clock.seconds([0, 1.5, 4, 4.2])).tolist() == [True, True, True, False]


def test_timestamps_of_the_film_fit_ava_s_cut(tmp_path):
    film(tmp_path / "cut.mkv", 901, rate=1, width=32, height=24)
    clock = clock_of(tmp_path / "cut.mkv", Clock(SECONDS), [902, 1790])
    np.testing.assert_allclose(clock.seconds([902, 1790]), [2, 890])


@pytest.mark.parametrize(
    ("places", "in_frames"), [([1, 2, 3], False), ([1, 20, 39], True), ([1, 2, 500], False), ([1, 2, 30], False)]
)
def test_what_numbers_count_is_seen_from_what_fits(videos, places, in_frames):
    source = VideoSource(videos / "clip 1.mp4")
    assert count_frames([fitting(np.array(places), source, probe_source(source))]) == in_frames
    assert Clock(EITHER).settled(in_frames).unit == (FRAMES if in_frames else SECONDS)


def test_seconds_of_the_film_fit_a_short_piece_of_it(tmp_path):
    frames(tmp_path / "piece", 75)
    clock = VideoClock(
        source := VideoSource(tmp_path / "piece", fps=25), probe_source(source), Clock(SECONDS), np.array([902, 903])
    )
    np.testing.assert_allclose(clock.seconds([902, 903]), [2, 3])
