import pytest

from ava_eval.table import table_from_memory
from ava_eval.video_names import same_names


def named(*names):
    return table_from_memory([[name, 1] for name in names], "x")


@pytest.mark.parametrize(
    ("truth", "found", "fault"),
    [
        ("abc", "abc.mp4", "video ids with an extension"),
        ("abc.avi", "abc", "video ids with an extension"),
        ("abc", "/data/val/abc", "video ids with a folder"),
        ("abc", "C:\\val\\abc.mkv", "video ids with folder and extension"),
        ("aBc", "AbC", "video ids in other letters"),
        ("abc", " abc ", "video ids with blanks around them"),
    ],
)
def test_names_are_made_the_same_and_the_difference_is_shown(truth, found, fault):
    first, second, (name, evidence, _) = same_names(named(truth, "other"), named(found))
    assert name == fault and repr(found) in evidence and repr(truth) in evidence
    assert second.video_names[0] in first.video_names


def test_names_that_fit_are_left_alone_and_strangers_are_told():
    assert same_names(named("a.b", "c"), named("a.b", "d"))[2] is None
    name, evidence, _ = same_names(named("a"), named("b"))[2]
    assert name == "no videos in common" and "'b'" in evidence and "'a'" in evidence
