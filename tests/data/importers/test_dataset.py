"""Whole imports: of scenes exported as CVAT does it, of odd real-looking folders, and how splits come about."""

import csv
import json
import pickle
import shutil

import numpy as np
import pytest

from avsf_det.config import load_cfg
from avsf_det.data.annotations import AvaFolder
from avsf_det.data.importers.dataset import ImportOptions, import_export
from avsf_det.data.importers.output import write_dataset
from avsf_det.errors import UserError
from avsf_det.media.source import probe_source
from tests.data.importers.cvat_export import write_cvat_export
from tests.data.importers.files import film, frames, sound

BOX = "0.1,0.1,0.5,0.9"


def test_scenes_survive_the_way_through_cvat(scenes, scenes_spec, tmp_path):
    export = tmp_path / "export"
    write_cvat_export(export, scenes, scenes_spec)
    label_map = str(scenes / "annotations" / "label_map.pbtxt")
    imported = import_export(export, scenes / "videos", ImportOptions(label_map=label_map))
    write_dataset(imported, tmp_path / "out")
    assert not imported.bad
    before, after = AvaFolder(scenes, exclusion_file="none"), AvaFolder(tmp_path / "out")
    assert after.label_map == before.label_map
    for split in scenes_spec.scenes:
        wanted, found = before.keyframes(split), after.keyframes(split)
        assert [(k.video_id, k.time) for k in found] == [(k.video_id, k.time) for k in wanted]
        for one, other in zip(found, wanted):
            np.testing.assert_allclose(one.persons.boxes, other.persons.boxes, atol=1e-3)
            np.testing.assert_array_equal(one.persons.ids, other.persons.ids)
            np.testing.assert_array_equal(one.persons.actions, other.persons.actions)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def rows(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


def test_a_foreign_folder_with_everything_that_goes_wrong(videos, tmp_path):
    export = tmp_path / "their data"
    write(
        export / "train.csv",
        "\ufeffVideo ID;Timestamp;X1;Y1;X2;Y2;Action;Person\r\n"
        "clip 1;1;6,4;4,8;32;24;walk;1\r\n"
        "clip 1;2;6,4;4,8;32;24;walk;1\r\n"
        "clip 1;2;-5;4,8;32;24;sit;2\r\n"
        "clip 1;99;6,4;4,8;32;24;walk;1\r\n"
        "clip 1;3;70;4,8;90;24;walk;1\r\n"
        "clip 1;x;6,4;4,8;32;24;walk;1\r\n"
        "broken;1;6,4;4,8;32;24;walk;1\r\n"
        "missing;1;6,4;4,8;32;24;walk;1\r\n",
    )
    write(export / "val.csv", f"clip2.mp4,1.5,{BOX},sit,\n")
    write(export / "test.csv", b"")
    write(export / "readme.txt", "made by hand")
    imported = import_export(export, videos, ImportOptions())
    write_dataset(imported, tmp_path / "out")
    assert rows(tmp_path / "out" / "annotations" / "train.csv") == [
        ["clip 1", "1", "0.1", "0.1", "0.5", "0.5", "2", "1"],
        ["clip 1", "2", "0.1", "0.1", "0.5", "0.5", "2", "1"],
        ["clip 1", "2", "0", "0.1", "0.5", "0.5", "1", "2"],
    ]
    assert rows(tmp_path / "out" / "annotations" / "val.csv") == [["clip2", "1.5", *BOX.split(","), "1", "-1"]]
    named = [line.replace(str(export), "") for line in imported.bad]
    wanted = ["/train.csv:7", "/test.csv", "/train.csv:8", "/train.csv:9", "/train.csv:5", "/train.csv:6"]
    assert sorted(line.split(": ")[0] for line in named) == sorted(wanted)
    assert (tmp_path / "out" / "left_out.txt").read_text().splitlines() == imported.bad
    assert AvaFolder(tmp_path / "out").keyframes("train")[1].persons.boxes.shape == (2, 4)
    assert any("readme.txt: passed over" in note for note in imported.notes)


def test_folders_of_frames_are_linked_and_load(tmp_path):
    frames(tmp_path / "frames" / "walk 1", 40)
    text = f"video,frame,x1,y1,x2,y2,action\nwalk 1,11,{BOX},walk\nwalk 1,41,{BOX},walk\n"
    imported = import_export(write(tmp_path / "rows.csv", text), tmp_path / "frames", ImportOptions(frame_rate=10))
    write_dataset(imported, tmp_path / "out")
    assert len(imported.bad) == 1 and "beyond the video" in imported.bad[0]
    folder = AvaFolder(tmp_path / "out", frame_dir="frames")  # videos.csv says how many a second
    assert [(k.video_id, k.time) for k in folder.keyframes("train")] == [("walk 1", 1)]
    assert folder.videos["walk 1"].path.is_dir()


@pytest.mark.parametrize("copy", [False, True])
def test_folders_of_frames_keep_their_sound_and_rates_of_their_own(tmp_path, copy):
    frames(tmp_path / "raw" / "walk 1" / "rgb", 50)
    frames(tmp_path / "raw" / "sit", 30)
    sound(tmp_path / "raw" / "audio" / "walk 1.wav", 2)
    sound(tmp_path / "raw" / "audio" / "sit.wav", 3)
    export = write(tmp_path / "rows.csv", f"walk 1,1,{BOX},walk,0\nsit,2,{BOX},sit,0\n")
    imported = import_export(export, tmp_path / "raw", ImportOptions(split="train"))
    write_dataset(imported, tmp_path / "out", copy)
    assert not imported.bad
    videos = AvaFolder.from_config(load_cfg(None, ["DATA.ROOT", str(tmp_path / "out")])).videos
    assert {name: video.fps for name, video in videos.items()} == {"walk 1": 25, "sit": 10}
    for name, video in videos.items():
        assert probe_source(video).audio_end == {"walk 1": 2, "sit": 3}[name]
        assert video.sound.path.is_symlink() != copy
    shutil.rmtree(tmp_path / "out" / "sounds")
    assert (
        write_dataset(imported, tmp_path / "out", copy) is None and len(list((tmp_path / "out/sounds").iterdir())) == 2
    )


def test_pixels_of_another_size_than_the_video_s_are_told_not_clipped(videos, tmp_path):
    rows = "".join(f"clip 1,{t},64,48,{end},90,walk,0\n" for t, end in ((1, 70), (2, 120), (3, 100)))
    own = f"clip2,1,6.4,4.8,32,43.2,walk,0\nclip2,2,6.4,4.8,{64 + 2},43.2,walk,0\n"
    imported = import_export(write(tmp_path / "x.csv", rows + own), videos, ImportOptions())
    assert [video.id for video in imported.videos] == ["clip2"] and len(imported.videos[0].rows) == 2
    (line,) = imported.bad
    assert "3 of the 3 boxes of clip 1 reach beyond its picture of 64x48 pixels, to 120,90; all are left out" in line
    assert any("taken to be of pictures of the videos' own size" in note for note in imported.notes)
    head = "video,time,x1,y1,x2,y2,action,person,width,height\n"
    sized = "".join(f"{row},128,96\n" for row in rows.splitlines())
    imported = import_export(write(tmp_path / "x.csv", head + sized), videos, ImportOptions())
    assert not imported.bad and [row[1] for row in imported.videos[0].rows][1] == (0.5, 0.5, 0.9375, 0.9375)
    assert not any("own size" in note for note in imported.notes)


def test_an_export_for_training_alone_gives_a_share_to_validation(videos, tmp_path):
    export = write(tmp_path / "train.csv", f"clip 1,1,{BOX},walk,0\nclip2,1,{BOX},walk,0\n")
    imported = import_export(export, videos, ImportOptions())
    assert sorted(video.split for video in imported.videos) == ["train", "val"]
    assert any("a split for training alone" in note for note in imported.notes)
    imported = import_export(export, videos, ImportOptions(val_share=0.0))
    assert {video.split for video in imported.videos} == {"train"}


def test_spans_become_clips(videos, tmp_path):
    export = tmp_path / "export"
    write(export / "clips.csv", "video,start,end,label\nclip 1,0.5,2,run\nclip2,,,run\nclip2,7,9,run\n")
    imported = import_export(export, videos, ImportOptions(val_share=0.5))
    write_dataset(imported, tmp_path / "out")
    found = sorted(
        row for split in ("train", "val") for row in rows(tmp_path / "out" / "annotations" / f"{split}_clips.csv")
    )
    assert found == [["clip 1", "0.5", "2", "1"], ["clip2", "0", "4", "1"]]
    assert not (tmp_path / "out" / "annotations" / "train.csv").exists()
    assert len(imported.bad) == 1 and "clips.csv:4: span from 7" in imported.bad[0]


def test_splits_follow_from_names_alone(tmp_path):
    for number in range(5):
        film(tmp_path / "videos" / f"{number}.mp4", 20)
    text = "".join(f"{number},1,{BOX},walk,0\n" for number in range(5))
    export = write(tmp_path / "rows.csv", text)

    def split(**how):
        imported = import_export(export, tmp_path / "videos", ImportOptions(**how))
        return {video.id: video.split for video in imported.videos}

    first = split(val_share=0.4)
    assert sorted(first.values()) == ["train"] * 3 + ["val"] * 2 and split(val_share=0.4) == first
    assert set(split(val_share=0.0).values()) == {"train"} and set(split(split="test").values()) == {"test"}
    export.write_text("".join(reversed(text.splitlines(keepends=True))))
    assert split(val_share=0.4) == first
    export = write(tmp_path / "ava_val_v2.2.csv", text)
    assert set(split().values()) == {"val"}


def test_a_test_split_without_validation_is_for_validation(videos, tmp_path):
    head = "video,time,x1,y1,x2,y2,label,split\n"
    export = write(tmp_path / "a.csv", f"{head}clip 1,1,{BOX},a,train\nclip2,1,{BOX},a,test\n")
    imported = import_export(export, videos, ImportOptions())
    assert [video.split for video in imported.videos] == ["train", "val"]
    assert any("becomes val" in note for note in imported.notes)


def test_a_label_map_beside_or_given_names_the_numbers(videos, tmp_path):
    export = write(tmp_path / "a" / "rows.csv", f"clip 1,1,{BOX},7,0\nclip 1,2,{BOX},9,0\n")
    write(tmp_path / "a" / "actions.pbtxt", 'item {\n  name: "wave"\n  id: 7\n}\n')
    imported = import_export(export, videos, ImportOptions())
    assert imported.label_map.names == ("wave",) and "rows.csv:2: '9' is not in the label map" in imported.bad[0]
    imported = import_export(export, videos, ImportOptions(label_map="ava_v2.2_80"))
    assert len(imported.label_map) == 80 and not imported.bad


def test_label_studio_s_own_clock_and_what_is_not_labelled(videos, tmp_path):
    keyframe = {"x": 10, "y": 10, "width": 40, "height": 80, "rotation": 0, "enabled": True}
    value = {
        "framesCount": 96,
        "duration": 4.0,
        "sequence": [keyframe | {"frame": 25}, keyframe | {"frame": 73, "x": 50}],
    }
    region = {"type": "videorectangle", "id": "a", "from_name": "box", "value": value | {"labels": ["person"]}}
    choice = {"type": "choices", "id": "a", "from_name": "action", "value": {"choices": ["walk"]}}
    results = [region, choice, region | {"id": "b"}]
    task = {"id": 1, "data": {"video": "/data/upload/1/8f3a2b1c-clip%201.mp4"}, "annotations": [{"result": results}]}
    imported = import_export(write(tmp_path / "ls.json", json.dumps([task])), videos, ImportOptions())
    (video,) = imported.videos
    found = [(time, round(box[0], 4), person) for time, box, _, person in video.rows]
    assert found == [(1, 0.1, 0), (2, 0.3, 0), (3, 0.5, 0)] and not imported.bad
    assert "3 boxes have no action and are left out" in imported.notes


FRAME_11 = {"bbox": [6.4, 4.8, 25.6, 38.4], "category_id": 1}
TUBE = np.array([[n, 6.4, 4.8, 32, 43.2] for n in range(1, 21)], dtype=np.float32)
SAME = {
    "cvat.xml": """<annotations><version>1.1</version><meta><task><source>clip 1.mp4</source></task></meta>
        <track id="0" label="walk"><box frame="10" outside="0" xtl="6.4" ytl="4.8" xbr="32" ybr="43.2"/></track>
        </annotations>""",
    "images.xml": """<annotations><version>1.1</version><image name="clip 1/000011.jpg" width="64" height="48">
        <box label="walk" xtl="6.4" ytl="4.8" xbr="32" ybr="43.2"/></image></annotations>""",
    "via.json": {
        "attribute": {"1": {"aname": "action", "type": 3, "options": {"0": "walk"}}},
        "file": {"1": {"fid": 1, "fname": "clip 1.mp4", "type": 4, "loc": 1, "src": "clip 1.mp4"}},
        "view": {"1": {"fid_list": [1]}},
        "metadata": {"a": {"vid": "1", "z": [1], "xy": [2, 6.4, 4.8, 25.6, 38.4], "av": {"1": "0"}}},
    },
    "coco.json": {
        "images": [{"id": 1, "file_name": "clip 1/000011.jpg", "width": 64, "height": 48}],
        "annotations": [FRAME_11 | {"id": 1, "image_id": 1}],
        "categories": [{"id": 1, "name": "walk"}],
    },
    "coco_video.json": {
        "videos": [{"id": 3, "name": "clip 1"}],
        "images": [{"id": n, "file_name": "", "video_id": 3, "frame_id": n} for n in (0, 10)],
        "annotations": [FRAME_11 | {"id": n, "image_id": 10 * n, "instance_id": n} for n in range(2)],
        "categories": [{"id": 1, "name": "walk"}],
    },
    "rows.csv": f"clip 1,1,{BOX},walk,\n",
    "tubes.pkl": pickle.dumps(
        {"labels": ["walk"], "gttubes": {"clip 1": {0: [TUBE]}}, "resolution": {"clip 1": (48, 64)}}, protocol=2
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_every_format_gives_the_same_dataset(videos, tmp_path, name):
    content = SAME[name] if isinstance(SAME[name], str | bytes) else json.dumps(SAME[name])
    imported = import_export(write(tmp_path / name, content), videos, ImportOptions(split="train"))
    write_dataset(imported, tmp_path / "out")
    assert not imported.bad and imported.label_map.names == ("walk",)
    found = [row for row in rows(tmp_path / "out" / "annotations" / "train.csv") if row[1] == "1"]
    assert [row[:7] for row in found] == [["clip 1", "1", "0.1", "0.1", "0.5", "0.9", "1"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"nobody,1,{BOX},walk,0\n", "none of its 1 videos can be used; first: .*no video nobody"),
        ("clip 1,1,7,7,7,7,walk,0\n", "no box and no span of it can be used; first: .*empty"),
        ("just words\n", "not recognised; expected CVAT XML, VIA 3"),
        ("", "not recognised; first: .*the file is empty"),
    ],
)
def test_with_nothing_usable_one_line_says_why(videos, tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        import_export(write(tmp_path / "x.csv", text), videos, ImportOptions())


@pytest.mark.parametrize(
    ("ignore", "classes", "counts"),
    [((), ("other", "walk"), "walk 1, other 1"), (("Other",), ("walk",), "walk 1")],
)
def test_labels_that_mean_no_action_are_ignored_and_classes_counted(videos, tmp_path, ignore, classes, counts):
    labels = enumerate(("walk", "none", "other"), 1)
    boxes = "".join(
        f'<box frame="{10 * n}" outside="0" xtl="1" ytl="1" xbr="9" ybr="9"><attribute name="action">{label}'
        "</attribute></box>"
        for n, label in labels
    )
    export = write(
        tmp_path / "a.xml",
        "<annotations><version>1.1</version><meta><task><source>clip2.mp4</source></task></meta>"
        f'<track id="0" label="person">{boxes}</track></annotations>',
    )
    imported = import_export(export, videos, ImportOptions(ignore=ignore))
    assert imported.label_map.names == classes
    assert f"labels per class: {counts}" in imported.summary()
    assert "read CVAT XML: 1 file, 1 video, 1 track, 3 boxes, 0 labels without boxes" in imported.summary()
    assert any("labels that mean no action are ignored: none (1)" in note for note in imported.notes) or ignore


def test_a_folder_as_slowfast_has_it_gives_each_person_once_and_applies_exclusions(videos, tmp_path):
    export = tmp_path / "annotations"
    write(export / "ava_train_v2.2.csv", f"clip 1,1,{BOX},1,0\nclip 1,1,{BOX},2,0\nclip 1,2,{BOX},1,0\n")
    write(export / "ava_train_excluded_timestamps_v2.2.csv", "clip 1,0002\nelsewhere,5\n")
    write(export / "ava_val_excluded_timestamps_v2.2.csv", "")
    write(export / "person_box" / "ava_detection_train_v2.2.csv", "clip 1,1,0.101,0.1,0.5,0.9,1,0.998\n")
    imported = import_export(export, videos, ImportOptions())
    write_dataset(imported, tmp_path / "out")
    assert not imported.bad and len(imported.videos[0].rows) == 3
    assert rows(tmp_path / "out" / "annotations" / "train_excluded_timestamps.csv") == [["clip 1", "2"]]
    notes = "\n".join(imported.notes)
    assert "ava_detection_train_v2.2.csv: its boxes have scores" in notes and "AVA.TRAIN_PREDICT_BOX_LISTS" in notes
    assert "1 excluded timestamps are of videos without boxes here" in notes
    assert [k.time for k in AvaFolder(tmp_path / "out").keyframes("train")] == [1]


def test_person_ids_of_several_files_are_kept_apart_unless_the_box_is_the_same(videos, tmp_path):
    export = tmp_path / "export"
    write(export / "a.csv", f"clip 1,1,{BOX},walk,0\n")
    write(export / "b.csv", f"clip 1,1,{BOX},sit,0\nclip 1,1,0.6,0.1,0.9,0.9,sit,1\nclip 1,2,0.6,0.1,0.9,0.9,sit,1\n")
    write(export / "c.csv", "clip 1,1,0.1,0.1,0.2,0.2,sit,0\n")
    (video,) = import_export(export, videos, ImportOptions()).videos
    assert [(row[1][0], row[3]) for row in video.rows] == [(0.1, 0), (0.1, 0), (0.6, 1), (0.1, 2), (0.6, 1)]


def test_rows_of_a_video_stay_in_the_split_of_their_file(videos, tmp_path):
    export = tmp_path / "export"
    write(export / "train.csv", f"clip 1,1,{BOX},walk,1\n")
    write(export / "val.csv", f"clip 1,2,{BOX},walk,1\nclip2,1,{BOX},walk,1\n")
    imported = import_export(export, videos, ImportOptions())
    write_dataset(imported, tmp_path / "out")
    assert [len(rows(tmp_path / "out" / "annotations" / f"{split}.csv")) for split in ("train", "val")] == [1, 2]
    assert len(rows(tmp_path / "out" / "videos.csv")) == 3
    assert any("videos are in several splits, each row in its own: clip 1" in note for note in imported.notes)


def test_boxes_that_may_be_in_percent_are_asked_for(tmp_path):
    film(tmp_path / "videos" / "large.mp4", 20, width=320, height=240)
    export = write(tmp_path / "x.csv", "video,time,x1,y1,x2,y2,label\nlarge,1,10,10,50,90,walk\n")
    with pytest.raises(UserError, match=r"320x240: they may be in percent or in pixels; say --box-units"):
        import_export(export, tmp_path / "videos", ImportOptions())
    for units, box in (("percent", (0.1, 0.1, 0.5, 0.9)), ("pixels", (10 / 320, 10 / 240, 50 / 320, 90 / 240))):
        (video,) = import_export(export, tmp_path / "videos", ImportOptions(box_units=units)).videos
        assert video.rows[0][1] == pytest.approx(box)


def test_columns_are_what_the_user_says(videos, tmp_path):
    export = write(tmp_path / "x.csv", "video,lo,hi,what,mood\nclip 1,1,2,walk,0.3\n")
    with pytest.raises(UserError, match="lo, hi, mood"):
        import_export(export, videos, ImportOptions(columns={"what": "action"}))
    imported = import_export(export, videos, ImportOptions(columns={"lo": "start", "hi": "end", "what": "action"}))
    assert imported.videos[0].spans == [(1, 2, 1)]
    assert any("start <- lo, end <- hi, action <- what; ignored: mood" in note for note in imported.notes)


def test_clips_that_kinetics_trimmed_are_whole_and_others_are_spans(tmp_path):
    for name in ("abc_000001_000003", "def"):
        film(tmp_path / "videos" / f"{name}.mp4", 40)
    text = "label,youtube_id,time_start,time_end,split\nwave,abc,1,3,train\nsit,def,1,3,train\nsit,def,3,9,train\n"
    imported = import_export(write(tmp_path / "k.csv", text), tmp_path / "videos", ImportOptions(val_share=0))
    assert {video.id: [span[:2] for span in video.spans] for video in imported.videos} == {
        "abc_000001_000003": [(0, pytest.approx(4))],
        "def": [(1, 3), (3, pytest.approx(4))],
    }
    assert "1 spans reach beyond their video and are cut to it" in imported.notes


def test_frames_of_spans_show_by_what_fits_the_videos(videos, tmp_path):
    export = write(tmp_path / "x.csv", "video,start,end,label\nclip 1,11,21,walk\nclip 1,21,31,sit\n")
    (video,) = import_export(export, videos, ImportOptions()).videos
    assert video.spans == [(pytest.approx(1), pytest.approx(2), 2), (pytest.approx(2), pytest.approx(3), 1)]


def test_folders_of_classes_are_a_dataset(tmp_path):
    for name in ("train/walk/a.mp4", "train/sit/b.mp4", "val/sit/c.mp4"):
        film(tmp_path / name, 10)
    imported = import_export(tmp_path, tmp_path, ImportOptions())
    assert [(video.id, video.split, video.spans[0][2]) for video in imported.videos] == [
        ("a", "train", 2),
        ("b", "train", 1),
        ("c", "val", 1),
    ]


def test_ava_activespeaker_gives_its_boxes_and_entities(videos, tmp_path):
    text = (
        "video_id,frame_timestamp,entity_box_x1,entity_box_y1,entity_box_x2,entity_box_y2,label,entity_id,label_id\n"
        f"clip 1,1.0,{BOX},NOT_SPEAKING,clip:1,0\nclip 1,1.1,{BOX},SPEAKING_AUDIBLE,clip:1,1\n"
        f"clip 1,2.0,{BOX},SPEAKING_AUDIBLE,clip:1,1\nclip 1,2.0,0.6,0.1,0.9,0.9,SPEAKING_NOT_AUDIBLE,clip:2,2\n"
    )
    imported = import_export(write(tmp_path / "ava_activespeaker.csv", text), videos, ImportOptions())
    (video,) = imported.videos
    assert [(row[0], row[2], row[3]) for row in video.rows] == [(1, 1, 0), (1.1, 2, 0), (2, 2, 0), (2, 3, 1)]
    assert imported.label_map.names == ("NOT_SPEAKING", "SPEAKING_AUDIBLE", "SPEAKING_NOT_AUDIBLE")


def test_repeated_labels_and_boxes_between_keyframes_are_counted(videos, tmp_path):
    rows = "".join(f"clip 1,{tenth / 10},{BOX},walk,0\n" for tenth in range(40))
    imported = import_export(write(tmp_path / "x.csv", rows + f"clip 1,1,{BOX},walk,0\n"), videos, ImportOptions())
    assert len(imported.videos[0].rows) == 3
    assert "37 boxes are between the keyframes, 1 a second, and are not used (--rate)" in imported.notes
    assert "1 labels are repeated and count once" in imported.notes
