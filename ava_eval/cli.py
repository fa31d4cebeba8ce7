"""The `ava-eval` command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ava_eval.errors import InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status: 0, 2 for an input that cannot be evaluated, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        from ava_eval.evaluation import evaluate

        result = evaluate(
            options.groundtruth, options.detections, options.labelmap, options.exclusions, iou=options.iou
        )
        for warning in result.warnings:
            print(f"ava-eval: warning: {warning}", file=sys.stderr)
        if options.json:
            _write(options.json, result.to_json())
        print(result.table())
    except InputError as error:
        print(f"ava-eval: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ava-eval: stopped", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ava-eval", description="Frame mAP of action detections by the official AVA protocol."
    )
    parser.add_argument("-l", "--labelmap", required=True, metavar="PBTXT", help="the classes that are scored")
    parser.add_argument(
        "-g",
        "--groundtruth",
        required=True,
        metavar="CSV",
        help="video,timestamp,x1,y1,x2,y2,action[,person]; or video,timestamp for a frame without boxes; or .csv.gz",
    )
    parser.add_argument(
        "-d", "--detections", required=True, metavar="CSV", help="video,timestamp,x1,y1,x2,y2,action,score"
    )
    parser.add_argument("-e", "--exclusions", metavar="CSV", help="video,timestamp of frames that do not count")
    parser.add_argument("--iou", type=float, default=0.5, help="least overlap of a true positive (default 0.5)")
    parser.add_argument("--json", metavar="FILE", help="also write the result, at full precision, to FILE")
    return parser


def _write(path: str, text: str) -> None:
    """Writes the file whole or not at all."""
    temporary = f"{path}.{os.getpid()}.part"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot write the result: {error.strerror}") from None
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
