"""What is missing or wrong in a dataset of labelled clips, found before anything trains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from avsf_det.data import check_videos
from avsf_det.data.check_tables import RARE
from avsf_det.data.classification.clips import LabelledClips
from avsf_det.data.classification.folder import ClipFolder
from avsf_det.data.finding import ERROR, FACT, WARNING, Finding
from avsf_det.data.likeness import equal_files
from avsf_det.data.survey import THREADS, ProbedVideo, probe_video
from avsf_det.errors import UserError
from avsf_det.media.source import VideoSource

ROUNDING = 0.5  # seconds by which annotated ends are beyond the last frame of many videos


class ClipSurvey:
    """A dataset of labelled clips: its tables read and its videos probed, each once, for whatever looks at them.

    Args:
        folder: the dataset.
        splits: names of its splits, the one for training first.
        progress: wraps an iterable of a known length in a progress bar.
    """

    def __init__(
        self,
        folder: ClipFolder,
        splits: Sequence[str],
        progress: Callable[[Iterable, int], Iterable] = lambda items, total: items,
    ) -> None:
        self.folder, self.split_names, self.progress = folder, list(dict.fromkeys(splits)), progress
        self.unread: dict[str, str] = {}

    @cached_property
    def splits(self) -> list[LabelledClips]:
        """The splits that can be read; `unread` has the reason for the others."""
        found = []
        for name in self.split_names:
            try:
                found.append(self.folder.layout.clips(name))
            except UserError as error:
                self.unread[name] = str(error)
        return found

    @cached_property
    def videos(self) -> dict[str, ProbedVideo]:
        """The videos of any split that are there."""
        names = list(dict.fromkeys(name for split in self.splits for name in split.video_names))
        sources = (VideoSource(self.folder.root / name) for name in names)
        with ThreadPoolExecutor(THREADS) as pool:
            probed = pool.map(lambda source: probe_video(source, np.zeros(0)), sources)
            return dict(zip(names, self.progress(probed, len(names))))


def tables(survey: ClipSurvey) -> Iterator[Finding]:
    """What the splits hold, and which rows of theirs cannot be used."""
    for split in survey.splits:
        labels = f"{split.class_counts().sum()} labels" if split.heads else "without labels"
        text = f"{len(split)} clips of {len(split.video_names)} videos, {labels}"
        yield Finding(FACT, text, f"{split.split} ({split.path.name})")
        if split.bad:
            cure = "mend or delete the rows; they are left out"
            yield Finding(ERROR, f"{len(split.bad)} bad rows", split.split, cure, tuple(split.bad))
        if split.missing:
            what = f"{len(split.missing)} of {len(split) + len(split.missing)} clips have no video"
            cure = "download them, or set DATA.PATH_PREFIX to where they are; as it is, they are left out"
            yield Finding(ERROR, what, split.split, cure, tuple(split.missing))
        if not len(split):
            yield Finding(ERROR, "no clip is left", split.split, f"see {split.path}; nothing can be learned from it")
    for name, error in survey.unread.items():
        if survey.splits and not survey.splits[0].heads:
            yield Finding(FACT, "no videos; none are needed to learn without labels", name)
        else:
            yield Finding(ERROR, error, name, "put its annotations there, or name another split (DATA.EVAL_SPLIT)")


def classes(survey: ClipSurvey) -> Iterator[Finding]:
    """How many labels each class has."""
    for split in survey.splits:
        counts = split.class_counts()
        for head, own in zip(split.heads, split.head_slices()):
            where = f"{split.split}, {head.name}"
            named = list(zip(head.classes, counts[own].tolist()))
            never = tuple(name for name, count in named if not count)
            rare = tuple(f"{name} {count}" for name, count in named if 0 < count < RARE)
            kind = "any number a clip" if head.multi_label else "one a clip"
            known = [count for _, count in named if count]
            span = f"; {min(known)} to {max(known)} clips of each that is there" if known else ""
            yield Finding(FACT, f"{len(named)} classes, {kind}{span}", where)
            if never:
                yield Finding(WARNING, f"{len(never)} classes have no label", where, items=never)
            if rare and split.split == survey.split_names[0]:
                yield Finding(WARNING, f"{len(rare)} classes have fewer than {RARE} labels", where, items=rare)


def beyond(survey: ClipSurvey) -> Iterator[Finding]:
    """Clips, and labels that hold for a while, that end after their video, or begin after it."""
    lost, cut, late = [], [], []
    for split in survey.splits:
        info = [survey.videos[name].info for name in split.video_names]
        ends = np.array([one.duration if one else np.inf for one in info])[split.videos]
        for i in np.flatnonzero((split.starts >= ends) | (split.ends > ends + ROUNDING)):
            line = f"{split.place(i)}: {split.starts[i]:g} to {split.ends[i]:g}, {split.video(i)} lasts {ends[i]:.1f} s"
            (lost if split.starts[i] >= ends[i] else cut).append(line)
        counts = split.labels_from(ends)
        late += [
            f"{split.place(i)}: {counts[i]}, {split.video(i)} lasts {ends[i]:.1f} s" for i in np.flatnonzero(counts)
        ]
    cure = "see that the seconds are of these files, and that the files are whole"
    if lost:
        what = f"{len(lost)} begin after the end of their video"
        yield Finding(ERROR, what, "clips", f"{cure}; they are left out", tuple(lost))
    if cut:
        what = f"{len(cut)} end after their video"
        yield Finding(WARNING, what, "clips", f"{cure}; they are cut to it", tuple(cut))
    if late:
        what = f"{len(late)} videos have labels that begin after their end"
        yield Finding(WARNING, what, "clips", f"{cure}; in training these labels never hold", tuple(late))


def silence(survey: ClipSurvey) -> Iterator[Finding]:
    """Videos without sound."""
    silent = tuple(name for name, video in survey.videos.items() if video.info and not video.info.has_audio)
    if silent:
        what = f"{len(silent)} of {len(survey.videos)} have no sound"
        yield Finding(WARNING, what, "videos", "download them with their sound; of these nothing is heard", silent)


def splits_apart(survey: ClipSurvey) -> Iterator[Finding]:
    """Videos that are in both splits: by their path, by their name, or as the same file."""
    if len(survey.splits) < 2:
        return
    one, other = survey.splits
    theirs = {PurePosixPath(name).stem: name for name in one.video_names}
    names = [name for name in other.video_names if PurePosixPath(name).stem in theirs]
    first = dict(zip(other.videos[::-1].tolist(), range(len(other) - 1, -1, -1)))  # clip of each video
    places = {name: other.place(first[number]) for number, name in enumerate(other.video_names)}
    where = f"{one.split} and {other.split}"
    cure = "a model is to be evaluated on videos it was not trained on: take them out of one split"
    if names:
        items = tuple(f"{places[name]}: {name}" for name in names)
        yield Finding(ERROR, f"{len(names)} videos in both", where, cure, items)
    groups = [
        [(name, survey.videos[name]) for name in split.video_names if name not in names and survey.videos[name].info]
        for split in survey.splits
    ]
    equal = tuple(f"{places[b]}: {b} is {a}" for a, b in equal_files(*groups))
    if equal:
        yield Finding(ERROR, f"{len(equal)} pairs of videos are the same file", where, cure, equal)


CHECKS = (tables, classes, check_videos.unreadable, check_videos.lengths, beyond, silence, splits_apart)
"""In the order of their findings; each takes a `ClipSurvey` and yields a `Finding` for each thing it saw."""


def check_clips(survey: ClipSurvey) -> list[Finding]:
    """All that `CHECKS` find."""
    return [finding for check in CHECKS for finding in check(survey)]


def check_clips_beside(
    cfg: object, progress: Callable[[Iterable, int], Iterable] = lambda items, total: items
) -> list[Finding]:
    """All that `CHECKS` find in the `<split>_clips.csv` of a dataset of boxes; nothing where there are none."""
    names = dict.fromkeys((cfg.DATA.TRAIN_SPLIT, cfg.DATA.EVAL_SPLIT))
    splits = [name for name in names if Path(cfg.DATA.ROOT, "annotations", f"{name}_clips.csv").is_file()]
    if not splits:
        return []
    return check_clips(ClipSurvey(ClipFolder(cfg.DATA.ROOT, "imported"), splits, progress))
