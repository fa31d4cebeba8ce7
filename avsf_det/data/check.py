"""What is missing or wrong in a dataset, found before anything trains: small functions that yield findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from avsf_det.data.ava_csv import read_boxes, some
from avsf_det.data.survey import ProbedVideo, Survey
from avsf_det.errors import UserError
from avsf_det.media.source import CUT_LENGTHS, CUT_START

RARE = 20  # labels of a class in the training split
FACT, WARNING, ERROR = "fact", "warning", "error"


@dataclass(frozen=True)
class Finding:
    """Something that a check saw.

    Attributes:
        level: "fact"; "warning", where training runs and something is lost; "error", what should be mended first.
        what: one line.
        where: file, split or videos.
        cure: what to do about it.
    """

    level: str
    what: str
    where: str = ""
    cure: str = ""

    def text(self) -> str:
        """The finding for a terminal."""
        line = f"{self.level:8}{self.where}: {self.what}" if self.where else f"{self.level:8}{self.what}"
        return f"{line}\n{'':10}-> {self.cure}" if self.cure else line


def check_dataset(survey: Survey) -> list[Finding]:
    """All that `CHECKS` find."""
    return [finding for check in CHECKS for finding in check(survey)]


def label_maps(survey: Survey) -> Iterator[Finding]:
    """How many classes there are, and whether the labels are theirs."""
    folder = survey.folder
    classes, scored = len(folder.label_map), len(folder.scored_label_map)
    yield Finding(FACT, f"{classes} classes, of which {scored} count in mAP", str(folder.label_map_path))
    for split in survey.splits:
        unknown = ~np.isin(split.table.actions, folder.label_map.ids)
        ids = np.unique(split.table.actions[unknown])
        if unknown.all():
            cure = "take the label map that belongs to this csv (AVA.LABEL_MAP_FILE)"
            yield Finding(ERROR, "no label is of a class of the label map", split.name, cure)
        elif len(ids):
            what = f"{unknown.sum()} labels of {len(ids)} classes that the label map lacks, such as id {ids[0]}"
            yield Finding(FACT, what, split.name)


def tables(survey: Survey) -> Iterator[Finding]:
    """What the csv files of the splits hold, and their bad rows."""
    for split in survey.splits:
        found, paths = split.keyframes, survey.folder.groundtruth_paths(split.name)
        where = f"{split.name} ({', '.join(path.name for path in paths)})"
        labels, videos = found.class_counts.sum(), len(found.by_video())
        yield Finding(
            FACT, f"{len(found)} keyframes of {videos} videos, {len(found.boxes)} persons, {labels} labels", where
        )
        if split.table.bad:
            cure = "mend or delete the rows"
            if any("pixels" in row for row in split.table.bad):
                cure = "divide x by the width and y by the height of the picture"
            yield Finding(ERROR, f"{len(split.table.bad)} bad rows: {some(split.table.bad)}", where, cure)
    for name, error in survey.unread.items():
        yield Finding(ERROR, error, name, "put the csv there, or set AVA.GROUNDTRUTH_FILE or AVA.ANNOTATION_DIR")


def exclusions(survey: Survey) -> Iterator[Finding]:
    """The excluded timestamps."""
    for split in survey.splits:
        path = survey.folder.exclusion_path(split.name)
        if path is None:
            yield Finding(FACT, "no csv of excluded timestamps (AVA.EXCLUSION_FILE)", split.name)
        else:
            yield Finding(FACT, f"{split.excluded.sum()} keyframes left out by {path.name}", split.name)


def splits_apart(survey: Survey) -> Iterator[Finding]:
    """Whether a video is both trained on and evaluated."""
    if len(survey.splits) == 2:
        one, other = (set(split.keyframes.by_video()) for split in survey.splits)
        if one & other:
            where = " and ".join(split.name for split in survey.splits)
            cure = "a model is to be evaluated on videos it was not trained on: take them out of one csv"
            yield Finding(ERROR, f"{len(one & other)} videos in both: {some(sorted(one & other))}", where, cure)


def classes(survey: Survey) -> Iterator[Finding]:
    """Classes that training sees seldom or never."""
    for split in survey.splits:
        if split.name != survey.split_names[0]:
            continue
        counts, names = split.keyframes.class_counts, survey.folder.label_map.names
        never = [name for name, count in zip(names, counts) if not count]
        rare = [f"{name} {count}" for name, count in zip(names, counts) if 0 < count < RARE]
        if never:
            yield Finding(WARNING, f"{len(never)} classes have no label: {some(never)}", split.name)
        if rare:
            yield Finding(WARNING, f"{len(rare)} classes have fewer than {RARE} labels: {some(rare)}", split.name)


def missing_videos(survey: Survey) -> Iterator[Finding]:
    """Videos that the csv files name and that are not there."""
    folder = survey.folder
    for split in survey.splits:
        wanted = split.keyframes.by_video()
        missing = [video for video in wanted if video not in folder.videos]
        if missing:
            lost = sum(len(wanted[video]) for video in missing)
            what = f"{len(missing)} of {len(wanted)} videos are not there, with {lost} keyframes: {some(missing)}"
            cure = (
                "download them, or set DATA.ROOT, AVA.VIDEO_DIR or AVA.FRAME_DIR to where they are; without them they"
            )
            yield Finding(ERROR, what, split.name, f"{cure} are left out")


def unreadable_videos(survey: Survey) -> Iterator[Finding]:
    """Videos that do not open, or are cut off."""
    bad = [video.error for video in survey.videos.values() if video.error]
    if bad:
        cure = "copy or download them again; they are left out"
        yield Finding(ERROR, f"{len(bad)} of {len(survey.videos)} cannot be read: {some(bad)}", "videos", cure)
    short = [f"{name} {v.info.missing:.0f} s" for name, v in _readable(survey) if v.info.missing]
    if short:
        cure = "copy or download them again"
        yield Finding(ERROR, f"{len(short)} are shorter than their headers promise: {some(short)}", "videos", cure)


def clocks(survey: Survey) -> Iterator[Finding]:
    """Which videos are whole, and which are cut to minutes 15 to 30."""
    groups: dict[tuple[float, bool], list[str]] = {}
    for name, video in _readable(survey):
        groups.setdefault((video.start, video.source.path.is_dir()), []).append(name)
    shortest, longest = CUT_LENGTHS
    for (start, are_folders), names in sorted(groups.items()):
        video = survey.videos[names[0]]
        why = "as AVA.VIDEO_START says"
        if video.source.start is None:
            last = "they last" if start == CUT_START else "they do not last"
            why = f"AVA.VIDEO_START is auto, and {last} {shortest:g} to {longest:g} s"
        kind = "folders of frames" if are_folders else "files"
        what = f"{len(names)} {kind} begin at second {start:g}: {why}; such as {names[0]}, "
        yield Finding(FACT, f"{what}{video.info.duration - start:.1f} s", "videos")


def keyframes_within(survey: Survey) -> Iterator[Finding]:
    """Keyframes that lie beyond their video, and clips that reach beyond it."""
    beyond, as_cut, reaching = [], [], 0
    for name, video in _readable(survey):
        begin, end = video.start, video.info.duration
        lost = [time for time in video.times if not survey.spec.touches(time, begin, end)]
        clips = np.array([survey.spec.frame_times(time)[[0, -1]] for time in video.times])
        reaching += int(((clips[:, 0] < begin) | (clips[:, 1] >= end)).sum()) - len(lost)
        if lost:
            line = f"{name} lasts from {begin:g} to {end:.1f}, without {len(lost)} of its {len(video.times)} keyframes"
            moved = [survey.spec.touches(time, CUT_START, end - begin + CUT_START) for time in video.times]
            (as_cut if begin == 0 and all(moved) else beyond).append(line)
    if as_cut:
        what = f"{len(as_cut)} are shorter than their keyframes: {some(as_cut)}"
        cure = f"they fit if the files are cut from second {CUT_START:g} on: then set AVA.VIDEO_START {CUT_START:g}"
        yield Finding(ERROR, what, "videos", cure)
    if beyond:
        what = f"{len(beyond)} are shorter than their keyframes: {some(beyond)}"
        cure = "take the whole files, or set AVA.VIDEO_START to the second at which they were cut; these are left out"
        yield Finding(ERROR, what, "videos", cure)
    if reaching:
        yield Finding(
            FACT, f"{reaching} clips reach beyond their video: its nearest frame is repeated there", "keyframes"
        )


def sounds(survey: Survey) -> Iterator[Finding]:
    """Videos without sound, or without it where their keyframes are."""
    silent = [name for name, video in _readable(survey) if not video.info.has_audio]
    if silent:
        what = f"{len(silent)} of {len(survey.videos)} have no sound: {some(silent)}"
        cure = "put their sound into a folder, <video_id>.wav for instance, and set AVA.SOUND_DIR"
        yield Finding(WARNING, what, "videos", cure)
    apart = []
    for name, video in _readable(survey):
        begin, end = video.info.audio_start, video.info.audio_end
        seen = video.times[(video.times >= video.start) & (video.times < video.info.duration)]
        lost = int(((seen < begin) | (seen > end)).sum())
        if video.info.has_audio and lost:
            apart.append(
                f"{name} sounds from {begin:g} to {end:.1f}, without {lost} of its {len(video.times)} keyframes"
            )
    if apart:
        cure = "see that the sound is as long as the video, or set AVA.VIDEO_START; what is missing is silence"
        yield Finding(WARNING, f"{len(apart)} have sound that misses keyframes: {some(apart)}", "videos", cure)


def frame_folders(survey: Survey) -> Iterator[Finding]:
    """Folders of frames with gaps, or with other frames than the frame lists say."""
    gaps = [f"{name} {video.absent}" for name, video in _readable(survey) if video.absent]
    if gaps:
        cure = "extract their frames again; until then the frame before stands in"
        yield Finding(ERROR, f"{len(gaps)} lack pictures: {some(gaps)}", "folders of frames", cure)
    other = []
    for name, video in _readable(survey):
        listed = survey.folder.listed_frames.get(name)
        there = round((video.info.duration - video.start) * video.source.fps) - video.absent
        if listed and video.source.path.is_dir() and listed.count != there:
            other.append(f"{name} {there} instead of {listed.count}")
    if other:
        cure = "extract their frames again, or make the lists anew (AVA.FRAME_LIST_DIR)"
        yield Finding(ERROR, f"{len(other)} are not as their frame list says: {some(other)}", "folders of frames", cure)


def predicted_boxes(survey: Survey) -> Iterator[Finding]:
    """The csv files of predicted persons."""
    threshold = survey.folder.score_threshold
    for split in survey.splits:
        paths = [(path, True) for path in survey.folder.train_box_paths(split.name)]
        test = survey.folder.test_box_path(split.name) if split.name == survey.split_names[-1] else None
        for path, trains in [*paths, *([(test, False)] if test else [])]:
            key = "AVA.TRAIN_PREDICT_BOX_LISTS" if trains else "AVA.TEST_PREDICT_BOX_LISTS"
            try:
                table = read_boxes(path, predicted=True)
            except UserError as error:
                without = "train on the ground truth alone" if trains else "evaluate with the ground truth's boxes"
                yield Finding(ERROR, str(error), split.name, f"put the csv there, or {without}: {key} []")
                continue
            if table.bad:
                yield Finding(
                    ERROR, f"{len(table.bad)} bad rows: {some(table.bad)}", path.name, "mend or delete the rows"
                )
            sure = int((table.scores >= threshold).sum())
            text = f"{sure} of {len(table)} predicted boxes have a score of {threshold:g} or more"
            if trains:
                fitting = split.keyframes.with_predicted(table, threshold)[1]
                text += f", of which {fitting} persons fit the ground truth"
                good = fitting
            else:
                good = len(set(table.video_names) & set(split.keyframes.video_names))
                text += f"; {good} of {len(split.keyframes.video_names)} videos have boxes"
            cure = "" if good else f"take the file of this split and version ({key})"
            yield Finding(FACT if good else ERROR, text, f"{split.name} ({path.name})", cure)


CHECKS = (
    label_maps,
    tables,
    exclusions,
    classes,
    splits_apart,
    predicted_boxes,
    missing_videos,
    unreadable_videos,
    clocks,
    keyframes_within,
    sounds,
    frame_folders,
)
"""In the order of their findings; each takes a `Survey` and yields a `Finding` for each thing it saw."""


def summary(findings: Sequence[Finding]) -> str:
    """One line for the end."""
    errors, warnings = (sum(finding.level == level for finding in findings) for level in (ERROR, WARNING))
    if not errors:
        return f"nothing to mend; {warnings} warnings" if warnings else "nothing to mend"
    return f"{errors} to mend, {warnings} warnings"


def _readable(survey: Survey) -> Iterator[tuple[str, ProbedVideo]]:
    return ((name, video) for name, video in survey.videos.items() if video.info)
