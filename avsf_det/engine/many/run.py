"""A run over many videos: names are given out, outcomes noted as they come, and a stop leaves nothing half done."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from tqdm import tqdm

from avsf_det.engine.many.job import DONE, HALTED, Job, Outcome
from avsf_det.engine.many.manifest import Manifest
from avsf_det.engine.many.storage import Attempts, Storage, is_url
from avsf_det.engine.output import make_output, result_stem
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
    videos: Sequence[Path | VideoSource | str], storage: Storage, engine: Engine
) -> tuple[dict[str, Outcome], dict[str, str]]:
    """Do each video once, and keep `manifest.jsonl` in the folder of the results.

    Returns:
        The outcomes of the videos that are done, and of those that failed, or are not whole, the reason.

    Raises:
        UserError: if no more can be done: the folder cannot be written, the disk is full, or workers cannot begin.
        Stopped: if a signal asked for it.
    """
    if storage.local:
        make_output(storage.local, "--output")
    manifest, attempts = Manifest(storage), Attempts(storage)
    jobs = named_jobs(videos, storage, manifest)
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


def named_jobs(videos: Sequence[Path | VideoSource | str], storage: Storage, manifest: Manifest) -> list[Job]:
    """A job for each video, however often it is named, whose results get the name that they have had before, or one
    that no other has."""
    sources = {}
    for video in videos:
        sources.setdefault(str(video) if is_url(video) else str(as_source(video).path.absolute()), video)
    output = storage.local or Path("/")
    taken = {as_source(video).path.resolve() for video in sources.values() if not is_url(video)}
    earlier = {video: manifest.get(video) for video in sources}
    names = {video: outcome.name for video, outcome in earlier.items() if outcome}
    names = {video: name for video, name in names.items() if (output / f"{name}.mp4").resolve() not in taken}
    taken |= {(output / f"{name}.mp4").resolve() for name in (*names.values(), *manifest.names_of_others(sources))}
    jobs = []
    for video, source in sources.items():
        if video not in names:
            names[video] = result_stem(Path(video) if is_url(video) else source, output, taken).name
            taken.add((output / f"{names[video]}.mp4").resolve())
        known = earlier[video]
        same = known and known.state == DONE and known.name == names[video]
        jobs.append(Job(video, source if is_url(source) else _absolute(source), names[video], known if same else None))
    return jobs


def _absolute(source: Path | VideoSource | str) -> Path | VideoSource:
    """A source that a worker in another folder finds."""
    return source if isinstance(source, VideoSource) else Path(source).absolute()
