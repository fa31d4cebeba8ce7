"""Which videos show the same: equal files, and copies that were encoded anew, scaled or brightened."""

from __future__ import annotations

import filecmp
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from avsf_det.data.survey import THREADS, ProbedVideo
from avsf_det.errors import UserError
from avsf_det.media.source import open_video

MOMENTS = (0.1, 0.3, 0.5, 0.7, 0.9)  # of a video's duration, at which it is looked at
GRID = 16  # cells along each side of the small pictures that are compared
ALIKE = 0.9  # copies at half the size or strongly compressed have 0.96 and more, different scenes up to 0.63
FLAT = 1.0  # grey levels: a picture with smaller differences between its cells looks like any other

Named = tuple[str, ProbedVideo]


def equal_files(one: Sequence[Named], other: Sequence[Named]) -> list[tuple[str, str]]:
    """The pairs of a video of `one` and one of `other` whose files are the same byte for byte."""
    paths = [[(name, video.source.path) for name, video in videos] for videos in (one, other)]
    sizes: dict[int, list[tuple[str, Path]]] = {}
    for name, path in paths[1]:
        sizes.setdefault(path.stat().st_size if path.is_file() else -1, []).append((name, path))
    return [
        (a, b)
        for a, path in paths[0]
        if path.is_file()
        for b, of_other in sizes.get(path.stat().st_size, ())
        if filecmp.cmp(path, of_other, shallow=False)
    ]


def alike(
    one: Sequence[Named], other: Sequence[Named], progress: Callable[[Iterable, int], Iterable]
) -> list[tuple[str, str, float]]:
    """The pairs of a video of `one` and one of `other` that look the same, and how alike they are.

    That is the mean correlation of the edges of a few small pictures, from `ALIKE` to 1. A video that cannot be read is
    like no other.

    Args:
        one, other: names and videos.
        progress: wraps an iterable of a known length in a progress bar.
    """
    if not one or not other:
        return []
    videos = [*one, *other]
    with ThreadPoolExecutor(THREADS) as pool:
        found = np.stack(list(progress(pool.map(lambda named: signature(named[1]), videos), len(videos))))
    likeness = np.einsum("amd,bmd->ab", found[: len(one)], found[len(one) :]) / len(MOMENTS)
    return [(one[a][0], other[b][0], float(likeness[a, b])) for a, b in zip(*np.nonzero(likeness >= ALIKE))]


def signature(video: ProbedVideo) -> np.ndarray:
    """(M, 2 * GRID**2) float32: the edges of M = len(MOMENTS) small grey pictures, of length 1; 0 for flat ones."""
    edges = np.zeros((len(MOMENTS), 2 * GRID**2), dtype=np.float32)
    begin, end = video.start, video.info.duration
    try:
        with open_video(video.source) as reader:
            frames = reader.frames_at(begin + np.array(MOMENTS) * (end - begin))
    except UserError:
        return edges
    for row, frame in zip(edges, frames):
        small = Image.fromarray(frame).convert("L").resize((GRID + 1, GRID + 1), Image.Resampling.BOX)
        grey = np.asarray(small, dtype=np.float32)
        found = np.concatenate(((grey[:-1, 1:] - grey[:-1, :-1]).ravel(), (grey[1:, :-1] - grey[:-1, :-1]).ravel()))
        if np.abs(found).mean() >= FLAT:
            row[:] = found / np.linalg.norm(found)
    return edges
