"""An export and its videos made into a dataset: videos found, times and boxes reckoned, classes and splits settled."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ava_eval.label_map import LabelMap
from avsf_det.data.importers import read_export
from avsf_det.data.importers.actions import Classes, actions_in, choose_attributes
from avsf_det.data.importers.clock import VideoClock
from avsf_det.data.importers.export import NO_ACTION, Export, ExportedVideo, Span, Values, drop_no_action, what_was_read
from avsf_det.data.importers.found import FRAME_RATE, Found, find_videos
from avsf_det.data.importers.moments import Sighting, sightings
from avsf_det.data.importers.videos import VideoFolder
from avsf_det.errors import UserError
from avsf_det.media.source import VideoSource
from avsf_det.media.video import VideoInfo

BEYOND = 1.05  # boxes that reach beyond the picture by more than a twentieth are hardly drawn on it
CLASSES_SHOWN = 100
BEYOND_SHARE = 0.25  # ... and where so many of a video do, they are of a picture of another size


@dataclass(frozen=True)
class ImportOptions:
    """How to import.

    Attributes:
        rate: keyframes a second.
        actions: attribute that holds the action, or several with commas between; "" to find out.
        label_map: list of classes to keep to, or None.
        split: split of all videos; "" for that of the export or, if it has none, by `val_share`.
        val_share: share of the videos that are for validation.
        frame_rate: frames a second that frame numbers count and folders of frames have; 0 for the files' own, and for
            folders what fits their sound or their times.
        ignore: texts that mean that there is no action, besides "none" and the like.
    """

    rate: float = 1.0
    actions: str = ""
    label_map: str | None = None
    split: str = ""
    val_share: float = 0.2
    frame_rate: float = 0.0
    ignore: Sequence[str] = ()


@dataclass
class ImportedVideo:
    """A video with all that was imported of it.

    Attributes:
        id: its name in the csv files.
        source, info: where it is, what it holds.
        split: its split.
        rows: (second, box, class id, person id) of each label; the person is -1 where unknown.
        spans: (start, end, class id), seconds.
    """

    id: str
    source: VideoSource
    info: VideoInfo
    split: str = ""
    rows: list[tuple[float, tuple[float, float, float, float], int, int]] = field(default_factory=list)
    spans: list[tuple[float, float, int]] = field(default_factory=list)


@dataclass
class Imported:
    """What became of an export.

    Attributes:
        formats: format -> number of files.
        attributes: those taken for actions.
        label_map: the classes.
        videos: in the order of their ids.
        bad: a line on each part left out.
        notes: what else one should know.
    """

    formats: dict[str, int]
    attributes: list[str]
    label_map: LabelMap
    videos: list[ImportedVideo]
    bad: list[str]
    notes: list[str]

    def summary(self) -> str:
        """The figures in some lines."""
        formats = ", ".join(f"{name} ({n} files)" if n > 1 else name for name, n in self.formats.items())
        lines = [f"recognised: {formats}; the action is {', '.join(self.attributes)}"]
        for split in sorted({video.split for video in self.videos}):
            own = [video for video in self.videos if video.split == split]
            keyframes = sum(len({row[0] for row in video.rows}) for video in own)
            boxes = sum(len({(row[0], row[1], row[3]) for row in video.rows}) for video in own)
            labels, spans = sum(len(video.rows) for video in own), sum(len(video.spans) for video in own)
            more = f", {spans} labelled clips" if spans else ""
            lines.append(
                f"{split}: {len(own)} videos, {keyframes} keyframes, {boxes} boxes, {labels} labels of "
                f"{len({row[2] for video in own for row in video.rows})} classes{more}"
            )
        counts = Counter(row[2] for video in self.videos for row in video.rows)
        counts.update(span[2] for video in self.videos for span in video.spans)
        names = dict(zip(self.label_map.ids, self.label_map.names))
        shown = [f"{names[class_id]} {count}" for class_id, count in counts.most_common(CLASSES_SHOWN)]
        more = f", and {len(counts) - CLASSES_SHOWN} more" if len(counts) > CLASSES_SHOWN else ""
        lines.append(f"labels per class: {', '.join(shown)}{more}")
        return "\n".join([*lines, *self.notes])


def import_export(
    path: Path,
    videos: Path,
    options: ImportOptions,
    progress: Callable[[Iterable, int], Iterable] = lambda items, total: items,
) -> Imported:
    """What an export amounts to with the videos on disk; nothing is written.

    Args:
        path: file, zip or folder.
        videos: folder of the videos, at any depth, or of folders of frames.
        options: how.
        progress: wraps what is done for each of so many videos in a progress bar.

    Raises:
        UserError: if nothing of it can be used.
    """
    reading = read_export(path, options.label_map)
    folder = VideoFolder(videos, options.frame_rate or FRAME_RATE)
    bad = reading.bad
    notes = [*what_was_read(reading.exports), *reading.notes]
    notes += [f"{name}: passed over, nothing to import in it" for name in reading.passed_over]
    notes += [note for export in reading.exports for note in export.notes]
    found = find_videos(reading.exports, folder, options.frame_rate, progress, bad, notes)
    if not found:
        count = sum(len(export.videos) for export in reading.exports)
        raise UserError(f"{path}: none of its {count} videos can be used{_first(bad)}")
    of_boxes = [values for one in found for track in one.exported.tracks for values in track.values]
    of_spans = [span.values for one in found for span in one.exported.spans]
    attributes, span_attributes = _attributes(of_boxes, of_spans, options.actions)
    label_map = _label_map(reading.exports)
    ignore = {text.strip().casefold() for text in options.ignore}
    known = set() if label_map is None else {name.casefold() for name in label_map.names}
    drop_no_action([*of_boxes, *of_spans], {*attributes, *span_attributes}, ignore | (NO_ACTION - known), notes)
    texts = {text for values in of_boxes for text in actions_in(values, attributes)}
    texts |= {text for values in of_spans for text in actions_in(values, span_attributes)}
    if not texts:
        what = ", ".join(dict.fromkeys(attributes + span_attributes)) or "its labels"
        raise UserError(f"{path}: nobody does anything in it, {what} being empty; say --actions ATTRIBUTE")
    classes = Classes(texts, label_map)
    imported: dict[Path, ImportedVideo] = {}
    unlabelled = 0
    for one in progress(found, len(found)):
        video = imported.setdefault(
            one.source.path, ImportedVideo(folder.video_id(one.source.path), one.source, one.info)
        )
        video.split = video.split or one.exported.split
        unlabelled += _add_boxes(one, video, classes, attributes, options.rate, bad)
        _add_spans(one, video, classes, span_attributes, bad)
    usable = sorted((v for v in imported.values() if v.rows or v.spans), key=lambda video: video.id)
    if not usable:
        raise UserError(f"{path}: no box and no span of it can be used{_first(bad)}")
    if any(one.exported.tracks and not one.exported.picture for one in found):
        notes.append("boxes in pixels are taken to be of pictures of the videos' own size, as nothing says otherwise")
    if unlabelled:
        notes.append(f"{unlabelled} boxes have no action and are left out")
    assign_splits(usable, options, notes)
    return Imported(
        dict(Counter(export.format for export in reading.exports)),
        list(dict.fromkeys(attributes + span_attributes)),
        classes.label_map,
        usable,
        bad,
        notes,
    )


def _attributes(of_boxes: list[Values], of_spans: list[Values], wanted: str) -> tuple[list[str], list[str]]:
    """The attributes that hold the actions of boxes, and of spans; what is wanted has to be among either's."""
    there = {name for values in of_boxes for name in values}, {name for values in of_spans for name in values}
    names = {name.strip() for name in wanted.split(",") if name.strip()}
    if names - there[0] - there[1]:
        choose_attributes([*of_boxes, *of_spans], wanted)
    return tuple(
        choose_attributes(values, ",".join(sorted(names & known))) if values else []
        for values, known in zip((of_boxes, of_spans), there)
    )


def _first(bad: list[str]) -> str:
    return f"; first: {bad[0]}" if bad else ""


def _label_map(exports: Sequence[Export]) -> LabelMap | None:
    return next((export.label_map for export in exports if export.label_map), None)


def _add_boxes(
    one: Found, video: ImportedVideo, classes: Classes, attributes: list[str], rate: float, bad: list[str]
) -> int:
    """Add the labels of a video's boxes; how many boxes have none."""
    if not one.exported.tracks:
        return 0
    clock = VideoClock(one.source, one.info, one.exported.clock, one.places)
    size = one.exported.picture or (one.info.width, one.info.height)
    if not one.exported.picture and (fault := _size_fault(one.exported, size)):
        bad.append(fault)
        return 0
    found, broken = sightings(one.exported, clock, size, rate)
    bad += broken
    persons, without, known = _person_ids(one.exported), 0, {(*row[:3], row[3]) for row in video.rows}
    for sighting in found:
        actions = actions_in(sighting.values, attributes)
        without += not actions
        for action in actions:
            row = _row(sighting, classes.find(action), persons[sighting.track])
            if row is None:
                bad.append(f"{sighting.where}: {action!r} is not in the label map; expected one of its classes")
            elif row not in known:
                known.add(row)
                video.rows.append(row)
    video.rows.sort(key=lambda row: (row[0], row[3]))
    return without


def _size_fault(video: ExportedVideo, size: tuple[int, int]) -> str:
    """A line on a video's boxes if so many reach beyond its picture that they are of one of another size; else ""."""
    reach = np.concatenate([track.boxes[:, 2:] for track in video.tracks])
    beyond = (reach > BEYOND * np.array(size)).any(axis=1)
    if beyond.mean() < BEYOND_SHARE:
        return ""
    return (
        f"{video.where}: {beyond.sum()} of the {len(beyond)} boxes of {video.names[0]} reach beyond its picture of "
        f"{size[0]}x{size[1]} pixels, to {reach[:, 0].max():g},{reach[:, 1].max():g}; all are left out: if they are of "
        "pictures of another size, say it (in a csv, in columns width and height)"
    )


def _row(sighting: Sighting, class_id: int | None, person: int) -> tuple | None:
    return None if class_id is None else (sighting.time, sighting.box, class_id, person)


def _person_ids(video: ExportedVideo) -> list[int]:
    """A number for each track: the export's if all are whole numbers, else by their order; -1 without an id."""
    names = list(dict.fromkeys(track.person for track in video.tracks if track.person))
    if all(name.isdecimal() and len(name) < 10 for name in names):
        numbers = {name: int(name) for name in names}
    else:
        numbers = {name: number for number, name in enumerate(names)}
    return [numbers.get(track.person, -1) for track in video.tracks]


def _add_spans(one: Found, video: ImportedVideo, classes: Classes, attributes: list[str], bad: list[str]) -> None:
    """Add the labels that a video's spans have."""
    spans = one.exported.spans
    if not spans:
        return
    places = np.array([p for span in spans for p in (span.start, span.end) if p is not None], dtype=np.float64)
    clock = VideoClock(one.source, one.info, one.exported.clock, places)
    for span in spans:
        start, end = _seconds(span, clock, one.info)
        if not start < end:
            bad.append(f"{span.where}: span from {start:g} to {end:g} s, expected one within {one.info.duration:.2f} s")
            continue
        for action in actions_in(span.values, attributes):
            class_id = classes.find(action)
            if class_id is None:
                bad.append(f"{span.where}: {action!r} is not in the label map; expected one of its classes")
            else:
                video.spans.append((start, end, class_id))
    video.spans.sort()


def _seconds(span: Span, clock: VideoClock, info: VideoInfo) -> tuple[float, float]:
    start = 0.0 if span.start is None else float(clock.seconds(np.array([span.start]))[0])
    end = info.duration if span.end is None else float(clock.seconds(np.array([span.end]))[0])
    return max(start, 0.0), min(end, info.duration)


def assign_splits(videos: Sequence[ImportedVideo], options: ImportOptions, notes: list[str]) -> None:
    """Give each video its split: the one that is wanted, the export's, or by its name alone."""
    if options.split:
        for video in videos:
            video.split = options.split
        return
    given = {video.split for video in videos}
    if given == {"train"} and options.val_share and len(videos) > 1:
        notes.append("the export has a split for training alone: a share is for validation (--val-share 0 for none)")
        given = {""}
    if given == {""}:
        order = sorted(videos, key=lambda video: hashlib.sha256(video.id.encode()).digest())
        count = min(max(round(options.val_share * len(videos)), options.val_share > 0), len(videos) - 1)
        for number, video in enumerate(order):
            video.split = "val" if number < count else "train"
        if len(videos) == 1 and options.val_share:
            notes.append("there is one video only, so none is for validation")
        return
    if "test" in given and "val" not in given:
        notes.append("the export has a test split and none for validation: it becomes val")
    for video in videos:
        video.split = video.split or "train"
        if video.split == "test" and "val" not in given:
            video.split = "val"
