import os
import subprocess
import sys

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avsf_det.errors import UserError
from avsf_det.media import AudioReader, VideoReader, VideoWriter, probe

RATE = 16000


def copy(source, target, **options):
    """Write `source` again with its sound."""
    with VideoReader(source) as reader:
        info = reader.info
        with VideoWriter(target, info.width, info.height, info.fps, sound_from=source, **options) as writer:
            for time, image in reader.frames():
                writer.write(image, time)
    return target


def sounds_alike(source, target):
    """Whether both files sound the same within 1 ms."""
    with AudioReader(source) as a, AudioReader(target) as b:
        expected, heard = (reader.read(0, probe(source).audio_end - 0.05) for reader in (a, b))
    size = 2 * len(expected)
    match = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(expected, size)), size)
    lag = (int(match.argmax()) + size // 2) % size - size // 2
    return abs(lag) <= RATE // 1000 and match.max() > 0.98 * (expected @ expected)


SOURCES = {
    "aac": ("v.mp4", {"sound_codec": "aac"}, "aac"),
    "mp3": ("v.mkv", {"sound_codec": "libmp3lame"}, "mp3float"),
    "aac without a header of its own": ("v.ts", {"sound_codec": "aac"}, "aac"),
    "opus": ("v.webm", {"codec": "libvpx-vp9", "sound_codec": "libopus"}, "aac"),
    "pcm": ("v.avi", {"codec": "mpeg4", "sound_codec": "pcm_s16le"}, "aac"),
    "ac3": ("v.mkv", {"sound_codec": "ac3"}, "aac"),
    "late sound, copied": ("v.mp4", {"sound_codec": "aac", "sound_start": 0.7}, "aac"),
    "late sound, encoded": ("v.mkv", {"sound_codec": "flac", "sound_start": 0.7}, "aac"),
}


@pytest.mark.parametrize("start", [0.0, 0.4])
@pytest.mark.parametrize("kind", SOURCES)
def test_frames_and_sound_keep_their_times(tmp_path, encode, chirp, number, kind, start):
    name, options, codec = SOURCES[kind]
    stereo = np.stack([chirp(2.5, 48000)] * 2, axis=1)
    source = encode(tmp_path / name, start + np.arange(50) / 25, sound=(stereo, 48000), **options)
    target = copy(source, tmp_path / "out.mp4")
    before, after = probe(source), probe(target)
    assert after.codec == "h264"
    assert after.duration == pytest.approx(before.duration, abs=0.04)
    assert after.channels == 2
    with av.open(str(target)) as file:
        assert file.streams.audio[0].codec_context.name == codec
        assert file.streams.video[0].format.name == "yuv420p"
    with VideoReader(source) as a, VideoReader(target) as b:
        times = [time for time, _ in a.frames()]
        copied = list(b.frames())
        assert [time for time, _ in copied] == pytest.approx(times, abs=2e-5)
        assert [number(image) for _, image in copied] == list(range(50))
    assert sounds_alike(source, target)


@pytest.mark.parametrize("channels", [6, 8])
def test_video_writer_surround_audio_keeps_its_channels(tmp_path, encode, chirp, channels):
    samples = np.zeros((RATE * 2, channels), dtype=np.float32)
    samples[:, 1] = chirp(2, RATE)
    source = encode(tmp_path / "v.mov", np.arange(50) / 25, sound=(samples, RATE), sound_codec="pcm_s16le")
    target = copy(source, tmp_path / "out.mp4")
    assert probe(target).channels == channels
    assert sounds_alike(source, target)


def test_source_without_sound(tmp_path, encode):
    target = copy(encode(tmp_path / "v.mkv", np.arange(50) / 25), tmp_path / "out.mp4")
    assert not probe(target).has_audio


@settings(max_examples=10, deadline=None)
@given(ticks=st.lists(st.integers(1, 200), min_size=2, max_size=20, unique=True))
def test_variable_frame_times_are_kept(tmp_path_factory, ticks):
    times = np.array([0, *sorted(ticks)]) / 60
    path = tmp_path_factory.mktemp("vfr") / "v.mp4"
    with VideoWriter(path, 32, 32, 30) as writer:
        for time in times:
            writer.write(np.zeros((32, 32, 3), np.uint8), time)
    with VideoReader(path) as reader:
        assert [time for time, _ in reader.frames()] == pytest.approx(times, abs=2e-5)
        assert reader.info.duration == pytest.approx(times[-1] + 1 / 30, abs=1e-3)


@pytest.mark.parametrize("color", [(255, 255, 255), (0, 0, 0), (200, 30, 30), (30, 200, 30), (30, 30, 200)])
def test_colors_and_odd_sizes(tmp_path, color):
    path = tmp_path / "v.mp4"
    image = np.broadcast_to(np.array(color, np.uint8), (47, 63, 3))
    with VideoWriter(path, 63, 47, 25) as writer:
        writer.write(image, 0.0)
    with VideoReader(path) as reader:
        assert (reader.info.width, reader.info.height) == (64, 48)
        assert np.abs(reader.frames_at([0.0])[0].astype(int) - color).max() <= 4


@pytest.mark.parametrize("channels", [1, 2])
def test_a_waveform_as_sound(tmp_path, chirp, channels):
    path = tmp_path / "v.mp4"
    waveform = chirp(3, RATE) if channels == 1 else np.stack([chirp(3, RATE)] * 2, axis=1)
    with VideoWriter(path, 32, 32, 25, sound=(waveform, RATE)) as writer:
        for n in range(75):
            writer.write(np.zeros((32, 32, 3), np.uint8), n / 25)
    info = probe(path)
    assert (info.channels, info.sample_rate) == (channels, RATE)
    with AudioReader(path) as reader:
        heard, expected = reader.read(0, 3), chirp(3, RATE)
    assert heard @ expected > 0.98 * (expected @ expected)


def test_duration_cuts_the_sound_and_holds_the_last_frame(tmp_path, clip):
    target = tmp_path / "out.mp4"
    with VideoWriter(target, 64, 48, 25, sound_from=clip, duration=1.2) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8), 0.0)
        writer.write(np.zeros((48, 64, 3), np.uint8), 0.5)
    info = probe(target)
    assert info.duration == pytest.approx(1.2, abs=0.001)
    assert info.audio_end == pytest.approx(1.2, abs=0.03)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process to a processor")
def test_a_file_is_the_same_on_any_number_of_processors(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    every = os.sched_getaffinity(0)
    for name, processors in (("one", {min(every)}), ("every", every)):
        os.sched_setaffinity(0, processors)
        try:
            with VideoWriter(tmp_path / name, 256, 256, 25) as writer:
                for n in range(20):
                    writer.write(noise[n : n + 256, 2 * n : 2 * n + 256], n / 25)
        finally:
            os.sched_setaffinity(0, every)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "every").read_bytes()


def test_index_comes_first(clip, tmp_path):
    content = copy(clip, tmp_path / "out.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_after_an_error(tmp_path, error):
    target = tmp_path / "v.mp4"
    target.write_bytes(b"the one before")
    with pytest.raises(error), VideoWriter(target, 32, 32, 25) as writer:
        for n in range(80):
            writer.write(np.zeros((32, 32, 3), np.uint8), n / 25)
        raise error
    assert os.listdir(tmp_path) == ["v.mp4"]
    assert target.read_bytes() == b"the one before"


def test_no_frame(tmp_path):
    with pytest.raises(UserError, match="no frame"), VideoWriter(tmp_path / "v.mp4", 32, 32, 25):
        pass
    assert os.listdir(tmp_path) == []


def test_frames_of_another_size_or_out_of_order(tmp_path):
    image = np.zeros((32, 32, 3), np.uint8)
    with VideoWriter(tmp_path / "v.mp4", 32, 32, 25) as writer:
        writer.write(image, 0.0)
        with pytest.raises(ValueError, match=r"\(32, 32, 3\)"):
            writer.write(image[:16], 0.1)
        with pytest.raises(ValueError, match="comes after"):
            writer.write(image, 0.0)


def test_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(UserError, match="cannot be written"):
        VideoWriter(tmp_path / "none" / "v.mp4", 32, 32, 25)


def test_sound_that_cannot_be_read(tmp_path):
    (tmp_path / "words.mp4").write_text("words")
    with pytest.raises(UserError, match=r"words\.mp4: not a video"):
        VideoWriter(tmp_path / "v.mp4", 32, 32, 25, sound_from=tmp_path / "words.mp4")
    assert os.listdir(tmp_path) == ["words.mp4"]


FULL_DISK = """
import resource, sys
import numpy as np
from avsf_det.errors import UserError
from avsf_det.media import VideoWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
noise = np.random.default_rng(0)
try:
    with VideoWriter(sys.argv[1], 128, 128, 25) as writer:
        for n in range(int(sys.argv[2])):
            writer.write(noise.integers(0, 255, (128, 128, 3), dtype=np.uint8), n / 25)
except UserError as error:
    print(error)
"""


@pytest.mark.parametrize("frames", [5, 60])
def test_no_space_left(tmp_path, frames):
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "v.mp4"), str(frames)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cannot be written" in done.stdout
    assert "too large" in done.stdout
    assert os.listdir(tmp_path) == []
