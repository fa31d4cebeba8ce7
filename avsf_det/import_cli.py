"""The command `avsf-det data import`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from avsf_det.arguments import positive, share

SHOWN = 10  # parts left out that are named in the terminal; all are in a file


def data_import(options: argparse.Namespace) -> int:
    """Make a dataset of what an annotation tool exported and of its videos. Exit status 1 if something was left out.

    Known are CVAT's XML (for video and for images), Label Studio's JSON, VIA 3's projects, COCO's JSON (CocoVID's and
    YouTube-VIS's too), AVA's csv and its dialects, UCF101-24's finalAnnots.mat and the tubes of JHMDB-GT.pkl, in a
    file, a zip or a folder. Which one it is shows by itself. Videos may be files or folders of frames.
    """
    from tqdm import tqdm

    from avsf_det.data.importers.dataset import ImportOptions, import_export
    from avsf_det.data.importers.output import LEFT_OUT, write_dataset

    how = ImportOptions(
        options.rate, options.actions, options.label_map, options.split, options.val_share, options.frame_rate
    )
    imported = import_export(
        options.export,
        options.videos,
        how,
        lambda items, total: tqdm(items, "videos", total, unit="video", disable=None),
    )
    write_dataset(imported, options.output, options.copy)
    print(imported.summary())
    print(f"dataset: {options.output}")
    if not imported.bad:
        return 0
    print(f"{len(imported.bad)} left out, all named in {options.output / LEFT_OUT}:", file=sys.stderr)
    for line in imported.bad[:SHOWN]:
        print(f"  {line}", file=sys.stderr)
    if len(imported.bad) > SHOWN:
        print(f"  and {len(imported.bad) - SHOWN} more", file=sys.stderr)
    return 1


def add_import_command(commands: argparse._SubParsersAction, add: Callable) -> None:
    """Add the command to `avsf-det data`.

    Args:
        commands: where.
        add: makes a command of its name and function.
    """
    command = add(commands, "import", data_import)
    command.add_argument("export", type=Path, metavar="EXPORT", help="what the tool exported: a file, zip or folder")
    command.add_argument("--videos", type=Path, required=True, metavar="DIR", help="the videos, at any depth in it")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="DATASET", help="folder to make")
    command.add_argument("--rate", type=positive, default=1.0, help="keyframes a second at most (default: 1)")
    command.add_argument(
        "--actions",
        default="",
        metavar="ATTRIBUTE",
        help="attribute that holds the action, or several with commas between; label is the tool's own",
    )
    command.add_argument(
        "--label-map", metavar="FILE", help="keep to its classes: pbtxt, txt, csv, json, or ava_v2.2_80"
    )
    which = command.add_mutually_exclusive_group()
    which.add_argument("--split", default="", help="split of all videos (default: the export's)")
    which.add_argument(
        "--val-share",
        type=share,
        default=0.2,
        help="share of the videos for validation where the export has no splits; chosen by name (default: 0.2)",
    )
    command.add_argument(
        "--frame-rate",
        type=positive,
        default=0.0,
        help="frames a second of frame numbers and of folders of frames (default: the file's own, what fits a folder)",
    )
    command.add_argument("--copy", action="store_true", help="copy the videos instead of linking to them")
