"""Confidence intervals of the mAP and of the difference of two mAPs, by resampling videos."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from ava_eval.ranking import Ranking
from ava_eval.result import Evaluation

LEVEL = 0.95
DRAWS = 500
LEAST = 1e-3  # of the center on the logit scale
CHUNK = 100  # draws at a time
MOST_CELLS = 20_000_000  # of a table of true positives by videos


@dataclass(frozen=True)
class Interval:
    """An estimate and its confidence interval at LEVEL; NaN bounds if there are fewer than two videos."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Second minus first of two sets of detections on the same ground truth.

    Attributes:
        mAP: the difference.
        ap: {class name: the difference}.
        first: the mAPs of the first.
        second: the mAPs of the second.
        p_value: two-sided, from the fraction of draws on the other side of zero, at least 1 / draws; NaN if nothing
            can be said (see `is_known`).
        videos: how many there are to draw from.
    """

    mAP: Interval
    ap: dict[str, Interval]
    first: Evaluation
    second: Evaluation
    p_value: float
    videos: int

    @property
    def is_known(self) -> bool:
        """Whether there are videos enough to tell a difference from chance: two at least."""
        return not math.isnan(self.p_value)

    @property
    def moved(self) -> dict[str, Interval]:
        """The classes whose interval leaves zero out, the largest difference first."""
        moved = {name: change for name, change in self.ap.items() if change.low > 0 or change.high < 0}
        return dict(sorted(moved.items(), key=lambda item: -abs(item[1].value)))


def interval(result: Evaluation, ranking: Ranking, draws: int = DRAWS, seed: int = 0) -> Interval:
    """The mAP with the confidence interval of the mAP over all videos that these are a sample of.

    Videos are resampled, not frames, because frames of a video are alike. The mAP of few videos is biased upwards, so
    the interval is centered on the bias-corrected mAP: mAP - (mean of the draws - mAP). Its half width is Student's t
    with V - 1 degrees of freedom times the larger of the jackknife's and the bootstrap's standard error, on the logit
    scale. The interval always holds the mAP itself. docs/evaluation.md has its measured coverage.
    """
    videos = _videos(result)
    count = len(videos)
    if count < 2 or math.isnan(result.mAP):
        return Interval(result.mAP, float("nan"), float("nan"))
    drawn = _mean(_drawn_aps(result, ranking, videos, _weights(count, draws, seed)))
    drawn = drawn[~np.isnan(drawn)]
    left_out = _mean(_drawn_aps(result, ranking, videos, 1 - np.eye(count)))
    left_out = left_out[~np.isnan(left_out)]
    if len(drawn) < 2 or len(left_out) < 2:
        return Interval(result.mAP, float("nan"), float("nan"))
    jackknife = math.sqrt((count - 1) / len(left_out) * float(((left_out - left_out.mean()) ** 2).sum()))
    error = max(jackknife, float(drawn.std(ddof=1)))
    center = min(max(2 * result.mAP - float(drawn.mean()), LEAST), 1 - LEAST)
    if error < 1e-12:
        return Interval(result.mAP, result.mAP, result.mAP)
    logit, width = math.log(center / (1 - center)), student_t(count - 1) * error / (center * (1 - center))
    low, high = (1 / (1 + math.exp(-min(max(edge, -700.0), 700.0))) for edge in (logit - width, logit + width))
    return Interval(result.mAP, min(low, result.mAP), max(high, result.mAP))


def student_t(freedom: int) -> float:
    """The quantile (1 + LEVEL) / 2 of Student's t, to 1 % (Abramowitz and Stegun 26.7.5; exact for 1 and 2)."""
    level = (1 + LEVEL) / 2
    if freedom == 1:
        return math.tan(math.pi * (level - 0.5))
    if freedom == 2:
        return (2 * level - 1) * math.sqrt(2 / (4 * level * (1 - level)))
    z = NormalDist().inv_cdf(level)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / freedom**power for power, term in enumerate(terms))


def compare(first: Evaluation, second: Evaluation, draws: int = DRAWS, seed: int = 0) -> Comparison:
    """Compares two evaluations on the same ground truth, on the same draws of videos for both."""
    videos = dict.fromkeys([*_videos(first), *_videos(second)])
    videos = {name: i for i, name in enumerate(videos)}
    names = list(first.ap)
    changes = dict(zip(names, np.array(list(second.ap.values())) - np.array(list(first.ap.values()))))
    if len(videos) < 2:
        unknown = {name: Interval(float(change), float("nan"), float("nan")) for name, change in changes.items()}
        whole = Interval(second.mAP - first.mAP, float("nan"), float("nan"))
        return Comparison(whole, unknown, first, second, float("nan"), len(videos))
    weights = _weights(len(videos), draws, seed)
    aps = [_drawn_aps(result, Ranking.of(result), videos, weights) for result in (first, second)]
    means = _mean(aps[1]) - _mean(aps[0])
    known = means[~np.isnan(means)]
    p_value = float("nan")
    if len(known):
        p_value = float(min(1.0, max(2 * min((known <= 0).mean(), (known >= 0).mean()), 1 / draws)))
    return Comparison(
        mAP=_interval(second.mAP - first.mAP, means),
        ap={name: _interval(float(changes[name]), (aps[1] - aps[0])[:, k]) for k, name in enumerate(names)},
        first=first,
        second=second,
        p_value=p_value,
        videos=len(videos),
    )


def _videos(result: Evaluation) -> dict[str, int]:
    """{name: number} of the videos whose ground truth or detections count."""
    truth, found, matches = result.truth, result.found, result.matches
    names = [truth.video_names[v] for v in np.unique(truth.videos[matches.ground_truth_rows])]
    names += [found.video_names[v] for v in np.unique(found.videos[matches.rows])]
    return {name: i for i, name in enumerate(dict.fromkeys(names))}


def _weights(videos: int, draws: int, seed: int) -> np.ndarray:
    """(draws, V) float64, how often each video is drawn."""
    return np.random.default_rng(seed).multinomial(videos, np.full(videos, 1 / videos), size=draws).astype(np.float64)


def _drawn_aps(result: Evaluation, ranking: Ranking, videos: dict[str, int], weights: np.ndarray) -> np.ndarray:
    """(draws, K) AP of every class in every draw; NaN where the draw has none of its ground truth."""
    matches = result.matches
    code_of_truth = np.array([videos.get(name, 0) for name in result.truth.video_names], dtype=np.int64)
    code_of_found = np.array([videos.get(name, 0) for name in result.found.video_names], dtype=np.int64)
    true_videos = code_of_truth[result.truth.videos[matches.ground_truth_rows]]
    order = ranking.order
    hits = matches.true_positives(result.iou)[order]
    found_videos = code_of_found[result.found.videos[matches.rows[order]]]
    aps = np.full((len(weights), len(ranking.truths)), np.nan)
    for k, (start, stop) in enumerate(zip(ranking.bounds, ranking.bounds[1:])):
        if not ranking.truths[k] or not (stop > start or ranking.undetected_count):
            continue
        truths = np.bincount(true_videos[matches.ground_truth_classes == k], minlength=len(videos))
        aps[:, k] = _class_aps(hits[start:stop], found_videos[start:stop], truths, weights)
    return aps


def _class_aps(hits: np.ndarray, videos: np.ndarray, truths: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(draws,) AP of one class.

    Precision matters at true positives alone, so it is enough to know, for each of them, how many detections of each
    video come up to it.

    Args:
        hits: (D,) bool true positives by falling score.
        videos: (D,) their videos.
        truths: (V,) ground truths in each video.
        weights: (draws, V).
    """
    places = np.flatnonzero(hits)
    positive_videos = videos[places]
    total = weights @ truths
    aps = np.zeros(len(weights))
    count = len(places) * len(truths)
    seen = None
    if 0 < count <= MOST_CELLS:
        last = places[-1] + 1
        until = np.searchsorted(places, np.arange(last))
        cells = np.bincount(until * len(truths) + videos[:last], minlength=count)
        seen = np.cumsum(cells.reshape(len(places), len(truths)), axis=0).astype(np.float32)
    for first in range(0, len(weights), CHUNK) if len(places) else ():
        chunk = weights[first : first + CHUNK]
        if seen is not None:
            all_seen = seen @ chunk.T.astype(np.float32)
        else:
            all_seen = np.stack([np.cumsum(draw[videos[: places[-1] + 1]])[places] for draw in chunk], axis=1)
        gained = chunk.T[positive_videos]
        with np.errstate(invalid="ignore"):
            precision = np.nan_to_num(np.cumsum(gained, axis=0) / all_seen)
        envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
        aps[first : first + CHUNK] = (gained * envelope).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, aps / total, np.nan)


def _mean(aps: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a draw may have no ground truth at all
        return np.nanmean(aps, axis=1)


def _interval(value: float, drawn: np.ndarray) -> Interval:
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
