import weakref

import numpy as np
import pytest

from avsf_det.data.clip import ClipSpec, read_clips
from avsf_det.data.film import Film
from avsf_det.errors import UserError
from avsf_det.media.shots import as_array, cuts_of, find_cuts, resume_times
from avsf_det.media.source import VideoSource
from avsf_det.media.track import Track
from avsf_det.media.video import VideoReader
from avsf_det.media.writer import VideoWriter

SPEC = ClipSpec(num_frames=8, sampling_rate=2, short_side=32, audio_frames=32)
RATES = [0.2, 1.0, 2.3, 5.0]


@pytest.fixture(scope="module")
def cut(tmp_path_factory, video):
    """A film of 7 s in three shots, with a scene's sound."""
    path = tmp_path_factory.mktemp("film") / "cut.mp4"
    with VideoWriter(path, 96, 64, 25, sound_from=video) as writer:
        for number in range(175):
            tiles = np.random.default_rng(number // 60).integers(0, 255, (4, 12, 3), dtype=np.uint8)
            place = tiles.repeat(16, axis=0).repeat(16, axis=1)
            writer.write(place[:, number % 60 : number % 60 + 96], number / 25)
    return path


def times_at(rate, seconds=7.0):
    return [i / rate for i in range(int(seconds * rate))]


def same(one, other):
    np.testing.assert_array_equal(one.frames, other.frames)
    np.testing.assert_array_equal(one.log_mel, other.log_mel)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("shifts", [(0.0,), (-0.2, 0.0, 0.2)])
def test_clips_and_pictures_are_those_that_are_read_by_time(cut, rate, shifts):
    times = times_at(rate)
    moments = list(Film(cut, SPEC, times, shifts).moments())
    assert [moment.time for moment in moments] == times
    with VideoReader(cut) as video:
        np.testing.assert_array_equal(np.stack([moment.image for moment in moments]), video.frames_at(times))
    for shift, clips in zip(shifts, zip(*(moment.clips() for moment in moments))):
        for clip, expected in zip(clips, read_clips(cut, [t + shift for t in times], SPEC), strict=True):
            same(clip, expected)


@pytest.mark.parametrize("rate", RATES)
def test_every_frame_is_decoded_once(cut, rate, monkeypatch):
    decoded, decode = [], Track._decode_packet

    def counted(track, packet):
        frames = decode(track, packet)
        decoded.extend(frame.pts for frame in frames if track.stream.type == "video")
        return frames

    list(Film(cut, SPEC, [0.0]).moments())  # what is found out when a file is first opened
    monkeypatch.setattr(Track, "_decode_packet", counted)
    list(Film(cut, SPEC, times_at(rate)).moments())
    assert len(decoded) == len(set(decoded)) == 175


def test_frames_that_clips_share_are_in_memory_once(cut):
    moments = list(Film(cut, SPEC, times_at(5.0), pictures=False).moments())
    frames = [frame for moment in moments for view in moment.views for frame in view.frames]
    assert len({id(frame) for frame in frames}) < len(frames) / 2
    assert all(moment.image is None for moment in moments)


def test_memory_holds_no_more_than_what_is_not_whole(cut):
    seen, most = {}, 0
    for moment in Film(cut, SPEC, times_at(5.0)).moments():
        seen |= {id(frame): weakref.ref(frame) for view in moment.views for frame in view.frames}
        most = max(most, sum(frame() is not None for frame in seen.values()))
        del moment
    assert most <= 2 * SPEC.num_frames


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("pictures", [True, False])
def test_cuts_are_found_on_the_way(cut, rate, pictures):
    moments = list(Film(cut, SPEC, times_at(rate), pictures=pictures).moments())
    changes = [change for moment in moments for change in moment.changes]
    assert cuts_of(changes) == find_cuts(cut) == pytest.approx([60 / 25, 120 / 25])


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 1.0])
def test_it_goes_on_where_it_was_left(cut, rate, share):
    times = times_at(rate)
    whole = list(Film(cut, SPEC, times).moments())
    done = int(len(times) * share)
    seen = [change for moment in whole[:done] for change in moment.changes]
    rest = list(Film(cut, SPEC, times).moments(done, resume_times(as_array(seen))))
    assert seen + [change for moment in rest for change in moment.changes] == [c for m in whole for c in m.changes]
    for one, other in zip(whole[done:], rest, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        for clip, expected in zip(other.clips(), one.clips(), strict=True):
            same(clip, expected)


def test_times_are_on_the_clock_of_the_source(cut):
    moved = Film(VideoSource(cut, 900.0), SPEC, [900 + t for t in times_at(1.0)])
    for one, other in zip(Film(cut, SPEC, times_at(1.0)).moments(), moved.moments(), strict=True):
        same(one.clips()[0], other.clips()[0])
        assert [change.time + 900 for change in one.changes] == pytest.approx([c.time for c in other.changes])


def test_a_file_that_is_no_video_is_named(tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"no video")
    with pytest.raises(UserError, match=r"film\.mp4"):
        list(Film(tmp_path / "film.mp4", SPEC, [0.0]).moments())
