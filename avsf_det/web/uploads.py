"""Detection on uploaded videos: each has a folder of its own, with the original and all results."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import tempfile
import threading
import time
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from avsf_det.engine.detect import DetectOptions, detect_video
from avsf_det.engine.output import make_output, safe_name
from avsf_det.engine.predictor import Predictor
from avsf_det.engine.result_cache import STATE_FOLDER
from avsf_det.engine.results import SUFFIXES, relative_url
from avsf_det.errors import UserError
from avsf_det.files import written_whole
from avsf_det.structures import VIDEO_SUFFIXES
from avsf_det.visual.text import clock
from detectors import PersonDetector
from detectors.files import file_sha256, write_whole

MARKER = ".avsf-det-upload.json"
"""In the folder of an upload: it was made by this program, and may be removed by it."""
_ORIGINAL = "original"
_STEM_BYTES = 100  # of a folder's name, to which a hash is appended
_NAME_LENGTH = 255  # characters of a name that are shown
_CONTROL = {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}
_RESERVED = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³]) *(\..*)?", re.DOTALL)  # on Windows
_JOINERS = "\u200c\u200d"  # of Persian and of emoji
_FOLDERS_IN_TEXT = re.compile(r"(?<![\w.:/])(?:[A-Za-z]:)?[/\\](?:[^\s/\\:;,()'\"<>]+[/\\])+")


@dataclass(frozen=True)
class Found:
    """The results of one uploaded video.

    Attributes:
        name: of the file as it was uploaded.
        page: URL of the page that plays it, relative to the folder of all uploads.
        files: URLs of all results, likewise.
        time: when they were made, in seconds since 1970.
    """

    name: str
    page: str
    files: tuple[str, ...]
    time: float


class Uploads:
    """Runs detection on uploaded videos, one at a time, and lists earlier results.

    The same file uploaded again has the same folder, named by its name and content: an interrupted detection resumes,
    a finished one is shown.

    Args:
        folder: for all of them.
        predictor: scores actions.
        detector: finds people.
        options: how to process a video.

    Raises:
        UserError: if the folder cannot be written.
    """

    def __init__(self, folder: Path, predictor: Predictor, detector: PersonDetector, options: DetectOptions) -> None:
        if not Path(folder).exists():
            with suppress(OSError):  # `make_output` reports it
                Path(folder).mkdir(mode=0o700, parents=True)
        self.folder = make_output(folder, "--output").resolve()
        self._predictor, self._detector, self._options = predictor, detector, options
        self._lock = threading.Lock()

    def detect(
        self, upload: Path, report: Callable[[float, str], object], name: str | None = None
    ) -> tuple[str, Found]:
        """Run detection on a video.

        Args:
            upload: the file; it is linked or copied, and may be deleted afterwards.
            report: called often, with the fraction of a stage that is done and a line about it. What it raises ends
                the detection; what was scored is kept.
            name: of the file as it was uploaded, anything at all; None is that of `upload`.

        Returns:
            The result in a sentence, and the result files.

        Raises:
            UserError: if the video cannot be read or the results not be written. Its text names no folder.
        """
        name = display_name(upload.name if name is None else name)
        with self._lock:
            try:
                return self._detect(upload, report, name)
            except UserError as error:
                raise UserError(without_folders(str(error))) from error

    def _detect(self, upload: Path, report: Callable[[float, str], object], name: str) -> tuple[str, Found]:
        original, is_new = self._store(upload, name)
        folder = original.parents[1]
        try:
            progress_bar = partial(ReportedProgress, report)
            stem = folder / original.stem
            result = detect_video(
                original, stem, self._predictor, self._detector, self._options, progress_bar=progress_bar
            )
        except UserError as error:
            if is_new and not (folder / STATE_FOLDER).exists():  # it could not even be opened
                self._remove(folder)
            raise UserError(str(error).replace(str(original), name).replace(f"{self.folder}/", "")) from error
        words = result.summary().partition(" -> ")[0]
        if result.missing:
            words += f"; the file is cut off, {result.missing:.1f} s are missing"
        return words, self._found(folder)

    def earlier(self) -> list[Found]:
        """The results that are there, the latest first."""
        found = []
        for folder in self.folder.iterdir():
            with suppress(OSError, StopIteration):  # removed meanwhile, or not finished
                if self._is_upload(folder):
                    found.append(self._found(folder))
        return sorted(found, key=lambda found: -found.time)

    def file(self, url: str) -> Path | None:
        """The file that a URL of `Found`, decoded, or that of an original stands for; None if it is none of these.

        Nothing else can be had: no hidden file, no link, no folder that this program did not make.
        """
        parts = url.split("/")
        is_original = len(parts) == 3 and parts[1] == _ORIGINAL
        if len(parts) != 2 and not is_original:
            return None
        if any(not part or part.startswith(".") for part in parts):
            return None
        path = self.folder.joinpath(*parts)
        suffixes = VIDEO_SUFFIXES if is_original else tuple(SUFFIXES.values())
        try:
            if not self._is_upload(self.folder / parts[0]) or path.parent.is_symlink():
                return None
            return path if stat.S_ISREG(path.lstat().st_mode) and path.suffix.lower() in suffixes else None
        except (OSError, ValueError):
            return None

    def _store(self, upload: Path, name: str) -> tuple[Path, bool]:
        """Where the uploaded file is from now on, and whether it is new.

        Raises:
            UserError: if it cannot be stored, or is no regular file of a video's suffix.
        """
        stem, suffix = stored_name(name)
        if suffix not in VIDEO_SUFFIXES:
            raise UserError(f"{name}: not a video by its name; expected {' '.join(VIDEO_SUFFIXES)}")
        try:
            if not stat.S_ISREG(upload.lstat().st_mode):
                raise UserError(f"{name}: not a file")
            folder = self.folder / f"{stem}-{file_sha256(upload)}"
            is_new = not folder.exists()
            folder.mkdir(mode=0o700, exist_ok=True)
            if not self._is_upload(folder) and (folder.is_symlink() or any(folder.iterdir())):
                raise UserError(f"{name}: cannot be stored, its folder is in use by something else")
            if self._name(folder) != name:
                write_whole(folder / MARKER, json.dumps({"name": name}).encode())
            originals = folder / _ORIGINAL
            originals.mkdir(mode=0o700, exist_ok=True)
            original = next((path for path in originals.iterdir() if path.stem == stem), originals / f"{stem}{suffix}")
            if not original.exists():
                with written_whole(original) as unfinished:
                    try:
                        os.link(upload, unfinished)
                    except OSError:  # on another file system
                        shutil.copyfile(upload, unfinished)
        except OSError as error:
            raise UserError(f"{name}: the server cannot store it ({error.strerror}); free disk space there") from error
        return original, is_new

    def _remove(self, folder: Path) -> None:
        """Remove the folder of an upload, and never anything else."""
        if folder.parent == self.folder and self._is_upload(folder):
            shutil.rmtree(folder, ignore_errors=True)

    def _is_upload(self, folder: Path) -> bool:
        """Whether this program made a folder for an upload."""
        marker = folder / MARKER
        return not folder.is_symlink() and not marker.is_symlink() and marker.is_file()

    def _name(self, folder: Path) -> str | None:
        """The name that the video of a folder was uploaded with."""
        try:
            name = json.loads((folder / MARKER).read_text(encoding="utf-8"))["name"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return name if isinstance(name, str) else None

    def _found(self, folder: Path) -> Found:
        page = next(folder.glob(f"*{SUFFIXES['page']}"))
        files = sorted(path for path in folder.iterdir() if self.file(f"{folder.name}/{path.name}"))
        urls = tuple(relative_url(path, self.folder) for path in files)
        return Found(self._name(folder) or page.stem, relative_url(page, self.folder), urls, page.stat().st_mtime)


def display_name(name: str) -> str:
    """A file's name as it is shown: characters that would reorder or hide text are replaced, and it has an end."""
    name = name.encode("utf-8", "replace").decode()
    shown = "".join("\N{REPLACEMENT CHARACTER}" if _is_control(c) else c for c in name)
    stem, dot, suffix = shown.rpartition(".")
    return shown if len(shown) <= _NAME_LENGTH else f"{stem[: _NAME_LENGTH - 10]}…{dot}{suffix[:8]}"


def _is_control(character: str) -> bool:
    """Whether a character is no text, or changes how the text around it is shown."""
    return unicodedata.category(character) in _CONTROL and character not in _JOINERS


def stored_name(name: str) -> tuple[str, str]:
    """A stem and a suffix that are safe as a file's name, and close to the name."""
    stem, dot, suffix = name.rpartition(".")
    if not dot:
        stem, suffix = name, ""
    stem = safe_name(re.sub(r'[<>:"|?*]', "_", stem), _STEM_BYTES)
    return f"_{stem}" if _RESERVED.fullmatch(stem.upper()) else stem, f"{dot}{suffix.lower()}"


def without_folders(text: str) -> str:
    """A message in which of every path only the last part is left: folders of the server are nobody's business."""
    for folder in (Path.cwd(), tempfile.gettempdir(), Path.home()):
        if str(folder) != "/":
            text = text.replace(f"{folder}/", "").replace(str(folder), "the server's folder")
    return _FOLDERS_IN_TEXT.sub("", text)


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
