"""A run over many videos: names are given out, outcomes noted as they come, and a stop leaves nothing half done."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from tqdm import tqdm

from avsf_det.engine.each_video import names_of_inputs
from avsf_det.engine.many.job import DONE, HALTED, Job, Outcome
from avsf_det.engine.many.manifest import Manifest
from avsf_det.engine.many.storage import Attempts, Storage, is_url
from avsf_det.engine.output import make_output, safe_name
from avsf_det.engine.result_cache import Owner, choose_name
from avsf_det.engine.stop import Stopped, StopSignals
from avsf_det.errors import UserError
from avsf_det.files import remove_leftovers
from avsf_det.media.source import VideoSource, as_source

_BAR = "{n_fmt}/{total_fmt} videos|{bar}| [{elapsed}<{remaining}{postfix}]"


class Engine(Protocol):
    """What has workers."""

    def outcomes(self, jobs: Sequence[Job]) -> Iterator[Outcome | None]:
        """What became of the jobs, as they are done, and None whenever nothing came for a moment."""
        ...


def run_jobs(
    videos: Sequence[Path | VideoSource | str],
    storage: Storage,
    engine: Engine,
    suffixes: Collection[str] = (".mp4",),
    overwrite: bool = False,
) -> tuple[dict[str, Outcome], dict[str, str]]:
    """Process each video once, and keep `manifest.jsonl` in the folder of the results.

    Args:
        videos: paths, sources and addresses.
        storage: the folder of the results.
        engine: has workers.
        suffixes: what is put behind the name of a video's results, for each file that is written.
        overwrite: whether files that were not written for the same video may be replaced.

    Returns:
        The outcomes of the videos that are done, and of those that failed, or are not whole, the reason.

    Raises:
        UserError: if no more can be done: the folder cannot be written, the disk is full, or workers cannot begin.
        Stopped: if a signal asked for it.
    """
    if storage.local:
        make_output(storage.local, "--output")
    manifest, attempts = Manifest(storage), Attempts(storage)
    jobs = named_jobs(videos, storage, manifest, suffixes, overwrite)
    done, failed, began = {}, {}, time.monotonic()
    with StopSignals() as signals, tqdm(total=len(jobs), bar_format=_BAR, disable=None) as bar:
        try:
            with closing(engine.outcomes(jobs)) as outcomes:
                for outcome in outcomes:
                    told = f"{len(done)} of {len(jobs)} videos are done; the same command goes on"
                    if signals.signum:
                        raise Stopped(f"stopped; {told}", signals.signum)
                    if outcome is None:
                        continue
                    if outcome.state == HALTED:
                        raise UserError(f"{outcome.reason}; {told}")
                    if manifest.get(outcome.video) != replace(outcome, reused=False):
                        manifest.add(outcome)
                    if outcome.state == DONE:
                        done[outcome.video] = outcome
                    if outcome.reason:
                        failed[outcome.video] = outcome.reason
                    bar.set_postfix_str(f"{60 * (bar.n + 1) / (time.monotonic() - began):.1f} a minute", refresh=False)
                    bar.update()
        except BaseException:
            with suppress(Exception):  # what stopped it is what is told
                manifest.write()
            raise
        finally:
            with suppress(Exception):  # a count that stays is no more than a count
                attempts.clear()
            if storage.local:
                remove_leftovers(storage.local)
    manifest.write()
    return done, failed


def named_jobs(
    videos: Sequence[Path | VideoSource | str],
    storage: Storage,
    manifest: Manifest,
    suffixes: Collection[str] = (".mp4",),
    overwrite: bool = False,
) -> list[Job]:
    """A job for each video, however often it is named, under a name that its results had before, or that is free.

    Args:
        videos: paths, sources and addresses.
        storage: the folder of the results.
        manifest: of earlier runs into it.
        suffixes: what is put behind a name, for each file that is written.
        overwrite: whether files that were not written for the same video may be replaced.
    """
    sources = {}
    for video in videos:
        sources.setdefault(str(video) if is_url(video) else os.path.abspath(as_source(video).path), video)
    earlier = {video: manifest.get(video) for video in sources}
    reserved = {outcome.name for video, outcome in earlier.items() if outcome} | manifest.names_of_others(sources)
    jobs = []
    taken = names_of_inputs([v for v in sources.values() if not is_url(v)], storage.local) if storage.local else set()
    for video, source in sources.items():
        known = earlier[video]
        others = reserved - ({known.name} if known else set())
        blocked = taken | {f"{name}{suffix}".lower() for name in others for suffix in suffixes}
        name = known.name if known else safe_name(Path(video).stem if is_url(source) else as_source(source).stem)
        if storage.local:
            owner = Owner(video if is_url(source) else os.path.realpath(video), "")
            name = choose_name(name, storage.local, owner, suffixes, blocked, overwrite)
        elif not known:
            name = storage.free_name(name, suffixes, blocked, overwrite)
        taken.update(f"{name}{suffix}".lower() for suffix in suffixes)
        same = known and known.state == DONE and known.name == name
        jobs.append(Job(video, source if is_url(source) else _absolute(source), name, known if same else None))
    return jobs


def _absolute(source: Path | VideoSource | str) -> Path | VideoSource:
    """A source that a worker in another folder finds."""
    return source if isinstance(source, VideoSource) else Path(source).absolute()
