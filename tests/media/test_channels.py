import logging
import subprocess
import sys

import av
import numpy as np
import pytest

from avsf_det.media import AudioReader, VideoWriter, audio, soundtrack
from avsf_det.media.audio import decode_span
from avsf_det.media.channels import aac_layout, omnidirectional
from avsf_det.media.stream import Sound, Stream

RATE = 48000


def tone_of(channel):
    """Hertz of the tone in a channel."""
    return 100 + 100 * channel


def write_tones(path, layout, codec="pcm_s16le", picture=False, signs=None, seconds=2, **options):
    """Write a file in whose every channel is a tone of its own."""
    count = av.AudioLayout(layout).nb_channels
    time = np.arange(seconds * RATE) / RATE
    signs = np.ones(count) if signs is None else np.array(signs)
    pitches = [tone_of(channel) if signs.min() > 0 else tone_of(0) for channel in range(count)]
    samples = np.stack([0.4 * np.sin(2 * np.pi * pitch * time) for pitch in pitches], axis=1) * signs
    with av.open(str(path), "w") as file:
        if picture:
            video = file.add_stream("libx264", rate=25)
            video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        stream = file.add_stream(codec, rate=RATE, options=options)
        stream.codec_context.layout = layout
        for second in range(seconds):
            if picture:
                for number in range(25 * second, 25 * second + 25):
                    frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
                    frame.pts = number
                    file.mux(video.encode(frame))
            piece = np.ascontiguousarray(samples[second * RATE :][:RATE], dtype=np.float32).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(piece, format="flt", layout=layout)
            frame.sample_rate, frame.pts = RATE, second * RATE
            file.mux(stream.encode(frame))
        if picture:
            file.mux(video.encode(None))
        file.mux(stream.encode(None))
    return path


def loudness(samples, count):
    """(count,) amplitude of each channel's tone in the middle second of (S,) samples."""
    assert len(samples) >= 1.5 * RATE
    return 2 * np.abs(np.fft.rfft(samples[RATE // 4 :][:RATE]))[tone_of(np.arange(count))] / RATE


FILES = [(f"{count} channels", "v.mkv", "pcm_s16le") for count in (*range(1, 9), 16, 64)]
FILES += [(f"{count} channels", "v.wav", "pcm_s16le") for count in (3, 7, 24)]
FILES += [(name, "v.wv", "wavpack") for name in ("2.1", "5.0(side)", "6.1", "7.1", "5.1.2", "7.1.4", "22.2")]
FILES += [("7.1", "v.mkv", "libopus"), ("6.1", "v.flac", "flac"), ("quad", "v.mov", "pcm_s24le")]


@pytest.mark.parametrize("layout, name, codec", FILES)
def test_audio_reader_mono_mix_has_every_channel_alike(tmp_path, layout, name, codec):
    path, count = write_tones(tmp_path / name, layout, codec), av.AudioLayout(layout).nb_channels
    with AudioReader(path, RATE) as reader:
        mono = reader.read(0, 2)
    assert loudness(mono, count) == pytest.approx(np.full(count, 0.4 / count), rel=0.03)


@pytest.mark.parametrize("channels", [8, 12])
def test_audio_reader_channel_order_of_its_own_is_read(tmp_path, channels):
    write_tones(tmp_path / "v.caf", f"{channels} channels", "pcm_f32le")
    program = (
        "import sys; from avsf_det.media import AudioReader\n"
        "for _ in range(3): print(abs(AudioReader(sys.argv[1], 48000).read(0, 2)).max() > 0.05)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "v.caf")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, ["True"] * 3), done.stderr


@pytest.mark.parametrize("suffix", ["mkv", "webm"])
def test_audio_reader_ambisonic_mix_is_the_omnidirectional_component(tmp_path, suffix):
    path = write_tones(tmp_path / f"v.{suffix}", "ambisonic 1", "libopus", mapping_family="2")
    with AudioReader(path, RATE) as reader:
        assert loudness(reader.read(0, 2), 4) == pytest.approx([0.4, 0, 0, 0], abs=0.02)


def test_omnidirectional_keeps_channels_beside_the_sound_field():
    samples = np.array([[1.0, 9.0, 9.0, 9.0, 2.0, 6.0]], dtype=np.float32)
    assert omnidirectional(samples, "ambisonic 1+stereo").tolist() == [[3.0] * 6]


@pytest.mark.parametrize("signs, said", [((1, -1), True), ((1, -0.98), True), ((1, 1), False), ((1, -0.5), False)])
def test_audio_reader_channels_that_cancel_are_reported(tmp_path, caplog, signs, said):
    audio._warn_of_cancellation.cache_clear()
    path = write_tones(tmp_path / "v.mkv", "stereo", signs=signs, seconds=10)
    for _ in range(2):
        with AudioReader(path, RATE) as reader:
            reader.read(0, 10)
    assert ["cancel each other" in record.message for record in caplog.records] == [True] * said


@pytest.mark.parametrize(
    "layout, codec, target, said",
    [
        ("mono", "pcm_s16le", "mono", ""),
        ("3.0", "flac", "3.0", ""),
        ("5.0(side)", "flac", "5.0", ""),
        ("5.1", "flac", "5.1", ""),
        ("7.1", "flac", "7.1", ""),
        ("7.1", "libopus", "7.1", ""),
        ("2.1", "wavpack", "stereo", "3 audio channels (2.1) are mixed to stereo in the annotated video"),
        ("quad", "wavpack", "stereo", "4 audio channels (quad) are mixed to stereo in the annotated video"),
        ("6.1", "wavpack", "stereo", "7 audio channels (6.1) are mixed to stereo in the annotated video"),
        ("7.1(wide)", "wavpack", "stereo", "8 audio channels (7.1(wide)) are mixed to stereo in the annotated video"),
        ("5.1.2", "wavpack", "stereo", "8 audio channels (5.1.2) are mixed to stereo in the annotated video"),
        ("22.2", "wavpack", "stereo", "24 audio channels (22.2) are mixed to stereo in the annotated video"),
        ("3 channels", "pcm_s16le", "3.0", "the layout of 3 audio channels is unknown; written as 3.0"),
        ("7 channels", "pcm_s16le", "mono", "7 audio channels are mixed to mono in the annotated video"),
        ("16 channels", "pcm_s16le", "mono", "16 audio channels are mixed to mono in the annotated video"),
        ("2 channels", "pcm_s16le", "stereo", ""),
    ],
)
def test_video_writer_sound_from_keeps_or_reports_channels(tmp_path, caplog, layout, codec, target, said):
    soundtrack._log_layout.cache_clear()
    caplog.set_level(logging.INFO)
    path, count = write_tones(tmp_path / "v.mkv", layout, codec), av.AudioLayout(layout).nb_channels
    for _ in range(2):
        with VideoWriter(tmp_path / "out.mp4", 32, 32, 25, sound_from=path) as writer:
            for number in range(50):
                writer.write(np.zeros((32, 32, 3), np.uint8), number / 25)
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert file.streams.audio[0].layout.name == target
    assert [record.message for record in caplog.records] == ([f"{path}: {said}"] if said else [])
    samples, _ = decode_span(tmp_path / "out.mp4", 0, 2)
    tones = np.array([loudness(channel, count) for channel in samples.T])
    if len(tones) == count:
        speakers = [n for n, channel in enumerate(av.AudioLayout(target).channels) if channel.name != "LFE"]
        assert np.diag(tones)[speakers] == pytest.approx(np.full(len(speakers), 0.4), rel=0.25)
    else:
        assert (tones.max(axis=0) > 0.25 * 0.4 / count).all()


@pytest.mark.parametrize(
    "layout", ["2.1", "3.0(back)", "quad", "hexagonal", "cube", "7.1.4", "9.1.6", "22.2", "downmix"]
)
def test_aac_layout_mixes_every_channel_without_clipping(layout):
    count = av.AudioLayout(layout).nb_channels
    target, weights = aac_layout(layout, count)
    assert target == "stereo"
    if weights is not None:
        assert weights.shape == (count, 2) and (weights >= 0).all() and (weights.max(axis=1) > 0).all()
        assert weights.sum(axis=0) == pytest.approx(1)


def test_stream_channels_are_averaged(tmp_path):
    path = write_tones(tmp_path / "v.mkv", "7.1", "libopus", picture=True)
    with Stream(str(path), RATE, silence=0.2) as stream:
        mono = np.concatenate([piece.samples for piece in stream.pieces() if isinstance(piece, Sound)])
    assert loudness(mono, 8) == pytest.approx(np.full(8, 0.05), rel=0.05)


def test_stream_layout_that_changes_goes_on(tmp_path):
    parts = [
        write_tones(tmp_path / f"{layout}.ts", layout, "aac", picture=True) for layout in ("mono", "5.1", "stereo")
    ]
    (tmp_path / "v.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    with Stream(str(tmp_path / "v.ts"), RATE, silence=0.2) as stream:
        pieces = [piece for piece in stream.pieces() if isinstance(piece, Sound)]
    assert 5.5 < sum(len(piece.samples) for piece in pieces) / RATE < 6.5
