import numpy as np
import pytest

from avsf_det.data.importers.clock import EITHER, FRAMES, SECONDS, Clock
from avsf_det.data.importers.export import Export, ExportedVideo, Track
from avsf_det.data.importers.found import find_videos, rate_by_sound
from avsf_det.data.importers.videos import VideoFolder
from tests.data.importers.files import frames, sound


def found_in(root, places, unit=EITHER, rate=0.0):
    """The videos of `root` with boxes at these places each, as find_videos leaves them, and its notes."""
    tracks = {name: [Track(p, [[0, 0, 9, 9]], [{}], "x.csv:1") for p in own] for name, own in places.items()}
    videos = [ExportedVideo((name,), "x.csv:1", Clock(unit), tracks=own) for name, own in tracks.items()]
    bad, notes = [], []
    found = find_videos([Export("csv", videos)], VideoFolder(root, rate or 30), rate, lambda a, n: a, bad, notes)
    assert not bad
    return found, notes


@pytest.mark.parametrize(("count", "fps"), [(300, 30), (250, 25), (240, 24), (10, 1)])
def test_a_folder_of_frames_has_the_rate_that_makes_it_last_as_its_sound(count, fps):
    assert rate_by_sound(count, 10.05) == fps


def test_sound_of_an_unusual_length_tells_no_rate():
    assert rate_by_sound(275, 10.0) is None and rate_by_sound(300, 0.0) is None


def test_the_rate_of_most_sounds_is_that_of_folders_without(tmp_path):
    for name in "abc":
        frames(tmp_path / name, 50)
    sound(tmp_path / "a.wav", 2)
    sound(tmp_path / "sounds" / "B.WAV", 2)
    found, notes = found_in(tmp_path, {name: [[1]] for name in "abc"})
    assert [(one.source.fps, one.info.duration, one.info.has_audio) for one in found] == [
        (25, 2, True),
        (25, 2, True),
        (25, 2, False),
    ]
    assert notes[:2] == [
        f"folders of frames are taken for 25 frames a second, {why}; --frame-rate says otherwise"
        for why in ("by their sound (2 of 3)", "as most have by their sound (1 of 3)")
    ]


@pytest.mark.parametrize(
    ("places", "unit", "fps", "counted"),
    [
        (range(1, 6), EITHER, 15, SECONDS),  # 75 frames that last five seconds, not the first five frames
        ([1, 30, 60], EITHER, 30, FRAMES),
        ([1, 6, 11, 16], EITHER, 30, FRAMES),
        ([902, 903, 905], EITHER, 15, SECONDS),  # of a film from which the video is cut at 900
        ([1.5, 4.5, 71.5], SECONDS, 1, SECONDS),
        (range(1, 76), FRAMES, 30, FRAMES),
        ([1, 2, 2.4, 1.2, 2.1, 900], SECONDS, 30, SECONDS),  # one slip
    ],
)
def test_without_sound_times_tell_the_rate_of_a_folder_and_what_they_count(tmp_path, places, unit, fps, counted):
    frames(tmp_path / "walk", 75, 16, 16)
    ((one,), _) = found_in(tmp_path, {"walk": [[place] for place in places]}, unit)
    assert (one.source.fps, one.exported.clock.unit) == (fps, counted)
    assert one.info.duration == pytest.approx(75 / fps)


def test_a_rate_that_is_given_is_kept(tmp_path):
    frames(tmp_path / "walk", 75, 16, 16)
    ((one,), notes) = found_in(tmp_path, {"walk": [np.arange(1, 6)[i : i + 1] for i in range(5)]}, rate=50.0)
    assert one.source.fps == 50 and not any("are taken for" in note for note in notes)


def test_times_of_a_film_are_told(tmp_path):
    frames(tmp_path / "piece", 60, 16, 16)
    _, notes = found_in(tmp_path, {"piece": [[901], [902]]}, SECONDS)
    assert any("such as piece, are of a film, of which the video begins at second 900" in note for note in notes)


def unnamed_in(root, files):
    """What is found in `root` for videos of exports that name none, by these files."""
    videos = [ExportedVideo((file,), f"{file}: image 1", Clock(FRAMES), unnamed=file) for file in files]
    bad, notes = [], []
    exports = [Export("x", [video]) for video in videos]
    return find_videos(exports, VideoFolder(root, 30), 0.0, lambda a, n: a, bad, notes), bad, notes


def test_find_videos_export_that_names_no_video_takes_the_only_one(tmp_path):
    frames(tmp_path / "walk", 5)
    found, bad, notes = unnamed_in(tmp_path, ["a.json"])
    assert found[0].source.path == tmp_path / "walk" and not bad
    assert f"does not name its video; {tmp_path / 'walk'} is taken" in notes[0]


@pytest.mark.parametrize(("files", "names"), [(["a.json"], "ab"), (["a.json", "b.json"], "c")])
def test_find_videos_unnamed_video_is_not_guessed_among_several(tmp_path, files, names):
    for name in names:
        frames(tmp_path / f"{name}x", 5)
    found, bad, _ = unnamed_in(tmp_path, files)
    assert not found and len(bad) == len(files) and all("--videos" in line for line in bad)


def test_find_videos_user_rate_comes_before_the_default_of_the_tool(tmp_path):
    frames(tmp_path / "a", 5)
    for rate, used in ((0.0, 24), (10.0, 10)):
        video = ExportedVideo(("a",), "x", Clock(FRAMES, 1, None, 24))
        (one,) = find_videos([Export("x", [video])], VideoFolder(tmp_path, 30), rate, lambda a, n: a, [], [])
        assert one.exported.clock.rate == used


def test_most_times_that_fit_at_pyslowfast_s_rate_are_enough_for_it(tmp_path):
    frames(tmp_path / "walk", 602, 16, 16)
    ((one,), _) = found_in(tmp_path, {"walk": [[second] for second in range(1, 23)]})  # the last two are beyond
    assert one.source.fps == 30
