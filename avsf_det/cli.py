"""The command `avsf-det`: one short function a sub-command."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from avsf_det import __version__
from avsf_det.detect_cli import add_detect_command
from avsf_det.detector_cli import add_detector_commands
from avsf_det.errors import UserError
from avsf_det.import_cli import add_import_command

EXAMPLES = """
examples:
  avsf-det demo                                        see everything work on synthetic scenes
  avsf-det detect film.mp4 --weights model.pyth        annotate a video; boxes by YOLOX
  avsf-det data import task_7.zip --videos videos -o my_data
  avsf-det data check my_data --html report.html       before training on it: what is wrong with it?
  avsf-det train --config custom DATA.ROOT my_data TRAIN.CHECKPOINT_FILE_PATH model.pyth OUTPUT_DIR runs/first
  avsf-det eval --weights model.pyth DATA.ROOT my_data
  avsf-det convert SLOWFAST_8x8_R50.pkl slowfast.pyth --config kinetics/slowfast_8x8_r50
"""
OVERRIDES = "KEY VALUE pairs that change the configuration; `avsf-det config` lists all keys"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status: 0 done, 1 some inputs failed, 2 the user can mend it, 130 interrupted."""
    options = _parser().parse_args(arguments)
    level = logging.INFO if os.environ.get("RANK", "0") == "0" else logging.ERROR  # of torchrun's processes one talks
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    from ava_eval.errors import InputError

    try:
        return options.run(options) or 0
    except (UserError, InputError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(f"error: {what}; check the path, its permissions and the free space of the disk", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept", file=sys.stderr)
        return 130


def train(options: argparse.Namespace) -> int:
    """Train an action model on an AVA-format dataset. Run it again after an interruption and it goes on."""
    from avsf_det.config import load_cfg
    from avsf_det.distributed import is_main, process_group
    from avsf_det.engine.device import choose_device
    from avsf_det.engine.stop import Stopped
    from avsf_det.engine.train import Trainer

    cfg = load_cfg(options.config, options.overrides)
    with process_group(choose_device(cfg.DEVICE)):
        try:
            weights = Trainer(cfg).run()
        except Stopped as stopped:
            if is_main():
                print(stopped, file=sys.stderr)
            return 128 + stopped.signum
        if is_main():
            print(f"weights: {weights}")
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Evaluate a trained model on a split: frame mAP at IoU 0.5, AVA's official protocol."""
    from avsf_det.distributed import process_group
    from avsf_det.engine.audio_effect import effect_table
    from avsf_det.engine.device import choose_device
    from avsf_det.engine.evaluate import evaluate_weights

    with process_group(choose_device("auto")):
        result = evaluate_weights(options.weights, options.overrides, not options.no_audio, options.explain_audio)
    if result is None:
        return 0
    print(result.evaluation.table())
    if result.effects:
        print(f"\n{effect_table(result.effects)}\n")
    print(f"persons: {result.persons}")
    print(f"detections: {result.detections}")
    return 1 if result.failed else 0


def draw(options: argparse.Namespace) -> int:
    """Draw detections on a video: any AVA csv, and beside ground truth what is right, wrong and missed.

    The csv may be of PySlowFast, mmaction2 or anyone else, with or without header, person ids and scores, its boxes in
    pixels or as shares of the picture, and have other videos too.
    """
    from ava_eval.label_map import load_label_map
    from avsf_det.engine.draw import DrawOptions, draw_detections

    label_map = load_label_map(options.label_map)[0] if options.label_map else None
    how = DrawOptions(label_map, options.video_id, options.start, options.threshold, options.top_k)
    drawing = draw_detections(options.video, options.detections, options.output, how, options.groundtruth)
    print(f"{options.video}: {drawing.summary()}")
    return 0


def data_scenes(options: argparse.Namespace) -> int:
    """Make a dataset of synthetic audiovisual scenes in AVA's format, as mp4 files with sound."""
    from tqdm import tqdm

    from avsf_det.data.scenes.generator import ScenesSpec, generate

    scenes = {"train": options.train, "val": options.val, "test": options.test}
    spec = ScenesSpec(scenes, options.width, options.height, options.duration, options.seed)
    generate(
        options.output,
        spec,
        options.workers,
        lambda rows, total: tqdm(rows, desc="scenes", total=total, unit="video", disable=None),
    )
    print(f"dataset: {options.output}")
    return 0


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
    from avsf_det.data.classification.check import ClipSurvey, check_clips
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
        clips = ClipFolder.found(cfg)
        if clips and options.html:
            raise UserError(f"--html: pages are of datasets with boxes, and {cfg.DATA.ROOT} has labelled clips")
        if clips:
            findings = check_clips(ClipSurvey(clips, (cfg.DATA.TRAIN_SPLIT, cfg.DATA.EVAL_SPLIT), progress))
        else:
            survey = Survey.from_config(cfg, progress)
            findings = check_dataset(survey)
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


def convert(options: argparse.Namespace) -> int:
    """Convert a weight file of any known format into avsf-det's checkpoint or PySlowFast's, and report on each tensor.

    Known are avsf-det's own, PySlowFast's (.pyth, and the Caffe2 .pkl of its model zoo), the AVSlowFast of its
    authors, PyTorchVideo's SlowFast, and ResNets of Detectron2 and torchvision; which one it is shows by itself. No
    file can run code. --config says what model the weights are for; an avsf-det checkpoint knows it.
    """
    from avsf_det.engine.convert import convert_weights

    found, report = convert_weights(
        options.source,
        options.target,
        options.config,
        options.overrides,
        naming=options.naming,
        label_map=options.label_map,
        bgr=options.bgr,
    )
    print(f"{options.source}: {found}: {report.table() if options.report else report}")
    print(f"weights: {options.target}")
    return 0


def config(options: argparse.Namespace) -> int:
    """List every configuration key with its default and meaning, or show what a file and overrides amount to."""
    from avsf_det.config import describe_keys, load_cfg

    if options.config or options.overrides:
        print(load_cfg(options.config, options.overrides).dump(), end="")
    else:
        print(describe_keys())
    return 0


def model(options: argparse.Namespace) -> int:
    """Show what a model is made of: shapes, parameters and GFLOPs of each pathway and stage, for one clip."""
    import torch

    from avsf_det.config import load_cfg
    from avsf_det.models.build import build_model, example_inputs
    from avsf_det.models.summary import format_summary, summarise

    cfg = load_cfg(options.config, options.overrides)
    with torch.device("meta"):
        print(format_summary(summarise(build_model(cfg).eval(), **example_inputs(cfg, options.size))))
    print("One GFLOP is 10^9 multiply-adds; norms, pooling and activations are not counted.")
    return 0


def demo(options: argparse.Namespace) -> int:
    """See it work: scenes are made, a detector and action models trained on them and evaluated, a video annotated."""
    from avsf_det.engine.demo import Demo

    Demo(options.output).run(options.video)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="avsf-det",
        description="Find who does what, where and when in a video, by looking and listening.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = _add(commands, "demo", demo)
    command.add_argument("--output", type=Path, default=Path("demo"), help="folder for everything made (default: demo)")
    command.add_argument("--video", type=Path, help="annotate this file with what was trained")

    add_detect_command(commands, _add, _add_detector, _add_audio)

    command = _add(commands, "draw", draw)
    command.add_argument("video", type=Path, metavar="VIDEO", help="the video that the detections are of")
    command.add_argument("--detections", type=Path, required=True, metavar="CSV", help="boxes, actions and scores")
    command.add_argument("--groundtruth", type=Path, metavar="CSV", help="tell right from wrong by these labels")
    command.add_argument("--label-map", metavar="FILE_OR_NAME", help="pbtxt of the classes, or ava_v2.2_80")
    command.add_argument("--output", "-o", type=Path, required=True, metavar="MP4", help="the video to write")
    command.add_argument("--video-id", metavar="ID", help="its name in the csv (default: the file's, without suffix)")
    command.add_argument(
        "--start",
        type=float,
        metavar="SECOND",
        help="where the file begins on the csv's clock (default: 900 if it is as long as AVA's cut, else 0)",
    )
    command.add_argument("--threshold", type=float, default=0.3, help="show actions from this score on (default: 0.3)")
    command.add_argument("--top-k", type=int, default=3, help="actions shown for a person at most (default: 3)")

    command = _add(commands, "train", train)
    command.add_argument("--config", help="yaml file, or the name of one in configs/")
    command.add_argument("overrides", nargs="*", metavar="KEY VALUE", help=OVERRIDES)

    command = _add(commands, "eval", evaluate)
    command.add_argument("--weights", required=True, help="checkpoint; brings config and label map")
    _add_audio(command)
    command.add_argument("overrides", nargs="*", metavar="KEY VALUE", help=OVERRIDES)

    help_text = "train, measure or use a person detector"
    detector = commands.add_parser("detector", help=help_text).add_subparsers(required=True, metavar="COMMAND")
    add_detector_commands(detector, _add, _add_detector, OVERRIDES)

    data = commands.add_parser("data", help="check or make datasets").add_subparsers(required=True, metavar="COMMAND")
    command = _add(data, "check", data_check)
    command.add_argument("--config", help="yaml file, or the name of one in configs/: ava/avslowfast_8x8_r50")
    command.add_argument("--html", type=Path, metavar="FILE", help="also write a page, with keyframes drawn")
    command.add_argument(
        "overrides", nargs="*", metavar="DATASET KEY VALUE", help=f"the dataset's folder, or DATA.ROOT; {OVERRIDES}"
    )
    add_import_command(data, _add)
    command = _add(data, "scenes", data_scenes)
    command.add_argument("--output", type=Path, required=True, help="dataset folder")
    for split, count in (("train", 240), ("val", 8), ("test", 40)):
        command.add_argument(f"--{split}", type=int, default=count, help=f"videos of this split (default: {count})")
    command.add_argument("--width", type=int, default=192)
    command.add_argument("--height", type=int, default=144)
    command.add_argument("--duration", type=int, default=5, help="seconds of each video (default: 5)")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--workers", type=int, default=0, help="processes (default: one a processor)")

    command = _add(commands, "convert", convert)
    command.add_argument("source", type=Path, metavar="IN", help="weight file")
    command.add_argument("target", type=Path, metavar="OUT", help="checkpoint to write")
    command.add_argument("--config", help="yaml file, or the name of one in configs/, of the model they are for")
    command.add_argument("--naming", choices=("ours", "pyslowfast"), default="ours", help="of OUT (default: ours)")
    command.add_argument("--label-map", type=Path, help="pbtxt of the classes, which `avsf-det detect` needs")
    command.add_argument("--bgr", action="store_true", help="the weights expect BGR pictures: make them expect RGB")
    command.add_argument("--report", action="store_true", help="print what became of every tensor, with its shapes")
    command.add_argument("overrides", nargs="*", metavar="KEY VALUE", help=f"straight after OUT: {OVERRIDES}")

    command = _add(commands, "model", model)
    command.add_argument("config", metavar="CONFIG", help="yaml file, or the name of one: kinetics/avslowfast_4x16_r50")
    command.add_argument(
        "--size", type=int, default=0, help="pixels of the clip's sides (default: DATA.TRAIN_CROP_SIZE)"
    )
    command.add_argument("overrides", nargs="*", metavar="KEY VALUE", help=OVERRIDES)

    command = _add(commands, "config", config)
    command.add_argument("--config", help="yaml file, or the name of one in configs/")
    command.add_argument("overrides", nargs="*", metavar="KEY VALUE", help=OVERRIDES)
    return parser


def _add(commands: argparse._SubParsersAction, name: str, run: Callable) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=run.__doc__.split(":")[0].split(".")[0], description=run.__doc__)
    command.set_defaults(run=run)
    return command


def _add_detector(command: argparse.ArgumentParser, default: str) -> None:
    command.add_argument(
        "--detector",
        default=default,
        metavar="NAME_OR_FILE",
        help="yolox; a csv with boxes; a .pth of `avsf-det detector train`; a Detectron2 .yaml or zoo name such as "
        f"COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml; an .onnx of a YOLOX (default: {default})",
    )
    command.add_argument("--detector-weights", default="", metavar="FILE_OR_URL", help="for a Detectron2 .yaml")


def _add_audio(command: argparse.ArgumentParser) -> None:
    audio = command.add_mutually_exclusive_group()
    audio.add_argument("--no-audio", action="store_true", help="as if nothing were to be heard")
    audio.add_argument("--explain-audio", action="store_true", help="tell what sound adds to each score, or takes")


if __name__ == "__main__":
    sys.exit(main())
