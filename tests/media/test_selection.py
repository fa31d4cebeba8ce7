import logging
from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition

from avsf_det.media import AudioReader, VideoReader, probe
from avsf_det.media.stream import Stream

DEFAULT = Disposition.default


def write(path, videos=(), audios=()):
    """A file of gray (width, disposition, codec, frames) and (tone in Hz, disposition, layout)."""
    with av.open(str(path), "w") as file:
        packets, tracks = [], []
        for width, disposition, codec, _ in videos:
            track = file.add_stream(codec, rate=25)
            track.width, track.height, track.pix_fmt = width, 48, "yuvj420p" if codec == "mjpeg" else "yuv420p"
            track.disposition = disposition
            tracks.append(track)
        for number, (_, disposition, layout) in enumerate(audios):
            track = file.add_stream("pcm_s16le", rate=16000, layout=layout)
            track.disposition = disposition
            track.metadata.update({"language": "eng", "title": f"take {number}"})
            tracks.append(track)
        for number, ((width, _, _, frames), track) in enumerate(zip(videos, tracks)):
            for n in range(frames):
                image = np.full((48, width, 3), 60 + 60 * number, np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=track.pix_fmt)
                frame.pts, frame.time_base = n, Fraction(1, 25)
                packets += track.encode(frame)
            packets += track.encode(None)
        for (tone, _, layout), track in zip(audios, tracks[len(videos) :]):
            samples = 10_000 * np.sin(2 * np.pi * tone * np.arange(32000) / 16000)
            samples = samples.astype(np.int16).repeat(2 if layout == "stereo" else 1)
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = 16000, 0, Fraction(1, 16000)
            packets += [*track.encode(frame), *track.encode(None)]
        for packet in sorted(packets, key=lambda packet: float(packet.dts * packet.time_base)):
            file.mux(packet)
    return path


VIDEOS = {
    "the default one": ([(64, 0, "libx264", 50), (32, DEFAULT, "libx264", 50)], 32),
    "the largest default one": ([(32, DEFAULT, "libx264", 50), (64, DEFAULT, "libx264", 50)], 64),
    "the first of equal ones": ([(64, 0, "libx264", 50), (64, 0, "libx264", 50)], 64),
    "no cover image": ([(640, 0, "mjpeg", 1), (64, 0, "libx264", 50)], 64),
    "no default cover image": ([(640, DEFAULT, "mjpeg", 1), (64, 0, "libx264", 50)], 64),
    "a moving mjpeg": ([(320, DEFAULT, "mjpeg", 50), (64, 0, "libx264", 50)], 320),
}


@pytest.mark.parametrize("suffix", ["mkv", "mov"])
@pytest.mark.parametrize("tracks, width", VIDEOS.values(), ids=VIDEOS)
def test_video_track_is_the_one_that_ffmpeg_takes(tmp_path, suffix, tracks, width):
    path = write(tmp_path / f"v.{suffix}", tracks)
    info = probe(path)
    assert (info.width, info.duration) == (width, pytest.approx(2, abs=0.01))
    number = [track[0] for track in tracks].index(width)
    with VideoReader(path) as reader:
        assert reader.frames_at([1.0]).mean() == pytest.approx(60 + 60 * number, abs=4)
    with Stream(str(write(tmp_path / "live.mkv", tracks)), silence=0.2) as stream:
        assert stream._video.width == width


def test_video_track_without_a_default_is_the_largest(tmp_path):  # mov always has a default
    assert probe(write(tmp_path / "v.mkv", [(32, 0, "libx264", 50), (64, 0, "libx264", 50)])).width == 64


AUDIOS = {
    "the default one": ([(300, 0, "stereo"), (600, DEFAULT, "mono")], 600),
    "the one with most channels": ([(300, 0, "mono"), (600, 0, "stereo")], 600),
    "no commentary": ([(300, Disposition.comment, "stereo"), (600, 0, "mono")], 600),
}


@pytest.mark.parametrize("tracks, tone", AUDIOS.values(), ids=AUDIOS)
def test_audio_track_is_the_one_that_ffmpeg_takes(tmp_path, tracks, tone):
    path = write(tmp_path / "v.mkv", [(64, 0, "libx264", 50)], tracks)
    with AudioReader(path) as reader:
        spectrum = np.abs(np.fft.rfft(reader.read(0, 1)))
    assert spectrum.argmax() == tone


def test_choice_among_tracks_is_logged_once(tmp_path, caplog):
    tracks = [(300, 0, "mono"), (600, DEFAULT, "mono")]
    path = write(tmp_path / "v.mkv", [(64, 0, "libx264", 50)], tracks)
    with caplog.at_level(logging.WARNING):
        probe(path)
        AudioReader(path)
    assert caplog.messages == [f"{path}: using audio track 2 of 2 (pcm_s16le, 1 channels, eng, take 1, default)"]
