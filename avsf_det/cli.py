"""The command `avsf-det`, and those of its sub-commands that are about models."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from avsf_det import __version__
from avsf_det.commands.arguments import (
    OVERRIDES,
    add_audio,
    add_command,
    add_overrides,
    add_overwrite,
    pixels,
    real,
    score,
    top_k,
)
from avsf_det.commands.classify import add_classify_command
from avsf_det.commands.data import add_data_commands
from avsf_det.commands.detect import add_detect_command
from avsf_det.commands.detector import add_detector_commands
from avsf_det.commands.export import add_export_command
from avsf_det.commands.serve import add_serve_command
from avsf_det.errors import UserError
from avsf_det.processes import log_to_stderr

if TYPE_CHECKING:
    from avsf_det.engine.folds import FoldsResult

EXAMPLES = """
examples:
  avsf-det demo                                        see everything work on synthetic scenes
  avsf-det detect film.mp4 --weights model.pyth        annotate a video; boxes by YOLOX
  avsf-det serve --weights model.pyth                  the same in the browser: drop a video, look at the result
  avsf-det classify film.mp4 --weights kinetics.pyth   what is done in it when, by a model of whole clips
  avsf-det data import task_7.zip --videos videos -o my_data
  avsf-det data check my_data --html report.html       before training on it: what is wrong with it?
  avsf-det train --config custom DATA.ROOT my_data TRAIN.CHECKPOINT_FILE_PATH model.pyth OUTPUT_DIR runs/first
  avsf-det eval --weights model.pyth DATA.ROOT my_data
  avsf-det export --weights model.pyth --output model.onnx
  avsf-det convert SLOWFAST_8x8_R50.pkl slowfast.pyth --config kinetics/slowfast_8x8_r50
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status: 0 done, 1 some inputs failed, 2 the user can mend it, 130 interrupted."""
    options = _parser().parse_args(arguments)
    level = logging.INFO if os.environ.get("RANK", "0") == "0" else logging.ERROR  # of torchrun's processes one talks
    log_to_stderr(level)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may hold any bytes
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
    """Train an action model. Run it again after an interruption and it goes on.

    On a dataset with boxes in AVA's format it learns to score the actions of each person; with DETECTION.ENABLE False,
    as in configs/kinetics, what is done in whole clips (docs/data.md has the layouts of datasets). DATA.FOLD 0 trains
    and evaluates a model for each of the three divisions of UCF101 or HMDB51.
    """
    from avsf_det.config import load_cfg
    from avsf_det.distributed import is_main, process_group
    from avsf_det.engine.device import choose_device
    from avsf_det.engine.folds import ALL, train_folds
    from avsf_det.engine.stop import Stopped
    from avsf_det.engine.train import Trainer

    cfg = load_cfg(options.config, [*options.overrides, *options.task])
    with process_group(choose_device(cfg.DEVICE)):
        try:
            if cfg.DATA.FOLD == ALL and not cfg.TASK:
                return _tell_folds(train_folds(cfg))
            weights = Trainer(cfg).run()
        except Stopped as stopped:
            if is_main():
                print(stopped, file=sys.stderr)
            return 128 + stopped.signum
        if is_main():
            print(f"weights: {weights}")
    return 0


def pretrain(options: argparse.Namespace) -> int:
    """Learn features from videos without labels: which sound belongs to which picture, and which way up a clip is.

    The weights are what `avsf-det train` starts from, as TRAIN.CHECKPOINT_FILE_PATH, on any dataset; with
    MODEL.DETACH_FINAL_FC True its last layer alone learns (linear probe). Run it again after an interruption and it
    goes on. DATA.ROOT is a folder of videos (TRAIN.DATASET unlabelled) or a dataset whose labels are not looked at.
    """
    return train(options)


def evaluate(options: argparse.Namespace) -> int:
    """Evaluate a trained model on a split: frame mAP at IoU 0.5 by AVA's protocol, or of whole clips accuracy or mAP.

    Which of them follows from the checkpoint; of one that does both it is boxes, with --clips whole clips. Of these the
    scores of TEST.NUM_ENSEMBLE_VIEWS moments x TEST.NUM_SPATIAL_CROPS cuts are averaged, or the highest taken where
    several classes hold at once.
    Of the folder of a run with DATA.FOLD 0 each division's model is evaluated, and the mean is told.
    """
    from avsf_det.distributed import process_group
    from avsf_det.engine.device import choose_device
    from avsf_det.engine.folds import has_folds
    from avsf_det.engine.predictor import scores_boxes

    if has_folds(options.weights):
        evaluate_one = _evaluate_folds
    else:
        boxes = scores_boxes(options.weights) and not options.clips
        evaluate_one = _evaluate_boxes if boxes else _evaluate_clips
    with process_group(choose_device("auto")):
        return evaluate_one(options)


def _evaluate_boxes(options: argparse.Namespace) -> int:
    from avsf_det.engine.audio_effect import effect_table
    from avsf_det.engine.evaluate import evaluate_weights

    result = evaluate_weights(options.weights, options.overrides, not options.no_audio, options.explain_audio)
    if result is None:
        return 0
    print(result.evaluation.table())
    if result.effects:
        print(f"\n{effect_table(result.effects)}\n")
    print(f"persons: {result.persons}")
    print(f"detections: {result.detections}")
    return 1 if result.failed else 0


def _evaluate_clips(options: argparse.Namespace) -> int:
    from avsf_det.engine.evaluate_clips import evaluate_clip_weights

    _check_no_effects(options)
    result = evaluate_clip_weights(options.weights, options.overrides, not options.no_audio)
    if result is None:
        return 0
    print(result.table())
    print(f"predictions: {result.predictions}")
    return 1 if result.failed else 0


def _evaluate_folds(options: argparse.Namespace) -> int:
    from avsf_det.engine.folds import evaluate_folds

    _check_no_effects(options)
    return _tell_folds(evaluate_folds(options.weights, options.overrides, not options.no_audio))


def _check_no_effects(options: argparse.Namespace) -> None:
    if options.explain_audio:
        raise UserError("--explain-audio is for models of boxes; of whole clips, evaluate with and without --no-audio")


def _tell_folds(result: FoldsResult | None) -> int:
    if result is None:
        return 0
    print(result.table())
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
    files = options.video, options.detections, options.output
    drawing = draw_detections(*files, how, options.groundtruth, options.overwrite)
    print(f"{options.video}: {drawing.summary()}")
    return 0


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

    command = add_command(commands, "demo", demo)
    command.add_argument("--output", type=Path, default=Path("demo"), help="folder for everything made (default: demo)")
    command.add_argument("--video", type=Path, help="annotate this file with what was trained")

    add_detect_command(commands)
    add_serve_command(commands)
    add_classify_command(commands)

    command = add_command(commands, "draw", draw)
    command.add_argument("video", type=Path, metavar="VIDEO", help="the video that the detections are of")
    command.add_argument("--detections", type=Path, required=True, metavar="CSV", help="boxes, actions and scores")
    command.add_argument("--groundtruth", type=Path, metavar="CSV", help="tell right from wrong by these labels")
    command.add_argument("--label-map", metavar="FILE_OR_NAME", help="pbtxt of the classes, or ava_v2.2_80")
    command.add_argument("--output", "-o", type=Path, required=True, metavar="MP4", help="the video to write")
    add_overwrite(command)
    command.add_argument("--video-id", metavar="ID", help="its name in the csv (default: the file's, without suffix)")
    command.add_argument(
        "--start",
        type=real(-10_000_000, 10_000_000),
        metavar="SECOND",
        help="where the file begins on the csv's clock (default: 900 if it is as long as AVA's cut, else 0)",
    )
    command.add_argument("--threshold", type=score, default=0.3, help="show actions from this score on (default: 0.3)")
    command.add_argument("--top-k", type=top_k, default=3, help="actions shown for a person at most (default: 3)")

    for name, run, task in (("train", train, []), ("pretrain", pretrain, ["TASK", "ssl"])):
        command = add_command(commands, name, run)
        command.add_argument("--config", help="yaml file, or the name of one in configs/")
        add_overrides(command)
        command.set_defaults(task=task)

    command = add_command(commands, "eval", evaluate)
    command.add_argument("--weights", required=True, help="checkpoint; brings the model's config and its classes")
    command.add_argument("--clips", action="store_true", help="whole clips, of CLIPS.ROOT, by a model that does both")
    add_audio(command)
    add_overrides(command)

    add_detector_commands(commands)
    add_data_commands(commands)

    command = add_command(commands, "convert", convert)
    command.add_argument("source", type=Path, metavar="IN", help="weight file")
    command.add_argument("target", type=Path, metavar="OUT", help="checkpoint to write")
    command.add_argument("--config", help="yaml file, or the name of one in configs/, of the model they are for")
    command.add_argument("--naming", choices=("ours", "pyslowfast"), default="ours", help="of OUT (default: ours)")
    command.add_argument("--label-map", type=Path, help="pbtxt of the classes, which `avsf-det detect` needs")
    command.add_argument("--bgr", action="store_true", help="the weights expect BGR pictures: make them expect RGB")
    command.add_argument("--report", action="store_true", help="print what became of every tensor, with its shapes")
    add_overrides(command, f"straight after OUT: {OVERRIDES}")

    add_export_command(commands)

    command = add_command(commands, "model", model)
    command.add_argument("config", metavar="CONFIG", help="yaml file, or the name of one: kinetics/avslowfast_4x16_r50")
    command.add_argument(
        "--size", type=pixels, default=0, help="pixels of the clip's sides (default: DATA.TRAIN_CROP_SIZE)"
    )
    add_overrides(command)

    command = add_command(commands, "config", config)
    command.add_argument("--config", help="yaml file, or the name of one in configs/")
    add_overrides(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
