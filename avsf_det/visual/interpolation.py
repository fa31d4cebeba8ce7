"""Persons between keyframes: actions are known a few times a second, pictures come thirty times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avsf_det.structures import Persons


def interpolate(
    keyframe_times: Sequence[float], persons_per_keyframe: Sequence[Persons], t: float, cuts: Sequence[float] = ()
) -> Persons:
    """The persons to show at second `t`: those of the nearest keyframe, moved.

    Someone whose id is in both keyframes around `t` moves linearly between the two boxes. Someone who is in one of
    them only (or has no id) stands still and is shown up to half the interval between the two. Before the first
    keyframe and after the last, half the interval beside it counts; a video's only keyframe is shown all the time.
    Where there is a cut between two keyframes nobody moves: before it the first keyframe counts, then the second.

    Args:
        keyframe_times: seconds, rising; list the keyframes without persons too (`Persons.none()`), or people are
            taken to move through the gap.
        persons_per_keyframe: as many `Persons`.
        t: seconds.
        cuts: seconds at which new shots begin, rising.
    """
    if len(keyframe_times) == 0:
        return Persons.none()
    if len(keyframe_times) == 1:
        return persons_per_keyframe[0]
    before = int(np.clip(np.searchsorted(keyframe_times, t, side="right") - 1, 0, len(keyframe_times) - 2))
    start, end = keyframe_times[before], keyframe_times[before + 1]
    share = (t - start) / (end - start)
    if not -0.5 <= share <= 1.5:
        return Persons.none()
    first, second = persons_per_keyframe[before : before + 2]
    shot, first_shot, second_shot = np.searchsorted(cuts, (t, start, end), side="right")
    if shot not in (first_shot, second_shot):
        return Persons.none()
    if first_shot != second_shot:
        return first if shot == first_shot else second
    nearest, other = (first, second) if share < 0.5 else (second, first)
    if not 0 < share < 1:
        return nearest
    weight = min(share, 1 - share)
    boxes = nearest.boxes.copy()
    row_of = {int(person_id): row for row, person_id in enumerate(other.ids) if person_id >= 0}
    for row, person_id in enumerate(nearest.ids):
        if int(person_id) in row_of:
            boxes[row] += weight * (other.boxes[row_of[int(person_id)]] - boxes[row])
    return nearest.replace(boxes=boxes)
