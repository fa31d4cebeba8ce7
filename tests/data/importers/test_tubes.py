import os
import pickle

import numpy as np
import pytest

from avsf_det.data.importers import tubes
from avsf_det.data.importers.export import LABEL
from avsf_det.errors import UserError
from tests.data.importers.files import document


def pickled(**changes):
    tube = np.array([[n, 10.0, 5.0, 50.0, 40.0] for n in (1, 2, 3)], dtype=np.float32)
    data = {
        "labels": ["brush_hair", "catch"],
        "gttubes": {"catch/clip_1": {1: [tube]}, "catch/clip_2": {1: [tube[:, :4]]}},
        "nframes": {"catch/clip_1": 3, "catch/clip_2": 3},
        "train_videos": [["catch/clip_2"], [], []],
        "test_videos": [["catch/clip_1"], [], []],
        "resolution": {"catch/clip_1": (240, 320), "catch/clip_2": (240, 320)},
    }
    return document(pickle.dumps(data | changes, protocol=2), "JHMDB-GT.pkl")


def test_tubes_have_the_frames_labels_and_splits_of_the_file():
    file = pickled()
    assert tubes.recognises(file)
    export = tubes.read(file)
    video = export.videos[0]
    assert (video.names, video.split, video.picture) == (("catch/clip_1", "clip_1"), "test", (320, 240))
    (track,) = video.tracks
    np.testing.assert_array_equal(track.places, [1, 2, 3])
    np.testing.assert_allclose(track.boxes[0], [10, 5, 50, 40])
    assert track.values[0] == {LABEL: ("catch",)}
    assert export.bad == ["JHMDB-GT.pkl: catch/clip_2, tube 0: (3, 4) of label 1, expected rows frame, x1, y1, x2, y2"]


def test_the_corrected_annotations_of_ucf101_count_frames_from_0_and_end_before_ef():
    good = {"label": 3, "sf": 2, "ef": 4, "boxes": np.array([[10, 5, 40, 35], [11, 5, 40, 35]], dtype=np.int16)}
    data = {"Diving/v_Diving_g01_c01": {"annotations": [good, good | {"ef": 9}], "numf": 9, "label": 3}}
    export = tubes.read(document(pickle.dumps(data, protocol=2), "pyannot.pkl"))
    (video,) = export.videos
    (track,) = video.tracks
    assert (video.names[1], video.picture, video.clock.first) == ("v_Diving_g01_c01", (320, 240), 0)
    np.testing.assert_array_equal(track.places, [2, 3])
    np.testing.assert_allclose(track.boxes, [[10, 5, 50, 40], [11, 5, 51, 40]])
    assert track.values[0] == {LABEL: ("Diving",)}
    assert export.bad == ["pyannot.pkl: Diving/v_Diving_g01_c01, tube 1: 2 boxes for frames 2 to 8"]


class Runs:
    def __reduce__(self):
        return os.mkdir, ("ran",)


@pytest.mark.parametrize("content", [pickle.dumps(Runs()), pickle.dumps([1]), b"\x80\x02garbage", pickle.dumps({})])
def test_other_pickles_are_refused_and_run_nothing(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^x\.pkl: (this pickle asks for|not a pickle of tubes|got a pickle of)"):
        tubes.read(document(content, "x.pkl"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": 3},
        {"gttubes": [1]},
        {"gttubes": {"a": 1}},
        {"gttubes": {"a": {"x": [1]}}},
        {"gttubes": {"a": {0: [["x"] * 5]}}},
        {"resolution": {"a": "big"}, "gttubes": {"a": {}}},
        {"resolution": 3},
        {"train_videos": 7},
    ],
)
def test_read_of_tubes_of_wrong_types_is_one_error(changes):
    with pytest.raises(UserError, match=r"JHMDB-GT\.pkl: not tubes as expected"):
        tubes.read(pickled(**changes))


def test_read_of_a_pickle_that_grows_is_refused():
    nested = [1.0]
    for _ in range(60):
        nested = [nested, nested]
    with pytest.raises(UserError, match=r"holds lists within lists that grow without bound; not opened"):
        tubes.read(pickled(gttubes={"a": {0: [nested]}}))
