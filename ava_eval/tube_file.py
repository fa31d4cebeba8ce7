"""Files of action tubes: csv rows, or the pickled ground truth of UCF101-24, JHMDB and MultiSports."""

from __future__ import annotations

import csv
import gzip
import os
from dataclasses import dataclass

import numpy as np

from ava_eval.errors import InputError
from ava_eval.pickle_file import load_pickle

COLUMNS = ("video", "frame", "x1", "y1", "x2", "y2", "class id", "tube id", "score")


@dataclass(frozen=True)
class Tube:
    """One action of one actor.

    Attributes:
        video: its name.
        class_id: of the action.
        frames: (T,) float64 rising frame numbers or seconds.
        boxes: (T, 4) float64 x1 y1 x2 y2.
        score: of the whole tube; 1 in ground truth.
    """

    video: str
    class_id: int
    frames: np.ndarray
    boxes: np.ndarray
    score: float = 1.0


def read_tubes(path: str | os.PathLike[str]) -> list[Tube]:
    """Reads a csv (or .csv.gz) of video, frame, x1, y1, x2, y2, class id, tube id and, for detections, score.

    Rows of the same video, class and tube id are a tube; its score is the mean of its rows' scores, 1 if there is none.
    Ground truth in AVA's format with person ids is such a file.

    Raises:
        InputError: if the file cannot be read, or naming the line of the first row that is not of that form.
    """
    path = os.fspath(path)
    rows: dict[tuple[str, int, str], list[tuple[float, ...]]] = {}
    try:
        opener = gzip.open if path.endswith(".gz") else open
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            for row in reader:
                if row:
                    key, values = _parse(row, f"{path}:{reader.line_num}")
                    rows.setdefault(key, []).append(values)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot read the file: {getattr(error, 'strerror', None) or error}") from None
    return [_tube(path, *key, values) for key, values in rows.items()]


def _parse(row: list[str], place: str) -> tuple[tuple[str, int, str], tuple[float, ...]]:
    if len(row) not in (8, 9):
        raise InputError(f"{place}: got {len(row)} columns, expected 8 or 9: {', '.join(COLUMNS)}")
    for i, (name, text) in enumerate(zip(COLUMNS, row)):
        if i in (0, 7):
            continue
        try:
            number = int(text) if i == 6 else float(text)
        except ValueError:
            expected = "a whole number" if i == 6 else "a number"
            raise InputError(f"{place}: the {name} is {text[:40]!r}, expected {expected}") from None
        if not abs(number) < 1e15:
            raise InputError(f"{place}: the {name} is {text[:40]!r}, expected a finite number")
    score = float(row[8]) if len(row) == 9 else 1.0
    return (row[0], int(row[6]), row[7].strip()), (*map(float, row[1:6]), score)


def _tube(source: str, video: str, class_id: int, name: str, rows: object) -> Tube:
    array = np.array(rows, dtype=np.float64).reshape(len(rows), -1)
    array = array[np.argsort(array[:, 0], kind="stable")]
    frames = array[:, 0]
    twice = np.flatnonzero(frames[1:] == frames[:-1])
    if len(twice):
        place = f"tube {name!r} of class {class_id} in video {video!r}"
        raise InputError(f"{source}: {place} has frame {frames[twice[0]]:g} twice, expected each frame once")
    return Tube(video, class_id, frames, array[:, 1:5], float(array[:, 5].mean()) if array.shape[1] > 5 else 1.0)


def read_tube_pickle(path: str | os.PathLike[str], split: int = 1) -> tuple[list[Tube], dict[int, str]]:
    """The test tubes and {class id: name} of a ground-truth pickle as UCF101-24, JHMDB and MultiSports have it.

    It is a dict with "labels", a list of names whose places from 0 are the class ids; "test_videos", a list of names a
    split; and "gttubes", {video: {class id: [arrays of frame, x1, y1, x2, y2]}}.

    Args:
        path: of the file.
        split: the test split, from 1.

    Raises:
        InputError: if the file cannot be read or holds anything else.
    """
    try:
        content = load_pickle(path)
        labels, videos, tubes = content["labels"], content["test_videos"][split - 1], content["gttubes"]
        names = dict(enumerate(map(str, labels)))
        found = []
        for video in videos:
            for class_id, arrays in tubes.get(video, {}).items():
                for number, array in enumerate(arrays):
                    rows = np.asarray(array, dtype=np.float64)[:, :5]
                    found.append(_tube(os.fspath(path), str(video), int(class_id), str(number), rows))
        return found, names
    except InputError as error:
        raise InputError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    except Exception as error:  # the content may be of any form
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"{path}: not ground-truth tubes with a split {split} ({what})") from None
