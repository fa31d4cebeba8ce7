"""Detection on long films: how often a frame is decoded, how fast, where time goes, and whether memory stays flat.

    python benchmarks/long_video.py                                    # 1, 10 and 60 minutes, the scenes' small model
    python benchmarks/long_video.py --minutes 1 --config ava/avslowfast_4x16_r50 --precision bfloat16
    python benchmarks/long_video.py --minutes 1 10 --rate 5 --video film.mp4

A film is a synthetic scene of a minute (480x360, H.264 with sound), or --video, end to end as often as need be. Persons
are given, so that it is this project's own work that is measured; results are a csv, what is kept for an interruption
included. Each measurement is a process of its own, one after the other. Compared with, in the same run:

    clip by clip   for every keyframe: open the file, go there, decode on to the end of the clip, scale its frames and
                   run the eager float32 model on it (what a script around a model does)
    ... by OpenCV  the same with cv2.VideoCapture, as demos of other projects read videos; what it decodes between the
                   place it jumps to and the clip is not counted
    ... by time    the same with this project's reader, which leaves out what can be, and its inference mode

and, so that each can be told for itself, with one pass that lacks something:

    stages in turn      nothing is read while the network computes
    one clip at a time  through the network
    eager model         instead of its inference mode
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain, pairwise
from math import inf
from pathlib import Path
from unittest import mock

import av
import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ava_eval.label_map import LabelMap
from avsf_det.config import load_cfg
from avsf_det.data.clip import Clip, ClipSpec, read_clips, read_log_mel
from avsf_det.data.film import Film
from avsf_det.data.scenes.generator import ScenesSpec, generate
from avsf_det.data.transforms import resize
from avsf_det.engine.detect import DetectOptions, detect_video, keyframe_times
from avsf_det.engine.persons import open_detector
from avsf_det.engine.pipeline import ahead
from avsf_det.engine.predictor import Predictor
from avsf_det.media.source import open_video
from avsf_det.media.track import Track
from avsf_det.media.video import probe
from avsf_det.models.build import build_model
from avsf_det.structures import Keyframe, Persons

WAYS = ("one pass", "clip by clip", "clip by clip, by OpenCV", "clip by clip, by time")
LACKING = ("one pass, stages in turn", "one pass, one clip at a time", "one pass, eager model")
CLIP_BY_CLIP = 120  # keyframes of it that are measured at most: each costs the same


def main() -> None:
    """Make the films, measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", nargs="+", type=int, default=[1, 10, 60])
    parser.add_argument("--config", default="scenes/avslowfast_small")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--rate", type=float, default=1.0, help="keyframes a second")
    parser.add_argument("--video", type=Path, help="instead of a scene, about a minute long")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)  # way, film
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*options.measure, options)))
        return
    print(f"{platform.machine()}, {os.cpu_count()} processors, torch {torch.__version__}; {options.config}, ", end="")
    print(f"{options.precision}, {options.rate:g} keyframes a second\n")
    print("| way | minutes | decoded per frame | video s per s | peak MB |", "decoding s | network s | all s |")
    print("|---|---|---|---|---|---|---|---|")
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        minute = options.video or make_minute(Path(folder))
        for minutes in options.minutes:
            film = repeat(minute, minutes, Path(folder) / f"film_{minutes}.mp4")
            for way in (*WAYS, *LACKING) if minutes == options.minutes[0] else WAYS[:1]:
                found[way, minutes] = one = in_a_process(way, film, options)
                numbers = f"{one['decoded']:.2f} | {one['speed']:.2f} | {one['memory']:.0f} | "
                print(f"| {way} | {minutes} | {numbers}{' | '.join(f'{s:.1f}' for s in one['seconds'])} |", flush=True)
    first = options.minutes[0]
    memory = [found[WAYS[0], minutes]["memory"] for minutes in options.minutes]
    print(f"\nmemory of one pass grows by {max(memory) - memory[0]:.0f} MB; it is so many times as fast as")
    for way in (*WAYS[1:], *LACKING):
        print(f"  {way:28} {found[WAYS[0], first]['speed'] / found[way, first]['speed']:.2f}")


def make_minute(folder: Path) -> Path:
    """A scene of a minute."""
    generate(folder / "scenes", ScenesSpec({"test": 1}, width=480, height=360, duration=60))
    return folder / "scenes" / "videos" / "test_0000.mp4"


def repeat(minute: Path, times: int, target: Path) -> Path:
    """A film so many times as long, its packets copied."""
    with av.open(str(minute)) as source, av.open(str(target), "w") as film:
        tracks = {track.index: film.add_stream_from_template(track) for track in source.streams}
        length = source.duration / av.time_base
        for number in range(times):
            source.seek(0)
            for packet in source.demux():
                if packet.dts is not None:
                    shift = round(number * length / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = tracks[packet.stream.index]
                    film.mux(packet)
    return target


def in_a_process(way: str, film: Path, options: argparse.Namespace) -> dict:
    """What `measure` finds in a process of its own."""
    words = ["--config", options.config, "--precision", options.precision, "--rate", str(options.rate)]
    command = [sys.executable, __file__, *words, "--measure", way, str(film)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def measure(way: str, film: str, options: argparse.Namespace) -> dict:
    """Decoded frames per frame, seconds of film a second, peak memory in MB, and the seconds of decoding (with scaling
    and sound), of the network, and from beginning to end."""
    torch.manual_seed(0)
    cfg = load_cfg(options.config, ["TEST.PRECISION", options.precision])
    if way == "one pass, one clip at a time":
        cfg.TEST.BATCH_SIZE = 1
    names = tuple(f"class {i}" for i in range(cfg.MODEL.NUM_CLASSES))
    label_map = LabelMap(ids=tuple(range(1, len(names) + 1)), names=names, groups=("",) * len(names))
    predictor, info = Predictor(build_model(cfg), cfg, label_map), probe(film)
    times, spent = keyframe_times(info, options.rate), Counter()
    with tempfile.TemporaryDirectory() as folder:
        boxes = Path(folder) / "boxes.csv"
        with open(boxes, "w", newline="") as file:
            for time_ in times:
                for x in (0.1, 0.5):
                    csv.writer(file).writerow([Path(film).stem, f"{time_:g}", x, 0.1, x + 0.3, 0.9, "", 0.9])
        detector = open_detector(str(boxes))
        if not way.startswith("one pass"):
            times = times[:: max(1, len(times) // CLIP_BY_CLIP)]
        if way == "one pass, eager model":
            predictor.network.model.forward = predictor.network.model.source.forward
        warm_up(predictor, film)
        overlap = ahead if way != "one pass, stages in turn" else lambda items, limit: items
        with (
            mock.patch("avsf_det.engine.detect.ahead", overlap),
            counted(spent),
            clocked(spent, Predictor, "_scores"),
            clocked(spent, Eager, "__call__"),
            clocked_items(spent),
        ):
            began = time.perf_counter()
            if way.startswith("one pass"):
                how = DetectOptions(options.rate, outputs=("csv",))
                detect_video(Path(film), Path(folder) / "results", predictor, detector, how)
            else:
                compute = predictor if way.endswith("by time") else Eager(predictor)
                read = {WAYS[1]: decode_clip, WAYS[2]: partial(read_by_opencv, spent), WAYS[3]: read_clips}[way]
                clip_by_clip(film, times, read, compute, detector, spent)
            wall = time.perf_counter() - began
    seconds = len(times) / options.rate
    return {
        "decoded": spent["frames"] / (seconds * float(info.fps)),
        "speed": seconds / wall,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "seconds": [spent["decoding"], spent["network"], wall],
    }


def clip_by_clip(
    film: str, times: list[float], read: Callable, compute: Predictor | Eager, detector: object, spent: Counter
) -> None:
    """Each keyframe by itself."""
    for time_ in times:
        began = time.perf_counter()
        persons = detector.detect([Keyframe(Path(film).stem, time_)])
        (clip,) = read(film, [time_], compute.spec)
        spent["decoding"] += time.perf_counter() - began
        compute([clip], persons)


def decode_clip(film: str, times: list[float], spec: ClipSpec) -> list[Clip]:
    """The clip at one time, of frames that are decoded one after the other, made RGB at full size and then scaled."""
    wanted, images = spec.frame_times(times[0]), []
    with open_video(film) as video:
        for frame, after in pairwise(chain(video.decoded(max(wanted[0], 0.0)), (None,))):
            shown = (wanted < inf if after is None else wanted < after.time).sum() - len(images)
            images += [frame.image(video.height, video.width)] * shown if shown > 0 else []
            if len(images) == len(wanted):
                break
    return [_clip(film, times[0], images, spec)]


def read_by_opencv(spent: Counter, film: str, times: list[float], spec: ClipSpec) -> list[Clip]:
    """The clip at one time, of frames that `cv2.VideoCapture` reads one after the other from its first one on."""
    capture = cv2.VideoCapture(film)
    numbers = np.round(spec.frame_times(times[0]) * capture.get(cv2.CAP_PROP_FPS)).astype(int).clip(0)
    capture.set(cv2.CAP_PROP_POS_FRAMES, numbers[0])
    images = []
    for number in range(numbers[0], numbers[-1] + 1):
        there, image = capture.read()
        if not there:
            break
        spent["frames"] += 1
        images += [cv2.cvtColor(image, cv2.COLOR_BGR2RGB)] * int((numbers == number).sum())
    images += images[-1:] * (len(numbers) - len(images))
    return [_clip(film, times[0], images, spec)]


def _clip(film: str, time_: float, images: list[np.ndarray], spec: ClipSpec) -> Clip:
    log_mel = read_log_mel(film, time_, spec)
    return Clip(resize(torch.from_numpy(np.stack(images)), spec.short_side).numpy(), log_mel.numpy())


class Eager:
    """A predictor's model as it was trained."""

    def __init__(self, predictor: Predictor) -> None:
        self.spec, self._model, self._predictor = predictor.spec, predictor.network.model.source, predictor

    @torch.no_grad()
    def __call__(self, clips: list[Clip], persons: list[Persons]) -> torch.Tensor:
        samples = [self._predictor._sample(*one, self.spec.short_side) for one in zip(clips, persons)]
        batch = self._predictor._collate(samples)
        return torch.sigmoid(self._model(batch.slow, batch.fast, batch.audio, batch.boxes, batch.audio_present))


def warm_up(predictor: Predictor, film: str) -> None:
    """Let what is made once be made: the file's numbers, filters, the network's plans."""
    (clip,) = read_clips(film, [1.0], predictor.spec)
    one = Persons([[0.1, 0.1, 0.5, 0.9]], [1.0])
    predictor([clip] * predictor.cfg.TEST.BATCH_SIZE, [one] * predictor.cfg.TEST.BATCH_SIZE)


@contextmanager
def counted(spent: Counter) -> Iterator[None]:
    """Count the frames of the picture that are decoded."""
    decode = Track._decode_packet

    def count(track: Track, packet: av.Packet | None) -> list:
        frames = decode(track, packet)
        spent["frames"] += len(frames) if track.stream.type == "video" else 0
        return frames

    with mock.patch.object(Track, "_decode_packet", count):
        yield


@contextmanager
def clocked(spent: Counter, owner: type, name: str) -> Iterator[None]:
    """Add up the seconds of a method that runs the network."""
    method: Callable = getattr(owner, name)

    def timed(*arguments: object) -> object:
        began = time.perf_counter()
        try:
            return method(*arguments)
        finally:
            spent["network"] += time.perf_counter() - began

    with mock.patch.object(owner, name, timed):
        yield


@contextmanager
def clocked_items(spent: Counter) -> Iterator[None]:
    """Add up the seconds in which a film makes its moments."""
    moments = Film.moments

    def timed(*arguments: object) -> Iterator:
        items = moments(*arguments)
        while True:
            began = time.perf_counter()
            item = next(items, None)
            spent["decoding"] += time.perf_counter() - began
            if item is None:
                return
            yield item

    with mock.patch.object(Film, "moments", timed):
        yield


if __name__ == "__main__":
    main()
