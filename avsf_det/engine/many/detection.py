"""Detection as a job: the video fetched, its results put where they belong."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from avsf_det.engine.detect import DetectOptions, detect_video
from avsf_det.engine.each_video import cut_off
from avsf_det.engine.many.job import DONE, Job, Outcome
from avsf_det.engine.many.storage import Storage, fetch, identity, is_url
from avsf_det.engine.predictor import Predictor
from avsf_det.files import cache_folder, make_scratch, remove_scratch, software_versions
from avsf_det.media.source import VideoSource, as_source
from detectors import PersonDetector
from detectors.files import file_sha256


class Detection:
    """Detects on the videos of jobs, where they are on this machine, and after they were fetched to it.

    Args:
        predictor, detector, options: as in `avsf_det.engine.detect.detect_video`.
        storage: where results go.
    """

    def __init__(
        self, predictor: Predictor, detector: PersonDetector, options: DetectOptions, storage: Storage
    ) -> None:
        self._tools, self._storage = (predictor, detector, options), storage
        how = replace(options, cache=None, overwrite=False)
        self._how = repr((software_versions(), predictor.identity, detector.identity, how))

    def __call__(self, job: Job) -> Outcome:
        """Do it, unless it is done.

        Raises:
            UserError: if the video cannot be read or the files not be written.
        """
        remote = is_url(job.source)
        source = identity(job.source) if remote else as_source(job.source).identity()
        key = hashlib.sha256(f"{source}|{self._how}".encode("utf-8", "surrogateescape")).hexdigest()
        there = job.earlier and job.earlier.key == key and self._storage.holds(job.earlier.sizes)
        if self._storage.local and not remote:
            return self._done(job, key, job.source, self._storage.local, job.earlier if there else None)
        if there:
            return replace(job.earlier, reused=True)
        scratch = make_scratch(cache_folder() / "videos" / key)
        try:
            path = fetch(job.source, scratch / "video") if remote else job.source
            return self._done(job, key, path, self._storage.local or scratch / "results")
        finally:
            remove_scratch(scratch)

    def _done(
        self, job: Job, key: str, path: Path | VideoSource, folder: Path, earlier: Outcome | None = None
    ) -> Outcome:
        predictor, detector, options = self._tools
        stem, owner = folder / job.name, job.video if is_url(job.source) else ""
        result = detect_video(path, stem, predictor, detector, options, progress_bar=_no_bar, owner=owner)
        if result.reused and earlier:
            return replace(earlier, reused=True)
        names = [f"{job.name}{suffix}" for suffix in options.suffixes(predictor.explain_audio)]
        files = {}
        for file in sorted(folder / name for name in names if (folder / name).is_file()):
            files[file.name] = {"bytes": file.stat().st_size, "sha256": file_sha256(file)}
            if self._storage.local is None:
                self._storage.put(file, file.name)
        found = replace(
            result, files={kind: self._storage.place(f.name) for kind, f in result.files.items()}, reused=False
        )
        reason = cut_off(job.video, result.missing) if result.missing else ""
        return Outcome(job.video, job.name, DONE, reason, files, found=found.summary(), key=key, reused=result.reused)


def _no_bar(*arguments: object, **options: object) -> tqdm:
    return tqdm(*arguments, **{**options, "disable": True})
