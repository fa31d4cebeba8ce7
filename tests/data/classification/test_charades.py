import pytest

from avsf_det.data.classification.folder import ClipFolder


def test_videos_have_several_actions_each_for_a_while(held):
    folder = ClipFolder(held("charades"), "charades")
    clips = folder.clips("train")
    (head,) = folder.heads
    assert head.multi_label and len(head.classes) == 157 and head.classes[92] == "Doing 92"
    assert clips[0].labels.nonzero()[0].tolist() == [92, 147]
    assert clips.labels(0, 2.5, 2.9).nonzero()[0].tolist() == [147]
    assert clips.labels(0, 2.5, 3.1).nonzero()[0].tolist() == [92, 147]
    assert clips[1].labels.sum() == 0  # a video in which nothing happens counts
    assert clips[0].end is None


def test_validation_is_on_the_test_csv(held):
    folder = ClipFolder(held("charades"))
    assert [c.video for c in folder.clips("val")] == [c.video for c in folder.clips("test")]


@pytest.mark.parametrize("actions", ["c157 0 1", "c001 1", "x 0 1", "c001 -1 3", "c001 a b"])
def test_actions_that_cannot_be_read(held, actions):
    root = held("charades")
    with open(root / "Charades_v1_train.csv", "a") as file:
        file.write(f"46GP8,,,,,,,,,{actions},4\n")
    clips = ClipFolder(root).clips("train")
    assert len(clips) == 2 and clips.bad[0].startswith(f"{root}/Charades_v1_train.csv:4: got")


@pytest.mark.parametrize("span", ["3.0 3.0", "3.0 2.0"])
def test_an_action_without_duration_is_one_of_that_moment(held, span):
    root = held("charades")
    with open(root / "Charades_v1_train.csv", "a") as file:
        file.write(f"46GP8,,,,,,,,,c001 {span},4\n")
    clips = ClipFolder(root).clips("train")
    assert not len(clips.bad) and clips[2].labels[1] == 1
    assert clips.labels(2, 1.9, 3.1)[1] == 1 and clips.labels(2, 3.1, 4.0)[1] == 0


def test_pyslowfasts_lists_of_frames(held):
    root = held("charades_frames")
    clips = ClipFolder(root, "charades").clips("train")
    assert clips[0].video == "videos/46GP8.mp4" and clips[0].labels.nonzero()[0].tolist() == [92, 147]
    assert clips.labels(0, 0.5, 0.9).nonzero()[0].tolist() == [92, 147]
    assert clips.labels(0, 1.1, 2.9).nonzero()[0].tolist() == [147]
    assert clips.labels(0, 3.1, 4.0).sum() == 0
    with open(root / "frame_lists" / "train.csv", "a") as file:
        file.write("YSKX3 1 0 YSKX3/YSKX3-000001.jpg\n")
    bad = ClipFolder(root).clips("train").bad
    assert list(bad) == [f"{root}/frame_lists/train.csv:98: frame 0 of YSKX3 has 4 columns, expected five"]
