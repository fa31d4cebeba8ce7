"""Processor time and memory of loading a made-up manifest of AVA's size: 1.6 M label rows, and predicted persons.

python benchmarks/manifest.py --folder /tmp/ava_size
taskset -c 0 python benchmarks/manifest.py --folder /tmp/ava_size --repeat 5

The folder keeps its csv files (146 MB), so that a second run only measures. By default there are 235 videos of 900
keyframes with 3 persons and 7.5 labels each, of 80 classes, and 1.27 M predicted persons, half of which fit one of the
ground truth.
"""

from __future__ import annotations

import argparse
import resource
import time
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np

from avsf_det.data.annotations import AvaFolder

FIRST_SECOND = 900


def main() -> None:
    """Make what is missing, then measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--videos", type=int, default=235)
    parser.add_argument("--keyframes", type=int, default=900, help="of each video")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    if not (options.folder / "annotations" / "predicted.csv").is_file():
        make(options.folder, options.videos, options.keyframes)
    for what, boxes in (("ground truth", []), ("and predicted persons", ["predicted.csv"])):
        before, seconds = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
        for _ in range(options.repeat):
            start = time.process_time()
            folder = AvaFolder(options.folder, label_map_file="ava_v2.2_80", train_box_files=boxes)
            keyframes = folder.keyframes("train")
            seconds.append(time.process_time() - start)
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        persons, labels, sent = len(keyframes.boxes), keyframes.class_counts.sum(), len(ForkingPickler.dumps(keyframes))
        print(
            f"{what}: {len(keyframes)} keyframes, {persons} persons, {labels} labels: best of {options.repeat} "
            f"{min(seconds):.2f} s of processor time, {keyframes.nbytes / 1e6:.1f} MB held, {peak:.0f} MB more at the "
            f"peak, {sent / 1e3:.1f} kB to a worker process"
        )


def make(folder: Path, videos: int, keyframes: int) -> None:
    """Write the folder."""
    rng = np.random.default_rng(0)
    for name in ("videos", "annotations"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    with (
        open(folder / "annotations" / "train.csv", "w", encoding="utf-8") as truth,
        open(folder / "annotations" / "predicted.csv", "w", encoding="utf-8") as predicted,
    ):
        for number in range(videos):
            video = f"video{number:06d}"
            (folder / "videos" / f"{video}.mp4").touch()
            for second in range(FIRST_SECOND, FIRST_SECOND + keyframes):
                for person in range(rng.integers(1, 6)):
                    low, size = rng.uniform(0, 0.5, 2), rng.uniform(0.1, 0.5, 2)
                    place = f"{video},{second:04d},"
                    box = ",".join(f"{value:.3f}" for value in (*low, *(low + size)))
                    for action in rng.choice(80, rng.integers(1, 5), replace=False) + 1:
                        truth.write(f"{place}{box},{action},{person + number % 7 * 10}\n")
                    moved = ",".join(f"{value:.4f}" for value in (*low, *(low + size * 0.99)))
                    other = ",".join(f"{value:.4f}" for value in (*low / 2, *(low / 2 + size)))
                    for which in (moved, other):
                        predicted.write(f"{place}{which},-1,{rng.uniform(0.6, 1):.6f}\n")


if __name__ == "__main__":
    main()
