"""From a raw CVAT export to a first mAP: the commands a user types, and how long each takes.

python benchmarks/own_data.py --weights demo/slowfast/checkpoints/checkpoint_epoch_00003.pyth

Scenes are rendered and exported as CVAT does it ("CVAT for video 1.1", a file a video, a tick box for each action);
from there on it is the commands alone. The weights to start from are a checkpoint of `avsf-det`, such as the visual
model of `make demo`, which has seen other people do the same in other places; without any, the network begins anew.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the exporter, which is the tests'

import torch

from avsf_det.data.scenes.generator import ScenesSpec, generate
from tests.data.importers.cvat_export import write_cvat_export

SEED = 11  # not the demo's, whose weights may be started from


def main() -> None:
    """Make the export, then run the commands."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="checkpoint to start from")
    parser.add_argument("--train", type=int, default=120, help="scenes to train on, of 5 seconds each (default: 120)")
    parser.add_argument("--val", type=int, default=40, help="scenes for validation (default: 40)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), options)


def run(folder: Path, options: argparse.Namespace) -> None:
    """All of it in an empty folder."""
    spec = ScenesSpec({"train": options.train, "val": options.val}, seed=SEED)
    generate(folder / "scenes", spec)
    write_cvat_export(folder / "export", folder / "scenes", spec)
    (folder / "scenes" / "videos").rename(folder / "videos")
    start = ["TRAIN.CHECKPOINT_FILE_PATH", str(options.weights.resolve())] if options.weights else []
    commands = {  # and a word of the line that tells what came of it
        ("data", "import", "export", "--videos", "videos", "-o", "my_data"): "train:",
        ("data", "check", "my_data"): "to mend",
        ("train", "--config", "custom", "DATA.ROOT", "my_data", *start, "OUTPUT_DIR", "runs/first"): "mAP",
    }
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors, torch {torch.__version__}")
    print(
        f"{options.train} + {options.val} scenes; lines of user code: 0\n\n| command | seconds | says |\n|---|---|---|"
    )
    for words, word in commands.items():
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "avsf_det", *words], cwd=folder, capture_output=True, text=True)
        seconds = time.perf_counter() - began
        said = [line for line in (done.stderr + done.stdout).splitlines() if word in line]
        told = " ".join(Path(word).name if word.startswith("/") else word for word in words)
        print(f"| `avsf-det {told}` | {seconds:.0f} | {said[-1].strip() if said else ''} |")
        if done.returncode:
            sys.exit(done.stderr)


if __name__ == "__main__":
    main()
