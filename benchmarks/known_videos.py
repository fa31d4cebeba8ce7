"""Milliseconds until a process knows what a video holds: looked at for the first time, and known from an earlier one.

python benchmarks/known_videos.py
python benchmarks/known_videos.py --videos FOLDER

Scenes of 192x144 and 5 s with sound, each under a hundred names, or the videos of FOLDER. The first process finds an
empty cache folder, the second what the first has left; each asks for all videos, one after the other, then again. By
four further ones at once it is seen that they do not keep each other waiting.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from avsf_det.data.scenes.generator import ScenesSpec, generate
from avsf_det.media.video import probe
from avsf_det.structures import VIDEO_SUFFIXES

NAMES = 100  # of each scene
PROCESSES = 4


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, help="instead of scenes")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)  # the videos' folder
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AVSF_CACHE"] = str(Path(folder, "cache"))
        videos = options.videos or make_videos(Path(folder, "videos"))
        print("| process | ms a video | asked again |\n|---|---|---|")
        for name, count in (("first", 1), ("second", 1), (f"{PROCESSES} at once", PROCESSES)):
            first, again = map(max, zip(*in_processes(count, videos)))
            print(f"| {name} | {first:.2f} | {again:.3f} |", flush=True)


def make_videos(folder: Path) -> Path:
    """Four scenes, each a hundred times."""
    generate(folder / "scenes", ScenesSpec({"test": 4}))
    for video in sorted((folder / "scenes" / "videos").iterdir()):
        for number in range(NAMES):
            shutil.copy(video, folder / f"{video.stem}_{number}{video.suffix}")
    return folder


def in_processes(count: int, videos: Path) -> list[list[float]]:
    """What `measure` finds in so many processes at once."""
    command = [sys.executable, __file__, "--measure", str(videos)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    return [json.loads(process.communicate()[0]) for process in running]


def measure(folder: Path) -> list[float]:
    """Milliseconds a video for the first and the second time."""
    videos, found = [path for path in sorted(folder.iterdir()) if path.suffix in VIDEO_SUFFIXES], []
    for _ in range(2):
        began = time.perf_counter()
        for video in videos:
            probe(video)
        found.append(1000 * (time.perf_counter() - began) / len(videos))
    return found


if __name__ == "__main__":
    main()
