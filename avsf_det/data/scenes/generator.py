"""Writes a dataset of scenes to disk, exactly as AVA is laid out: mp4 files, ground truth, label map, boxes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from avsf_det.data.scenes.activities import label_map
from avsf_det.data.scenes.figure import Body
from avsf_det.data.scenes.scene import Scene
from avsf_det.errors import UserError
from avsf_det.files import written_whole
from avsf_det.media.writer import VideoWriter

FRAME_RATES = (Fraction(30), Fraction(30000, 1001), Fraction(25))
SAMPLE_RATES = (44100, 48000)
SPLITS = ("train", "val", "test")
CASTS = (*SPLITS, "unlabelled")
TRACKS = {3: "silent", 16: "none"}
"""Which of every 25 videos have a silent sound track, and which none."""
BODIES = {"train": 200, "val": 40, "test": 40, "unlabelled": 1000}
"""How many people, and as many places, each of `CASTS` has; none shares any with another."""
MIN_DURATION, MIN_SIDE = 3, 48
EXCLUDED_SHARE = 0.02
"""Share of keyframes that the excluded timestamps name."""


@dataclass(frozen=True)
class ScenesSpec:
    """A dataset of scenes; the same spec gives the same dataset.

    Attributes:
        scenes: split, or "unlabelled" -> number of videos.
        width, height: of the picture, in pixels.
        duration: of each video, whole seconds.
        seed: of everything.
    """

    scenes: dict[str, int] = field(default_factory=lambda: {"train": 300, "val": 8, "test": 60})
    width: int = 192
    height: int = 144
    duration: int = 5
    seed: int = 0


def generate(
    root: str | Path, spec: ScenesSpec, workers: int = 0, progress: Callable[[Iterable, int], Iterable] | None = None
) -> None:
    """Write the dataset `spec` to `root`; a whole one is left as it is, and of others the videos that are there.

    Files:
        videos/<video_id>.mp4
        annotations/label_map.pbtxt
        annotations/<split>.csv: video,timestamp,x1,y1,x2,y2,action_id,person_id
        annotations/<split>_excluded_timestamps.csv: video,timestamp
        annotations/<split>_person_boxes.csv: video,timestamp,x1,y1,x2,y2,,score

    Args:
        root: the folder; made if need be.
        spec: what to make.
        workers: processes; 0 for one per processor.
        progress: wraps (iterable, total) in a progress bar.

    Raises:
        UserError: as of `write_videos`.
    """
    annotations = Path(root) / "annotations"
    finished = annotations / "label_map.pbtxt"  # written last
    rows = write_videos(Path(root), "ava", spec, _video, _write_scene, [finished], workers, progress)
    if rows is None:
        return
    for split in SPLITS:
        _write_tables(annotations, split, rows[split], spec.seed)
    write_text(finished, label_map().to_pbtxt())


def write_videos(
    root: Path,
    layout: str,
    spec: ScenesSpec,
    video: Callable[[Path, ScenesSpec, str, int], Path],
    write: Callable[[Path, ScenesSpec, str, int], object],
    tables: Sequence[Path],
    workers: int = 0,
    progress: Callable[[Iterable, int], Iterable] | None = None,
) -> dict[str, list] | None:
    """Write the videos of a dataset; those that are there are left as they are.

    Args:
        root: the folder; made if need be, with a `scenes.json` that says what it holds.
        layout: how the dataset is laid out.
        spec: what to make.
        video: the path of a split's video of some number.
        write: writes that video unless it is there, in another process; what it returns is handed back.
        tables: the files that the caller writes afterwards; without them the dataset is not whole.
        workers: processes; 0 for one per processor.
        progress: wraps (iterable, total) in a progress bar.

    Returns:
        split -> what `write` returned for each of its videos; None if the dataset is whole already.

    Raises:
        UserError: if the scenes would be too small, or `root` holds a dataset of another spec or layout or cannot be
            written.
    """
    if spec.duration < MIN_DURATION or min(spec.width, spec.height) < MIN_SIDE:
        raise UserError(
            f"scenes of {spec.width}x{spec.height} pixels and {spec.duration} s: too small for people to act in; "
            f"expected at least {MIN_SIDE}x{MIN_SIDE} pixels and {MIN_DURATION} s"
        )
    stamp = root / "scenes.json"
    kind = {} if layout == "ava" else {"layout": layout}
    wanted = json.dumps(asdict(spec) | kind, sort_keys=True).encode()
    jobs = [(split, number) for split in CASTS for number in range(spec.scenes.get(split, 0))]
    files = [*(video(root, spec, *job) for job in jobs), *tables]
    try:
        if stamp.is_file() and stamp.read_bytes() != wanted:
            raise UserError(
                f"{root} holds scenes of another size, seed, number or layout; choose another folder, or remove this "
                "one"
            )
        for folder in {root, *(path.parent for path in files)}:
            folder.mkdir(parents=True, exist_ok=True)
        stamp.write_bytes(wanted)
    except OSError as error:
        raise UserError(f"cannot write to {root}: {error.strerror}; choose another folder") from None
    if all(path.is_file() for path in files):
        return None
    with ProcessPoolExecutor(workers or os.cpu_count(), initializer=leave_interrupts_to_parent) as pool:
        results = pool.map(partial(write, root, spec), *zip(*jobs))
        results = list(progress(results, len(jobs)) if progress else results)
    return {split: [r for job, r in zip(jobs, results) if job[0] == split] for split in CASTS}


def write_video(path: Path, spec: ScenesSpec, scene: Scene, track: str, rate: Fraction, sample_rate: int) -> None:
    """Write a scene as a video unless it is there.

    Args:
        path: the file.
        spec: of the dataset.
        scene: what it shows.
        track: "sound", "silent" or "none".
        rate: frames a second.
        sample_rate: samples of sound a second.
    """
    if path.is_file():
        return
    sound = None
    if track != "none":
        heard = scene.sound(sample_rate)
        sound = (heard if track == "sound" else np.zeros_like(heard), sample_rate)
    # One thread: it is the fastest beside other workers, and nothing can come out otherwise by chance.
    with VideoWriter(path, spec.width, spec.height, rate, sound=sound, threads=1) as writer:
        for i in range(int(spec.duration * rate)):
            writer.write(scene.frame(float(i / rate), i)[0], float(i / rate))


def leave_interrupts_to_parent() -> None:
    """Let Ctrl-C end the process that started this one, which then ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _video(root: Path, spec: ScenesSpec, split: str, number: int) -> Path:
    return root / "videos" / f"{split}_{number:04d}.mp4"


def random_source(seed: int, *place: int | str) -> np.random.Generator:
    """The random source of one part of the dataset."""
    return np.random.default_rng([seed, *(p if isinstance(p, int) else 1000 + CASTS.index(p) for p in place)])


@lru_cache(maxsize=len(CASTS))
def cast_of(seed: int, split: str) -> tuple[list[Body], list[int]]:
    """The bodies of a split, and the seeds of its places."""
    people = random_source(seed, split, 1)
    bodies = [Body.draw(people) for _ in range(BODIES[split])]
    return bodies, [int(place) for place in people.integers(2**31, size=BODIES[split])]


def make_scene(spec: ScenesSpec, split: str, number: int) -> Scene:
    """What video `number` of a split shows."""
    rng, sounds = random_source(spec.seed, split, 2, number), track_of(number) == "sound"
    return Scene(rng, *cast_of(spec.seed, split), spec.width, spec.height, spec.duration, sounds)


def track_of(number: int) -> str:
    """What sound track video `number` of a split has: "sound", "silent" or "none"."""
    return TRACKS.get(number % 25, "sound")


def _write_scene(root: Path, spec: ScenesSpec, split: str, number: int) -> list[tuple]:
    """Write one video unless it is there; its rows (video, second, box, action names, person id)."""
    path, scene = _video(root, spec, split, number), make_scene(spec, split, number)
    rate, sample_rate = FRAME_RATES[number % len(FRAME_RATES)], SAMPLE_RATES[number % len(SAMPLE_RATES)]
    write_video(path, spec, scene, track_of(number), rate, sample_rate)
    rows = []
    for second in range(1, spec.duration):
        boxes = scene.frame(second, 0)[1]
        for person, (box, actions) in enumerate(zip(boxes, scene.actions(second))):
            if box is not None:
                rows.append((path.stem, second, box, actions, person))
    return rows


def _write_tables(folder: Path, split: str, scenes: list[list[tuple]], seed: int) -> None:
    classes = label_map()
    ids = dict(zip(classes.names, classes.ids))
    truth, boxes, excluded = [], [], []
    rng = random_source(seed, split, 3)
    for rows in scenes:
        seconds = sorted({row[:2] for row in rows})
        excluded += [f"{video},{t:04d}" for video, t in seconds if rng.uniform() < EXCLUDED_SHARE]
        for video, second, box, actions, person in rows:
            place = f"{video},{second:04d}," + ",".join(f"{v:.3f}" for v in box)
            truth += [f"{place},{ids[action]},{person}" for action in actions]
            boxes.append(f"{place},,1.0")
    write_text(folder / f"{split}.csv", "\n".join(truth) + "\n")
    write_text(folder / f"{split}_person_boxes.csv", "\n".join(boxes) + "\n")
    write_text(folder / f"{split}_excluded_timestamps.csv", "".join(f"{row}\n" for row in excluded))


def write_text(path: Path, text: str) -> None:
    """Write a file whole."""
    with written_whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
