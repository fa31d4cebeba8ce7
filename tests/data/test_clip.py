from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.config import load_cfg
from avsf_det.data.clip import ClipSpec, misaligned_center, read_clips, read_log_mel, within_video
from avsf_det.errors import UserError
from avsf_det.media.audio import AudioReader
from avsf_det.media.source import VideoSource
from avsf_det.media.track import Track
from avsf_det.media.video import probe
from avsf_det.media.writer import VideoWriter

RATE = 25
SECONDS = 3


def write(path, sound=None, flash=None, offset=0.0):
    """A video whose frame n has the grey level 3n, or all black but white at frame `flash`; it starts at `offset` s."""
    with VideoWriter(path, 48, 32, RATE, sound=sound) as writer:
        for n in range(RATE * SECONDS):
            level = 3 * n if flash is None else 255 * (n == flash)
            writer.write(np.full((32, 48, 3), level, np.uint8), n / RATE + offset)
    return path


def shown(clip):
    """The numbers of a clip's frames."""
    return np.round(clip.frames.mean(axis=(1, 2, 3)) / 3).astype(int).tolist()


@pytest.fixture(scope="module")
def counting(tmp_path_factory):
    return write(tmp_path_factory.mktemp("clip") / "counting.mp4")


@pytest.fixture
def decoded(monkeypatch):
    """The times of all picture frames that are decoded, in order."""
    times = []
    decode = Track.decode

    def watched(self, *start):
        for time, frame in decode(self, *start):
            if self.stream.type == "video":
                times.append(round(time * RATE))
            yield time, frame

    monkeypatch.setattr(Track, "decode", watched)
    return times


CENTERS = {
    "overlapping": [0.5, 0.75, 1.0, 1.25, 2.0],
    "apart": [0.4, 1.5, 2.6],
    "off the grid of each other": [0.512, 0.7, 1.033, 1.9001],
    "the same twice": [1.0, 1.0],
    "beyond both ends": [-1.0, 0.0, 0.1, 2.9, 3.0, 9.0],
}


@pytest.mark.parametrize("centers", CENTERS.values(), ids=CENTERS)
@pytest.mark.parametrize("rate", [(8, 3, 30), (5, 2, 25), (1, 1, 30), (16, 1, 7.3)], ids=str)
def test_clips_read_together_are_those_read_one_by_one_and_no_frame_is_decoded_twice(counting, decoded, centers, rate):
    spec = ClipSpec(*rate, short_side=32)
    probe(counting)  # which decodes the first frame
    decoded.clear()
    together = list(read_clips(counting, centers, spec))
    numbers = list(decoded)
    assert len(numbers) == len(set(numbers))
    for center, clip in zip(centers, together, strict=True):
        (alone,) = read_clips(counting, [center], spec)
        np.testing.assert_array_equal(clip.frames, alone.frames)
        expected = np.floor((spec.frame_times(center) + 0.0006) * RATE).clip(0, RATE * SECONDS - 1)
        assert shown(clip) == expected.astype(int).tolist()


def test_frames_lie_around_the_centre_as_in_pyslowfast():
    times = ClipSpec(num_frames=32, sampling_rate=2, target_fps=30).frame_times(10.0)
    np.testing.assert_allclose(times[[0, 16, 31]], [10 - 32 / 30, 10, 11])
    np.testing.assert_allclose(np.diff(times), 2 / 30)


@pytest.mark.parametrize("offset", [0.0, 0.4], ids=["picture first", "picture late"])
def test_a_flash_and_a_beep_of_the_same_second_meet_in_the_clip(tmp_path, offset):
    flash = 30
    second = flash / RATE + offset
    t = np.arange(4 * 44100) / 44100
    beep = 0.9 * np.sin(2 * np.pi * 1000 * t) * (np.abs(t - second) < 0.02)
    path = write(tmp_path / "flash.mp4", sound=(beep.astype(np.float32), 44100), flash=flash, offset=offset)
    spec = ClipSpec(num_frames=20, sampling_rate=1, target_fps=RATE, short_side=32)
    for center in (second - 0.2, second, second + 0.32):
        (clip,) = read_clips(path, [center], spec)
        seen = spec.frame_times(center)[clip.frames.mean(axis=(1, 2, 3)).argmax()]
        log_mel = spec.log_mel()
        times = log_mel.times(log_mel.span(center, spec.audio_frames)[0], spec.audio_frames)
        heard = times[clip.log_mel.max(axis=1).argmax()]
        assert seen == pytest.approx(second, abs=1e-6)
        assert heard == pytest.approx(second, abs=0.02)


def test_shapes_are_those_of_the_spec_whatever_the_place(tmp_path):
    path = write(tmp_path / "sound.mp4", sound=(np.zeros((48000, 2), np.float32), 48000))
    spec = ClipSpec(num_frames=6, short_side=16, audio_frames=24, num_mels=20)
    for clip in read_clips(path, [-2.0, 1.0, 5.0], spec):
        assert clip.frames.shape == (6, 16, 24, 3) and clip.frames.dtype == np.uint8
        assert clip.log_mel.shape == (24, 20) and clip.log_mel.dtype == np.float32


def test_no_track_is_none_but_a_silent_one_is_not(counting, tmp_path):
    spec = ClipSpec(num_frames=4, short_side=32)
    (clip,) = read_clips(counting, [1.0], spec)
    assert clip.log_mel is None
    silent = write(tmp_path / "silent.mp4", sound=(np.zeros((3 * 16000, 1), np.float32), 16000))
    (clip,) = read_clips(silent, [1.5], spec)
    assert np.isfinite(clip.log_mel).all() and np.ptp(clip.log_mel) < 0.1


def test_the_configuration_says_what_a_clip_is():
    cfg = load_cfg(None, ["DATA.NUM_FRAMES", "16", "DATA.AUDIO_STEP_SZ", "8", "DATA.AUDIO_MEL_NUM", "40"])
    spec = ClipSpec.from_config(cfg, short_side=99)
    assert (spec.num_frames, spec.step_ms, spec.num_mels, spec.short_side) == (16, 8, 40, 99)
    log_mel = spec.log_mel()
    assert log_mel(torch.zeros(log_mel.num_samples(50))).shape == (50, 40)


@given(st.floats(0, 30), st.floats(0.1, 30), st.floats(0.01, 5), st.floats(0, 1))
def test_the_sound_of_a_negative_lies_within_the_file_and_apart_from_the_clip_s(center, duration, gap, draw):
    spec = ClipSpec(audio_frames=128)
    start, end = spec.log_mel().span(0.0, 128)
    other = misaligned_center(center, duration, spec, gap, draw)
    if other is None:
        first, last = -start, duration - end
        assert first >= min(last, center - gap) and last <= max(first, center + gap)
    else:
        assert other + start >= -1e-6 and other + end <= duration + 1e-6
        assert abs(other - center) >= gap - 1e-6


def test_every_moment_that_is_possible_is_drawn():
    spec = ClipSpec(audio_frames=62)  # 1.008 s of sound
    drawn = [misaligned_center(5.0, 10.0, spec, 0.5, draw) for draw in np.linspace(0, 1, 1001)]
    assert min(drawn) == pytest.approx(0.504) and max(drawn) == pytest.approx(9.496)
    counts, _ = np.histogram(drawn, bins=np.linspace(0.504, 9.496, 9))
    assert counts.min() > 70  # the two in the middle lack the gap


def test_the_sound_of_a_moment_is_that_of_the_clip_there(scenes):
    video, spec = scenes / "videos" / "train_0000.mp4", ClipSpec(short_side=48, audio_frames=16)
    clip = next(read_clips(video, [1.5], spec))
    np.testing.assert_array_equal(read_log_mel(video, 1.5, spec).numpy(), clip.log_mel)


def test_the_sound_of_the_whole_clip_may_be_taken_instead(scenes):
    video, window = scenes / "videos" / "train_0000.mp4", ClipSpec(short_side=48)
    squeezed = replace(window, audio_span="clip")  # 64 frames at 30 a second
    assert squeezed.sound_span(2.0) == pytest.approx((2 - 32 / 30, 2 + 32 / 30))
    assert window.sound_span(2.0) == pytest.approx((2 - 1.032, 2 + 1.032))
    with AudioReader(video) as audio:
        frames = window.log_mel()(torch.from_numpy(audio.read(*squeezed.sound_span(2.0))))
    assert len(frames) == 132
    got = read_log_mel(video, 2.0, squeezed)
    assert got.shape == (128, 80)
    torch.testing.assert_close(got[[0, 1, 64, 127]], frames[[0, 1, 66, 131]])
    with pytest.raises(UserError, match=r"DATA\.AUDIO_SPAN: got 'all', expected window or clip"):
        read_log_mel(video, 2.0, replace(window, audio_span="all"))


def test_a_cut_file_gives_the_clips_of_the_whole_one(scenes):
    video, spec = scenes / "videos" / "train_0000.mp4", ClipSpec(num_frames=4, sampling_rate=8, short_side=48)
    times = [0.0, 1.5, 2.2, 4.0]
    cut = read_clips(VideoSource(video, 900.0), [900 + time for time in times], spec)
    for one, other in zip(read_clips(video, times, spec), cut, strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)
        np.testing.assert_allclose(one.log_mel, other.log_mel, atol=1e-4)


def test_frames_in_a_folder_give_the_clips_of_the_video_they_are_of(tmp_path, counting):
    from PIL import Image

    for n in range(RATE * SECONDS):
        Image.fromarray(np.full((32, 48, 3), 3 * n, np.uint8)).save(tmp_path / f"{n + 1:06d}.png")
    spec = ClipSpec(num_frames=6, sampling_rate=3, target_fps=25, short_side=32)
    folder = VideoSource(tmp_path, 900.0, fps=RATE)
    for centre in (-0.4, 1.0, 1.52, 3.1):
        (one,), (other,) = read_clips(counting, [centre], spec), read_clips(folder, [centre + 900], spec)
        assert shown(one) == shown(other) and other.log_mel is None


def test_keyframes_without_a_frame_of_the_video_are_told_apart(counting):
    spec = ClipSpec(num_frames=4, sampling_rate=15)  # from a second before to half a second after
    assert within_video(counting, [0.0, 3.5], spec) == ([0.0, 3.5], None)
    within, complaint = within_video(VideoSource(counting, 900.0), [1.0, 899.0, 899.5, 903.9, 904.0], spec)
    assert within == [899.5, 903.9]
    assert "counting.mp4: lasts from second 900 to 903.0, and 3 keyframes are beyond, such as 1;" in complaint


@given(st.floats(0, 30), st.floats(0, 1), st.sampled_from([0.0, 900.0]))
def test_a_negative_of_a_cut_file_is_that_of_the_whole_one_later(center, draw, begin):
    spec = ClipSpec(audio_frames=128)
    whole = misaligned_center(center, 30.0, spec, 0.5, draw)
    assert misaligned_center(center + begin, 30.0 + begin, spec, 0.5, draw, begin) == pytest.approx(whole + begin)
