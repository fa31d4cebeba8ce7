import logging
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_eval.label_map import LabelMap
from avsf_det.config import load_cfg
from avsf_det.data.annotations import AvaFolder
from avsf_det.data.annotations import read_groundtruth as read_keyframes
from avsf_det.errors import UserError

LABELS = LabelMap(ids=(3, 7, 12), names=("stand", "talk", "clap"))
GOOD = "v,0902,0.1,0.2,0.5,0.8,{},{}"


def read_groundtruth(path, label_map):
    """The persons by video and time."""
    return {(k.video_id, k.time): k.persons for k in read_keyframes(path, label_map)}


@pytest.fixture
def write(tmp_path):
    def write(*rows):
        path = tmp_path / "train.csv"
        path.write_text("".join(f"{row}\n" for row in rows))
        return path

    return write


@pytest.fixture
def folder(tmp_path):
    """A function that makes a dataset folder of a train.csv and named videos."""

    def make(*rows, videos=("v.mp4",), excluded=()):
        for name in ("annotations", "videos"):
            (tmp_path / name).mkdir()
        (tmp_path / "annotations" / "label_map.pbtxt").write_text(LABELS.to_pbtxt())
        (tmp_path / "annotations" / "train.csv").write_text("".join(f"{row}\n" for row in rows))
        if excluded:
            text = "".join(f"{row}\n" for row in excluded)
            (tmp_path / "annotations" / "train_excluded_timestamps.csv").write_text(text)
        for video in videos:
            (tmp_path / "videos" / video).touch()
        return AvaFolder(tmp_path)

    return make


def test_rows_of_one_box_are_one_person_with_all_its_actions(write):
    found = read_groundtruth(
        write(GOOD.format(3, 1), GOOD.format(12, 1), GOOD.format(3, 2), "v,0903,0.1,0.2,0.5,0.8,7,1", "w,0902"), LABELS
    )
    assert set(found) == {("v", 902.0), ("v", 903.0)}
    persons = found["v", 902.0]
    assert persons.ids.tolist() == [1, 2]
    assert persons.actions.tolist() == [[1, 0, 1], [1, 0, 0]]
    np.testing.assert_allclose(persons.boxes, [[0.1, 0.2, 0.5, 0.8]] * 2)
    assert found["v", 903.0].actions.tolist() == [[0, 1, 0]]


def test_an_action_that_is_not_scored_leaves_the_person(write):
    persons = read_groundtruth(write(GOOD.format(80, 1)), LABELS)["v", 902.0]
    assert persons.actions.tolist() == [[0, 0, 0]]


def test_a_byte_order_mark_and_a_missing_person_id_do_no_harm(write):
    found = read_groundtruth(write("\ufeffv,0902,0.1,0.2,0.5,0.8,7"), LABELS)
    assert found["v", 902.0].ids.tolist() == [-1]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("v,0902,0.1,0.2,0.5", "got 5 columns, expected video,timestamp"),
        ("video_id,timestamp,x1,y1,x2,y2,action_id,person_id", "expected five numbers"),
        ("v,soon,0.1,0.2,0.5,0.8,7,1", "got soon,0.1,0.2,0.5,0.8"),
        ("v,0902,nan,0.2,0.5,0.8,7,1", "expected finite numbers"),
        ("v,0902,10,20,50,80,7,1", "looks like pixels"),
        ("v,0902,0.5,0.2,0.1,0.8,7,1", "expected x1 < x2"),
        ("v,0902,1.1,0.2,1.5,0.8,7,1", "outside the picture"),
        ("v,0902,0.1,0.2,0.5,0.8,talk,1", "got talk,1 for action and person"),
        ("v,0902,0.1,0.2,0.5,0.8,7,inf", "got 7,inf for action and person"),
        ("v,0902,0.1,0.2,0.5,0.8,7,1e30", "person id"),
    ],
)
def test_a_bad_row_is_named_counted_and_left_out(write, caplog, row, message):
    path = write(GOOD.format(3, 1), row, GOOD.format(7, 1))
    with caplog.at_level(logging.WARNING):
        found = read_groundtruth(path, LABELS)
    assert found["v", 902.0].actions.tolist() == [[1, 1, 0]]
    assert f"1 bad rows left out: {path}:2: " in caplog.text and message in caplog.text


def test_of_many_bad_rows_some_are_named(write, caplog):
    path = write(GOOD.format(3, 1), *["bad"] * 9)
    read_groundtruth(path, LABELS)
    assert "9 bad rows left out" in caplog.text and f"{path}:6:" in caplog.text and "and 4 more" in caplog.text
    assert f"{path}:7:" not in caplog.text


def test_a_file_without_a_good_row_is_an_error(write, tmp_path):
    with pytest.raises(UserError, match=r"no usable row.*first: .*train.csv:1: got 1 columns"):
        read_groundtruth(write("bad"), LABELS)
    with pytest.raises(UserError, match="no such file"):
        read_groundtruth(tmp_path / "other.csv", LABELS)
    (tmp_path / "other.csv").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UserError, match="cannot be read as csv"):
        read_groundtruth(tmp_path / "other.csv", LABELS)


def test_a_box_that_reaches_beyond_the_picture_is_clipped(write):
    persons = read_groundtruth(write("v,0902,-0.1,0.2,0.5,1.2,7,1"), LABELS)["v", 902.0]
    np.testing.assert_allclose(persons.boxes, [[0, 0.2, 0.5, 1]])


@given(st.lists(st.text(alphabet="v,.0123456789-einfa\n\"'\0é", max_size=60), max_size=5))
def test_no_text_ends_in_anything_but_a_user_error(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "train.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    try:
        found = read_groundtruth(path, LABELS)
    except UserError as error:
        assert str(path) in str(error) and "\n" not in str(error).replace(repr("\n"), "")
    else:
        for persons in found.values():
            assert ((persons.boxes >= 0) & (persons.boxes <= 1)).all()
            assert (persons.boxes[:, :2] < persons.boxes[:, 2:]).all()


def test_keyframes_are_in_order_without_excluded_ones(folder):
    rows = [f"{video},{t:04d},0.1,0.2,0.5,0.8,7,1" for video, t in (("w", 10), ("v", 11), ("v", 2), ("w", 9))]
    dataset = folder(*rows, videos=("w.MKV", "v.mp4"), excluded=["w,0009"])
    assert [(k.video_id, k.time) for k in dataset.keyframes("train")] == [("v", 2.0), ("v", 11.0), ("w", 10.0)]


def test_missing_videos_are_named(folder, caplog):
    dataset = folder(GOOD.format(7, 1), "w,0902,0.1,0.2,0.5,0.8,7,1")
    assert [k.video_id for k in dataset.keyframes("train")] == ["v"]
    assert "1 videos are not there: w" in caplog.text


def test_nothing_left_is_an_error(folder):
    with pytest.raises(UserError, match=r"train.csv: no keyframe of any video"):
        folder(GOOD.format(7, 1), excluded=["v,902.0"]).keyframes("train")


def test_a_bad_row_of_the_exclusions_is_named(folder):
    with pytest.raises(UserError, match=r"train_excluded_timestamps.csv:2: got v, expected video,timestamp"):
        folder(GOOD.format(7, 1), excluded=["v,903", "v"]).keyframes("train")


@pytest.mark.parametrize("missing", ["annotations/label_map.pbtxt", "videos"])
def test_what_is_missing_of_a_dataset_is_named(folder, tmp_path, missing):
    folder(GOOD.format(7, 1))
    (tmp_path / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=f"no dataset at .*{missing}.* is missing"):
        AvaFolder(tmp_path)


def test_file_names_may_differ(tmp_path):
    (tmp_path / "films").mkdir()
    (tmp_path / "labels").mkdir()
    (tmp_path / "films" / "v.mp4").touch()
    (tmp_path / "labels" / "ava.pbtxt").write_text(LABELS.to_pbtxt())
    (tmp_path / "labels" / "ava_val_v2.2.csv").write_text(GOOD.format(7, 1) + "\n")
    dataset = AvaFolder(tmp_path, "labels", "films", "ava.pbtxt", "ava_{split}_v2.2.csv", "none_{split}.csv")
    assert len(dataset.keyframes("val")) == 1 and dataset.exclusion_path("val") is None


def recipe(root, *overrides):
    return AvaFolder.from_config(load_cfg("ava/avslowfast_8x8_r50", ["DATA.ROOT", str(root), *overrides]))


def test_ava_s_own_names_in_pyslowfast_s_layout_need_no_key_but_the_root(ava):
    folder = recipe(ava)
    assert (len(folder.label_map), len(folder.scored_label_map)) == (80, 60)
    train, val = folder.keyframes("train"), folder.keyframes("val")
    assert [(k.video_id, k.time, len(k.persons)) for k in train] == [("cut", 902, 2), ("cut", 903, 1), ("cut", 904, 1)]
    assert np.flatnonzero(train[0].persons.actions[1]).tolist() == [11, 79]  # of whom the predicted person fits
    assert train[0].persons.scores.tolist() == pytest.approx([1, 0.95]) and train[0].persons.ids.tolist() == [3, -1]
    assert [(k.video_id, k.time, len(k.persons)) for k in val] == [("framed", 902, 1)]
    assert folder.test_box_path("val") == ava / "annotations" / "ava_val_predicted_boxes.csv"
    assert folder.videos["cut"].path.name == "cut.mkv" and folder.videos["framed"].path == ava / "frames" / "framed"
    assert {source.start for source in folder.videos.values()} == {None}


def test_the_ground_truth_listed_among_predicted_boxes_adds_nothing(ava):
    """PySlowFast's recipes do, and read its person ids as scores."""
    alone = recipe(ava, "AVA.TRAIN_PREDICT_BOX_LISTS", "[]").keyframes("train")
    twice = recipe(ava, "AVA.TRAIN_PREDICT_BOX_LISTS", "['ava_train_v2.2.csv']").keyframes("train")
    assert [len(k.persons) for k in twice] == [len(k.persons) for k in alone] == [1, 1, 1]
    (ava / "annotations" / "copy.csv").write_text((ava / "annotations" / "ava_train_v2.2.csv").read_text())
    with pytest.raises(UserError, match=r"copy.csv: no usable row.*got '?3.* for the score.*not, say, a person id"):
        recipe(ava, "AVA.TRAIN_PREDICT_BOX_LISTS", "['copy.csv']").keyframes("train")


def test_ground_truth_for_training_may_be_several_files(ava):
    (ava / "annotations" / "more.csv").write_text("cut,0950,0.1,0.1,0.5,0.9,12,3\n")
    folder = recipe(ava, "AVA.TRAIN_GT_BOX_LISTS", "['ava_train_v2.2.csv', 'more.csv']")
    assert [k.time for k in folder.keyframes("train")] == [902, 903, 904, 950]
    assert [k.time for k in folder.keyframes("val")] == [902]


def test_sound_comes_from_its_own_folder_or_from_the_film(ava):
    assert recipe(ava, "AVA.SOUND_DIR", "").videos["framed"].sound is None
    (ava / "videos" / "framed.mp4").touch()
    assert recipe(ava).videos["framed"].sound.path == ava / "sounds" / "framed.wav"
    assert recipe(ava, "AVA.SOUND_DIR", "").videos["framed"].sound.path == ava / "videos" / "framed.mp4"
    assert recipe(ava, "AVA.FRAME_DIR", "").videos["framed"].path == ava / "videos" / "framed.mp4"


def test_frame_lists_say_where_frames_are(ava):
    (ava / "frame_lists").mkdir()
    header = "original_vido_id video_id frame_id path labels\n"
    (ava / "frame_lists" / "train.csv").write_text(header)
    (ava / "frame_lists" / "val.csv").write_text(f'{header}cut 0 0 framed/framed_000001.jpg ""\n')
    folder = recipe(ava, "AVA.FRAME_LIST_DIR", "frame_lists")
    assert folder.videos["cut"].path == ava / "frames" / "framed"
    assert folder.videos["cut"].sound.path == ava / "videos" / "cut.mkv" and folder.listed_frames["cut"].count == 1


def test_frames_alone_are_a_dataset(ava):
    (ava / "videos").rename(ava / "elsewhere")
    assert list(recipe(ava).videos) == ["framed"]
    with pytest.raises(UserError, match=r"folder of videos .*videos is missing, and so is its folder of frames .*none"):
        recipe(ava, "AVA.FRAME_DIR", "none")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["AVA.VIDEO_START", "soon"], "AVA.VIDEO_START: got 'soon', expected auto or seconds"),
        (["AVA.TEST_PREDICT_BOX_LISTS", "['a', 'b']"], "AVA.TEST_PREDICT_BOX_LISTS: got 2 files, expected one"),
        (
            ["AVA.LABEL_MAP_FILE", "ava_v2.2", "AVA.SCORED_LABEL_MAP_FILE", "ava_v2.2_80"],
            "id 2 is 'crawl', and None in",
        ),
        (["AVA.LABEL_MAP_FILE", "none.pbtxt"], "none.pbtxt is missing; set DATA.ROOT"),
    ],
)
def test_a_key_that_cannot_be_used_is_named(ava, overrides, message):
    with pytest.raises(UserError, match=message):
        recipe(ava, *overrides)


def test_a_csv_that_is_not_there_is_named_with_its_key(ava):
    (ava / "annotations" / "ava_train_predicted_boxes.csv").unlink()
    with pytest.raises(
        UserError, match=r"ava_train_predicted_boxes.csv: no such file; set AVA.TRAIN_PREDICT_BOX_LISTS"
    ):
        recipe(ava).keyframes("train")
    with pytest.raises(UserError, match=r"ava_test_v2.2.csv: no such file; set AVA.GROUNDTRUTH_FILE"):
        recipe(ava).keyframes("test")


def test_predicted_boxes_of_several_files_all_have_to_fit_the_ground_truth(ava):
    """A box 0.355 wide fits the predicted one of 0.39, but not the one of the ground truth, of 0.4."""
    (ava / "annotations" / "more.csv").write_text("cut,0902,0.1,0.1,0.455,0.9,,0.9\ncut,0904,0.1,0.1,0.48,0.9,,0.9\n")
    lists = "['ava_train_predicted_boxes.csv', 'more.csv']"
    keyframes = recipe(ava, "AVA.TRAIN_PREDICT_BOX_LISTS", lists).keyframes("train")
    assert [len(k.persons) for k in keyframes] == [2, 1, 2]


def test_evaluation_is_on_all_keyframes_of_predicted_boxes_too(scenes, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(scenes, root)
    labelled = AvaFolder(root).keyframes("val").by_video()["val_0000"].tolist()
    rows = [f"val_0000,{time},0.1,0.1,0.5,0.9,,0.9" for time in (0.5, labelled[0], 3.5)]
    (root / "annotations/found.csv").write_text("\n".join([*rows, "train_0000,1.5,0.1,0.1,0.5,0.9,,0.9", ""]))
    (root / "annotations/val_excluded_timestamps.csv").write_text("val_0000,3.5\n")
    assert AvaFolder(root).evaluation_times("val")["val_0000"].tolist() == labelled
    times = AvaFolder(root, test_box_file="found.csv").evaluation_times("val")
    assert list(times) == ["val_0000"] and times["val_0000"].tolist() == [0.5, *labelled]
