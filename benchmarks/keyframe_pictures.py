"""A detector's training pictures: a seek into the video for each, or decoded through once and read back as JPEG.

    python benchmarks/keyframe_pictures.py VIDEO...

Milliseconds a picture on one processor, a keyframe a second. On a shared machine of two processors:

    480x360 H.264, 57 s    once 21 (43 kB)    read back 3.4    seek 82
    768x432 H.264, 70 s    once 17 (42 kB)    read back 3.0    seek 104
    320x240 Theora, 60 s   once 9 (21 kB)     read back 0.4    seek 58
"""

from __future__ import annotations

import argparse
import io
import time
from pathlib import Path

import numpy as np
from PIL import Image

from avsf_det.media.video import VideoReader, probe
from detectors.pictures import JPEG_QUALITY, pictures

SEEKS = 24


def measure(video: Path) -> str:
    """One line of the table."""
    seconds = np.arange(1.0, probe(video).duration - 1)
    started, files = time.perf_counter(), []
    for some in pictures(video.stem, video, seconds.tolist()):
        for frame in some:
            files.append(io.BytesIO())
            Image.fromarray(frame.image).save(files[-1], "jpeg", quality=JPEG_QUALITY)
    once = (time.perf_counter() - started) / len(files)

    started = time.perf_counter()
    for file in files:
        np.asarray(Image.open(file).convert("RGB"))
    back = (time.perf_counter() - started) / len(files)

    chosen = np.random.default_rng(0).permutation(seconds)[:SEEKS]
    started = time.perf_counter()
    for second in chosen:
        with VideoReader(video) as reader:
            reader.frames_at([second])
    seek = (time.perf_counter() - started) / len(chosen)
    size = np.mean([len(file.getvalue()) for file in files]) / 1e3
    return f"{video.name}: once {1e3 * once:.0f} ({size:.0f} kB)  read back {1e3 * back:.1f}  seek {1e3 * seek:.0f}"


def main() -> None:
    """Measure each video."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="+", type=Path)
    for video in parser.parse_args().videos:
        print(measure(video), flush=True)


if __name__ == "__main__":
    main()
