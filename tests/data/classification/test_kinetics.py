import json

import pytest

from avsf_det.data.classification.folder import ClipFolder
from avsf_det.data.classification.kinetics import SOUNDS
from avsf_det.errors import UserError


def names_of(clip, clips):
    classes = [name for head in clips.heads for name in head.classes]
    return [name for name, held in zip(classes, clip.labels) if held]


def test_original_csv_files(held):
    folder = ClipFolder(held("kinetics"), "kinetics")
    clips = folder.clips("train")
    assert folder.heads[0].classes == ("clapping", "playing drums", "waving hand")  # of both splits, by name
    assert [(clip.video.rpartition("/")[2], names_of(clip, clips)) for clip in clips] == [
        ("aaaaaaaaaaa_000010_000020.mp4", ["playing drums"]),
        ("-bbbbbbbbb__000000_000010.mp4", ["playing drums"]),
        ("ccccccccccc_000123_000133.mp4", ["clapping"]),
    ]
    assert all(clip.end is None for clip in clips)  # the files are the clips


def test_pyslowfasts_class_names_give_the_numbers(held):
    root = held("kinetics")
    names = {'"waving hand"': 0, "clapping": 1, '"playing drums"': 2, "unseen": 3}
    (root / "kinetics_classnames.json").write_text(json.dumps(names))
    clips = ClipFolder(root).clips("train")
    assert clips.heads[0].classes == ("waving hand", "clapping", "playing drums", "unseen")
    assert clips[0].labels.tolist() == [0, 0, 1, 0]


def test_class_names_that_are_none_are_an_error(held):
    root = held("kinetics")
    (root / "kinetics_classnames.json").write_text('{"clapping": 5}')
    with pytest.raises(UserError, match=r"kinetics_classnames\.json: no class names"):
        ClipFolder(root).clips("train")


@pytest.mark.parametrize(
    "row",
    ["flying,aaaaaaaaaaa,10,20,train,0", "clapping,,10,20,train,0", "clapping,aaaaaaaaaaa,20,10,train,0", "clapping"],
)
def test_rows_that_cannot_be_used(held, row):
    root = held("kinetics")
    (root / "kinetics_classnames.json").write_text('{"clapping": 0, "playing drums": 1}')
    with open(root / "annotations" / "train.csv", "a") as file:
        file.write(f"{row}\n")
    clips = ClipFolder(root).clips("train")
    assert len(clips) == 3 and clips.bad[0].startswith(f"{root}/annotations/train.csv:5: got")


def test_kinetics_sounds_are_those_of_its_classes_that_are_there(held):
    folder = ClipFolder(held("kinetics"), "kinetics_sounds")
    clips = folder.clips("train")
    assert folder.heads[0].classes == ("playing drums",)
    assert [clip.labels.tolist() for clip in clips] == [[1], [1]]
    assert not clips.missing  # videos of other classes need not be there


def test_kinetics_sounds_are_thirty_one_classes():
    assert len(set(SOUNDS)) == 31 and list(SOUNDS) == sorted(SOUNDS)


def test_a_choice_of_classes_of_which_none_is_there(held):
    root = held("path_labels")
    with pytest.raises(UserError, match="none of the 31 classes to keep, such as 'blowing nose'"):
        ClipFolder(root, "kinetics_sounds").clips("train")
