"""A run over several videos: each gets a name for its results, and one that fails does not end the run."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from avsf_det.engine.output import safe_name
from avsf_det.engine.result_cache import Owner, choose_name
from avsf_det.errors import UserError, describe_error, is_disk_full
from avsf_det.media.source import VideoSource, as_source


class Result(Protocol):
    """What comes out of one video; `missing` is how many seconds its header promises and it does not have."""

    missing: float


R = TypeVar("R", bound=Result)


def process_each(
    videos: Sequence[Path | VideoSource],
    output: Path,
    suffixes: Collection[str],
    process: Callable[[Path | VideoSource, Path, str], R],
    overwrite: bool = False,
    ending: str = "",
) -> tuple[dict[Path | VideoSource, R], dict[Path | VideoSource, str]]:
    """Process videos one after the other, whatever any of them raises.

    Args:
        videos: the inputs.
        output: folder of the results.
        suffixes: what is put behind the name of a video's results, for each file that is written.
        process: does one; takes the video, the path of its results without suffix, and "2/7" for progress bars.
        overwrite: whether files that were not written for the same video may be replaced.
        ending: what the names of all results end in, before the suffixes.

    Returns:
        The results, and for each video that failed, or is not whole, the reason.

    Raises:
        UserError: if the disk is full, since no other video can be done either.
    """
    results, failed, taken = {}, {}, names_of_inputs(videos, output)
    for number, video in enumerate(videos, 1):
        try:
            name, owner = safe_name(as_source(video).stem), Owner.of(video)
            name = choose_name(name, output, owner, suffixes, taken, overwrite, ending)
            taken.update(f"{name}{suffix}".lower() for suffix in suffixes)
            results[video] = process(video, output / name, f"{number}/{len(videos)}")
            if results[video].missing:
                failed[video] = cut_off(video, results[video].missing)
        except Exception as error:
            if is_disk_full(error):
                raise UserError(f"{describe_error(error)}; rerun the same command to resume") from error
            failed[video] = failure(video, error)
    return results, failed


def names_of_inputs(videos: Sequence[object], output: Path) -> set[str]:
    """The names, in lower case, of files in a folder that are inputs: no result may have one, whatever is asked for."""
    folder, names = os.path.realpath(output), set()
    for video in videos:
        path = as_source(video).path
        for place in (os.path.abspath(path), os.path.realpath(path)):
            if os.path.realpath(os.path.dirname(place)) == folder:
                names.add(os.path.basename(place).lower())
    return names


def cut_off(video: object, missing: float) -> str:
    """Why a video counts as failed although it has results."""
    return f"{video}: cut off, {missing:.1f} s are missing; the rest is processed"


def failure(video: object, error: Exception) -> str:
    """Why a video failed, in one line; unexpected errors with the line of code they come from."""
    return describe_error(error) if isinstance(error, UserError) else f"{video}: {describe_error(error)}"
