"""Detection on videos: each becomes an annotated mp4 with its sound, an AVA csv and a picture of its timeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from avsf_det.engine.annotate import annotate_video, read_envelope
from avsf_det.engine.evaluate import audio_path, audio_rows, detection_rows, write_detections
from avsf_det.engine.output import make_output, result_stem
from avsf_det.engine.persons import find_persons, link_persons
from avsf_det.engine.predictor import Predictor
from avsf_det.errors import UserError
from avsf_det.media.shots import find_cuts
from avsf_det.media.video import VideoInfo, probe
from avsf_det.structures import VIDEO_SUFFIXES
from avsf_det.visual.draw import Annotator
from avsf_det.visual.timeline import draw_timeline
from detectors import PersonDetector


@dataclass(frozen=True)
class DetectOptions:
    """How `detect` goes about a video.

    Attributes:
        rate: keyframes a second.
        threshold: score from which an action is shown in the video and the timeline; the csv has all of them.
        top_k: actions shown for a person at most.
        cache: folder that remembers found persons, or None.
    """

    rate: float = 2.0
    threshold: float = 0.3
    top_k: int = 3
    cache: Path | None = None


@dataclass(frozen=True)
class VideoResult:
    """What came out of one video.

    Attributes:
        video, csv, timeline: the files written.
        keyframes: moments looked at.
        busy_keyframes: those with at least one person.
        persons: different person ids.
        missing: seconds that the video promises and does not have.
    """

    video: Path
    csv: Path
    timeline: Path
    keyframes: int
    busy_keyframes: int
    persons: int
    missing: float

    def summary(self) -> str:
        """One line."""
        if not self.persons:
            return f"no person found in {self.keyframes} keyframes -> {self.video}"
        people = "1 person" if self.persons == 1 else f"{self.persons} persons"
        return f"{people}, in {self.busy_keyframes} of {self.keyframes} keyframes -> {self.video}"


def find_videos(inputs: Sequence[str | Path]) -> list[Path]:
    """The files meant: those named, whatever they are, and in named folders all that have a video's suffix.

    Raises:
        UserError: if a folder holds no video.
    """
    videos = []
    for path in map(Path, inputs):
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES)
            if not inside:
                raise UserError(f"{path}: no video in this folder; known suffixes: {' '.join(VIDEO_SUFFIXES)}")
            videos += inside
        else:
            videos.append(path)
    return videos


def detect_videos(
    videos: Sequence[Path], output: Path, predictor: Predictor, detector: PersonDetector, options: DetectOptions
) -> tuple[dict[Path, VideoResult], dict[Path, str]]:
    """Detect on each video in turn; one that fails is passed over.

    Returns:
        The results, and of the videos that failed, or are not whole, the reason.

    Raises:
        UserError: if `output` cannot be written.
    """
    make_output(output, "--output")
    results, failed, taken = {}, {}, {path.resolve() for path in videos}
    for number, path in enumerate(videos, 1):
        stem = result_stem(path, output, taken)
        taken.add(Path(f"{stem}.mp4").resolve())
        try:
            results[path] = detect_video(path, stem, predictor, detector, options, f"{number}/{len(videos)}")
            if results[path].missing:
                failed[path] = f"{path}: cut off, {results[path].missing:.1f} s are missing; the rest is annotated"
        except UserError as error:
            failed[path] = str(error)
    return results, failed


def detect_video(
    path: Path, stem: Path, predictor: Predictor, detector: PersonDetector, options: DetectOptions, title: str = ""
) -> VideoResult:
    """Detect on one video and write `stem`.mp4, .csv and .png.

    Raises:
        UserError: if the video cannot be read or the files not be written.
    """
    info = probe(path)
    times = keyframe_times(info, options.rate)
    with tqdm(total=3 * len(times), desc=f"{title} {path.name}".strip(), unit="keyframe", disable=None) as bar:
        persons = find_persons(path, times, detector, options.cache, bar.update)
        cuts = find_cuts(path)
        persons = predictor.score_video(path, times, link_persons(persons, times, cuts), bar.update)
        envelope = read_envelope(path, info)
        label_map = predictor.label_map
        annotator = Annotator(label_map.names, label_map.groups, options.top_k, options.threshold)
        thumbnails = annotate_video(
            path, Path(f"{stem}.mp4"), info, times, persons, cuts, annotator, envelope, bar.update
        )
    csv = Path(f"{stem}.csv")
    write_detections(csv, detection_rows(path.stem, times, persons, predictor.label_map))
    if predictor.explain_audio:
        write_detections(audio_path(csv), audio_rows(path.stem, times, persons, predictor.label_map))
    timeline = Path(f"{stem}.png")
    names = predictor.label_map.names
    draw_timeline(
        timeline,
        times,
        persons,
        names,
        info.duration,
        envelope,
        thumbnails,
        title=path.name,
        threshold=options.threshold,
    )
    return VideoResult(
        Path(f"{stem}.mp4"),
        csv,
        timeline,
        keyframes=len(times),
        busy_keyframes=sum(len(found) > 0 for found in persons),
        persons=len({int(i) for found in persons for i in found.ids}),
        missing=info.missing,
    )


def keyframe_times(info: VideoInfo, rate: float) -> list[float]:
    """Seconds 0, 1/rate, 2/rate ... at which the picture is there; at least one."""
    times = [i / rate for i in range(int(info.duration * rate) + 1)]
    return [t for t in times if info.picture_start <= t < info.duration] or [info.picture_start]
