"""What the tests give workers to do; of a module, so that processes find it by its name."""

import errno
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from avsf_det.engine.detect import DetectOptions
from avsf_det.engine.many.job import DONE, Outcome
from avsf_det.engine.many.storage import Storage
from avsf_det.engine.predictor import Predictor
from detectors import GivenBoxes

RATE = 1.0


@dataclass(frozen=True)
class Prepared:
    """The tests' small model, with given boxes, which does something untoward at the video called `name`.

    Args:
        weights, boxes: files.
        name: of the video.
        deed: "kill" its process, the first time that it is done, or the one that "bore" it; "murder" it each time;
            "sleep"; "fill" the disk; "raise" what nobody foresaw.
        marker: a file made before it is killed, with how nice it was.
    """

    weights: str
    boxes: str
    name: str = ""
    deed: str = ""
    marker: str = ""

    def __call__(self):
        detector = _Untoward(self.boxes)
        detector.told = self
        return Predictor.load(self.weights), detector, DetectOptions(rate=RATE)


class _Untoward(GivenBoxes):
    def detect(self, frames):
        told = self.told
        if frames[0].video_id == told.name:
            if told.deed == "murder" or (told.deed in ("kill", "bore") and not Path(told.marker).exists()):
                Path(told.marker).write_text(str(os.nice(0)))
                os.kill(multiprocessing.parent_process().pid if told.deed == "bore" else os.getpid(), signal.SIGKILL)
                time.sleep(600)
            if told.deed == "sleep":
                time.sleep(600)
            if told.deed == "raise":
                raise ZeroDivisionError("nobody foresaw this")
            if told.deed == "fill":
                mock.patch("avsf_det.files.os.replace", side_effect=OSError(errno.ENOSPC, "No space left")).start()
        return super().detect(frames)


@dataclass(frozen=True)
class Tiny:
    """Jobs that take no time: each notes in a file that it was done, and its process dies at every so-manieth."""

    storage: Storage
    deaths: int = 0

    def __call__(self):
        return self._do

    def _do(self, job):
        path = self.storage.local / f"{job.name}.txt"
        if self.deaths and int(job.name) % self.deaths == 0 and not path.exists():
            path.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        with open(path, "a") as file:
            file.write("done\n")
        return Outcome(job.video, job.name, DONE, files={path.name: {"bytes": path.stat().st_size, "sha256": ""}})


class Refusing:
    """What cannot be opened."""

    def __init__(self, error):
        self.error = error

    def __call__(self):
        if isinstance(self.error, int):
            os.kill(os.getpid(), self.error)
        raise self.error
