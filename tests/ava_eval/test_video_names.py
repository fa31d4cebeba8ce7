import pytest

from ava_eval.table import table_from_memory
from ava_eval.video_names import find_namings


def named(*names):
    return table_from_memory([[name, 1] for name in names], "x")


@pytest.mark.parametrize(
    ("truth", "found", "name"),
    [
        ("abc", "abc.mp4", "video ids with an extension"),
        ("abc.avi", "abc", "video ids with an extension"),
        ("abc", "/data/val/abc", "video ids with a folder"),
        ("abc", "C:\\val\\abc.mkv", "video ids with folder and extension"),
        ("aBc", "AbC", "video ids in different case"),
        ("abc", " abc ", "video ids with spaces around them"),
        ("abc", "val/ABC.mp4", "video ids in different case, with folder or extension"),
        ("abc", "abc_000012_000022", "video ids with the clip's times"),
    ],
)
def test_find_namings_different_spelling_maps_to_ground_truth(truth, found, name):
    [naming] = find_namings(named(truth, "other"), named(found))
    assert naming.name == name and repr(found) in naming.evidence and repr(truth) in naming.evidence
    assert naming.apply(named(found)).video_names == [truth]


def test_find_namings_same_ids_finds_nothing_and_strangers_are_reported():
    assert find_namings(named("a.b", "c"), named("a.b", "d")) == []
    [naming] = find_namings(named("a"), named("b"))
    assert naming.name == "no videos in common" and "'b'" in naming.evidence and "'a'" in naming.evidence


def test_find_namings_some_videos_renames_those_alone():
    [naming] = find_namings(named("a", "b", "c"), named("a", "b.mp4", "c"))
    assert naming.names == {"b.mp4": "b"} and "1 of the detections' videos differ, 2 are the same" in naming.evidence


def test_find_namings_shared_prefix_is_removed():
    [naming] = find_namings(named("one", "two", "six"), named("v_one", "v_two", "v_six"))
    assert naming.name == "video ids with a prefix" and naming.names["v_two"] == "two"


def test_find_namings_two_ids_for_one_video_are_not_merged():
    assert not any(naming.names for naming in find_namings(named("a"), named("x/a", "y/a")))
