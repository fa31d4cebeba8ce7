"""The command `avsf-det classify`."""

from __future__ import annotations

import argparse
from pathlib import Path

from avsf_det.commands.arguments import (
    add_audio,
    add_command,
    add_device,
    add_overwrite,
    score,
    seconds,
    tell_results,
    top_k,
)
from avsf_det.errors import UserError


def classify(options: argparse.Namespace) -> int:
    """Tell what is done in videos, and when: for each a csv and a timeline of the best classes of a moving window.

    The model is one of whole clips. Run it again after an interruption and it goes on; videos that are done, and did
    not change since, are passed over.
    """
    from avsf_det.engine.classify import ClassifyOptions, classify_videos
    from avsf_det.engine.clip_predictor import ClipPredictor
    from avsf_det.engine.detect import find_videos
    from avsf_det.media.address import is_stream, without_password

    streams = list(filter(is_stream, options.videos))
    if streams:
        name = without_password(streams[0])
        raise UserError(f"{name}: a stream; `avsf-det classify` takes files, so record it first")
    videos = find_videos(options.videos)
    overrides = ["DEVICE", options.device, "TEST.PRECISION", options.precision]
    overrides += ["TEST.NUM_SPATIAL_CROPS", str(options.crops)] if options.crops else []
    predictor = ClipPredictor.load(options.weights, overrides, not options.no_audio, options.explain_audio)
    how = ClassifyOptions(options.stride, options.top_k, options.threshold, options.overwrite)
    results, failed = classify_videos(videos, options.output, predictor, how)
    return tell_results(results, failed, len(videos))


def add_classify_command(commands: argparse._SubParsersAction) -> None:
    """Add `classify` to the commands of `avsf-det`."""
    command = add_command(commands, "classify", classify)
    command.add_argument("videos", nargs="+", metavar="VIDEO", help="video files, or folders of them")
    command.add_argument(
        "--weights", required=True, help="checkpoint of a model of whole clips; brings config and classes"
    )
    command.add_argument(
        "--output", "-o", type=Path, default=Path("classifications"), help="folder (default: classifications)"
    )
    add_overwrite(command)
    command.add_argument(
        "--stride",
        type=seconds,
        metavar="SECONDS",
        help="from one window to the next (default: as long as the model's clip, and at most 1)",
    )
    command.add_argument("--top-k", type=top_k, default=5, help="classes told of each window (default: 5)")
    command.add_argument("--threshold", type=score, default=0.0, help="tell classes from this score on (default: 0)")
    add_audio(command)
    add_device(command)
    command.add_argument(
        "--crops",
        type=int,
        choices=(1, 3),
        help="cuts of the picture whose scores are put together, time grows with their number: 1 is the middle, 3 are "
        "left, middle and right (default: the checkpoint's)",
    )
