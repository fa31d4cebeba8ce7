"""An export and its videos made into a dataset: videos found, times and boxes reckoned, classes and splits settled."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ava_eval.label_map import LabelMap
from avsf_det.data.importers import ava, read_export
from avsf_det.data.importers.actions import Classes, actions_in, choose_attributes
from avsf_det.data.importers.boxes import LabelRow, PersonIds, add_boxes
from avsf_det.data.importers.clock import VideoClock
from avsf_det.data.importers.excluded import ExcludedTime
from avsf_det.data.importers.export import NO_ACTION, Export, Span, Values, drop_no_action, what_was_read
from avsf_det.data.importers.found import FRAME_RATE, Found, find_videos, span_places
from avsf_det.data.importers.splits import assign_splits
from avsf_det.data.importers.table_rows import PERCENT_REACH
from avsf_det.data.importers.tables import TableOptions
from avsf_det.data.importers.videos import VideoFolder, without_suffix
from avsf_det.errors import UserError
from avsf_det.media.source import VideoSource
from avsf_det.media.video import VideoInfo

CLASSES_SHOWN = 100
CUT = 0.5  # seconds by which the ends of spans are beyond the last frame of many videos


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
        columns: title, or number from 1 on, of a table's column -> name that it stands for, or "ignore".
        box_units: "pixels", "percent" or "fraction" for the boxes of tables; "" to find out.
        label_separator: what separates labels in a cell of a table; "none" for nothing, "" to find out.
        ignore: texts that mean that there is no action, besides "none" and the like.
    """

    rate: float = 1.0
    actions: str = ""
    label_map: str | None = None
    split: str = ""
    val_share: float = 0.2
    frame_rate: float = 0.0
    columns: Mapping[str, str] = field(default_factory=dict)
    box_units: str = ""
    label_separator: str = ""
    ignore: Sequence[str] = ()

    @property
    def tables(self) -> TableOptions:
        """Those for tables."""
        return TableOptions(self.columns, self.box_units, self.label_separator, self.frame_rate)


@dataclass
class ImportedVideo:
    """A video with all that was imported of it.

    Attributes:
        id: its name in the csv files.
        source, info: where it is, what it holds.
        split: its split.
        rows: (second, box, class id, person id) of each label; the person is -1 where unknown.
        spans: (start, end, class id), seconds.
        excluded: seconds of keyframes that do not count.
    """

    id: str
    source: VideoSource
    info: VideoInfo
    split: str = ""
    rows: list[LabelRow] = field(default_factory=list)
    spans: list[tuple[float, float, int]] = field(default_factory=list)
    excluded: list[float] = field(default_factory=list)


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
            excluded = sum(len(video.excluded) for video in own)
            more += f", {excluded} excluded timestamps" if excluded else ""
            lines.append(
                f"{split}: {len(own)} videos, {keyframes} keyframes, {boxes} boxes, {labels} labels of "
                f"{len({row[2] for video in own for row in (*video.rows, *video.spans)})} classes{more}"
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
    reading = read_export(path, options.label_map, options.tables)
    folder = VideoFolder(videos, options.frame_rate or FRAME_RATE)
    bad = reading.bad
    notes = [*what_was_read(reading.exports), *reading.notes]
    notes += [f"{name}: passed over, nothing to import in it" for name in reading.passed_over]
    notes += [note for export in reading.exports for note in export.notes]
    found = find_videos(reading.exports, folder, options.frame_rate, progress, bad, notes)
    if not found:
        count = sum(len(export.videos) for export in reading.exports)
        raise UserError(f"{path}: none of its {count} videos can be used{_first(bad)}")
    for export in reading.exports:
        _check_units(export, [one for one in found if any(one.exported is video for video in export.videos)])
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
    imported: dict[tuple[Path, str], ImportedVideo] = {}
    persons: dict[tuple[Path, str], PersonIds] = defaultdict(PersonIds)
    unlabelled = between = repeated = cut = 0
    given = _given_splits(found, options.split)
    for one in progress(found, len(found)):
        where, split = one.source.path, options.split or one.exported.split
        if not split and len(given[where]) == 1:
            split = next(iter(given[where]))
        video = imported.setdefault((where, split), ImportedVideo(folder.video_id(where), one.source, one.info, split))
        counts = add_boxes(one, video.rows, classes, attributes, options.rate, persons[where, split], bad)
        unlabelled, between, repeated = (a + b for a, b in zip((unlabelled, between, repeated), counts))
        counts = _add_spans(one, video, classes, span_attributes, bad)
        cut, repeated = cut + counts[0], repeated + counts[1]
    _add_excluded(reading.excluded, found, imported, folder, notes)
    usable = sorted((v for v in imported.values() if v.rows or v.spans), key=lambda video: (video.id, video.split))
    if not usable:
        raise UserError(f"{path}: no box and no span of it can be used{_first(bad)}")
    if any(one.exported.tracks and not one.exported.picture for one in found):
        notes.append("boxes in pixels are taken to be of pictures of the videos' own size, as nothing says otherwise")
    if unlabelled:
        notes.append(f"{unlabelled} boxes have no action and are left out")
    if between:
        notes.append(f"{between} boxes are between the keyframes, {options.rate:g} a second, and are not used (--rate)")
    if repeated:
        notes.append(f"{repeated} labels are repeated and count once")
    if cut:
        notes.append(f"{cut} spans reach beyond their video and are cut to it")
    assign_splits(usable, options.split, options.val_share, notes)
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


def _check_units(export: Export, found: Sequence[Found]) -> None:
    """Raises UserError if boxes of a table may as well be in percent."""
    if not export.box_units_guessed:
        return
    large = next((one for one in found if max(one.info.width, one.info.height) > PERCENT_REACH), None)
    if large:
        reach = max(track.boxes.max() for one in found for track in one.exported.tracks)
        raise UserError(
            f"{large.exported.where}: no box reaches beyond {reach:g}, in videos such as {large.exported.names[0]} of "
            f"{large.info.width}x{large.info.height}: they may be in percent or in pixels; say --box-units percent or "
            "--box-units pixels"
        )


def _add_spans(
    one: Found, video: ImportedVideo, classes: Classes, attributes: list[str], bad: list[str]
) -> tuple[int, int]:
    """Add the labels that a video's spans have; how many spans are cut to the video, and repeated labels.

    A file that is Kinetics' clip of a span, by its name, is the whole span.
    """
    spans, cut, repeated, known = one.exported.spans, 0, 0, set(video.spans)
    if not spans:
        return 0, 0
    clock = VideoClock(one.source, one.info, one.exported.clock, span_places(one.exported))
    is_trimmed = len(one.exported.names) > 1 and without_suffix(one.source.path.name) == one.exported.names[0]
    for span in spans:
        if is_trimmed and ava.trimmed_name(one.exported.names[1], span.start or 0, span.end or 0) == video.id:
            span = replace(span, start=None, end=None)
        start, end = _seconds(span, clock, one.info)
        begin, stop = max(start, 0.0), min(end, one.info.duration)
        if not begin < stop:
            bad.append(f"{span.where}: span from {start:g} to {end:g} s, expected one within {one.info.duration:.2f} s")
            continue
        cut += begin - start > CUT or end - stop > CUT
        for action in actions_in(span.values, attributes):
            class_id = classes.find(action)
            if class_id is None:
                bad.append(f"{span.where}: {action!r} is not in the label map; expected one of its classes")
            elif (begin, stop, class_id) in known:
                repeated += 1
            else:
                known.add((begin, stop, class_id))
                video.spans.append((begin, stop, class_id))
    video.spans.sort()
    return cut, repeated


def _seconds(span: Span, clock: VideoClock, info: VideoInfo) -> tuple[float, float]:
    start = 0.0 if span.start is None else float(clock.seconds(np.array([span.start]))[0])
    end = info.duration if span.end is None else float(clock.seconds(np.array([span.end]))[0])
    return start, end


def _given_splits(found: Sequence[Found], wanted: str) -> dict[Path, set[str]]:
    """The splits that the export gives each video; the one that is wanted instead, if any."""
    given: dict[Path, set[str]] = defaultdict(set)
    for one in found:
        given[one.source.path] |= {wanted or one.exported.split} - {""}
    return given


def _add_excluded(
    times: Sequence[ExcludedTime],
    found: Sequence[Found],
    imported: Mapping[tuple[Path, str], ImportedVideo],
    folder: VideoFolder,
    notes: list[str],
) -> None:
    """Add excluded timestamps to the videos that are imported, in seconds of the file."""
    clocks: dict[Path, VideoClock] = {}
    for one in found:
        if one.exported.tracks and one.source.path not in clocks:
            clocks[one.source.path] = VideoClock(one.source, one.info, one.exported.clock, one.places)
    elsewhere = 0
    for time in times:
        try:
            path = folder.find((time.video,)).path
        except UserError:
            path = None
        own = [video for (of, split), video in imported.items() if of == path and split in ("", time.split)]
        own = own or [video for (of, _), video in imported.items() if of == path]
        elsewhere += not own or path not in clocks
        for video in own if path in clocks else ():
            video.excluded = sorted({*video.excluded, float(clocks[path].seconds(np.array([time.place]))[0])})
    if elsewhere:
        notes.append(f"{elsewhere} excluded timestamps are of videos without boxes here")
