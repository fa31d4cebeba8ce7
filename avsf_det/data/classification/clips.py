"""The labelled clips of a split as a few arrays: small, and shared with worker processes instead of copied."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from avsf_det.data.classification.texts import Texts

MAX_CLASSES = 32_767  # of all heads together: columns are held in 16 bits


@dataclass(frozen=True)
class Head:
    """Something that is asked of each clip.

    Attributes:
        name: action, verb or noun.
        classes: the names of its K classes.
        multi_label: any number of classes hold at once, instead of one.
    """

    name: str
    classes: tuple[str, ...]
    multi_label: bool = False


@dataclass(frozen=True)
class ClipRow:
    """A clip as an annotation file has it.

    Attributes:
        line: of the file, from 1 on; 0 where the annotations are many files.
        video: the file's path under the folder of videos; before it is looked for there, its name.
        labels: for each of its labels the number of the head and of the head's class, and where the label does not
            hold throughout, from which second of the video to which.
        start, end: seconds of the video; None for the whole of it.
    """

    line: int
    video: str
    labels: Sequence[tuple[int, int] | tuple[int, int, float, float]]
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class LabelledClip:
    """A stretch of a video and what is done in it.

    Attributes:
        video: the file's path under the folder of videos.
        start: seconds of the video.
        end: seconds of the video; None where the clip is the whole of it.
        labels: (K,) float32, 1 for each class that holds, the heads' classes one after the other.
    """

    video: str
    start: float
    end: float | None
    labels: np.ndarray


class LabelledClips(Sequence):
    """S clips in the order of their file; a `LabelledClip` is made when it is asked for.

    What it holds are torch tensors: a worker process to which PyTorch's multiprocessing sends them has the same memory.

    Args:
        split: its name.
        path: the annotation file, or the folder of several, for messages.
        heads: what is asked of each clip; K classes in all.
        rows: the clips.
        bad: a line of text on each row that cannot be used.
        missing: a line of text on each row whose video is not there.

    Attributes:
        video_names: the different videos' paths.
        bad, missing: the same lines.
    """

    def __init__(
        self,
        split: str,
        path: Path,
        heads: Sequence[Head],
        rows: Iterable[ClipRow],
        bad: Sequence[str] = (),
        missing: Sequence[str] = (),
    ) -> None:
        self.split, self.path, self.heads = split, path, tuple(heads)
        first = np.cumsum([0, *(len(head.classes) for head in heads)]).tolist()
        codes: dict[str, int] = {}
        lines, videos, spans, counts = array("q"), array("i"), array("d"), array("q")
        labels, label_spans = array("h"), array("f")
        for row in rows:
            lines.append(row.line)
            videos.append(codes.setdefault(row.video, len(codes)))
            spans.extend((0.0 if row.start is None else row.start, np.nan if row.end is None else row.end))
            counts.append(len(row.labels))
            for head, number, *seconds in row.labels:
                labels.append(first[head] + number)
                label_spans.extend(seconds or (-np.inf, np.inf))
        self.video_names = Texts(codes)
        self._lines = _tensor(lines)
        self._videos = _tensor(videos)
        self._spans = _tensor(spans).reshape(-1, 2)
        self._label_starts = torch.cat((torch.zeros(1, dtype=torch.int64), _tensor(counts).cumsum(0)))
        self._labels = _tensor(labels)
        label_spans = _tensor(label_spans).reshape(-1, 2)
        self._label_spans = label_spans if label_spans.isfinite().any() else None
        self.bad, self.missing = Texts(bad), Texts(missing)  # a reader of `rows` may have filled them just now

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, index: int) -> LabelledClip:
        i = range(len(self))[index]
        start, end = self._spans[i].tolist()
        return LabelledClip(self.video(i), start, None if np.isnan(end) else end, self.labels(i))

    def video(self, index: int) -> str:
        """The path of a clip's video under the folder of videos."""
        return self.video_names[self._videos[index].item()]

    def labels(self, index: int, begin: float = -np.inf, end: float = np.inf) -> np.ndarray:
        """(K,) float32: 1 for each class that holds at any moment from second `begin` to `end` of the video."""
        some = slice(*self._label_starts[index : index + 2].tolist())
        held = self._labels[some].numpy()
        if self._label_spans is not None:
            spans = self._label_spans[some].numpy()
            held = held[(spans[:, 0] < end) & (spans[:, 1] > begin)]
        labels = np.zeros(self.num_classes, dtype=np.float32)
        labels[held] = 1
        return labels

    def labels_from(self, seconds: np.ndarray) -> np.ndarray:
        """(S,) int64, how many labels of each clip hold from no earlier than a second of its video on.

        Args:
            seconds: (S,) one for each clip.
        """
        if self._label_spans is None:
            return np.zeros(len(self), dtype=np.int64)
        owners = np.repeat(np.arange(len(self)), np.diff(self._label_starts.numpy()))
        late = self._label_spans[:, 0].numpy() >= seconds[owners]
        return np.bincount(owners[late], minlength=len(self))

    @property
    def num_classes(self) -> int:
        """K, the classes of all heads together."""
        return sum(len(head.classes) for head in self.heads)

    @property
    def class_names(self) -> list[str]:
        """K different names; where there are several heads, with the head's before each."""
        several = len(self.heads) > 1
        return [f"{head.name} {name}" if several else name for head in self.heads for name in head.classes]

    @property
    def lines(self) -> np.ndarray:
        """(S,) int64, the line of the file that each clip is from."""
        return self._lines.numpy()

    @property
    def videos(self) -> np.ndarray:
        """(S,) int32, index of each clip's video in `video_names`."""
        return self._videos.numpy()

    @property
    def starts(self) -> np.ndarray:
        """(S,) float64, seconds."""
        return self._spans[:, 0].numpy()

    @property
    def ends(self) -> np.ndarray:
        """(S,) float64, seconds; NaN where the clip is the whole video."""
        return self._spans[:, 1].numpy()

    def class_counts(self, some: np.ndarray | None = None) -> np.ndarray:
        """(K,) int64, how many clips have each label; of those of the given numbers, or of all."""
        owners = np.repeat(np.arange(len(self)), np.diff(self._label_starts.numpy()))
        once = np.unique(owners * self.num_classes + self._labels.numpy())
        owners, labels = np.divmod(once, self.num_classes)
        return np.bincount(labels if some is None else labels[np.isin(owners, some)], minlength=self.num_classes)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        tensors = [value for value in vars(self).values() if isinstance(value, torch.Tensor)]
        texts = (self.video_names, self.bad, self.missing)
        return sum(text.nbytes for text in texts) + sum(t.numel() * t.element_size() for t in tensors)

    def place(self, index: int) -> str:
        """File and line of a clip."""
        line = self._lines[index].item()
        return f"{self.path}:{line}" if line else str(self.path)

    def head_slices(self) -> list[slice]:
        """Where each head's classes are among the K."""
        ends = np.cumsum([0, *(len(head.classes) for head in self.heads)]).tolist()
        return [slice(a, b) for a, b in pairwise(ends)]


def _tensor(values: array) -> torch.Tensor:
    return torch.from_numpy(np.array(values))
