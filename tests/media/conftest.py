"""Small media files whose every frame carries its number, and whose sound carries its time."""

from fractions import Fraction

import av
import numpy as np
import pytest

BITS = 8


def _numbered(number, width=64, height=48):
    """(H, W, 3) uint8: eight columns, white where a bit of `number` is set, black elsewhere."""
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    columns = np.repeat(bits, -(-width // BITS))[:width]
    return np.broadcast_to((columns * 255).astype(np.uint8)[None, :, None], (height, width, 3)).copy()


def _number(image):
    """The number that `_numbered` drew, from a picture of any size."""
    centres = ((np.arange(BITS) + 0.5) * image.shape[1] / BITS).astype(int)
    return sum(int(image[:, x].mean() > 127) << bit for bit, x in enumerate(centres))


def _chirp(seconds, rate):
    """(S,) float32: a tone that rises from 200 to 2000 Hz, so that every moment sounds different."""
    t = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * (200 * t + 900 / max(seconds, 1e-9) * t**2))).astype(np.float32)


def _encode(
    path,
    times=(),
    size=(64, 48),
    codec="libx264",
    gop=10,
    rotation=0,
    sound=None,
    sound_start=0.0,
    sound_codec="aac",
    aspect=None,
    **options,
):
    """Write a file with numbered frames at `times` and sound ((S, C), rate) from `sound_start` seconds on."""
    with av.open(str(path), "w") as file:
        tracks = []
        if len(times):
            picture = file.add_stream(codec, rate=25, options=options)
            picture.width, picture.height, picture.pix_fmt, picture.gop_size = *size, "yuv420p", gop
            if codec == "libx264":
                picture.codec_context.time_base = Fraction(1, 90_000)
            if aspect:
                picture.codec_context.sample_aspect_ratio = aspect
            if rotation:
                picture.set_display_rotation(rotation)
            base = picture.codec_context.time_base or Fraction(1, 25)
            frames = []
            for n, time in enumerate(times):
                frame = av.VideoFrame.from_ndarray(_numbered(n, *size), format="rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base = round(time / base), base
                frames.append(frame)
            tracks.append((picture, frames))
        if sound is not None:
            samples, rate = sound
            samples = samples.reshape(len(samples), -1)
            layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[samples.shape[1]]
            track = file.add_stream(sound_codec, rate=rate, layout=layout)
            frames = []
            for start in range(0, len(samples), rate // 10):
                piece = np.ascontiguousarray(samples[start : start + rate // 10], dtype=np.float32)
                frame = av.AudioFrame.from_ndarray(piece.reshape(1, -1), format="flt", layout=layout)
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = start + round(sound_start * rate)
                frames.append(frame)
            tracks.append((track, frames))
        packets = [p for stream, frames in tracks for frame in (*frames, None) for p in stream.encode(frame)]
        for packet in sorted(packets, key=lambda p: float(p.dts * p.time_base)):
            file.mux(packet)
    return path


@pytest.fixture(scope="session")
def encode():
    """The function that writes a media file."""
    return _encode


@pytest.fixture(scope="session")
def number():
    """The function that reads a frame's number from its picture."""
    return _number


@pytest.fixture(scope="session")
def chirp():
    """The function that makes a tone that rises from 200 to 2000 Hz."""
    return _chirp


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """Two seconds at 25 fps with B-frames, keyframes every ten frames, and a stereo chirp as AAC."""
    sound = np.stack([_chirp(2, 44100)] * 2, axis=1), 44100
    return _encode(tmp_path_factory.mktemp("media") / "clip.mp4", np.arange(50) / 25, sound=sound)
