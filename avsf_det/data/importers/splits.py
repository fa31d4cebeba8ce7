"""Which split each video of an import belongs to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol


class _Video(Protocol):
    id: str
    split: str


def assign_splits(videos: Sequence[_Video], wanted: str, val_share: float, notes: list[str]) -> None:
    """Give each video its split: the one that is wanted, the export's, or by its name alone.

    Args:
        videos: videos, one for each split that the export has them in.
        wanted: split of all, "" for the export's.
        val_share: share of the videos that are for validation where the export does not say.
        notes: gets what was assumed, and a warning on splits that are missing or share a video.
    """
    _assign(videos, wanted, val_share, notes)
    splits = sorted({video.split for video in videos})
    if "train" not in splits and not wanted:
        notes.append(
            f"warning: no video is for training: all {len(videos)} are in {' and '.join(splits)}, as the export or its "
            "file's name says; --split train makes them all for training, or rename the file"
        )
    by_id: dict[str, set[str]] = {}
    for video in videos:
        by_id.setdefault(video.id, set()).add(video.split)
    both = sorted(name for name, own in by_id.items() if len(own) > 1)
    if both:
        named = ", ".join(both[:5]) + (f" and {len(both) - 5} more" if len(both) > 5 else "")
        notes.append(
            f"warning: {len(both)} videos are in several splits, each row in its own: {named}; a model is to be "
            "evaluated on videos that it was not trained on: take them out of one"
        )


def _assign(videos: Sequence[_Video], wanted: str, val_share: float, notes: list[str]) -> None:
    if wanted:
        for video in videos:
            video.split = wanted
        return
    given = {video.split for video in videos}
    if given == {"train"} and val_share and len(videos) > 1:
        notes.append("the export has a split for training alone: a share is for validation (--val-share 0 for none)")
        given = {""}
    if given == {""}:
        order = sorted(videos, key=lambda video: hashlib.sha256(video.id.encode()).digest())
        count = min(max(round(val_share * len(videos)), val_share > 0), len(videos) - 1)
        for number, video in enumerate(order):
            video.split = "val" if number < count else "train"
        if len(videos) == 1 and val_share:
            notes.append("there is one video only, so none is for validation")
        return
    if "test" in given and "val" not in given:
        notes.append("the export has a test split and none for validation: it becomes val")
    for video in videos:
        video.split = video.split or "train"
        if video.split == "test" and "val" not in given:
            video.split = "val"
