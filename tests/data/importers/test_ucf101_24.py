import importlib.util
import io

import numpy as np
import pytest

from avsf_det.data.importers import ucf101_24
from avsf_det.data.importers.export import LABEL
from avsf_det.errors import UserError
from tests.data.importers.files import document

HAS_SCIPY = importlib.util.find_spec("scipy") is not None


def struct(**fields):
    """A struct array of one element, as MATLAB has it."""
    array = np.empty((1, 1), dtype=[(name, "O") for name in fields])
    array[0, 0] = tuple(fields.values())
    return array


def annotations(frames=3):
    boxes = np.array([[189, 102, 47, 78]] * 3, dtype=np.uint8)  # x + w does not fit in a byte
    number = [np.array([[n]], dtype=np.uint8) for n in (9 + frames - 1, 9, 1)]
    tube = struct(ef=number[0], sf=number[1], **{"class": number[2]}, boxes=boxes)
    return struct(num_imgs=np.array([[141]]), name=np.array(["Basketball/v_Basketball_g01_c01"]), tubes=tube)


def test_tubes_are_boxes_by_frame():
    (video,) = ucf101_24.read_tubes(annotations(), "finalAnnots.mat").videos
    assert video.names == ("Basketball/v_Basketball_g01_c01", "v_Basketball_g01_c01")
    assert video.picture == (320, 240) and video.clock.first == 1
    np.testing.assert_array_equal(video.tracks[0].places, [9, 10, 11])
    np.testing.assert_array_equal(video.tracks[0].boxes[0], [189, 102, 236, 180])
    assert video.tracks[0].values[0] == {LABEL: ("Basketball",)}


def test_a_tube_with_other_frames_than_boxes_is_named():
    export = ucf101_24.read_tubes(annotations(frames=5), "a.mat")
    assert export.bad == ["a.mat: Basketball/v_Basketball_g01_c01, tube 0: 3 boxes for frames 9 to 13"]


@pytest.mark.skipif(not HAS_SCIPY, reason="needs scipy")
def test_the_file_is_read_by_scipy():
    from scipy.io import savemat

    file = io.BytesIO()
    savemat(file, {"annot": annotations()})
    file = document(file.getvalue(), "finalAnnots.mat")
    assert ucf101_24.recognises(file)
    assert len(ucf101_24.read(file).videos[0].tracks) == 1


def test_without_scipy_or_with_another_file_one_line_says_so():
    file = document(b"MATLAB 5.0 MAT-file, Platform: GLNXA64", "x.mat")
    assert ucf101_24.recognises(file)
    with pytest.raises(UserError, match=r"not UCF101-24's" if HAS_SCIPY else r"pip install scipy"):
        ucf101_24.read(file)
