from fractions import Fraction

import av
import numpy as np
import pytest

from avsf_det.errors import UserError
from avsf_det.media import AudioReader, probe

RATE = 16000


def lag(heard, expected):
    """By how many samples `heard` is later than `expected`."""
    size = 2 * len(expected)
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(expected, size))
    shift = int(np.fft.irfft(spectrum, size).argmax())
    return shift - size if shift > size // 2 else shift


def similarity(heard, expected):
    """Cosine of two waveforms once they are aligned; 1 is the same up to loudness."""
    heard = np.roll(heard, -lag(heard, expected))
    return float(heard @ expected / np.sqrt((heard @ heard) * (expected @ expected)))


@pytest.mark.parametrize(
    "name, codec, rate",
    [
        ("a.mp4", "aac", 44100),
        ("a.mp4", "aac", 22050),
        ("a.mkv", "libopus", 48000),
        ("a.mkv", "ac3", 32000),
        ("a.mkv", "libmp3lame", 44100),
        ("a.avi", "pcm_s16le", 44100),
        ("a.ts", "aac", 48000),
        ("a.mov", "pcm_s16le", 11025),
        ("a.mov", "pcm_s24le", 96000),
        ("a.mkv", "pcm_u8", 8000),
        ("a.mkv", "flac", 16000),
    ],
)
def test_any_codec_and_rate_lands_on_the_clock(tmp_path, encode, chirp, name, codec, rate):
    sound = chirp(3, rate), rate
    picture = {"codec": "mpeg4"} if name.endswith("avi") else {}
    path = encode(tmp_path / name, np.arange(75) / 25, sound=sound, sound_codec=codec, **picture)
    with AudioReader(path) as reader:
        assert reader.has_audio
        heard = reader.read(0.0, 3.0)
    assert heard.shape == (3 * RATE,)
    assert heard.dtype == np.float32
    late = probe(path).picture_start  # a transport stream's clock starts with the encoder's lead-in
    assert abs(lag(heard, chirp(3, RATE)) - late * RATE) <= 8  # half a millisecond, Matroska's rounding
    assert similarity(heard[: round((3 - late) * RATE)], chirp(3, RATE)[: round((3 - late) * RATE)]) > 0.98
    assert np.abs(heard[RATE:]).max() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("channels", [2, 6, 8])
def test_channels_are_averaged(tmp_path, encode, chirp, channels):
    samples = np.zeros((RATE * 2, channels), dtype=np.float32)
    samples[:, 1] = chirp(2, RATE)
    path = encode(tmp_path / "a.mov", np.arange(50) / 25, sound=(samples, RATE), sound_codec="pcm_s16le")
    with AudioReader(path) as reader:
        assert reader.read(0, 2) == pytest.approx(chirp(2, RATE) / channels, abs=1e-3)


def test_eight_separate_channels(tmp_path, encode, chirp):
    samples = np.stack([chirp(2, 48000)] * 8, axis=1)
    path = encode(tmp_path / "a.mkv", np.arange(50) / 25, sound=(samples, 48000), sound_codec="libopus")
    with AudioReader(path) as reader:
        heard = reader.read(0, 2)
    assert similarity(heard, chirp(2, RATE)) > 0.98
    assert np.abs(heard).max() == pytest.approx(0.5, abs=0.1)


def test_a_span_is_the_same_however_it_is_read(tmp_path, encode):
    noise = np.random.default_rng(0).normal(0, 0.1, (44100 * 20, 1)).astype(np.float32), 44100
    path = encode(tmp_path / "a.mp4", sound=noise)
    with AudioReader(path) as reader:
        whole = reader.read(0, 20)
    starts = [15.0, 7.5, 0.0, 12.3456, 7.9]
    with AudioReader(path) as reader:
        for start in starts:
            first = round(start * RATE)
            np.testing.assert_array_equal(reader.read(start, start + 2.064), whole[first:][: round(2.064 * RATE)])


def test_nothing_is_heard_at_the_seams_of_reading(tmp_path, encode):
    t = np.arange(44100 * 20) / 44100
    tone = (0.5 * np.sin(2 * np.pi * 100 * t)).astype(np.float32)
    for name in ("a.mp4", "a.mkv"):
        path = encode(tmp_path / name, sound=(tone, 44100))
        with AudioReader(path) as reader:
            steps = np.abs(np.diff(reader.read(0.5, 19.5)))
        assert steps.max() < 0.5 * 2 * np.pi * 100 / RATE * 1.2


def test_a_file_that_was_replaced_is_read_anew(tmp_path, encode, chirp):
    for loudness in (1.0, 0.5):
        path = encode(tmp_path / "a.wav", sound=(loudness * chirp(1, RATE), RATE), sound_codec="pcm_s16le")
        with AudioReader(path) as reader:
            assert reader.read(0, 1) == pytest.approx(loudness * chirp(1, RATE), abs=1e-3)


def test_zeros_where_there_is_no_sound(tmp_path, encode, chirp):
    path = encode(tmp_path / "a.mp4", np.arange(100) / 25, sound=(chirp(1, 48000), 48000), sound_start=1.5)
    with AudioReader(path) as reader:
        heard = reader.read(-1.0, 5.0)
    assert heard.shape == (6 * RATE,)
    assert not heard[: round(2.45 * RATE)].any()
    assert not heard[round(3.6 * RATE) :].any()
    assert similarity(heard[round(2.5 * RATE) :][:RATE], chirp(1, RATE)) > 0.98
    assert abs(lag(heard[round(2.5 * RATE) :][:RATE], chirp(1, RATE))) <= 16


def test_no_sound_track(tmp_path, encode):
    with AudioReader(encode(tmp_path / "v.mp4", np.arange(10) / 25)) as reader:
        assert not reader.has_audio
        assert reader.read(0, 0.5).tolist() == [0.0] * 8000


def test_gaps_are_silent_and_do_not_shift_what_follows(tmp_path, chirp):
    path = tmp_path / "gap.mkv"
    with av.open(str(path), "w") as file:
        track = file.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for second, start in ((chirp(1, RATE), 0), (chirp(1, RATE), 2 * RATE + 1600)):
            frame = av.AudioFrame.from_ndarray((second[None] * 32767).astype(np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            for packet in track.encode(frame):
                file.mux(packet)
    with AudioReader(path) as reader:
        heard = reader.read(0, 4)
    assert similarity(heard[:RATE], chirp(1, RATE)) > 0.999
    assert not heard[round(1.01 * RATE) : round(2.09 * RATE)].any()
    assert similarity(heard[round(2.1 * RATE) :][:RATE], chirp(1, RATE)) > 0.999


def test_no_media(tmp_path):
    path = tmp_path / "x.mp4"
    path.write_text("words")
    with pytest.raises(UserError, match="not a video"):
        AudioReader(path)
