"""A share of labelled clips, to see how much is learned from few labels."""

from __future__ import annotations

import math

import numpy as np

from avsf_det.data.classification.clips import LabelledClips
from avsf_det.errors import UserError


def share_of_each(clips: LabelledClips, share: float, seed: int) -> np.ndarray:
    """(S,) ascending indices of a share of the clips of each class, rounded up, so that no class is lost.

    A clip is of its first class. Shares of the same seed lie within each other: the clips of 1 % are among those of 10.

    Args:
        clips: all of them.
        share: above 0, up to 1.
        seed: of the choice.

    Raises:
        UserError: for another share.
    """
    if not 0 < share <= 1:
        raise UserError(f"DATA.TRAIN_SHARE: got {share:g}, expected a number above 0 and up to 1")
    classes = np.array([clips.labels(i).argmax() if clips.num_classes else 0 for i in range(len(clips))])
    order = np.random.default_rng(seed).permutation(len(clips))
    chosen = []
    for number in np.unique(classes):
        own = order[classes[order] == number]
        chosen.append(own[: math.ceil(share * len(own))])
    return np.sort(np.concatenate(chosen))
