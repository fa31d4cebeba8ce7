from collections import deque

import numpy as np
import pytest

from avsf_det.data.clip import ClipSpec, read_clips
from avsf_det.data.live_clips import LiveClips
from avsf_det.media.stream import Stream
from avsf_det.media.video import VideoReader

SPEC = ClipSpec(num_frames=4, sampling_rate=8, short_side=48, audio_frames=32, num_mels=16)


@pytest.mark.parametrize("spec", [SPEC, ClipSpec(num_frames=8, sampling_rate=4, short_side=24, audio_span="clip")])
def test_clips_of_a_stream_are_those_of_its_recording(live_file, serve, tmp_path, spec):
    with Stream(serve(live_file, seconds=0.5), recording=tmp_path / "copy.mkv") as stream:
        clips = list(LiveClips(stream, spec, rate=2.0))
    times = [clip.time for clip in clips]
    assert times == [n / 2 for n in range(8)]
    with VideoReader(tmp_path / "copy.mkv") as video:
        for clip, image in zip(clips, video.frames_at(times), strict=True):
            np.testing.assert_array_equal(clip.image, image)
    for live, whole in zip(clips, read_clips(tmp_path / "copy.mkv", times, spec), strict=True):
        np.testing.assert_array_equal(live.clip.frames, whole.frames)
        assert live.clip.log_mel.shape == whole.log_mel.shape
        assert np.abs(live.clip.log_mel - whole.log_mel).mean() < 0.1


def test_a_clip_comes_as_soon_as_it_is_there_and_what_is_past_is_forgotten(live_file):
    with Stream(str(live_file), silence=0.2) as stream:
        pieces = deque(stream.pieces())
        come = []
        stream.pieces = lambda: (come.append(piece) or piece for piece in pieces)
        clips = LiveClips(stream, SPEC, rate=4.0)
        for clip in clips:
            if clip.time < 2.5:  # until the end, where all that is left comes
                newest = max(piece.time for piece in come)
                assert newest <= clip.time + SPEC.duration / 2 + 0.5
            assert len(clips._frames) < 45  # of 30 a second: a clip's span of a second, and what was read ahead
    assert clip.time == 3.75


def test_without_a_sound_track_there_is_no_log_mel(live_file):
    with Stream(str(live_file), silence=0.2) as stream:
        stream.has_audio = False
        assert all(clip.clip.log_mel is None for clip in LiveClips(stream, SPEC, rate=1.0))


def test_sound_that_stays_away_is_not_waited_for(live_file):
    with Stream(str(live_file), silence=0.2) as stream:
        pieces = [piece for piece in stream.pieces() if hasattr(piece, "frame")]
        come = []
        stream.pieces = lambda: (come.append(piece) or piece for piece in pieces)
        first = next(iter(LiveClips(stream, SPEC, rate=1.0)))
    assert first.time == 0.0 and come[-1].time < 2.5 and first.clip.log_mel.std() < 1e-5


def live(path, rate=2.0):
    """The times of keyframes of a stream, and the most frames and seconds of audio that were in memory."""
    times, frames, seconds = [], 0, 0.0
    with Stream(str(path), silence=0.3) as stream:
        clips = LiveClips(stream, SPEC, rate)
        for clip in clips:
            times.append(clip.time)
            frames = max(frames, len(clips._frames) + len({id(image) for _, image in clips._pending}))
            seconds = max(seconds, sum(len(samples) for _, samples in clips._sound._pieces) / SPEC.sample_rate)
    return times, frames, seconds


@pytest.mark.parametrize("audio", [(), ((0, 3), (7200, 7203))])
def test_live_clock_that_jumps_ahead_goes_on_without_a_gap(tmp_path, flashing, audio):
    path = flashing(tmp_path / "v.ts", [*range(75), *range(180_000, 180_075)], (0.4, 7200.4), audio)
    times, frames, _ = live(path)
    assert times == [n / 2 for n in range(12)] and frames < 80


def test_live_clock_that_restarts_goes_on(tmp_path, flashing):
    part = flashing(tmp_path / "a.ts").read_bytes()
    (tmp_path / "joined.ts").write_bytes(part * 3)
    times, frames, _ = live(tmp_path / "joined.ts")
    assert times == [n / 2 for n in range(18)] and frames < 80


@pytest.mark.parametrize("later", [(), range(1500, 1575)])
def test_live_frozen_picture_has_keyframes_as_long_as_audio_comes(tmp_path, flashing, later):
    path = flashing(tmp_path / "v.ts", [*range(75), *later], (0.4,), ((0, 63),), bf="0")
    times, frames, seconds = live(path)
    assert times == [n / 2 for n in range(len(times))] and times[-1] == pytest.approx(62.5, abs=0.5)
    assert frames < 80 and seconds < 20


def test_live_audio_that_stops_holds_nothing_up(tmp_path, flashing):
    times, frames, _ = live(flashing(tmp_path / "v.ts", range(750), (), ((0, 3),)))
    assert times == [n / 2 for n in range(60)] and frames < 100
