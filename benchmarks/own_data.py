"""From an annotation tool's export to a first mAP: the commands that a user types, and how long each takes.

    python benchmarks/own_data.py --folder /tmp/own_data

The export is of synthetic scenes, as CVAT writes it: a track a person, a tick box an action. What a user has beside it
is weights of a network that learned from other videos; for two cores that is a small SlowFast, trained here on scenes
of other people and places, which is timed but is none of the commands. All three commands run as they are printed,
with nothing else written, and `TRAIN.NUM_WORKERS 0` for a machine of two cores. The folder keeps the scenes and the
weights, so that a second run only measures; datasets and runs are made anew.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch

from avsf_det.data.scenes.cvat import export_cvat
from avsf_det.data.scenes.generator import ScenesSpec, generate

WEIGHTS_CONFIG = "scenes/slowfast_small"
COMMANDS = (
    "avsf-det data import export --videos videos -o my_data",
    "avsf-det train --config custom DATA.ROOT my_data TRAIN.CHECKPOINT_FILE_PATH weights.pyth OUTPUT_DIR run "
    "TRAIN.NUM_WORKERS 0",
    "avsf-det eval --weights run/checkpoints/best.pyth",
)


def main() -> None:
    """Make what is missing, then measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--train", type=int, default=80, help="scenes of the user's for training")
    parser.add_argument("--val", type=int, default=20, help="scenes of the user's for validation")
    parser.add_argument("--other", type=int, default=200, help="scenes that the weights come from")
    options = parser.parse_args()
    folder = options.folder.resolve()
    own = ScenesSpec({"train": options.train, "val": options.val}, seed=1)
    generate(folder / "own", own)
    if not (folder / "export").is_dir():
        export_cvat(folder / "own", own, folder / "export")
    if not (folder / "videos").exists():
        (folder / "videos").symlink_to(folder / "own" / "videos")
    learned = _make_weights(folder, options.other)
    for made in ("my_data", "run"):
        shutil.rmtree(folder / made, ignore_errors=True)
    print("| command | wall time | result |\n|---|---|---|")
    total = 0.0
    for command in COMMANDS:
        seconds, text = _timed(folder, command)
        total += seconds
        print(f"| `{command}` | {seconds:.0f} s | {_result(text)} |", flush=True)
    print(f"| {len(COMMANDS)} commands, 0 lines of code | {total:.0f} s | |\n")
    print(f"{os.cpu_count()} cores, torch {torch.__version__}, {torch.get_num_threads()} threads; {learned}")


def _make_weights(folder: Path, scenes: int) -> str:
    """Train on other scenes, unless that is done; how long it took, in words."""
    weights, other = folder / "weights.pyth", folder / "other"
    what = f"weights.pyth is a {WEIGHTS_CONFIG} trained on {scenes} other scenes"
    if weights.is_file():
        return what
    generate(other, ScenesSpec({"train": scenes, "val": 8}, seed=2))
    run = folder / "other_run"
    command = f"avsf-det train --config {WEIGHTS_CONFIG} DATA.ROOT {other} OUTPUT_DIR {run} TRAIN.EVAL_PERIOD 3"
    seconds, _ = _timed(folder, command)
    (run / "checkpoints" / "best.pyth").rename(weights)
    return f"{what}, which took {seconds:.0f} s"


def _timed(folder: Path, command: str) -> tuple[float, str]:
    """Seconds that a command takes, and what it prints."""
    started = time.monotonic()
    words = [sys.executable, "-m", "avsf_det", *shlex.split(command)[1:]]
    done = subprocess.run(
        words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False
    )
    if done.returncode:
        sys.exit(f"{command}\n{done.stdout}")
    return time.monotonic() - started, done.stdout


def _result(text: str) -> str:
    """The last mAP that a command prints, else what it says of the splits."""
    found = re.findall(r"[^\n\r|]*mAP\S* \d[.\d]*", text)
    return found[-1].strip() if found else "; ".join(re.findall(r"(?:train|val): [^\n]*", text))


if __name__ == "__main__":
    main()
