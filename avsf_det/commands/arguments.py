"""What commands share: how they are added, common options, printed results, and the ranges of numeric options."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from avsf_det.errors import printable

OVERRIDES = "KEY VALUE pairs that change the configuration; `avsf-det config` lists all keys"


def add_command(commands: argparse._SubParsersAction, name: str, run: Callable) -> argparse.ArgumentParser:
    """Add a command that runs a function, whose docstring is its help."""
    command = commands.add_parser(name, help=run.__doc__.split(":")[0].split(".")[0], description=run.__doc__)
    command.set_defaults(run=run)
    return command


def add_overrides(command: argparse.ArgumentParser, help_text: str = OVERRIDES, metavar: str = "KEY VALUE") -> None:
    """Add KEY VALUE pairs."""
    command.add_argument("overrides", nargs="*", metavar=metavar, help=help_text)


def add_detector(command: argparse.ArgumentParser) -> None:
    """Add the options that choose a person detector."""
    command.add_argument(
        "--detector",
        default="yolox",
        metavar="NAME_OR_FILE",
        help="yolox; a csv with boxes; a .pth of `avsf-det detector train`; a Detectron2 .yaml or zoo name such as "
        "COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml; an .onnx of a YOLOX (default: yolox)",
    )
    command.add_argument("--detector-weights", default="", metavar="FILE_OR_URL", help="for a Detectron2 .yaml")


def add_audio(command: argparse.ArgumentParser) -> None:
    """Add the options that say what becomes of sound."""
    audio = command.add_mutually_exclusive_group()
    audio.add_argument("--no-audio", action="store_true", help="as if nothing were to be heard")
    audio.add_argument("--explain-audio", action="store_true", help="tell what sound adds to each score, or takes")


def add_device(command: argparse.ArgumentParser) -> None:
    """Add the options that say where the network runs, and how exactly."""
    command.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 ... (default: a GPU if there is one)")
    command.add_argument(
        "--precision",
        choices=("float32", "bfloat16", "auto"),
        default="float32",
        help="of the network; bfloat16 is up to three times faster and changes a trained model's scores by about 0.01; "
        "auto takes it on processors and GPUs that have it (default: float32)",
    )


def add_overwrite(command: argparse.ArgumentParser) -> None:
    """Add the option that lets results replace files of somebody else."""
    command.add_argument(
        "--overwrite",
        action="store_true",
        help="replace existing files that avsf-det did not write for the same video (default: results get a number "
        "behind their name)",
    )


def tell_results(results: Mapping[Path, object], failed: Mapping[Path, str], videos: int) -> int:
    """Print what came of each video, and which of so many are left out and why; the exit status."""
    for path, result in results.items():
        print(f"{printable(str(path))}: {result.summary()}")
    if failed:
        print(f"{len(failed)} of {videos} left out:", file=sys.stderr)
        for reason in failed.values():
            print(f"  {reason}", file=sys.stderr)
    return 1 if failed else 0


def real(least: float, most: float) -> Callable[[str], float]:
    """A type of options: numbers from `least` to `most`."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"expected a number from {least:.10g} to {most:.10g}, got {text[:40]!r}")
        return value

    return parse


def whole(least: int, most: int) -> Callable[[str], int]:
    """A type of options: whole numbers from `least` to `most`."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,15}", text.strip()) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {most}, got {text[:40]!r}")
        return int(text)

    return parse


rate = real(0.001, 1000)  # a second: keyframes or frames
seconds = real(0.001, 10_000_000)
score = real(0, 1)
fraction = real(0, 0.999)
top_k = whole(1, 1000)
workers = whole(1, 1024)
pixels = whole(16, 4096)
clip_count = whole(1, 1000)
