"""The labelled keyframes of a split as a few arrays: small, and shared with worker processes instead of copied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from avsf_det.data.ava_csv import BoxTable
from avsf_det.structures import Persons

MAX_ID = 32_767  # of the actions of a label map
MATCH_IOU = 0.9  # of a predicted box with the ground truth whose labels it carries (LFB; PySlowFast's "iou90" file)


@dataclass(frozen=True)
class AnnotatedKeyframe:
    """A labelled moment of a video.

    Attributes:
        video_id: name of the video.
        time: seconds.
        persons: its N persons; `actions` are (N, K) with 1 where an action holds, columns in label map order.
    """

    video_id: str
    time: float
    persons: Persons


class Keyframes(Sequence):
    """F keyframes with P persons in all, by video and time; an `AnnotatedKeyframe` is made when it is asked for.

    What it holds are torch tensors: a worker process that is forked, or to which PyTorch's multiprocessing sends them,
    has the same memory.

    Args:
        video_names: the different videos, sorted.
        videos: (F,) int32, index into `video_names`.
        times: (F,) float64, seconds.
        starts: (F + 1,) int64; the persons of keyframe i are those from starts[i] to starts[i + 1].
        boxes: (P, 4) float32, x1 y1 x2 y2 in 0..1.
        scores: (P,) float32.
        ids: (P,) int64.
        label_starts: (P + 1,) int64; the same for the labels of a person.
        labels: (L,) int16, the columns of the actions.
        num_classes: K.
    """

    def __init__(
        self,
        video_names: Sequence[str],
        videos: np.ndarray,
        times: np.ndarray,
        starts: np.ndarray,
        boxes: np.ndarray,
        scores: np.ndarray,
        ids: np.ndarray,
        label_starts: np.ndarray,
        labels: np.ndarray,
        num_classes: int,
    ) -> None:
        self.video_names, self.num_classes = list(video_names), num_classes
        self._videos = _tensor(videos, np.int32)
        self._times = _tensor(times, np.float64)
        self._starts = _tensor(starts, np.int64)
        self._boxes = _tensor(boxes, np.float32)
        self._scores = _tensor(scores, np.float32)
        self._ids = _tensor(ids, np.int64)
        self._label_starts = _tensor(label_starts, np.int64)
        self._labels = _tensor(labels, np.int16)

    @classmethod
    def from_table(cls, table: BoxTable, action_ids: Sequence[int]) -> Keyframes:
        """The keyframes of a ground truth table.

        Rows of one keyframe with the same box and person id are one person, in the order of the file. A row whose
        action is not among `action_ids` gives a person without that action, as AVA's 80 classes do where 60 are scored.
        """
        by_name = np.argsort(np.array(table.video_names, dtype=object), kind="stable")
        rank = np.empty(len(by_name), dtype=np.int32)
        rank[by_name] = np.arange(len(by_name), dtype=np.int32)
        videos, times = rank[table.videos], table.times
        order = np.lexsort((times, videos))  # keeps the file's order within a keyframe
        videos, times = videos[order], times[order]
        keyframes = np.cumsum(_changes(videos, times)) - 1
        persons = keyframes
        for column in (table.persons, *table.boxes.T):
            persons = _pairs(persons, column[order])
        seen = np.maximum.accumulate(persons)
        first = np.flatnonzero(_changes(seen))  # the row that a person appears in first

        columns = np.full(MAX_ID + 2, -1, dtype=np.int64)
        columns[list(action_ids)] = np.arange(len(action_ids))
        actions = table.actions[order]
        labels = columns[np.where((actions >= 0) & (actions <= MAX_ID), actions, MAX_ID + 1)]
        known = labels >= 0
        done = np.sort(
            persons[known] * len(action_ids) + labels[known], kind="stable"
        )  # np.unique takes 20 times longer
        labelled, labels = np.divmod(done[_changes(done)], len(action_ids))

        changes = np.flatnonzero(_changes(keyframes))
        return cls(
            [table.video_names[i] for i in by_name],
            videos[changes],
            times[changes],
            _starts(np.bincount(keyframes[first], minlength=len(changes))),
            table.boxes[order[first]],
            np.ones(len(first)),
            table.persons[order[first]],
            _starts(np.bincount(labelled, minlength=len(first))),
            labels,
            len(action_ids),
        )

    def __len__(self) -> int:
        return len(self._times)

    def __getitem__(self, index: int | slice) -> AnnotatedKeyframe | Keyframes:
        if isinstance(index, slice):
            return self.select(np.arange(len(self))[index])
        i = range(len(self))[index]
        start, end = self._starts[i : i + 2].tolist()
        bounds = self._label_starts[start : end + 1].numpy()
        actions = np.zeros((end - start, self.num_classes), dtype=np.float32)
        rows = np.repeat(np.arange(end - start), np.diff(bounds))
        actions[rows, self._labels[bounds[0] : bounds[-1]].numpy()] = 1
        persons = Persons(
            self._boxes[start:end].numpy(), self._scores[start:end].numpy(), self._ids[start:end].numpy(), actions
        )
        return AnnotatedKeyframe(self.video_names[self._videos[i]], self._times[i].item(), persons)

    def __iter__(self) -> Iterator[AnnotatedKeyframe]:
        return map(self.__getitem__, range(len(self)))

    @property
    def videos(self) -> np.ndarray:
        """(F,) int32, index of each keyframe's video in `video_names`."""
        return self._videos.numpy()

    @property
    def times(self) -> np.ndarray:
        """(F,) float64, seconds."""
        return self._times.numpy()

    @property
    def boxes(self) -> np.ndarray:
        """(P, 4) float32, all persons' boxes."""
        return self._boxes.numpy()

    @property
    def class_counts(self) -> np.ndarray:
        """(K,) int64, how many persons do each action."""
        return np.bincount(self._labels.numpy(), minlength=self.num_classes)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(t.numel() * t.element_size() for t in vars(self).values() if isinstance(t, torch.Tensor))

    def by_video(self) -> dict[str, np.ndarray]:
        """The times of each video that has keyframes."""
        bounds = np.searchsorted(self.videos, np.arange(len(self.video_names) + 1))
        spans = zip(self.video_names, bounds[:-1], bounds[1:])
        return {name: self.times[start:end] for name, start, end in spans if end > start}

    def find(self, video: str, times: Sequence[float]) -> np.ndarray:
        """(T,) int64: the keyframe of a video at each time, or -1 where there is none."""
        times = np.asarray(times, dtype=np.float64)
        if video not in self.video_names:
            return np.full(len(times), -1)
        number = self.video_names.index(video)
        start, end = np.searchsorted(self.videos, (number, number + 1))
        own = self.times[start:end]
        at = np.searchsorted(own, times)
        hit = (at < len(own)) & (own[np.minimum(at, len(own) - 1)] == times)
        return np.where(hit, at + start, -1)

    def select(self, keyframes: np.ndarray) -> Keyframes:
        """Those of the given numbers, or where a mask is True; in ascending order."""
        chosen = np.flatnonzero(keyframes) if keyframes.dtype == bool else keyframes
        starts, persons = _ragged(self._starts.numpy(), chosen)
        label_starts, labels = _ragged(self._label_starts.numpy(), persons)
        return Keyframes(
            self.video_names,
            self.videos[chosen],
            self.times[chosen],
            starts,
            self.boxes[persons],
            self._scores.numpy()[persons],
            self._ids.numpy()[persons],
            label_starts,
            self._labels.numpy()[labels],
            self.num_classes,
        )

    def with_predicted(self, table: BoxTable, score_threshold: float, negatives: bool = False) -> tuple[Keyframes, int]:
        """These with predicted persons after those of the ground truth.

        A predicted person of `score_threshold` or more whose box fits that of the ground truth (IoU `MATCH_IOU` or
        more) becomes one more person, with the labels of the one it fits best. The labels that PySlowFast's files have
        come from the same rule, but for the version of AVA that a file was made for.

        Args:
            table: the predicted boxes.
            score_threshold: those below are ignored.
            negatives: whether boxes that fit nobody become people without any action, as PySlowFast's
                "include_negative" files have them; else they are ignored.

        Returns:
            The keyframes, and how many predicted boxes were added.
        """
        rows = np.flatnonzero(table.scores >= score_threshold)
        at = np.full(len(table), -1)
        by_video = rows[np.argsort(table.videos[rows], kind="stable")]
        for some in np.split(by_video, np.flatnonzero(np.diff(table.videos[by_video])) + 1):
            if len(some):
                at[some] = self.find(table.video_names[table.videos[some[0]]], table.times[some])
        rows = rows[at[rows] >= 0]
        persons = at[rows]
        for column in table.boxes[rows].T:  # a box that comes once for each label is one
            persons = _pairs(persons, column)
        rows = rows[_changes(np.maximum.accumulate(persons))]
        candidates = rows
        rows, match = self._best_matches(candidates, at, table.boxes)
        if negatives:
            others = np.setdiff1d(candidates, rows)
            rows, match = np.concatenate((rows, others)), np.concatenate((match, np.full(len(others), -1)))

        order = np.argsort(np.concatenate((self._keyframe_of_person(), at[rows])), kind="stable")
        sources = np.concatenate((np.arange(len(self.boxes)), match))[order]
        _, labels = _ragged(self._label_starts.numpy(), sources[sources >= 0])
        label_starts = _starts(np.where(sources >= 0, np.diff(self._label_starts.numpy())[sources], 0))
        counts = np.diff(self._starts.numpy()) + np.bincount(at[rows], minlength=len(self))
        joined = Keyframes(
            self.video_names,
            self.videos,
            self.times,
            _starts(counts),
            np.concatenate((self.boxes, table.boxes[rows].astype(np.float32)))[order],
            np.concatenate((self._scores.numpy(), table.scores[rows].astype(np.float32)))[order],
            np.concatenate((self._ids.numpy(), np.full(len(rows), -1)))[order],
            label_starts,
            self._labels.numpy()[labels],
            self.num_classes,
        )
        return joined, len(rows)

    def _best_matches(self, rows: np.ndarray, at: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of `rows` at keyframes `at`, those that fit a person here, and that person."""
        bounds, persons = _ragged(self._starts.numpy(), at[rows])
        owner = np.repeat(np.arange(len(rows)), np.diff(bounds))
        overlap = paired_iou(boxes[rows][owner], self.boxes[persons])
        fits = np.flatnonzero(overlap >= MATCH_IOU)
        best = fits[np.lexsort((-overlap[fits], owner[fits]))]  # of equals the first
        best = best[_changes(owner[best])]
        return rows[owner[best]], persons[best]

    def _keyframe_of_person(self) -> np.ndarray:
        return np.repeat(np.arange(len(self)), np.diff(self._starts.numpy()))


def _tensor(array: np.ndarray, dtype: type) -> torch.Tensor:
    return torch.from_numpy(np.array(array, dtype=dtype))


def _changes(*columns: np.ndarray) -> np.ndarray:
    """(R,) bool: the first row, and where a value differs from that of the row before."""
    changed = np.zeros(len(columns[0]), dtype=bool)
    changed[:1] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return changed


def _pairs(codes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(R,) int64: a number for each different pair, from 0 on in the order in which they appear."""
    import pandas as pd

    values, uniques = pd.factorize(values)
    return pd.factorize(codes.astype(np.int64) * len(uniques) + values)[0]


def _starts(counts: np.ndarray) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(counts)))


def _ragged(starts: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of lists that lie end to end, the chosen ones: their starts end to end, and the place of each item."""
    counts = starts[chosen + 1] - starts[chosen]
    new = _starts(counts)
    return new, np.arange(new[-1]) + np.repeat(starts[chosen] - new[:-1], counts)


def paired_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N,) intersection over union of the boxes x1 y1 x2 y2 of each row of (N, 4) `a` and `b`."""
    inner = (np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])).clip(0).prod(axis=1)
    areas = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1)
    return inner / (areas - inner)
