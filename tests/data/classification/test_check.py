import pytest

from avsf_det.cli import main
from avsf_det.data.classification.check import ClipSurvey, check_clips
from avsf_det.data.classification.folder import ClipFolder
from avsf_det.data.finding import ERROR, FACT, WARNING
from tests.data.classification.layouts import LAYOUTS


def texts(found, *levels):
    return "\n".join(finding.text() for finding in found if finding.level in levels)


@pytest.fixture
def check(held):
    """A function that checks the dataset of a layout after it was changed."""

    def run(layout, change=lambda root: None, splits=("train", "val"), **options):
        root = held(layout)
        change(root)
        return check_clips(ClipSurvey(ClipFolder(root, **options), splits))

    return run


def test_what_a_dataset_holds(check):
    found = check("epic_55")
    facts = texts(found, FACT)
    assert "train (EPIC_train_action_labels.csv): 3 clips of 2 videos, 6 labels" in facts
    assert "train, verb: 125 classes, one a clip; 1 to 1 clips of each that is there" in facts
    assert "3 of 4.0 to 4.0 s" in facts
    assert "train, verb: 122 classes have no label" in texts(found, WARNING)
    assert texts(found, ERROR) == ""


def test_missing_and_broken_videos_and_bad_rows(check):
    def change(root):
        for name in ("train/clapping/ccccccccccc_000123_000133.mp4", "val/ddddddddddd_000001_000011.mp4"):
            (root / name).unlink()
        (root / "val" / "ddddddddddd_000001_000011.mp4").write_bytes(b"no video")
        with open(root / "annotations" / "train.csv", "a") as file:
            file.write("clapping,,1,11,train,0\n")

    errors = texts(check("kinetics", change), ERROR)
    assert "train: 1 of 3 clips have no video: " in errors and "train.csv:4: ccccccccccc_000123_000133" in errors
    assert "train: 1 bad rows: " in errors and "train.csv:5: got label 'clapping' and id ''" in errors
    assert "1 of 3 cannot be read" in errors and "not a video" in errors


def test_clips_beyond_the_end(check):
    def change(root):
        with open(root / "annotations" / "train_clips.csv", "a") as file:
            file.write("holiday 1,3,9,2\nholiday 1,20,21,2\nholiday 1,3,4.2,2\n")

    found = check("imported", change)
    assert "1 begin after the end of their video" in texts(found, ERROR)
    assert "train_clips.csv:5: 20 to 21, videos/holiday 1.mp4 lasts 4.0 s" in texts(found, ERROR)
    assert "clips: 1 end after their video" in texts(found, WARNING) and "csv:4: 3 to 9" in texts(found, WARNING)


def test_labels_beyond_the_end(check):
    def change(root):
        with open(root / "Charades_v1_train.csv", "a") as file:
            file.write("46GP8,,,,,,,,,c001 0 9;c002 4.5 5;c003 6 7,9\n")

    found = texts(check("charades", change), WARNING)
    assert "clips: 1 videos have labels that begin after their end" in found
    assert "Charades_v1_train.csv:4: 2, Charades_v1_480/46GP8.mp4 lasts 4.0 s" in found
    assert "labels that begin" not in texts(check("charades_frames"), WARNING)


def test_videos_in_both_splits_by_path_by_name_and_by_content(check):
    errors = texts(check("imported"), ERROR)
    assert "train and val: 1 videos in both: " in errors and "val_clips.csv:1: videos/kitchen, late.mp4" in errors

    def change(root):
        (root / "videos" / "clap hands" / "c.webm").unlink()
        (root / "videos" / "clap hands" / "c.webm").symlink_to((root / "videos" / "drum" / "a.mp4").resolve())

    errors = texts(check("path_labels", change), ERROR)
    assert "1 pairs of videos are the same file" in errors
    assert "val.csv:1: videos/clap hands/c.webm is videos/drum/a.mp4" in errors


def test_a_split_without_a_clip(check):
    def change(root):
        path = root / "annotations" / "validate.csv"
        path.write_text(path.read_text().splitlines()[0] + "\n")

    errors = texts(check("kinetics", change), ERROR)
    assert "val: no clip is left" in errors and "validate.csv" in errors and "train: no clip" not in errors


def test_a_split_that_cannot_be_read(check):
    errors = texts(check("ucf101", splits=("train", "holdout")), ERROR)
    assert "holdout: " in errors and "no holdoutlist01.txt" in errors


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_command_knows_each_layout(held, layout, capsys):
    root = held(layout)
    status = main(["data", "check", str(root)])
    text = capsys.readouterr().out
    assert "clips of" in text and "AVA." not in text
    assert status == (1 if "error" in text else 0)


def test_the_command_keeps_to_boxes_where_there_are_any(scenes, capsys):
    main(["data", "check", str(scenes)])
    assert "keyframes of" in capsys.readouterr().out


def test_the_command_takes_videos_without_labels_if_it_is_said(scenes, tmp_path, capsys):
    (tmp_path / "films").symlink_to(scenes / "videos")
    assert main(["data", "check", str(tmp_path / "films"), "TRAIN.DATASET", "unlabelled"]) == 0
    assert "train (films): 5 clips of 5 videos, without labels" in capsys.readouterr().out


def test_pages_are_of_boxes(held, tmp_path, capsys):
    assert main(["data", "check", str(held("hmdb51")), "--html", str(tmp_path / "page.html")]) == 1
    assert "--html: pages are of datasets with boxes" in capsys.readouterr().out


def test_a_dataset_that_is_named_but_not_there(scenes, capsys):
    assert main(["data", "check", str(scenes), "TRAIN.DATASET", "ucf101"]) == 1
    assert "no annotation files of ucf101" in capsys.readouterr().out


AVA_ROW = "holiday 1,1,0.1,0.1,0.5,0.9,1,0\n"


def test_a_dataset_of_boxes_that_lacks_a_file_is_not_taken_for_labelled_clips(held, capsys):
    root = held("imported")
    (root / "annotations" / "val.csv").write_text(AVA_ROW)
    (root / "annotations" / "train_excluded_timestamps.csv").write_text("holiday 1,900\n")
    assert main(["data", "check", str(root)]) == 1
    assert "train.csv: no such file" in capsys.readouterr().out
    (root / "annotations" / "val.csv").unlink()
    assert main(["data", "check", str(root), "DETECTION.ENABLE", "True"]) == 1
    assert "train.csv: no such file" in capsys.readouterr().out


def test_clips_beside_boxes_are_checked_too(held, capsys):
    root = held("imported")
    for split in ("train", "val"):
        (root / "annotations" / f"{split}.csv").write_text(AVA_ROW.replace("holiday 1", f"holiday {split}"))
    with open(root / "annotations" / "train_clips.csv", "a") as file:
        file.write("holiday 1,0,1,99\n")
    assert main(["data", "check", str(root)]) == 1
    told = capsys.readouterr().out
    assert "train: 1 bad rows" in told and "got class id '99'" in told
