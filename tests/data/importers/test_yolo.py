import numpy as np
import pytest

from ava_eval.label_map import LabelMap
from avsf_det.data.importers import yolo
from avsf_det.data.importers.class_lists import ClassList
from avsf_det.data.importers.export import LABEL, SHARES
from avsf_det.errors import UserError
from tests.data.importers.files import document

ROW = "1 0.3 0.4 0.4 0.2"
NAMES = document("walk\nrun\n", "classes.txt")


def read(files, *others, classes=None):
    files = [document(content, name) for name, content in files.items()]
    assert all(yolo.recognises(file) for file in files)
    return yolo.read(files, others, classes)


def test_read_label_files_are_frames_of_one_video():
    export = read({"labels/clip_1.txt": ROW, "labels/clip_11.txt": f"{ROW}\n0 0.5 0.5 1 1\n"}, NAMES)
    (video,) = export.videos
    assert video.names == ("clip",) and video.picture == SHARES
    found = [(track.places[0], track.values[0][LABEL], track.person) for track in video.tracks]
    assert found == [(1, ("run",), ""), (11, ("run",), ""), (11, ("walk",), "")]
    np.testing.assert_allclose(video.tracks[0].boxes, [(0.1, 0.3, 0.5, 0.5)])


@pytest.mark.parametrize(
    ("more", "person"), [("7", "7"), ("0.9 7", "7"), ("0.9", ""), ("1.5", "")], ids=["id", "both", "conf", "other"]
)
def test_read_further_columns_are_track_ids_or_confidences(more, person):
    (video,) = read({"clip_1.txt": f"{ROW} {more}"}, NAMES).videos
    assert video.tracks[0].person == person


def test_read_class_id_beyond_the_names_is_left_out_and_named():
    export = read({"clip_1.txt": f"{ROW}\n5 0.5 0.5 0.1 0.1\n5 0.2 0.2 0.1 0.1\n"}, NAMES)
    (video,) = export.videos
    assert [track.values[0][LABEL] for track in video.tracks] == [("run",)]
    assert "class ids 5 are not among the 2 named classes; 2 boxes left out" in export.bad[0]


@pytest.mark.parametrize(
    "yaml", ["names: [walk, run]", "names:\n  0: walk\n  1: run", "nc: 2\nnames: ['walk', 'run']\n"]
)
def test_read_names_of_data_yaml_count_from_zero(yaml):
    (video,) = read({"clip_1.txt": ROW}, document(yaml, "data.yaml")).videos
    assert video.tracks[0].values[0][LABEL] == ("run",)


def test_read_classes_of_the_user_come_first():
    own = ClassList(LabelMap((1, 2), ("sit", "lie")), None)
    (video,) = read({"clip_1.txt": ROW}, NAMES, classes=own).videos
    assert video.tracks[0].values[0][LABEL] == ("lie",)


def test_read_without_names_says_so():
    export = read({"clip_1.txt": ROW})
    assert export.videos[0].tracks[0].values[0][LABEL] == ("class 1",)
    assert any("nothing names the classes" in note for note in export.notes)


def test_read_polygons_are_named():
    export = read({"clip_1.txt": f"{ROW}\n0 0.1 0.1 0.2 0.2 0.3 0.1 0.4 0.4"}, NAMES)
    assert export.bad[0].startswith("clip_1.txt:2: a polygon") and len(export.videos[0].tracks) == 1


def test_read_yaml_that_calls_functions_is_refused(tmp_path):
    bad = document(f"names: !!python/object/apply:os.mkdir ['{tmp_path / 'made'}']", "data.yaml")
    with pytest.raises(UserError, match=r"data\.yaml: not YAML"):
        read({"clip_1.txt": ROW}, bad)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("gt.txt", ROW),
        ("clip_1.txt", "1,10,20,30,40,50,1,-1,-1,-1"),
        ("clip_1.txt", "1 100 200 50 60"),
        ("clip_1.txt", "walk run sit lie eat"),
        ("clip_1.csv", ROW),
    ],
)
def test_recognises_rejects_other_text(name, content):
    assert not yolo.recognises(document(content, name))
