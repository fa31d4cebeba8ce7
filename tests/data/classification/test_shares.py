import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.data.classification.clips import ClipRow, Head, LabelledClips
from avsf_det.data.classification.shares import share_of_each
from avsf_det.errors import UserError

CLASSES = 4
LABELS = st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=60)
SHARES = st.floats(0.001, 1)


def clips_of(labels):
    rows = [ClipRow(i, f"{i}.mp4", [(0, label)]) for i, label in enumerate(labels, 1)]
    return LabelledClips("train", Path("train.csv"), [Head("action", tuple("abcd"))], rows)


@given(LABELS, SHARES, st.integers(0, 1000))
def test_of_each_class_there_is_the_share_rounded_up_and_no_clip_twice(labels, share, seed):
    kept = share_of_each(clips_of(labels), share, seed)
    assert kept.tolist() == sorted(set(kept.tolist())) and set(kept.tolist()) <= set(range(len(labels)))
    there, before = (np.bincount(some, minlength=CLASSES) for some in (np.array(labels)[kept], labels))
    assert there.tolist() == [math.ceil(share * count) for count in before]


@given(LABELS, SHARES, SHARES, st.integers(0, 1000))
def test_the_smaller_share_lies_within_the_larger(labels, one, other, seed):
    small, large = (set(share_of_each(clips_of(labels), share, seed).tolist()) for share in sorted((one, other)))
    assert small <= large


@given(LABELS, st.integers(0, 1000))
def test_the_whole_is_all_and_a_seed_says_which(labels, seed):
    clips = clips_of(labels)
    assert share_of_each(clips, 1, seed).tolist() == list(range(len(labels)))
    assert share_of_each(clips, 0.3, seed).tolist() == share_of_each(clips, 0.3, seed).tolist()


def test_another_seed_chooses_others():
    chosen = {tuple(share_of_each(clips_of([0] * 40), 0.2, seed).tolist()) for seed in range(5)}
    assert len(chosen) == 5


def test_a_clip_of_several_classes_counts_as_of_its_first():
    rows = [ClipRow(i, f"{i}.mp4", [(0, 1), (0, 3)]) for i in range(4)]
    clips = LabelledClips("train", Path("train.csv"), [Head("action", tuple("abcd"), True)], rows)
    assert len(share_of_each(clips, 0.5, 0)) == 2


@pytest.mark.parametrize("share", [0.0, -0.5, 1.01, math.nan])
def test_what_is_no_share_is_refused(share):
    with pytest.raises(UserError, match=r"DATA.TRAIN_SHARE: got .*, expected a number above 0 and up to 1"):
        share_of_each(clips_of([0, 1]), share, 0)
