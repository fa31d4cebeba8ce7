"""The pictures of keyframes: decoded from video by several processes, once, and kept as files.

Training sees each keyframe many times, in random order. On 480x360 H.264 a seek takes 82 ms each time, decoding a video
through for a picture a second 21 ms once, and reading such a picture back 3 ms (benchmarks/keyframe_pictures.py).
"""

from __future__ import annotations

import io
import logging
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby
from pathlib import Path

import numpy as np
from tqdm import tqdm

from avsf_det.errors import UserError
from avsf_det.files import cache_folder
from avsf_det.media.source import VideoSource, as_source, open_video
from avsf_det.structures import Keyframe, Persons
from detectors.files import write_whole
from detectors.keyframes import PersonKeyframes

logger = logging.getLogger(__name__)

JPEG_QUALITY = 95
AT_ONCE = 8  # pictures decoded before they are written or looked at
CHUNK = 64  # keyframes that a process decodes before it gets more
SAMPLE = 16  # pictures by which the disk that all will take is told
MAX_FAILED = 0.1  # share of the videos; with more that cannot be read, something else is wrong
Task = tuple[str, Path | VideoSource, list[float], list[Path]]  # a video's id and place, times, and files to write


def pictures(video_id: str, video: Path | VideoSource, times: Sequence[float]) -> Iterator[list[Keyframe]]:
    """The pictures of a video at the times, a few at a time.

    Raises:
        UserError: if the video cannot be read.
    """
    with open_video(video) as reader:
        for start in range(0, len(times), AT_ONCE):
            span = times[start : start + AT_ONCE]
            yield [Keyframe(video_id, time, image) for time, image in zip(span, reader.frames_at(span))]


class PictureFiles:
    """Where the pictures of keyframes are kept: a folder a video in `cache_folder()`, named after its content.

    Args:
        keyframes: with their videos.

    Raises:
        OSError: if a video cannot be opened.
    """

    def __init__(self, keyframes: PersonKeyframes) -> None:
        self._keyframes = keyframes
        self.folder = cache_folder() / "keyframes"
        self._folders = {
            name: self.folder / as_source(keyframes.videos[name]).identity() for name in keyframes.video_ids
        }

    def __getitem__(self, row: int) -> Path:
        keyframe = self._keyframes[row]
        return self._folders[keyframe.video_id] / _file_name(keyframe.time)

    def missing(self, rows: Sequence[int]) -> list[int]:
        """Those of the rows whose pictures are not there."""
        there = {name: set(os.listdir(path)) if path.is_dir() else () for name, path in self._folders.items()}
        keyframes = ((row, self._keyframes[row]) for row in rows)
        return [row for row, keyframe in keyframes if _file_name(keyframe.time) not in there[keyframe.video_id]]

    def make(self, rows: Sequence[int], workers: int = 0) -> None:
        """Decode what is missing of the rows; killed at any moment, it goes on from there.

        A video that cannot be read is named in a warning; its pictures stay missing.

        Args:
            rows: of the keyframes.
            workers: processes; 0 for one a processor.

        Raises:
            UserError: if the disk has no room, or more than MAX_FAILED of the videos cannot be read.
        """
        missing = self.missing(rows)
        if not missing:
            return
        workers = workers or len(os.sched_getaffinity(0))
        tasks = [self._task(list(some)) for some in self._chunks(missing)]
        if len(missing) > CHUNK * SAMPLE:
            self._check_room(missing)
        failed: dict[str, str] = {}
        with tqdm(total=len(missing), desc="decode", unit="picture", disable=None) as bar:
            for (video_id, *_, files), error in zip(tasks, _in_processes(tasks, workers)):
                bar.update(len(files))
                if error:
                    failed[video_id] = error
        if failed:
            lost = Counter(self._keyframes[row].video_id for row in self.missing(rows))
            told = "; ".join(f"{reason} ({lost[name]} keyframes)" for name, reason in failed.items())
            logger.warning("left out %d videos that cannot be read: %s", len(failed), told)
            if len(failed) > MAX_FAILED * len(self._folders):
                raise UserError(
                    f"{len(failed)} of {len(self._folders)} videos cannot be read, expected at most {MAX_FAILED:.0%}; "
                    f"first: {next(iter(failed.values()))}"
                )

    def _chunks(self, rows: Sequence[int]) -> Iterator[list[int]]:
        for _, group in groupby(rows, lambda row: self._keyframes[row].video_id):
            some = list(group)
            yield from (some[start : start + CHUNK] for start in range(0, len(some), CHUNK))

    def _task(self, rows: Sequence[int]) -> Task:
        video_id = self._keyframes[rows[0]].video_id
        times = [float(self._keyframes.times[row]) for row in rows]
        return video_id, self._keyframes.videos[video_id], times, [self[row] for row in rows]

    def _check_room(self, missing: Sequence[int]) -> None:
        """Say what the pictures will take, by a sample of them."""
        sample = [missing[len(missing) * number // SAMPLE] for number in range(SAMPLE)]
        for row in sample:
            _decode(self._task([row]))
        sizes = [self[row].stat().st_size for row in sample if self[row].is_file()]
        need = np.mean(sizes or [0]) * len(missing)
        free = shutil.disk_usage(self.folder).free if sizes else 0
        told = (
            f"{len(missing)} pictures, of {np.mean(sizes or [0]) / 1e3:.0f} kB each, take {need / 1e9:.1f} GB in "
            f"{self.folder}; {free / 1e9:.1f} GB are free"
        )
        if sizes and need > free:
            raise UserError(f"{told}; free space or choose another folder with AVSF_CACHE")
        logger.info("%s", told)


class Records(Sequence[dict]):
    """Keyframes as Detectron2 describes pictures, each made when it is asked for.

    Args:
        keyframes: with their videos.
        files: their pictures.
        rows: those meant, by number.
    """

    def __init__(self, keyframes: PersonKeyframes, files: PictureFiles, rows: Sequence[int]) -> None:
        from PIL import Image

        self._keyframes, self._files, self._rows = keyframes, files, np.asarray(rows)
        self._sizes: Mapping[str, tuple[int, int]] = {}
        for video_id, group in groupby(self._rows, lambda row: keyframes[row].video_id):
            with Image.open(files[next(group)]) as image:  # those of one video are of one size
                self._sizes[video_id] = image.size

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> dict:
        from detectron2.structures import BoxMode

        row = self._rows[number]
        keyframe = self._keyframes[row]
        width, height = self._sizes[keyframe.video_id]
        boxes = keyframe.persons.to_pixels(width, height).tolist()
        persons = [{"bbox": box, "bbox_mode": BoxMode.XYXY_ABS, "category_id": 0, "iscrowd": 0} for box in boxes]
        picture = {"file_name": str(self._files[row]), "image_id": int(row), "height": height, "width": width}
        return {**picture, "annotations": persons}

    def persons(self, number: int) -> Persons:
        """Who is on the keyframe."""
        return self._keyframes[self._rows[number]].persons

    def picture(self, number: int) -> Keyframe:
        """The keyframe itself."""
        from PIL import Image

        keyframe = self._keyframes[self._rows[number]]
        with Image.open(self._files[self._rows[number]]) as image:
            return Keyframe(keyframe.video_id, keyframe.time, np.asarray(image.convert("RGB")))


def _file_name(time: float) -> str:
    return f"{round(time * 1e6)}.jpg"


def _in_processes(tasks: Sequence[Task], workers: int) -> Iterator[str | None]:
    """What `_decode` says of each task, in order."""
    if workers == 1 or len(tasks) == 1:
        yield from map(_decode, tasks)
        return
    with ProcessPoolExecutor(min(workers, len(tasks)), initializer=_leave_interrupts_to_parent) as pool:
        try:
            yield from pool.map(_decode, tasks)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _leave_interrupts_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _decode(task: Task) -> str | None:
    """Write the pictures of one video at some times; what is wrong with the video, if anything."""
    from PIL import Image

    video_id, video, times, files = task
    frames, to_write = pictures(video_id, video, times), iter(files)
    while True:
        try:
            some = next(frames, ())
        except UserError as error:
            return str(error)
        if not some:
            return None
        for frame, file in zip(some, to_write):
            content = io.BytesIO()
            Image.fromarray(frame.image).save(content, "jpeg", quality=JPEG_QUALITY)
            write_whole(file, content.getvalue())
