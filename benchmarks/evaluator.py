"""Time and memory of the AVA evaluators on a made-up file of AVA val's size, side by side.

python benchmarks/evaluator.py --folder /tmp/ava_size
python benchmarks/evaluator.py --folder /tmp/ava_size --official ActivityNet/Evaluation
python benchmarks/evaluator.py --folder /tmp/small --videos 2 --frames 20 --repeat 5

The folder keeps label map, ground truth and detections, so that a second run only measures. By default there are 64
videos of 897 frames, 198 k ground-truth and 6.64 M detection rows, an eighth of the frames without ground truth
and a twelfth of the boxes found twice. `--official` is the folder of a checkout of activitynet/ActivityNet that holds
get_ava_performance.py; where that file is still Python 2, give a port of it.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
FIRST_SECOND = 902  # AVA labels the seconds 902 to 1798 of a film
DIGITS = [f"{i / 1000:.3f}" for i in range(1001)]  # boxes have three decimals, as in AVA


def main() -> None:
    """Makes the files where they are missing, then runs the evaluators one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the files are or will be")
    parser.add_argument("--videos", type=int, default=64)
    parser.add_argument("--frames", type=int, default=897, help="labelled frames a video (default 897)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeat", type=int, default=1, help="runs of each evaluator (default 1)")
    parser.add_argument("--protocol", default="official")
    parser.add_argument("--official", type=Path, metavar="FOLDER", help="also run get_ava_performance.py of FOLDER")
    options = parser.parse_args()
    paths = [options.folder / name for name in ("label_map.pbtxt", "truth.csv", "detections.csv")]
    if not all(path.exists() for path in paths):
        make_files(paths, options.videos, options.frames, np.random.default_rng(options.seed))
    for path in paths[1:]:
        with open(path, "rb") as file:
            rows = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 24), b""))
        print(f"{path.name}: {rows} rows, {path.stat().st_size / 1e6:.0f} MB")

    files = [str(part) for pair in zip(("-l", "-g", "-d"), paths) for part in pair]
    commands = {"ava-eval": [sys.executable, "-m", "ava_eval", *files, "--protocol", options.protocol]}
    if options.official:
        commands["official"] = [sys.executable, str(options.official / "get_ava_performance.py"), *files]
    for name, command in commands.items():
        for _ in range(options.repeat):
            measure(name, command)


def measure(name: str, command: list[str]) -> None:
    """Runs a command and prints wall and processor seconds, peak memory and the mAP that it printed."""
    start = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    found = re.findall(r"mAP@0\.5IOU\D+([0-9.]+)", output)
    print(
        f"{name}: {wall:.2f} s wall, {usage.ru_utime + usage.ru_stime:.2f} s processor, "
        f"{usage.ru_maxrss / 1024:.0f} MB peak, exit status {process.returncode}, mAP {found[0] if found else '-'}"
    )


def make_files(paths: list[Path], videos: int, frames: int, rng: np.random.Generator) -> None:
    """Writes a label map of 60 classes, the ground truth and the detections."""
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    ids = np.sort(rng.choice(np.arange(1, 81), 60, replace=False))
    paths[0].write_text("".join(f'item {{\n  name: "class {i}"\n  id: {i}\n}}\n' for i in ids))
    share = np.arange(1, 61) ** -1.2
    share = rng.permutation(share / share.sum())  # few common classes and many rare ones, as in AVA
    with open(paths[1], "w") as truth, open(paths[2], "w") as found:
        for video in range(videos):
            _write_video(f"video{video:03d}", frames, ids, share, rng, truth, found)


def _write_video(name: str, frames: int, ids: np.ndarray, share: np.ndarray, rng: np.random.Generator, truth, found):  # noqa: ANN001, ANN202
    persons = rng.integers(1, 5, frames) * (rng.random(frames) > 0.12)
    frame = np.repeat(np.arange(frames), persons)
    low = rng.integers(0, 600, (len(frame), 2))
    boxes = np.hstack([low, low + rng.integers(100, 400, (len(frame), 2))])
    actions = rng.random((len(frame), 60)) < share * 0.65
    actions[np.arange(len(frame)), rng.choice(60, len(frame), p=share)] = True
    person, action = np.nonzero(actions)
    _write_rows(truth, name, frame[person], boxes[person], ids[action], None)

    seen = rng.random(len(frame)) < 0.95  # persons that are found, twice now and then, and some that are not there
    where = [np.flatnonzero(seen), np.flatnonzero(seen & (rng.random(len(frame)) < 0.08))]
    owner = np.concatenate([*where, np.full(frames // 2, -1)])
    of_frame = np.concatenate([frame[where[0]], frame[where[1]], rng.integers(0, frames, frames // 2)])
    low = rng.integers(0, 600, (len(owner), 2))
    guess = np.hstack([low, low + rng.integers(100, 400, (len(owner), 2))])
    shift = np.where((owner >= 0)[:, None], boxes[owner] + rng.integers(-40, 41, guess.shape), guess)
    shift = np.clip(shift, 0, 1000)
    order = np.argsort(of_frame, kind="stable")
    owner, of_frame, shift = owner[order], of_frame[order], shift[order]
    right = np.where((owner >= 0)[:, None], actions[owner], False)
    logits = rng.normal(np.log(share) * 0.7, 1.2, right.shape) + 3.0 * right
    scores = 1 / (1 + np.exp(-logits))
    wanted = np.argsort(-scores, axis=1)[:, :42]  # a model writes what is above some threshold
    box = np.repeat(np.arange(len(owner)), wanted.shape[1])
    action = np.sort(wanted, axis=1).ravel()
    _write_rows(found, name, of_frame[box], shift[box], ids[action], scores[box, action])


def _write_rows(file, name: str, frame: np.ndarray, boxes: np.ndarray, actions: np.ndarray, scores: np.ndarray | None):  # noqa: ANN001, ANN202
    columns = [(frame + FIRST_SECOND).tolist(), *boxes.T.tolist(), actions.tolist()]
    if scores is None:
        for second, x1, y1, x2, y2, action in zip(*columns):
            file.write(f"{name},{second:04d},{DIGITS[x1]},{DIGITS[y1]},{DIGITS[x2]},{DIGITS[y2]},{action}\n")
        return
    for second, x1, y1, x2, y2, action, score in zip(*columns, scores.tolist()):
        file.write(f"{name},{second:04d},{DIGITS[x1]},{DIGITS[y1]},{DIGITS[x2]},{DIGITS[y2]},{action},{score!r}\n")


if __name__ == "__main__":
    main()
