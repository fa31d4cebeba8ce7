"""Clips a second and core that the training loader reads, beside reading each clip anew; and that both read the same.

taskset -c 0 python benchmarks/data_loader.py --folder /tmp/loader
taskset -c 0 python benchmarks/data_loader.py --folder /tmp/loader --videos FOLDER

The folder keeps what is made for it: small scenes (192x144, 5 s), and films (640x480, 60 s, sound) as x264 writes them
by default: keyframes up to 250 frames apart, three B-frames. FOLDER is one of your videos, whose every whole second is
taken for a keyframe. All is read in one thread of one process, and what is counted is processor time, the best of
`--repeat` runs. The naive way opens the file for each clip, seeks, decodes all frames from there, scales them whole,
cuts the crop, and makes floats of it. Each further row adds one of the loader's measures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from unittest import mock

import av
import numpy as np
import torch

from avsf_det.config import load_cfg
from avsf_det.data.annotations import AvaFolder
from avsf_det.data.batch import Batch, Collate
from avsf_det.data.clip import ClipSpec
from avsf_det.data.dataset import ActionDataset, Run
from avsf_det.data.keyframes import Keyframes
from avsf_det.data.loader import TrainLoader
from avsf_det.data.scenes.generator import ScenesSpec, generate, make_scene
from avsf_det.data.transforms import TrainTransform, resize
from avsf_det.media.track import Track
from avsf_det.media.video import probe
from avsf_det.structures import VIDEO_SUFFIXES

FILM = ScenesSpec({"train": 1}, width=640, height=480, duration=60)
RATE, SAMPLE_RATE = 30, 48000


@dataclass(frozen=True)
class Measures:
    """What the loader does about the naive way's waste."""

    neighbours: bool = False
    skipping: bool = False
    cut_first: bool = False
    as_bytes: bool = False


STEPS = {
    "each clip anew": Measures(),
    "+ neighbours read at once": Measures(True),
    "+ unwanted frames not decoded": Measures(True, True),
    "+ cut before scaling": Measures(True, True, True),
    "+ bytes, not floats: the loader": Measures(True, True, True, True),
}


def main() -> None:
    """Makes the files where they are missing, then reads them in each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the files are or will be")
    parser.add_argument("--videos", type=Path, help="a folder of videos to read as well")
    parser.add_argument("--config", default="ava/avslowfast_8x8_r50", help="what clips of films and videos are made of")
    parser.add_argument("--films", type=int, default=1, help="one takes minutes to draw (default 1)")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--clips-per-read", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generate(options.folder / "scenes", ScenesSpec({"train": 12, "val": 1, "test": 1}))
    scenes = AvaFolder(options.folder / "scenes")
    compare("scenes", scenes.videos, scenes.keyframes("train"), "scenes/avslowfast_small", options)
    films = [make_film(options.folder, number) for number in range(options.films)]
    compare("films", *every_second(films), options.config, options)
    if options.videos:
        found = sorted(p for p in options.videos.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES)
        compare("videos", *every_second(found), options.config, options)


def make_film(folder: Path, number: int) -> Path:
    """A scene with sound, written by x264 and FFmpeg's AAC as they come."""
    path = folder / f"film_{number}.mp4"
    if path.is_file():
        return path
    scene = make_scene(FILM, "train", number)
    with av.open(str(path.with_suffix(".part.mp4")), "w") as file:
        picture, sound = (
            file.add_stream("libx264", rate=RATE),
            file.add_stream("aac", rate=SAMPLE_RATE, layout="stereo"),
        )
        picture.width, picture.height, picture.pix_fmt = FILM.width, FILM.height, "yuv420p"
        waveform = scene.sound(SAMPLE_RATE).astype(np.float32).reshape(FILM.duration * SAMPLE_RATE, -1)
        waveform = waveform[:, :1].repeat(2, axis=1)
        for second in range(FILM.duration):
            images = [scene.frame(second + i / RATE, second * RATE + i)[0] for i in range(RATE)]
            samples = np.ascontiguousarray(waveform[second * SAMPLE_RATE :][:SAMPLE_RATE]).reshape(1, -1)
            heard = av.AudioFrame.from_ndarray(samples, format="flt", layout="stereo")
            heard.sample_rate, heard.time_base = SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
            heard.pts = second * SAMPLE_RATE
            for image in images:
                file.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            file.mux(sound.encode(heard))
        file.mux(picture.encode(None))
        file.mux(sound.encode(None))
    path.with_suffix(".part.mp4").rename(path)
    return path


def every_second(paths: list[Path]) -> tuple[dict[str, Path], Keyframes]:
    """Videos by name, and a keyframe with one person at each whole second within them."""
    paths = sorted(paths, key=lambda path: path.stem)
    seconds = [np.arange(1.0, max(int(probe(path).duration), 2)) for path in paths]
    videos, times = np.repeat(np.arange(len(paths)), [len(some) for some in seconds]), np.concatenate(seconds)
    every, boxes = np.arange(len(times) + 1), np.tile((0.3, 0.2, 0.6, 0.9), (len(times), 1))
    ones = np.ones(len(times))
    keyframes = Keyframes([path.stem for path in paths], videos, times, every, boxes, ones, ones, every, 0 * ones, 1)
    return {path.stem: path for path in paths}, keyframes


def compare(name: str, videos: dict, keyframes: Keyframes, config: str, options: argparse.Namespace) -> None:
    """Prints how fast each way is; fails unless all read the same."""
    cfg = load_cfg(config, ["DATA.CLIPS_PER_READ", str(options.clips_per_read)])
    spec = ClipSpec.from_config(cfg, max(cfg.DATA.TRAIN_JITTER_SCALES))
    samples = ActionDataset(keyframes, videos, spec, TrainTransform.from_config(cfg), seed=0)
    collate = Collate.from_config(cfg, spec)
    print(
        f"{name}: {len(keyframes)} clips of {len(videos)} videos, {config}, batches of {options.batch_size}", flush=True
    )
    seconds = dict.fromkeys(STEPS, np.inf)
    for _ in range(options.repeat):
        for step, measures in STEPS.items():
            seconds[step] = min(seconds[step], measure(samples, collate, measures, cfg, options.batch_size))
    for step, one in seconds.items():
        print(f"  {step:<32} {1 / one:7.1f} clips/s/core  {seconds['each clip anew'] / one:5.2f}x")
    check(samples, collate, cfg, options.batch_size)


def measure(samples: ActionDataset, collate: Collate, measures: Measures, cfg: object, batch_size: int) -> float:
    """Processor seconds a clip."""
    clips, start = 0, time.process_time()
    for batch in read(samples, collate, measures, cfg, batch_size):
        clips += len(batch)
        if not measures.as_bytes:
            _ = batch.fast, batch.slow
    return (time.process_time() - start) / clips


def read(samples: ActionDataset, collate: Collate, measures: Measures, cfg: object, batch_size: int) -> Iterator[Batch]:
    """An epoch's batches, with some of the loader's measures only."""
    per_read = cfg.DATA.CLIPS_PER_READ
    loader = TrainLoader(samples, collate, batch_size, 0, num_workers=0, clips_per_read=per_read)
    runs = samples.read

    def each_alone(run: Run) -> list:
        return [one for i in range(len(run)) for one in runs(replace(run, indices=run.indices[i : i + 1]))]

    with ExitStack() as stack:
        for wanted, *instead in (
            (measures.neighbours, loader._pool, "_function", each_alone),
            (measures.skipping, Track, "want", lambda self, times: None),
            (measures.cut_first, TrainTransform, "_crop", scaled_then_cut),
        ):
            if not wanted:
                stack.enter_context(mock.patch.object(*instead))
        yield from loader.epoch(0)


def scaled_then_cut(
    self: TrainTransform, frames: torch.Tensor, boxes: torch.Tensor, short_side: int, uniform: Callable
) -> tuple[torch.Tensor, torch.Tensor]:
    """`TrainTransform._crop` as it is usually done."""
    scaled = resize(frames, short_side)
    height, width = scaled.shape[1:3]
    size = min(self.crop_size, height, width)
    top, left = round(uniform(0, height - size)), round(uniform(0, width - size))
    origin, scale = torch.tensor((left / width, top / height) * 2), torch.tensor((width / size, height / size) * 2)
    return scaled[:, top : top + size, left : left + size], (boxes - origin) * scale


def check(samples: ActionDataset, collate: Collate, cfg: object, batch_size: int) -> None:
    """Fails unless reading with and without skipping, together and alone, gives the same pixels, boxes and sound."""
    alone, together = (
        list(read(samples, collate, Measures(some, some, cut_first=True), cfg, batch_size)) for some in (False, True)
    )
    for one, other in zip(alone, together, strict=True):
        assert one.clips == other.clips and one.failed == other.failed
        for name in ("frames", "audio", "boxes", "labels"):
            assert torch.equal(getattr(one, name), getattr(other, name)), (name, one.clips)
    clips = sum(map(len, alone))
    print(f"  the same pixels, sound and boxes in all {clips} clips, read together or each alone")


if __name__ == "__main__":
    main()
