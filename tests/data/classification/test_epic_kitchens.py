import pytest

from avsf_det.data.classification.folder import ClipFolder
from avsf_det.errors import UserError


def pairs(clips):
    verbs, nouns = clips.head_slices()
    return [(int(clip.labels[verbs].argmax()), int(clip.labels[nouns].argmax())) for clip in clips]


def test_epic_55_is_divided_by_persons(held):
    folder = ClipFolder(held("epic_55"))
    train, val = folder.clips("train"), folder.clips("val")
    assert [(head.name, len(head.classes)) for head in folder.heads] == [("verb", 125), ("noun", 352)]
    assert folder.heads[0].classes[2] == "verb2" and folder.heads[1].classes[2] == "noun 2"
    assert pairs(train) == [(2, 8), (0, 13), (1, 13)] and pairs(val) == [(4, 2)]
    assert [(clip.start, clip.end) for clip in train] == [(0.5, 3.37), (0.0, 0.8), (1.0, 2.5)]
    assert train[0].video == train[1].video == "videos/P01/P01_01.MP4"


def test_epic_100_has_a_csv_for_each_split(held):
    folder = ClipFolder(held("epic_100"), "epickitchens")
    assert [(head.name, len(head.classes)) for head in folder.heads] == [("verb", 97), ("noun", 300)]
    assert pairs(folder.clips("train")) == pairs(folder.clips("val")) == [(0, 4)]
    assert folder.clips("val")[0].video == "P02/videos/P02_01.MP4"


def test_rows_that_cannot_be_used(held):
    root = held("epic_55")
    with open(root / "annotations" / "EPIC_train_action_labels.csv", "a") as file:
        file.write("9,P01,P01_01,x,00:00:02,00:00:01,0,0,take,0,cup,13,,\n")
        file.write("9,P01,P01_01,x,00:00:01,00:00:02,0,0,take,125,cup,13,,\n")
        file.write("9,P01,,x,00:00:01,00:00:02,0,0,take,0,cup,13,,\n")
    bad = ClipFolder(root).clips("train").bad
    assert [row.partition(": ")[2] for row in bad] == [
        "got '00:00:02' to '00:00:01', expected seconds, the end after the start",
        "got '125' for the verb class, expected 0..124",
        "no video_id, expected that of a video",
    ]


def test_classes_with_gaps_are_an_error(held):
    root = held("epic_55")
    with open(root / "annotations" / "EPIC_verb_classes.csv", "a") as file:
        file.write("200,far,\n")
    with pytest.raises(UserError, match="the verb classes have gaps"):
        ClipFolder(root).clips("train")


def test_both_editions_in_one_folder_are_not_mixed(held):
    root = held("epic_55")
    later = held("epic_100") / "annotations" / "EPIC_100_train.csv"
    (root / "annotations" / later.name).write_bytes(later.read_bytes())
    with pytest.raises(UserError, match=r"is of EPIC-Kitchens-55 and EPIC_100_train\.csv of -100"):
        ClipFolder(root).clips("train")
