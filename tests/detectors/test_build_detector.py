import subprocess
import sys

import pytest

from avsf_det.errors import UserError
from detectors import DETECTORS, GivenBoxes, build_detector
from detectors.detectron import DetectronDetector


def test_builds_by_name(tmp_path):
    csv = tmp_path / "boxes.csv"
    csv.write_text("v,1,0.1,0.1,0.5,0.9\n")
    assert isinstance(build_detector("boxes", path=csv), GivenBoxes)


def test_an_unknown_name_lists_the_known():
    with pytest.raises(UserError, match="detectron2, yolox, boxes"):
        build_detector("yolo")


def test_importing_the_package_is_light():
    heavy = "import detectors, sys; print({'torch', 'detectron2', 'onnxruntime', 'cv2'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True).stdout == "set()\n"


def test_missing_detectron2_is_said_with_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "detectron2", None)
    with pytest.raises(UserError, match=r"pip install --no-build-isolation .*yolox"):
        DETECTORS["detectron2"]("COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml")
    assert DETECTORS["detectron2"] is DetectronDetector
