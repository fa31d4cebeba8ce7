"""Detection on a stream while it runs: rows are written as they are found; what cannot be kept up with is left out."""

from __future__ import annotations

import csv
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import numpy as np
from tqdm import tqdm

from avsf_det.data.live_clips import LiveClip, LiveClips
from avsf_det.engine.detect import DetectOptions
from avsf_det.engine.evaluate import audio_path, audio_rows
from avsf_det.engine.output import make_output, new_stem, safe_name
from avsf_det.engine.persons import PersonLinker
from avsf_det.engine.predictor import Predictor
from avsf_det.engine.result_cache import record_files
from avsf_det.engine.results import SUFFIXES, Detections, csv_rows, json_line, write_results
from avsf_det.engine.stop import StopSignals
from avsf_det.errors import UserError
from avsf_det.media.address import stream_name, without_password
from avsf_det.media.shots import find_cuts
from avsf_det.media.stream import SILENCE, Stream
from avsf_det.media.video import probe
from avsf_det.structures import Keyframe, Persons
from detectors import PersonDetector

logger = logging.getLogger(__name__)

WRITTEN_LIVE = ("csv", "jsonl")
_GLANCE = 0.2  # seconds between looks at whether a signal has come


@dataclass(frozen=True)
class StreamResult:
    """What came out of a stream.

    Attributes:
        files: written, by output.
        keyframes: moments looked at.
        dropped: moments left out to keep up.
        persons: different person ids.
        latest: seconds from when a clip was complete until its rows were written, at most.
        ended: why there was no more.
        failed: why the files made from the recording are not there, or "".
    """

    files: dict[str, Path]
    keyframes: int
    dropped: int
    persons: int
    latest: float
    ended: str
    failed: str = ""

    def summary(self) -> str:
        """One line."""
        people = "1 person" if self.persons == 1 else f"{self.persons} persons"
        return (
            f"{self.ended}; {people} in {self.keyframes} keyframes, {self.dropped} more left out to keep up, rows "
            f"{self.latest:.1f} s after their clip at most -> {next(iter(self.files.values()), 'nothing')}"
        )


def detect_stream(
    address: str,
    output: Path,
    predictor: Predictor,
    detector: PersonDetector,
    options: DetectOptions,
    latency: float = 5.0,
    silence: float = SILENCE,
) -> StreamResult:
    """Detect on a stream until it ends or a signal of `avsf_det.engine.stop.ASKING` comes.

    The csv and the JSON lines grow row by row. For the other outputs the stream is recorded, to `<name>.mkv`, and they
    are made from that at the end; a second Ctrl-C ends without them. The recording stays if there is a page, which
    plays it, and else where they could not be made.

    Args:
        address: a URL, a device, or a file that is still being written.
        output: the folder.
        predictor: scores actions; of several clips a keyframe (TEST.NUM_ENSEMBLE_VIEWS) it takes the middle one only.
        detector: finds persons.
        options: as for files; nothing is smoothed.
        latency: seconds for which a clip may wait before it is left out. A file, or one on a server that tells its
            length, waits instead, and nothing is left out.
        silence: seconds without anything new after which the stream has ended.

    Raises:
        UserError: if the stream cannot be opened, the output not be written, or scores be smoothed over time.
    """
    if options.smooth:
        raise UserError("--smooth averages with what comes later, and a stream has not got it; leave it out")
    stem = new_stem(safe_name(stream_name(address)), make_output(output, "--output"))
    files = {name: Path(f"{stem}{suffix}") for name, suffix in SUFFIXES.items() if name in options.outputs}
    later = tuple(name for name in files if name not in WRITTEN_LIVE)
    recording = Path(f"{stem}.mkv") if later else None
    names = [f"{stem.name}{suffix}" for suffix in (*options.suffixes(predictor.explain_audio), ".mkv")]
    with Stream(address, predictor.spec.sample_rate, recording, silence) as stream, StopSignals() as stop:
        record_files(stem, without_password(address), names)
        clips = LiveClips(stream, predictor.spec, options.rate)
        waiting = Waiting(max(1, round(latency * options.rate)), lossless=stream.can_wait)
        live = _LiveDetector(stem.name, predictor, detector, keep=bool(later))
        with (
            _reading(clips, waiting, silence),
            live.writing(files),
            tqdm(desc=stream.name, unit="keyframe", disable=None) as bar,
        ):
            while some := waiting.take(predictor.cfg.TEST.BATCH_SIZE, stop):
                live.detect(some)
                bar.set_postfix(left_out=waiting.dropped, refresh=False)
                bar.update(len(some))
        ended = "stopped" if stop.signum else stream.ended
    failed = ""
    if later:
        failed = _draw(stem, recording, stream, live, later, predictor, options)
        if not failed and "page" not in later:
            recording.unlink()
    files = {name: path for name, path in files.items() if not failed or name in WRITTEN_LIVE}
    return StreamResult(files, live.count, waiting.dropped, len(live.ids), live.latest, ended, failed)


class Waiting:
    """Clips that wait for the network, oldest first; one thread puts them, another takes them.

    Args:
        limit: clips that may wait.
        lossless: whether `put` waits for room instead of leaving the oldest out.

    Attributes:
        dropped: how many were left out.
    """

    def __init__(self, limit: int, lossless: bool = False) -> None:
        self.dropped = 0
        self._limit, self._lossless = limit, lossless
        self._clips: deque[LiveClip] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None

    @property
    def closed(self) -> bool:
        """Whether no more will be taken."""
        return self._closed

    def put(self, clip: LiveClip) -> None:
        """Add the next clip; once closed, nothing is added."""
        with self._changed:
            while self._lossless and len(self._clips) >= self._limit and not self._closed:
                self._changed.wait()
            if self._closed:
                return
            if len(self._clips) >= self._limit:
                self._clips.popleft()
                self.dropped += 1
            self._clips.append(clip)
            self._changed.notify_all()

    def take(self, most: int, stop: StopSignals) -> list[LiveClip]:
        """Up to `most` clips, as many as wait, at least one; none once closed, or when `stop` has got a signal.

        Raises:
            BaseException: what `close` was given.
        """
        with self._changed:
            while not (self._clips or self._closed or stop.signum):
                self._changed.wait(_GLANCE)
            if self._error:
                raise self._error
            taken = [] if stop.signum else [self._clips.popleft() for _ in range(min(most, len(self._clips)))]
            self._changed.notify_all()
            return taken

    def close(self, error: BaseException | None = None) -> None:
        """No more will come; those that wait can still be taken."""
        with self._changed:
            self._closed, self._error = True, error
            self._changed.notify_all()


@contextmanager
def _reading(clips: LiveClips, waiting: Waiting, silence: float) -> Iterator[None]:
    """While the block lasts, a thread puts the clips where they wait."""

    def read() -> None:
        try:
            for clip in clips:
                waiting.put(clip)
                if waiting.closed:
                    return
            waiting.close()
        except BaseException as error:
            waiting.close(error)

    thread = threading.Thread(target=read, name="stream", daemon=True)
    thread.start()
    try:
        yield
    finally:
        waiting.close()
        thread.join(silence + _GLANCE)  # it may sit in a read, which silence ends


class _LiveDetector:
    """Finds, links, scores and writes keyframe after keyframe.

    Attributes:
        count, ids, latest: of the keyframes so far, as in `StreamResult`.
        times, persons: of all keyframes, where they are to be kept.
    """

    def __init__(self, video_id: str, predictor: Predictor, detector: PersonDetector, keep: bool) -> None:
        self._video_id, self._predictor, self._detector, self._keep = video_id, predictor, detector, keep
        self._linker = PersonLinker()
        self._rows = self._audio_rows = self._lines = None
        self.count, self.latest = 0, 0.0
        self.ids: set[int] = set()
        self.times: list[float] = []
        self.persons: list[Persons] = []

    @contextmanager
    def writing(self, files: dict[str, Path]) -> Iterator[None]:
        """While the block lasts, rows go to the csv and the JSON lines among `files`, each to disk as it comes.

        Where sound is explained, there is a second csv that tells what it did.
        """
        with ExitStack() as stack:

            def opened(path: Path) -> TextIO:
                return stack.enter_context(open(path, "w", encoding="utf-8", newline="", buffering=1))

            if "csv" in files:
                self._rows = csv.writer(opened(files["csv"]), lineterminator="\n")
                if self._predictor.explain_audio:
                    self._audio_rows = csv.writer(opened(audio_path(files["csv"])), lineterminator="\n")
            if "jsonl" in files:
                self._lines = opened(files["jsonl"])
            yield

    def detect(self, clips: Sequence[LiveClip]) -> None:
        """Find the persons and actions of the next clips, and write them."""
        found = self._detector.detect([Keyframe(self._video_id, clip.time, clip.image) for clip in clips])
        found = [self._linker.link(persons, clip.time) for persons, clip in zip(found, clips)]
        classes = len(self._predictor.label_map)
        scored = [persons.replace(actions=np.zeros((len(persons), classes))) for persons in found]
        busy = [i for i, persons in enumerate(found) if len(persons)]
        if busy:
            actions = self._predictor([clips[i].clip for i in busy], [found[i] for i in busy])
            for i, persons in zip(busy, actions):
                scored[i] = persons
        for clip, persons in zip(clips, scored):
            self._write(clip.time, persons)
            self.latest = max(self.latest, time.monotonic() - clip.complete)

    def _write(self, seconds: float, persons: Persons) -> None:
        label_map = self._predictor.label_map
        moment = self._video_id, [seconds], [persons], label_map
        if self._rows:
            self._rows.writerows(csv_rows(*moment))
        if self._audio_rows:
            self._audio_rows.writerows(audio_rows(*moment))
        if self._lines:
            self._lines.write(json_line(self._video_id, seconds, persons, label_map.names) + "\n")
        self.count += 1
        self.ids.update(persons.ids.tolist())
        if self._keep:
            self.times.append(seconds)
            self.persons.append(persons)


def _draw(
    stem: Path,
    recording: Path,
    stream: Stream,
    live: _LiveDetector,
    outputs: tuple[str, ...],
    predictor: Predictor,
    options: DetectOptions,
) -> str:
    """Make what is made from the recording; "" or why there is none."""
    try:
        info = replace(probe(recording), fps=stream.fps)
        found = Detections(recording, info, live.times, live.persons, find_cuts(recording), stream.name)
        with tqdm(total=live.count, desc=f"{stream.name}: results", unit="keyframe", disable=None) as bar:
            write_results(stem, found, predictor.label_map, outputs, options.threshold, options.top_k, bar.update)
    except KeyboardInterrupt:
        return f"{', '.join(outputs)} left out, for it was interrupted again; the recording is {recording}"
    except UserError as error:
        return str(error)
    return ""
