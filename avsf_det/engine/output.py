"""The folder that results go to, and names in it that replace nothing they should not."""

from __future__ import annotations

import os
from collections.abc import Collection
from itertools import count
from pathlib import Path

from avsf_det.errors import UserError
from avsf_det.files import remove_leftovers


def make_output(folder: str | Path, setting: str) -> Path:
    """Make a folder if need be, see that files can be written there, and clear what killed runs left half written.

    Args:
        folder: where.
        setting: the option or config key that names it, for the message.

    Raises:
        UserError: if it cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable.{os.getpid()}"
        probe.touch()
        probe.unlink(missing_ok=True)  # another process may have had the same thought
        remove_leftovers(folder)
    except OSError as error:
        raise UserError(f"cannot write to {folder} ({error.strerror}); choose another folder with {setting}") from None
    return folder


def result_stem(video: Path, output: Path, taken: Collection[Path]) -> Path:
    """The path without suffix of a video's results in `output`: the video's name, numbered if need be.

    Args:
        video: the file.
        output: the folder.
        taken: resolved files, such as inputs and the results of others, that no mp4 must replace.
    """
    names = (video.stem if number == 1 else f"{video.stem}_{number}" for number in count(1))
    return next(output / name for name in names if (output / f"{name}.mp4").resolve() not in taken)


def new_stem(name: str, output: Path) -> Path:
    """A path without suffix in `output` of which no file is there yet: the name, numbered if need be."""
    names = (name if number == 1 else f"{name}_{number}" for number in count(1))
    return next(output / new for new in names if not any(output.glob(f"{new}.*")))


def set_aside(*paths: Path) -> None:
    """Rename files and folders that are there, with a number behind their name, so that new ones can take it."""
    for path in paths:
        if path.exists():
            path.rename(next(new for n in count(1) if not (new := path.with_name(f"{path.name}.{n}")).exists()))
