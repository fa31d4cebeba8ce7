import pytest

from avsf_det.config import load_cfg
from avsf_det.data.check import CHECKS, check_dataset, summary
from avsf_det.data.finding import ERROR, FACT, WARNING, Finding
from avsf_det.data.survey import Survey


def findings(root, *overrides, progress=lambda items, total: items):
    cfg = load_cfg("ava/avslowfast_8x8_r50", ["DATA.ROOT", str(root), *overrides])
    return check_dataset(Survey.from_config(cfg, progress))


def texts(found, *levels):
    return "\n".join(finding.text() for finding in found if finding.level in levels)


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_dataset_in_order_has_nothing_to_mend_and_says_what_was_decided(ava):
    bar = []
    found = findings(ava, "AVA.FRAME_RATE", "0.1", progress=lambda items, total: bar.append(total) or items)
    assert texts(found, ERROR) == "" and bar == [2, 2]
    facts = texts(found, FACT)
    assert "80 classes, of which 60 count in mAP" in facts
    assert "train (ava_train_v2.2.csv): 3 keyframes of 1 videos, 3 persons, 6 labels" in facts
    assert "val: 1 keyframes left out by ava_val_excluded_timestamps_v2.2.csv" in facts
    assert (
        "1 files begin at second 900: AVA.VIDEO_START is auto, and they last 890 to 910 s; such as cut, 901.0 s"
        in facts
    )
    assert "1 folders of frames begin at second 900: AVA.VIDEO_START is auto" in facts
    assert "2 of 3 predicted boxes have a score of 0.8 or more, of which 1 persons fit the ground truth" in facts
    assert "1 of 2 predicted boxes have a score of 0.8 or more; 1 of 1 videos have boxes" in facts


def test_a_short_file_whose_keyframes_fit_from_minute_15_on_is_taken_for_cut(ava):
    found = texts(findings(ava), ERROR)
    assert "csv:3: framed lasts from 0 to 3.0, without 1 of its 1 keyframes" in found
    assert "they fit if the files are cut from second 900 on: then set AVA.VIDEO_START 900" in found
    assert "shorter" not in texts(findings(ava, "AVA.VIDEO_START", "900"), ERROR)
    assert "begin at second 900: as AVA.VIDEO_START says" in texts(findings(ava, "AVA.VIDEO_START", "900"), FACT)


def test_videos_that_are_missing_broken_silent_or_too_short_are_named(ava):
    row = "0.1,0.1,0.5,0.9,12,3\n"
    with open(ava / "annotations" / "ava_train_v2.2.csv", "a") as file:
        file.write(f"gone,0902,{row}broken,0902,{row}cut,2000,{row}cut,1801.5,{row}")
    (ava / "videos" / "broken.mp4").write_bytes(b"no video")
    found = findings(ava, "AVA.VIDEO_START", "900", "AVA.SOUND_DIR", "")
    errors = texts(found, ERROR)
    assert "train: 1 of 3 videos are not there, with 1 keyframes: " in errors and "ava_train_v2.2.csv:7: gone" in errors
    assert "1 of 3 cannot be read" in errors and "broken.mp4: not a video" in errors
    assert "csv:9: cut lasts from 900 to 1801.0, without 1 of its 5 keyframes" in errors
    assert "2 of 3 have no sound: cut; framed" in texts(found, WARNING)
    assert "2 clips reach beyond their video" in texts(found, FACT)


def test_sound_that_is_not_where_the_keyframes_are_is_told(ava):
    found = texts(findings(ava, "AVA.FRAME_RATE", "0.1"), WARNING)
    assert "1 have sound that misses keyframes: framed sounds from 0 to 3.0, without 1 of its 1 keyframes" in found
    assert "misses" not in texts(findings(ava, "AVA.VIDEO_START", "900"), WARNING)


def test_bad_rows_pixels_and_labels_of_another_map_are_named(ava):
    path = ava / "annotations" / "ava_train_v2.2.csv"
    replace(path, "cut,0904,0.1,0.1,0.5,0.9,80", "cut,0904,10,10,50,90,80")
    replace(path, "0.9,12,3", "0.9,99,3")
    found = findings(ava)
    assert "1 bad rows" in texts(found, ERROR) and ":6: box 10,10,50,90 looks like pixels" in texts(found, ERROR)
    assert "divide x by the width" in texts(found, ERROR)
    warnings = texts(found, WARNING)
    assert "train: 3 labels of 1 classes that the label map lacks" in warnings and "csv:1: id 99" in warnings
    replace(path, "0.9,80,3", "0.9,98,3")
    assert "train: no label is of a class of the label map" in texts(findings(ava), ERROR)


def test_a_csv_that_is_not_there_is_named_with_its_key(ava):
    for name in ("ava_train_v2.2.csv", "ava_val_predicted_boxes.csv"):
        (ava / "annotations" / name).unlink()
    errors = texts(findings(ava), ERROR)
    assert "ava_train_v2.2.csv: no such file" in errors and "AVA.GROUNDTRUTH_FILE" in errors
    assert "ava_val_predicted_boxes.csv: no such file" in errors
    assert "evaluate with the ground truth's boxes: AVA.TEST_PREDICT_BOX_LISTS []" in errors


def test_predicted_boxes_of_another_dataset_are_told(ava):
    for name in ("ava_train_predicted_boxes.csv", "ava_val_predicted_boxes.csv"):
        (ava / "annotations" / name).write_text("other,0902,0.1,0.1,0.5,0.9,,0.9\n")
    errors = texts(findings(ava), ERROR)
    assert "of which 0 persons fit the ground truth" in errors and "0 of 1 videos have boxes" in errors


def test_a_video_that_is_trained_on_and_evaluated_is_told(ava):
    replace(ava / "annotations" / "ava_val_v2.2.csv", "framed,0902", "cut,0902")
    errors = texts(findings(ava), ERROR)
    assert "train and val: 1 videos in both" in errors and "ava_val_v2.2.csv:3: cut" in errors


def test_frames_that_are_missing_are_counted(ava):
    (ava / "frames" / "framed" / "framed_000007.jpg").unlink()
    (ava / "frame_lists").mkdir()
    rows = [f'framed 0 {i} framed/framed_{i + 1:06d}.jpg ""\n' for i in range(91)]
    (ava / "frame_lists" / "train.csv").write_text("header\n")
    (ava / "frame_lists" / "val.csv").write_text("header\n" + "".join(rows))
    errors = texts(findings(ava, "AVA.FRAME_LIST_DIR", "frame_lists"), ERROR)
    assert "1 lack pictures: framed 1" in errors and "framed 89 instead of 91" in errors


def test_rare_classes_are_named(ava):
    found = texts(findings(ava), WARNING)
    assert "78 classes have no label: bend/bow (at the waist); crawl" in found
    assert "2 classes have fewer than 20 labels: stand 3; watch (a person) 3" in found


def test_a_finding_is_a_line_and_its_cure():
    finding = Finding(ERROR, "7 are not there", "videos", "download them", tuple("abcdefg"))
    line = "error   videos: 7 are not there: a; b; c; d; e and 2 more"
    assert finding.text().splitlines() == [line, "          -> download them"]
    assert Finding(FACT, "80 classes").text() == "fact    80 classes"
    assert summary([finding, Finding(WARNING, "w"), Finding(FACT, "f")]) == "1 to mend, 1 warnings"
    assert summary([]) == "nothing to mend"


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_says_what_it_looks_at(check):
    assert check.__doc__
