"""The command `avsf-det export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from avsf_det.commands.arguments import add_command


def export(options: argparse.Namespace) -> int:
    """Write a model as a file that runs without avsf-det: pictures, log-mel and boxes in, scores out.

    ONNX, or the .pt2 of torch.export; any number of clips and persons. The file says what it takes and which classes it
    scores, and is compared with the model before it is there.
    """
    from avsf_det.engine.export import export_weights

    exported = export_weights(options.weights, options.output, options.format)
    print(f"{exported.path}: {exported.summary()}")
    return 0


def add_export_command(commands: argparse._SubParsersAction) -> None:
    """Add `export` to the commands of `avsf-det`."""
    command = add_command(commands, "export", export)
    command.add_argument("--weights", required=True, help="checkpoint; brings config and classes")
    command.add_argument(
        "--output", "-o", type=Path, default=Path(), help="an .onnx or .pt2 file, or a folder (default: this one)"
    )
    command.add_argument(
        "--format", choices=("onnx", "torch"), help="(default: what the file's suffix says, onnx in a folder)"
    )
