"""Small videos and exports."""

import json
import wave
from fractions import Fraction

import av
import numpy as np
from PIL import Image

from avsf_det.data.importers.documents import Document


def film(path, frames, rate=10, width=64, height=48, times=None):
    """A film of so many frames without sound; `times`, in milliseconds, where they are not even."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), number % 200, np.uint8))
            if times:
                frame.pts, frame.time_base = times[number], stream.codec_context.time_base
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


def frames(folder, count, width=64, height=48):
    """A folder of so many pictures, from number 1."""
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        Image.new("RGB", (width, height)).save(folder / f"img_{number:05d}.jpg")


def document(content, name="export"):
    """A file that holds this: text, bytes, or what becomes JSON."""
    if not isinstance(content, str | bytes):
        content = json.dumps(content)
    return Document(name, name, content.encode() if isinstance(content, str) else content)


def sound(path, seconds, rate=8000):
    """A wav file of noise of such a length."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(-9000, 9000, seconds * rate, dtype=np.int16)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(noise.tobytes())
