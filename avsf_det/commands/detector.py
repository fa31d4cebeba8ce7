"""The commands `avsf-det detector ...`: one short function each."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from avsf_det.commands.arguments import add_command, add_detector, add_overrides, score
from avsf_det.errors import UserError

if TYPE_CHECKING:
    from avsf_det.data.annotations import AvaFolder


def detector_train(options: argparse.Namespace) -> int:
    """Train a Detectron2 person detector on an AVA-format dataset. Run it again after an interruption and it goes on.

    With several GPUs: torchrun --nproc-per-node 8 -m avsf_det detector train ...
    """
    from avsf_det.config import find_config
    from avsf_det.distributed import is_main, process_group
    from avsf_det.engine.device import choose_device
    from avsf_det.engine.person_detector import split_keyframes
    from detectors.training import train_detector

    config = options.config if Path(options.config).is_file() else str(find_config(options.config))
    of_dataset, of_detector = [], []
    for start in range(0, len(options.overrides), 2):
        pair = options.overrides[start : start + 2]
        (of_dataset if pair[0].startswith(("DATA.", "AVA.")) else of_detector).extend(pair)
    dataset = _dataset(options, of_dataset)
    train, val = split_keyframes(dataset, options.split), None
    if options.val_split:
        val = split_keyframes(dataset, options.val_split)
    device = choose_device("auto")
    with process_group(device):
        weights = train_detector(
            config, train, options.output, of_detector, val, resume=not options.restart, device=device
        )
        if is_main():
            print(f"weights: {weights}")
    return 0


def detector_eval(options: argparse.Namespace) -> int:
    """Measure a person detector, or a csv of boxes: COCO's AP by pycocotools, recall and precision at scores.

    On a dataset; or boxes of a csv against ground truth in another, for which no video is needed.
    """
    from avsf_det.distributed import is_main, process_group
    from avsf_det.engine.device import choose_device
    from avsf_det.engine.person_detector import find_on_keyframes, measure_found, split_keyframes
    from avsf_det.engine.persons import open_detector
    from detectors.keyframes import person_keyframes

    if options.groundtruth:
        if Path(options.detector).suffix.lower() != ".csv":
            raise UserError(f"--groundtruth has no videos to look at for {options.detector}; expected --dataset")
        keyframes = person_keyframes(options.groundtruth, excluded=options.excluded)
    else:
        keyframes = split_keyframes(_dataset(options, options.overrides), options.split)
    with process_group(choose_device("auto")):
        detector = open_detector(options.detector, options.detector_weights, 0.05, _classes(options))
        found = find_on_keyframes(detector, keyframes)
        if is_main():
            print(measure_found(found, keyframes).table())
    return 1 if found.failed else 0


def detector_boxes(options: argparse.Namespace) -> int:
    """Write the persons that a detector finds on the keyframes of splits, as PySlowFast's csv of predicted boxes.

    Run it again after an interruption and it goes on. The csv serves as --detector, DETECTOR.MODEL, and in PySlowFast.
    """
    from avsf_det.distributed import is_main, process_group
    from avsf_det.engine.device import choose_device
    from avsf_det.engine.person_detector import find_on_keyframes, split_keyframes, write_person_boxes
    from avsf_det.engine.persons import open_detector

    dataset, files = _dataset(options, options.overrides), {}
    for split in options.split.split(","):
        files.setdefault(Path(options.output.format(split=split)), []).append(split)
    failed = False
    with process_group(choose_device("auto")):
        threshold, classes = options.score_threshold, _classes(options)
        detector = open_detector(options.detector, options.detector_weights, threshold, classes)
        for path, splits in files.items():
            keyframes = [split_keyframes(dataset, split) for split in splits]
            found = [(some, find_on_keyframes(detector, some)) for some in keyframes]
            failed |= any(on_these.failed for _, on_these in found)
            if is_main():
                labelled = [(dataset, split) for split in splits] if options.labels else []
                print(f"{path}: {write_person_boxes(path, found, labelled)} boxes")
    return int(failed)


def add_detector_commands(commands: argparse._SubParsersAction) -> None:
    """Add `detector` and what it does to the commands of `avsf-det`."""
    help_text = "train, measure or use a person detector"
    commands = commands.add_parser("detector", help=help_text).add_subparsers(required=True, metavar="COMMAND")
    command = add_command(commands, "train", detector_train)
    command.add_argument("--config", default="detectors/person_r18_fpn_small", help="Detectron2 yaml or zoo name")
    _add_dataset(command, "train")
    command.add_argument("--val-split", default="", help="measured on the way and at the end (default: none)")
    command.add_argument("--output", type=Path, default=Path("runs/detector"), help="folder (default: runs/detector)")
    command.add_argument("--restart", action="store_true", help="begin anew instead of going on")
    of_both = "change Detectron2's configuration; DATA.* and AVA.* keys say where the dataset's files are"
    add_overrides(command, of_both)
    command = add_command(commands, "eval", detector_eval)
    _add_dataset(command, "val")
    command.add_argument("--groundtruth", type=Path, help="csv of persons to measure against, instead of a dataset")
    command.add_argument("--excluded", type=Path, help="csv of keyframes that do not count, with --groundtruth")
    add_detector(command)
    add_overrides(command)
    command = add_command(commands, "boxes", detector_boxes)
    _add_dataset(command, "train,val")
    add_detector(command)
    command.add_argument(
        "--score-threshold", type=score, default=0.05, help="leave out persons below this (default: 0.05)"
    )
    command.add_argument(
        "--labels", action="store_true", help="give boxes at IoU 0.9 with a labelled person its labels"
    )
    command.add_argument("--output", required=True, help="the csv; with {split} in it, one a split")
    add_overrides(command)


def _add_dataset(command: argparse.ArgumentParser, split: str) -> None:
    command.add_argument("--dataset", type=Path, help="dataset folder (default: DATA.ROOT)")
    command.add_argument("--dataset-config", metavar="YAML", help="recipe whose DATA and AVA keys name its files")
    command.add_argument("--split", default=split, help=f"(default: {split})")


def _classes(options: argparse.Namespace) -> list[str]:
    """Who a command's detector looks for."""
    from avsf_det.config import load_cfg

    return load_cfg(options.dataset_config, options.overrides).DETECTOR.CLASSES


def _dataset(options: argparse.Namespace, overrides: Sequence[str]) -> AvaFolder:
    """The dataset that a command's options describe.

    Raises:
        UserError: if there is none.
    """
    from avsf_det.config import load_cfg
    from avsf_det.data.annotations import AvaFolder

    cfg = load_cfg(options.dataset_config, overrides)
    if options.dataset:
        cfg.DATA.ROOT = str(options.dataset)
    if not cfg.DATA.ROOT:
        raise UserError("no dataset; give its folder as --dataset FOLDER or DATA.ROOT FOLDER")
    return AvaFolder.from_config(cfg)
