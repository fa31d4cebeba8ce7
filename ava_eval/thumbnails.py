"""Small images of errors, cut from the videos; needs PyAV, which is imported only here and only if asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

from ava_eval.errors import InputError
from ava_eval.explain import Example

WIDTH = 220
EXTENSIONS = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".mpg", ".ogv", ".flv", ".ts")
MAX_DECODED = 400  # frames from the keyframe before to the timestamp


class Thumbnails:
    """Frames of the videos in a folder, with the box of an error drawn in.

    Attributes:
        skipped: {video: why it has no images}.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        try:
            import av  # noqa: F401
        except ImportError:
            raise InputError("--videos needs PyAV: pip install av") from None
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            raise InputError(f"{folder}: cannot list the videos: {error.strerror}") from None
        self.paths = {Path(n).stem: Path(folder) / n for n in names if n.lower().endswith(EXTENSIONS)}
        self.skipped: dict[str, str] = {}

    def render(self, examples: Iterable[Example]) -> dict[Example, bytes]:
        """{example: a JPEG}, without those whose video is missing or cannot be decoded."""
        by_video: dict[str, list[Example]] = {}
        for example in examples:
            by_video.setdefault(example.video, []).append(example)
        images = {}
        for video, group in by_video.items():
            path = self.paths.get(video)
            if path is None:
                self.skipped[video] = "no such video in the folder"
                continue
            try:
                images |= _of_video(path, group)
            except Exception as error:  # a damaged video may fail in any way; the others still have images
                self.skipped[video] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
                continue
            if any(example not in images for example in group):
                self.skipped.setdefault(video, "ends before some of the timestamps")
        return images


def _of_video(path: Path, examples: list[Example]) -> dict[Example, bytes]:
    import av

    images = {}
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        start = min((s.start_time * s.time_base for s in container.streams if s.start_time is not None), default=0)
        for example in sorted(examples, key=lambda example: example.seconds):
            target = example.seconds + float(start)
            container.seek(int(max(target, 0) / stream.time_base), stream=stream)
            frame = None
            for count, frame in enumerate(container.decode(stream)):
                if frame.time is None or frame.time >= target - 0.02 or count > MAX_DECODED:
                    break
            if frame is not None and (frame.time is None or abs(frame.time - target) < 1):
                images[example] = _jpeg(frame, example.box)
    return images


def _jpeg(frame: object, box: tuple[float, ...]) -> bytes:
    """The frame, WIDTH pixels wide, with the box drawn in; boxes above 2 are taken for pixels of the video."""
    import av

    height = max(2, round(WIDTH * frame.height / frame.width / 2) * 2)
    pixels = frame.to_ndarray(format="rgb24", width=WIDTH, height=height)
    sizes = np.array([frame.width, frame.height] * 2) if max(map(abs, box)) > 2 else np.ones(4)
    corners = (np.array(box) / sizes).clip(-10, 10) * [WIDTH, height, WIDTH, height]
    x1, y1, x2, y2 = corners.round().astype(int)
    for color, grow in (((0, 0, 0), 1), ((255, 214, 10), 0)):
        left, top = np.clip([x1 - grow, y1 - grow], 0, [WIDTH - 1, height - 1])
        right, bottom = np.clip([x2 + grow, y2 + grow], 0, [WIDTH - 1, height - 1])
        pixels[[top, bottom], left : right + 1] = color
        pixels[top : bottom + 1, [left, right]] = color
    codec = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt = WIDTH, height, "yuvj420p"
    codec.time_base = Fraction(1, 25)
    codec.options = {"qscale": "5"}
    image = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuvj420p")
    image.pts = 0
    return b"".join(bytes(packet) for packet in [*codec.encode(image), *codec.encode(None)])
