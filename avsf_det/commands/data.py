"""The commands `avsf-det data ...`: datasets are imported, checked or made."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from avsf_det.commands.arguments import OVERRIDES, add_command, add_overrides, fraction, pixels, rate, whole
from avsf_det.errors import UserError

VIDEOS = {
    "ava": {"train": 240, "val": 8, "test": 40},
    "kinetics": {"train": 500, "val": 100, "test": 100},
    "unlabelled": {"train": 1000},
}
"""Layouts of scenes, and how many videos each split has unless told otherwise."""
SHOWN = 10  # parts left out that are named in the terminal; all are in a file


def data_import(options: argparse.Namespace) -> int:
    """Make a dataset of what an annotation tool exported and of its videos. Exit status 1 if something was left out.

    Formats: CVAT's XML (for video and for images), Label Studio's JSON, VIA 3 and VIA 2, COCO's JSON (CocoVID, TAO and
    YouTube-VIS too), YOLO's txt, Pascal VOC's XML, LabelMe's, Datumaro's and FiftyOne's JSON, tables of boxes, spans or
    labels (AVA's csv and its dialects, Kinetics', EPIC-Kitchens', those of BORIS and ELAN), ELAN's eaf, ActivityNet's
    JSON, MOTChallenge's gt.txt, UCF101-24's finalAnnots.mat and tubes such as JHMDB-GT.pkl, in a file, a zip or a
    folder, and folders of videos for each class. The format is recognized by the content. Videos may be files or
    folders of frames. What a table's columns mean is printed; what cannot be known is asked for.
    """
    from tqdm import tqdm

    from avsf_det.data.importers.dataset import ImportOptions, import_export
    from avsf_det.data.importers.output import LEFT_OUT, write_dataset

    how = ImportOptions(
        options.rate,
        options.actions,
        options.label_map,
        options.split,
        options.val_share,
        options.frame_rate,
        options.columns,
        options.box_units,
        options.label_separator,
        options.ignore,
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


def data_check(options: argparse.Namespace) -> int:
    """Say what is missing or wrong in a dataset: tables, videos, sound, boxes. Exit status 1 if there is what to mend.

    Reads the csv files of both splits, opens every video and tells what is lost and how to mend it; nothing is changed.
    A dataset in the plain layout needs its folder alone; of another, a --config or KEY VALUE pairs name the files.
    Datasets of labelled clips, such as Kinetics, are known by their files.
    """
    from tqdm import tqdm

    from ava_eval.errors import InputError
    from avsf_det.config import load_cfg
    from avsf_det.data.check import check_dataset, summary
    from avsf_det.data.classification.check import ClipSurvey, check_clips, check_clips_beside
    from avsf_det.data.classification.folder import ClipFolder
    from avsf_det.data.finding import ERROR, Finding
    from avsf_det.data.survey import Survey
    from avsf_det.files import written_whole

    overrides = options.overrides
    if len(overrides) % 2:
        overrides = ["DATA.ROOT", *overrides]
    cfg = load_cfg(options.config, overrides)

    def progress(videos: Iterable, total: int) -> Iterable:
        return tqdm(videos, "look at videos", total, unit="video", disable=None)

    survey = None
    try:
        says_boxes = cfg.DETECTION.ENABLE and bool(options.config or "DETECTION.ENABLE" in overrides)
        clips = ClipFolder.found(cfg, says_boxes)
        if clips and options.html:
            raise UserError(f"--html: pages are of datasets with boxes, and {cfg.DATA.ROOT} has labelled clips")
        if clips:
            findings = check_clips(ClipSurvey(clips, (cfg.DATA.TRAIN_SPLIT, cfg.DATA.EVAL_SPLIT), progress))
        else:
            survey = Survey.from_config(cfg, progress)
            findings = check_dataset(survey) + check_clips_beside(cfg, progress)
    except (UserError, InputError) as error:
        survey, findings = None, [Finding(ERROR, str(error))]
    for finding in findings:
        print(finding.text())
    print(summary(findings))
    if options.html and survey:
        from avsf_det.engine.dataset_page import dataset_page

        with written_whole(options.html) as unfinished:
            unfinished.write_text(dataset_page(survey, findings), encoding="utf-8")
        print(f"report: {options.html}")
    return int(any(finding.level == ERROR for finding in findings))


def data_scenes(options: argparse.Namespace) -> int:
    """Make a dataset of synthetic audiovisual scenes, as mp4 files with sound.

    In AVA's format several people act, each with boxes and actions. As Kinetics or without labels one person does one
    thing; people who look the same may then differ in the sound they make alone. The same command goes on where it was
    stopped.
    """
    from tqdm import tqdm

    from avsf_det.data.scenes.generator import ScenesSpec, generate
    from avsf_det.data.scenes.solo import generate_solos, generate_unlabelled

    usual, asked = VIDEOS[options.layout], {split: getattr(options, split) for split in VIDEOS["ava"]}
    for split, count in asked.items():
        if count is not None and split not in usual:
            raise UserError(f"--{split}: videos without labels have no splits; --train says how many there are to be")
    scenes = {split: count if asked[split] is None else asked[split] for split, count in usual.items()}
    if options.layout == "unlabelled":
        scenes = {"unlabelled": scenes["train"]}
    write = {"ava": generate, "kinetics": generate_solos, "unlabelled": generate_unlabelled}[options.layout]
    write(
        options.output,
        ScenesSpec(scenes, options.width, options.height, options.duration, options.seed),
        options.workers,
        lambda rows, total: tqdm(rows, desc="scenes", total=total, unit="video", disable=None),
    )
    print(f"dataset: {options.output}")
    return 0


def _columns(text: str) -> dict[str, str]:
    """Title -> name, of `TITLE=NAME,...`."""
    pairs = [part.rpartition("=") for part in text.split(",") if part.strip()]
    if not pairs or not all(title.strip() and name.strip() for title, _, name in pairs):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected TITLE=NAME,...")
    return {title.strip(): name.strip() for title, _, name in pairs}


def add_data_commands(commands: argparse._SubParsersAction) -> None:
    """Add `data` and what it does to the commands of `avsf-det`."""
    help_text = "import, check or make datasets"
    commands = commands.add_parser("data", help=help_text).add_subparsers(required=True, metavar="COMMAND")

    command = add_command(commands, "import", data_import)
    command.add_argument("export", type=Path, metavar="EXPORT", help="what the tool exported: a file, zip or folder")
    command.add_argument("--videos", type=Path, required=True, metavar="DIR", help="the videos, at any depth in it")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="DATASET", help="folder to make")
    command.add_argument("--rate", type=rate, default=1.0, help="keyframes a second at most (default: 1)")
    command.add_argument(
        "--actions",
        default="",
        metavar="ATTRIBUTE",
        help="attribute that holds the action, or several with commas between; label is the tool's own",
    )
    command.add_argument(
        "--label-map", metavar="FILE", help="keep to its classes: a pbtxt, txt, csv or json, or ava_v2.2_80"
    )
    which = command.add_mutually_exclusive_group()
    which.add_argument("--split", default="", help="split of all videos (default: the export's)")
    which.add_argument(
        "--val-share",
        type=fraction,
        default=0.2,
        help="share of the videos for validation where the export has no splits; chosen by name (default: 0.2)",
    )
    command.add_argument(
        "--frame-rate",
        type=rate,
        default=0.0,
        help="frames a second of frame numbers and of folders of frames (default: the file's own; 30 of folders)",
    )
    command.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="NAME",
        help="label that means no action, besides none and the like; may be given several times",
    )
    command.add_argument(
        "--columns",
        type=_columns,
        default={},
        metavar="TITLE=NAME,...",
        help="what columns of a table are: video, time, frame, start, end, duration, x1, y1, x2, y2, w, h, cx, cy, "
        "xyxy, xywh, action, person, score, split, or ignore; without a header, 1=video and so on",
    )
    command.add_argument(
        "--box-units", choices=("pixels", "percent", "fraction"), default="", help="unit of a table's boxes"
    )
    command.add_argument(
        "--label-separator",
        default="",
        metavar="SEP",
        help="what separates several labels in a cell of a table; none if nothing does (default: found out)",
    )
    command.add_argument("--copy", action="store_true", help="copy the videos instead of linking to them")

    command = add_command(commands, "check", data_check)
    command.add_argument("--config", help="yaml file, or the name of one in configs/: ava/avslowfast_8x8_r50")
    command.add_argument("--html", type=Path, metavar="FILE", help="also write a page, with keyframes drawn")
    add_overrides(command, f"the dataset's folder, or DATA.ROOT; {OVERRIDES}", "DATASET KEY VALUE")

    command = add_command(commands, "scenes", data_scenes)
    command.add_argument("--output", type=Path, required=True, help="dataset folder")
    command.add_argument(
        "--layout",
        choices=VIDEOS,
        default="ava",
        help="ava: boxes and actions of several people; kinetics: one label a video; unlabelled: videos alone",
    )
    for split in VIDEOS["ava"]:
        usual = ", ".join(f"{counts[split]} of {layout}" for layout, counts in VIDEOS.items() if split in counts)
        command.add_argument(
            f"--{split}", type=whole(0, 1_000_000), metavar="N", help=f"videos of this split (default: {usual})"
        )
    command.add_argument("--width", type=pixels, default=192)
    command.add_argument("--height", type=pixels, default=144)
    command.add_argument("--duration", type=whole(1, 3600), default=5, help="seconds of each video (default: 5)")
    command.add_argument("--seed", type=whole(0, 2**32 - 1), default=0)
    command.add_argument("--workers", type=whole(0, 1024), default=0, help="processes (default: one a processor)")
