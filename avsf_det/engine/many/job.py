"""One video of many: what a worker is given, what it does, and what it tells of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from avsf_det.engine.each_video import failure
from avsf_det.engine.many.storage import Storage
from avsf_det.errors import is_disk_full
from avsf_det.media.source import VideoSource

if TYPE_CHECKING:
    from avsf_det.engine.detect import DetectOptions
    from avsf_det.engine.predictor import Predictor
    from detectors import PersonDetector

DONE, FAILED, HALTED = "done", "failed", "halted"
"""States of a video; with the last, which is in no manifest, none of the others can be done either."""


@dataclass(frozen=True)
class Outcome:
    """What became of a video.

    Attributes:
        video: its path or address.
        name: of its results, without suffix.
        state: `DONE`, `FAILED` or `HALTED`.
        reason: why it failed, or what is missing of it; else empty.
        files: the results: name -> {"bytes": size, "sha256": hash}.
        seconds: that it took.
        worker: machine and process that did it.
        attempts: times it was begun.
        found: what was found, in one line.
        key: a hash of all that the results follow from: video, model, detector, options.
        reused: whether all was there from an earlier run.
    """

    video: str
    name: str
    state: str
    reason: str = ""
    files: Mapping[str, Mapping[str, int | str]] = field(default_factory=dict)
    seconds: float = 0.0
    worker: str = ""
    attempts: int = 1
    found: str = ""
    key: str = ""
    reused: bool = False

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each result."""
        return {name: told["bytes"] for name, told in self.files.items()}

    def summary(self) -> str:
        """One line."""
        return self.found + (" (there already)" if self.reused else "")


@dataclass(frozen=True)
class Job:
    """A video to be done.

    Attributes:
        video: its path or address, by which the manifest knows it.
        source: where it is.
        name: of its results, without suffix.
        earlier: what the manifest tells of it, if it is done.
    """

    video: str
    source: Path | VideoSource | str
    name: str
    earlier: Outcome | None = None


@dataclass(frozen=True)
class DetectJobs:
    """Detection, as a worker opens it: called once, it gives what does one job after another.

    Args:
        prepare: loads the model, the detector, and how they are to be used; picklable.
        storage: where results go.
    """

    prepare: Callable[[], tuple[Predictor, PersonDetector, DetectOptions]]
    storage: Storage

    def __call__(self) -> Callable[[Job], Outcome]:
        """Raises UserError if a file cannot be used, or options do not go together."""
        from avsf_det.engine.many.detection import Detection

        return Detection(*self.prepare(), self.storage)


def attempt(do: Callable[[Job], Outcome], job: Job) -> Outcome:
    """Do a job; whatever is raised fails its video, but for a full disk, with which no other can be done either."""
    try:
        return do(job)
    except Exception as error:
        state = HALTED if is_disk_full(error) else FAILED
        return Outcome(job.video, job.name, state, failure(job.video, error))
