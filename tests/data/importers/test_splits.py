from dataclasses import dataclass

from avsf_det.data.importers.splits import assign_splits


@dataclass
class Video:
    id: str
    split: str


def assigned(*videos, wanted="", val_share=0.2):
    made, notes = [Video(*video) for video in videos], []
    assign_splits(made, wanted, val_share, notes)
    return [video.split for video in made], "\n".join(notes)


def test_assign_splits_keeps_rows_of_a_video_in_two_splits_apart_and_warns():
    splits, notes = assigned(("a", "train"), ("a", "val"), ("b", "val"))
    assert splits == ["train", "val", "val"]
    assert "warning: 1 videos are in several splits, each row in its own: a;" in notes


def test_assign_splits_warns_where_nothing_is_for_training():
    splits, notes = assigned(("a", "test"), ("b", "test"))
    assert splits == ["val", "val"] and "warning: no video is for training: all 2 are in val" in notes
    assert "warning" not in assigned(("a", "test"), wanted="val")[1]
