"""The command `avsf-det detect`, on files and on streams."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from avsf_det.commands.arguments import (
    add_audio,
    add_command,
    add_detector,
    add_device,
    add_overwrite,
    clip_count,
    pixels,
    rate,
    real,
    score,
    seconds,
    tell_results,
    top_k,
    workers,
)
from avsf_det.errors import UserError

if TYPE_CHECKING:
    from avsf_det.engine.detect import DetectOptions
    from avsf_det.engine.predictor import Predictor
    from avsf_det.media.source import VideoSource
    from detectors import PersonDetector

OUTPUTS = ("mp4", "csv", "jsonl", "timeline", "page")  # avsf_det.engine.results.SUFFIXES has them too


def detect(options: argparse.Namespace) -> int:
    """Annotate videos: for each an mp4 with its sound, an AVA csv, JSON lines, a timeline and a page to play it.

    Run it again after an interruption and it goes on; videos that are done, and did not change since, are passed over.
    A stream is an address (http, https, rtsp), a camera such as /dev/video0, or with --follow a file that still grows;
    it goes on until it ends or Ctrl-C. Its rows are written as they are found, the other outputs at the end.
    With several workers, on this machine or by Ray on a cluster, manifest.jsonl in the output tells what became of each
    video.
    """
    from avsf_det.engine.detect import detect_videos, find_videos
    from avsf_det.engine.many.storage import is_url, listed
    from avsf_det.media.address import is_stream

    if options.address and options.engine != "ray":
        raise UserError(f"--address {options.address}: is of a cluster of Ray; add --engine ray")
    inputs = options.videos if options.follow else listed(options.videos)
    streams = [address for address in inputs if options.follow or is_stream(address)]
    if streams and len(inputs) > 1:
        raise UserError(f"{streams[0]} is a stream, which goes on; give it alone, the others to a command of their own")
    by_address = any(map(is_url, (*inputs, options.output)))
    if not streams:
        videos = [video for one in inputs for video in ([one] if is_url(one) else find_videos([one]))]
        if by_address or options.engine == "ray" or options.time_limit or (options.workers or 1) > 1:
            return _detect_many(videos, options)
    elif is_url(options.output):
        raise UserError(f"--output {options.output}: results of a stream are written as they come; give a folder")
    predictor, detector, how = prepare(options)
    if streams:
        return _detect_stream(streams[0], options, predictor, detector, how)
    results, failed = detect_videos(videos, Path(options.output), predictor, detector, how)
    return tell_results(results, failed, len(videos))


def _detect_many(videos: Sequence[Path | VideoSource | str], options: argparse.Namespace) -> int:
    from avsf_det.engine.detect import DetectOptions
    from avsf_det.engine.many.job import DetectJobs
    from avsf_det.engine.many.local import LocalEngine
    from avsf_det.engine.many.ray_data import RayEngine
    from avsf_det.engine.many.run import run_jobs
    from avsf_det.engine.many.storage import Storage, is_url
    from avsf_det.engine.many.worker import Work
    from avsf_det.engine.stop import Stopped

    if any(map(is_url, videos)) and "page" in options.outputs and "mp4" not in options.outputs:
        raise UserError(
            "a page cannot play a video that is fetched and removed; add mp4 to --outputs, or leave out page"
        )
    for name in ("weights", "detector", "detector_weights", "thresholds"):  # workers may be in another folder
        value = getattr(options, name)
        if value and Path(value).exists():
            setattr(options, name, str(Path(value).absolute()))
    storage = Storage(options.output)
    work = Work(DetectJobs(partial(prepare, options), storage), storage, options.time_limit)
    if options.engine == "ray":
        engine = RayEngine(work, options.workers, options.address, use_gpus=options.device != "cpu")
    else:
        engine = LocalEngine(work, options.workers or 1)
    try:
        suffixes = DetectOptions(outputs=options.outputs).suffixes(options.explain_audio)
        done, failed = run_jobs(videos, storage, engine, suffixes, options.overwrite)
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        return 128 + stopped.signum
    return tell_results(done, failed, len(done.keys() | failed.keys()))


def prepare(options: argparse.Namespace) -> tuple[Predictor, PersonDetector, DetectOptions]:
    """What the options of `add_how` amount to.

    Raises:
        UserError: if a file cannot be used, or options do not go together.
    """
    from avsf_det.engine.detect import DetectOptions
    from avsf_det.engine.evaluate import default_cache
    from avsf_det.engine.persons import open_detector
    from avsf_det.engine.predictor import Predictor
    from avsf_det.engine.thresholds import read_thresholds

    overrides = ["DEVICE", options.device, "TEST.PRECISION", options.precision]
    views = {"SCALES": options.scales, "FLIP": options.flip, "NUM_ENSEMBLE_VIEWS": options.clips}
    for key, value in views.items():
        overrides += [f"TEST.{key}", str(value)] if value is not None else []
    predictor = Predictor.load(options.weights, overrides, not options.no_audio, options.explain_audio)
    classes = predictor.cfg.DETECTOR.CLASSES
    detector = open_detector(options.detector, options.detector_weights, options.score_threshold, classes)
    threshold = options.threshold
    if options.thresholds:
        threshold = read_thresholds(options.thresholds, predictor.label_map.names, threshold)
    how = {"threshold": threshold, "top_k": options.top_k, "smooth": options.smooth, "cache": default_cache()}
    return predictor, detector, DetectOptions(options.rate, **how, outputs=options.outputs, overwrite=options.overwrite)


def _detect_stream(
    address: str, options: argparse.Namespace, predictor: Predictor, detector: PersonDetector, how: DetectOptions
) -> int:
    from avsf_det.engine.live import detect_stream
    from avsf_det.media.address import without_password

    result = detect_stream(address, Path(options.output), predictor, detector, how, options.latency, options.silence)
    print(f"{without_password(address)}: {result.summary()}")
    if result.failed:
        print(result.failed, file=sys.stderr)
    return 1 if result.failed else 0


def add_detect_command(commands: argparse._SubParsersAction) -> None:
    """Add `detect` to the commands of `avsf-det`."""
    command = add_command(commands, "detect", detect)
    command.add_argument(
        "videos",
        nargs="+",
        metavar="VIDEO",
        help="video files, folders of them, addresses such as s3://bucket/film.mp4, lists of these (.txt, .csv), or "
        "one stream",
    )
    command.add_argument("--output", default="detections", help="folder, or its address (default: detections)")
    command.add_argument(
        "--outputs",
        type=_outputs,
        default=OUTPUTS,
        metavar="LIST",
        help=f"what to write, with commas between (default: {','.join(OUTPUTS)})",
    )
    add_overwrite(command)
    many = command.add_argument_group("many videos")
    many.add_argument(
        "--workers",
        type=workers,
        metavar="N",
        help="processes that do a video each (default: 1, this one; with --engine ray one for each GPU or processor)",
    )
    many.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="where: on this machine, or by Ray (default: local)"
    )
    many.add_argument("--address", metavar="ADDRESS", help="of the Ray cluster (default: Ray is started in place)")
    many.add_argument(
        "--time-limit",
        type=seconds,
        metavar="SECONDS",
        help="for a video, after which it has failed (default: none)",
    )
    live = command.add_argument_group("streams")
    live.add_argument("--follow", action="store_true", help="read on as the file grows")
    live.add_argument(
        "--latency",
        type=seconds,
        default=5.0,
        metavar="SECONDS",
        help="for which a clip may wait; older ones are left out, and counted (default: 5)",
    )
    live.add_argument(
        "--silence",
        type=seconds,
        default=10.0,
        metavar="SECONDS",
        help="without anything new, after which the stream has ended (default: 10)",
    )
    add_how(command)


def add_how(command: argparse.ArgumentParser) -> None:
    """Add the options that say with what, and how, is detected; `prepare` reads them."""
    command.add_argument("--weights", required=True, help="checkpoint of the action model; brings config and label map")
    add_detector(command)
    command.add_argument("--score-threshold", type=score, help="leave out persons below this (default: the detector's)")
    command.add_argument("--rate", type=rate, default=2.0, help="keyframes a second, 0.001 to 1000 (default: 2)")
    command.add_argument("--threshold", type=score, default=0.3, help="show actions from this score on (default: 0.3)")
    command.add_argument(
        "--thresholds",
        type=Path,
        metavar="JSON",
        help="each class from a score of its own: those of best F1 in an evaluation_*.json of `avsf-det eval`, or "
        "{class: score}; --threshold is for classes without one",
    )
    command.add_argument(
        "--smooth",
        type=real(0, 3600),
        default=0.0,
        metavar="SECONDS",
        help="average each person's scores over time, weighted by a Gaussian of this standard deviation",
    )
    command.add_argument("--top-k", type=top_k, default=3, help="actions shown for a person at most (default: 3)")
    add_audio(command)
    add_device(command)
    views = command.add_argument_group(
        "views", "Scores are the mean over all views; time grows with their number. Defaults are the checkpoint's."
    )
    views.add_argument("--scales", nargs="+", type=pixels, metavar="PIXELS", help="short sides of the picture")
    views.add_argument("--flip", action=argparse.BooleanOptionalAction, help="the mirrored picture too")
    views.add_argument("--clips", type=clip_count, metavar="N", help="clips around each keyframe")


def _outputs(text: str) -> tuple[str, ...]:
    chosen = text.split(",")
    wrong = [name for name in chosen if name not in OUTPUTS]
    if wrong:
        raise argparse.ArgumentTypeError(f"got {wrong[0]!r}, expected some of {','.join(OUTPUTS)}")
    return tuple(name for name in OUTPUTS if name in chosen)
