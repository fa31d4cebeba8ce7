"""Videos a minute with one worker and with two, here and by Ray; what a killed worker costs; and each video done once.

python benchmarks/many_videos.py --folder /tmp/many
python benchmarks/many_videos.py --folder /tmp/many --videos 24 --engines local

The folder keeps small scenes (192x144, 5 s) and a model of configs/scenes/avslowfast_small that has learned nothing;
persons are given, outputs are all five. Each worker computes with one thread. The clock runs from the first outcome to
the last, so that loading, told apart, is not in it. Then the same is done once more while the worker that begins the
second video is killed by SIGKILL, and with Ray the actor that it belongs to: recovery is the time from that to the
video's outcome, less the median of what a video takes. All runs must make the same files, by their SHA-256.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ava_eval.label_map import parse_label_map
from avsf_det.config import load_cfg
from avsf_det.data.scenes.generator import ScenesSpec, generate
from avsf_det.engine.detect import DetectOptions
from avsf_det.engine.many.job import DetectJobs, Job, Outcome
from avsf_det.engine.many.local import LocalEngine
from avsf_det.engine.many.ray_data import RayEngine
from avsf_det.engine.many.run import run_jobs
from avsf_det.engine.many.storage import Storage
from avsf_det.engine.many.worker import Work
from avsf_det.engine.predictor import Predictor
from avsf_det.media import track
from avsf_det.models.build import build_model
from avsf_det.models.checkpoint import save_checkpoint
from avsf_det.models.importers import OURS
from detectors import GivenBoxes

ENGINES = {"local": LocalEngine, "ray": RayEngine}


@dataclass(frozen=True)
class Prepared:
    """Model and boxes, as `avsf-det detect` loads them, at work with one thread."""

    weights: Path
    boxes: Path

    def __call__(self) -> tuple[Predictor, GivenBoxes, DetectOptions]:
        torch.set_num_threads(1)
        track.set_num_threads(1)
        return Predictor.load(self.weights, ["DEVICE", "cpu"]), GivenBoxes(self.boxes), DetectOptions(rate=2.0)


@dataclass(frozen=True)
class Deadly:
    """The same, but for the first that is to do a certain video, who is killed instead.

    Args:
        opener: what a worker opens.
        name: of the video's results.
        marker: a file that is made then.
        parent: whether not the worker is killed but who started it.
    """

    opener: DetectJobs
    name: str
    marker: Path
    parent: bool

    def __call__(self) -> Callable[[Job], Outcome]:
        do = self.opener()

        def done_or_dead(job: Job) -> Outcome:
            if job.name == self.name and not self.marker.exists():
                self.marker.touch()
                os.kill(multiprocessing.parent_process().pid if self.parent else os.getpid(), signal.SIGKILL)
                time.sleep(600)
            return do(job)

        return done_or_dead


def main() -> None:
    """Makes the files where they are missing, then runs each engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the files are or will be")
    parser.add_argument("--videos", type=int, default=24, help="scenes (default 24)")
    parser.add_argument("--engines", nargs="+", choices=tuple(ENGINES), default=tuple(ENGINES))
    options = parser.parse_args()
    scenes = options.folder / f"scenes_{options.videos}"
    generate(scenes, ScenesSpec({"train": options.videos, "val": 1, "test": 1}))
    videos = sorted((scenes / "videos").glob("train_*.mp4"))
    boxes = scenes / "annotations" / "train_person_boxes.csv"
    prepared = Prepared(make_weights(options.folder / "model.pyth", scenes), boxes)
    expected = None
    for name in options.engines:
        for workers in (1, 2):
            expected = measure(name, workers, videos, prepared, options.folder, expected)
        measure(name, 2, videos, prepared, options.folder, expected, kill=True)


def make_weights(path: Path, scenes: Path) -> Path:
    """A checkpoint of the small model."""
    label_map = (scenes / "annotations" / "label_map.pbtxt").read_text()
    classes = len(parse_label_map(label_map, "scenes"))
    cfg = load_cfg("scenes/avslowfast_small", ["MODEL.NUM_CLASSES", str(classes)])
    torch.manual_seed(0)
    state = build_model(cfg).state_dict()
    save_checkpoint(path, {"format": OURS, "model_state": state, "cfg": cfg.dump(), "label_map": label_map})
    return path


def measure(
    name: str,
    workers: int,
    videos: list[Path],
    prepared: Prepared,
    folder: Path,
    expected: dict | None,
    kill: bool = False,
) -> dict[str, str]:
    """Prints how fast one engine is; returns {file: SHA-256}, which must be what is expected."""
    output, marker = folder / "out", folder / "marker"
    shutil.rmtree(output, ignore_errors=True)
    marker.unlink(missing_ok=True)
    storage = Storage(output)
    opener = DetectJobs(prepared, storage)
    if kill:
        opener = Deadly(opener, videos[1].stem, marker, parent=name == "ray")
    began = time.monotonic()
    clock = Clock(ENGINES[name](Work(opener, storage), workers))
    done, failed = run_jobs(videos, storage, clock)
    files = {file: told["sha256"] for outcome in done.values() for file, told in outcome.files.items()}
    assert not failed and len(done) == len(videos), failed
    assert len(files) == 5 * len(videos) and (expected is None or files == expected)
    assert len((output / "manifest.jsonl").read_text().splitlines()) == len(videos)
    times = [moment for moment, _ in clock.came]
    rate = 60 * (len(times) - 1) / (times[-1] - times[0])
    told = f"{rate:6.1f} videos/min, first after {times[0] - began:4.1f} s"
    if kill:
        killed = marker.stat().st_mtime - time.time() + time.monotonic()
        (again,) = (moment for moment, outcome in clock.came if outcome.attempts == 2)
        usual = sorted(outcome.seconds for outcome in done.values())[len(done) // 2]
        told += f", killed once: recovered in {again - killed - usual:4.1f} s"
    print(f"{name:<6} {workers} workers {told}; {len(done)} done once, {len(files)} files the same", flush=True)
    return files


class Clock:
    """An engine, and when each of its outcomes came."""

    def __init__(self, engine: LocalEngine | RayEngine) -> None:
        self._engine, self.came = engine, []

    def outcomes(self, jobs: list[Job]) -> object:
        """As the engine's."""
        try:
            for outcome in (outcomes := self._engine.outcomes(jobs)):
                if outcome is not None:
                    self.came.append((time.monotonic(), outcome))
                yield outcome
        finally:
            outcomes.close()


if __name__ == "__main__":
    from many_videos import main as run  # under the name by which workers find it

    run()
