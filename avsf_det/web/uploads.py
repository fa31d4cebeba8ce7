"""Detection on videos that people upload: each has a folder of its own, with the original and all results."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from avsf_det.engine.detect import DetectOptions, detect_video
from avsf_det.engine.output import make_output
from avsf_det.engine.predictor import Predictor
from avsf_det.engine.result_cache import STATE_FOLDER
from avsf_det.engine.results import SUFFIXES, relative_url
from avsf_det.errors import UserError
from avsf_det.files import written_whole
from avsf_det.visual.text import clock
from detectors import PersonDetector
from detectors.files import file_sha256


@dataclass(frozen=True)
class Found:
    """The results of one uploaded video.

    Attributes:
        name: of the file as it was uploaded.
        page: URL of the page that plays it, relative to the folder of all uploads.
        files: URLs of all results, as relative.
        time: when they were made, in seconds since 1970.
    """

    name: str
    page: str
    files: tuple[str, ...]
    time: float


class Uploads:
    """Detects on uploaded videos, one at a time, and knows those of earlier.

    The same file uploaded again has the same folder, named by its name and content: an interrupted detection goes on,
    one that is done is shown.

    Args:
        folder: for all of them.
        predictor: scores actions.
        detector: finds persons.
        options: how to go about a video.

    Raises:
        UserError: if the folder cannot be written.
    """

    def __init__(self, folder: Path, predictor: Predictor, detector: PersonDetector, options: DetectOptions) -> None:
        self.folder = make_output(folder, "--output")
        self._predictor, self._detector, self._options = predictor, detector, options

    def detect(self, upload: Path, report: Callable[[float, str], object]) -> tuple[str, Found]:
        """Detect on a video.

        Args:
            upload: the file; it is linked or copied, and may be deleted afterwards.
            report: called often, with the share that is done of a stage and a line about it. What it raises ends the
                detection; what was scored is kept.

        Returns:
            What came out, in a sentence, and the results.

        Raises:
            UserError: if the video cannot be read or the results not be written.
        """
        original = self._take_in(upload)
        stem = original.parents[1] / original.stem
        try:
            progress_bar = partial(ReportedProgress, report)
            result = detect_video(
                original, stem, self._predictor, self._detector, self._options, progress_bar=progress_bar
            )
        except UserError as error:
            if not (stem.parent / STATE_FOLDER).exists():  # it could not even be opened
                shutil.rmtree(stem.parent, ignore_errors=True)
            raise UserError(str(error).replace(str(original), original.name)) from None
        words = result.summary().partition(" -> ")[0]
        if result.missing:
            words += f"; the file is cut off, {result.missing:.1f} s are missing"
        return words, _found(stem.parent, self.folder)

    def earlier(self) -> list[Found]:
        """The results that are there, the latest first."""
        folders = (path for path in self.folder.iterdir() if any(path.glob(f"*{SUFFIXES['page']}")))
        return sorted((_found(path, self.folder) for path in folders), key=lambda found: -found.time)

    def _take_in(self, upload: Path) -> Path:
        """Where the uploaded file is from now on.

        Raises:
            UserError: if it cannot be put there.
        """
        try:
            original = self.folder / f"{upload.stem}-{file_sha256(upload)[:8]}" / "original" / upload.name
            if not original.exists():
                with written_whole(original) as unfinished:
                    try:
                        os.link(upload, unfinished)
                    except OSError:  # on another file system
                        shutil.copyfile(upload, unfinished)
        except OSError as error:
            reason = f"{upload.name}: cannot be kept ({error.strerror}); free space in {self.folder} or choose another"
            raise UserError(f"{reason} folder with --output") from None
        return original


class ReportedProgress:
    """A progress bar with what `detect_video` uses of tqdm's, which reports instead of printing.

    Args:
        report: called with the share that is done and a line that tells the stage and how long it still takes.
        total: of whatever is counted.
        desc: the stage.
        initial: how much was done before.
    """

    def __init__(
        self, report: Callable[[float, str], object], total: float, desc: str, initial: float = 0, **_: object
    ) -> None:
        self._report, self._total, self._desc = report, total, desc
        self._done = self._initial = initial
        self._start = time.monotonic()

    def __enter__(self) -> ReportedProgress:
        self.update(0)
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, count: float) -> None:
        """As much more is done."""
        self._done += count
        share = min(1.0, self._done / self._total) if self._total else 0.0
        gone, done = time.monotonic() - self._start, self._done - self._initial
        left = f", {clock(gone / done * (self._total - self._done))} left" if done and share < 1 else ""
        self._report(share, f"{self._desc}{left}")


def _found(folder: Path, root: Path) -> Found:
    page = next(folder.glob(f"*{SUFFIXES['page']}"))
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    name = page.stem
    with suppress(OSError, StopIteration):
        name = next((folder / "original").iterdir()).name
    urls = tuple(relative_url(path, root) for path in files)
    return Found(name, relative_url(page, root), urls, page.stat().st_mtime)
