from avsf_det.data.classification.folder import ClipFolder


def test_rows_of_a_stretch_are_one_clip(held):
    folder = ClipFolder(held("imported"))
    clips = folder.clips("train")
    (head,) = folder.heads
    assert head.classes == ("sit", "talk") and head.multi_label
    assert [(clip.video, clip.start, clip.end, clip.labels.tolist()) for clip in clips] == [
        ("videos/holiday 1.mp4", 0.0, 2.5, [1, 1]),
        ("videos/kitchen, late.mp4", 1.0, 3.0, [1, 0]),
    ]


def test_one_class_each_is_no_multi_label(held):
    root = held("imported")
    (root / "annotations" / "train_clips.csv").write_text("holiday 1,0,2.5,9\nholiday 1,2.5,4,2\n")
    assert not ClipFolder(root).heads[0].multi_label


def test_bad_rows(held):
    root = held("imported")
    with open(root / "annotations" / "train_clips.csv", "a") as file:
        file.write("holiday 1,0,1,7\nholiday 1,0\nholiday 1,2,1,2\n")
    assert [row.partition(".csv:")[2].split(" ")[:2] for row in ClipFolder(root).clips("train").bad] == [
        ["4:", "got"],
        ["5:", "got"],
        ["6:", "got"],
    ]
