import cv2
import numpy as np
import pytest
import torch

from avsf_det.errors import UserError
from avsf_det.structures import Keyframe
from detectors.weights import YOLOX_NANO, cached
from detectors.yolox import YoloxDetector

needs_weights = pytest.mark.skipif(cached(YOLOX_NANO) is None, reason="python -m detectors.weights fetches them")


class Network:
    """Stands in for onnxruntime's session: 64x64 input, an object wherever a blob is bright; class 0 is a person."""

    def __init__(self, *rows, classes=2):
        self.output = np.zeros((1, 64 + 16 + 4, 5 + classes), np.float32)
        for row, values in rows:
            self.output[0, row, : len(values)] = values
        self.image = None

    def get_inputs(self):
        return [type("Input", (), {"name": "images", "shape": [1, 3, 64, 64]})]

    def get_outputs(self):
        return [type("Output", (), {"shape": list(self.output.shape)})]

    def run(self, names, inputs):
        (self.image,) = inputs.values()
        return [self.output]


def detector_of(monkeypatch, tmp_path, network, **options):
    weights = tmp_path / "network.onnx"
    weights.write_bytes(b"")
    monkeypatch.setattr("detectors.yolox._open_network", lambda path: network)
    return YoloxDetector(weights, **options)


def test_boxes_are_decoded_from_every_stride(monkeypatch, tmp_path):
    network = Network(
        (8 * 2 + 3, (0.5, 0.5, np.log(2), np.log(4), 0.9, 1.0, 0)),  # stride 8, row 2, column 3: centre 28,20, 16x32
        (64 + 4 * 1 + 2, (0, 0, 0, np.log(1.5), 0.8, 0.5, 0)),  # stride 16, row 1, column 2: centre 32,16, 16x24
        (64 + 16 + 1, (0.5, 0.5, 0, 0, 1.0, 0.6, 0)),  # stride 32, row 0, column 1: centre 48,16, 32x32
    )
    detector = detector_of(monkeypatch, tmp_path, network, nms_threshold=0.99)
    (persons,) = detector.detect([Keyframe("v", 0.0, np.zeros((64, 64, 3), np.uint8))])
    np.testing.assert_allclose(persons.scores, [0.9, 0.6, 0.4], rtol=1e-5)
    np.testing.assert_allclose(persons.boxes * 64, [[20, 4, 36, 36], [32, 0, 64, 32], [24, 4, 40, 28]], atol=1e-3)


def test_other_classes_low_scores_and_repeats_are_left_out(monkeypatch, tmp_path):
    box = (0.5, 0.5, np.log(2), np.log(2))
    network = Network(
        (0, (*box, 0.9, 0.9, 0)),
        (1, (-0.4, 0.5, np.log(2), np.log(2), 0.8, 0.9, 0)),
        (40, (*box, 0.9, 0.3, 0.9)),
        (44, (*box, 0.2, 0.9, 0)),
    )
    (persons,) = detector_of(monkeypatch, tmp_path, network).detect(
        [Keyframe("v", 0.0, np.zeros((64, 64, 3), np.uint8))]
    )
    assert persons.scores.tolist() == pytest.approx([0.81])


def test_other_classes_than_persons_are_found_by_name(monkeypatch, tmp_path):
    dog, car = 5 + 16, 5 + 2
    rows = [(8 * row + 3, (0.5, 0.5, 0, 0, 0.9, row == 2)) for row in (2, 4, 6)]
    network = Network(*rows, classes=80)
    network.output[0, 8 * 4 + 3, dog], network.output[0, 8 * 6 + 3, car] = 1.0, 0.8
    frame = Keyframe("v", 0.0, np.zeros((64, 64, 3), np.uint8))
    identities, scores = set(), {}
    for classes in (("person",), ("dog",), ("dog", "car")):
        detector = detector_of(monkeypatch, tmp_path, network, classes=classes)
        identities.add(detector.identity)
        scores[classes] = pytest.approx(detector.detect([frame])[0].scores.tolist())
    assert scores == {("person",): [0.9], ("dog",): [0.9], ("dog", "car"): [0.9, 0.72]}
    assert len(identities) == 3, "boxes of other classes are cached apart"
    with pytest.raises(UserError, match=r"which of its 80 classes is 'dogg'; expected one of its 80, such as dog"):
        detector_of(monkeypatch, tmp_path, network, classes=("dogg",))
    with pytest.raises(UserError, match="which of its 2 classes is 'dog'"):
        detector_of(monkeypatch, tmp_path, Network(), classes=("dog",))


def test_picture_is_letterboxed_and_boxes_come_back_as_its_shares(monkeypatch, tmp_path):
    network = Network((8 * 2 + 2, (0, 0, np.log(2), np.log(2), 1.0, 1.0, 0)))  # centre 16,16, 16x16
    image = np.zeros((64, 128, 3), np.uint8)
    image[..., 0] = 200  # red
    (persons,) = detector_of(monkeypatch, tmp_path, network).detect([Keyframe("v", 0.0, image)])
    np.testing.assert_allclose(persons.boxes, [[16 / 128, 16 / 64, 48 / 128, 48 / 64]])
    assert network.image.shape == (1, 3, 64, 64) and network.image.dtype == np.float32
    assert (network.image[0, :, 32:] == 114).all()
    assert (network.image[0, 2, :32] == 200).all() and (network.image[0, :2, :32] == 0).all()


@needs_weights
def test_a_drawn_picture_has_nobody():
    image = np.full((120, 160, 3), 200, np.uint8)
    cv2.rectangle(image, (20, 30), (70, 90), (30, 90, 160), -1)
    detector = YoloxDetector()
    found = detector.detect([Keyframe("v", 0.0, image), Keyframe("v", 1.0, image.transpose(1, 0, 2))])
    assert [len(persons) for persons in found] == [0, 0]
    assert detector.detect([]) == []


@needs_weights
@pytest.mark.parametrize("threads", [1, 3])
def test_it_computes_with_as_many_threads_as_torch(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert YoloxDetector()._session.get_session_options().intra_op_num_threads == threads
    finally:
        torch.set_num_threads(before)


@needs_weights
def test_identity_follows_weights_and_thresholds():
    identities = {YoloxDetector().identity, YoloxDetector(score_threshold=0.5).identity}
    assert len(identities) == 2 and YoloxDetector().identity in identities


@pytest.mark.parametrize("content", [None, b"", b"not a network"])
def test_a_file_that_is_no_network_is_refused(tmp_path, content):
    weights = tmp_path / "weights.onnx"
    if content is not None:
        weights.write_bytes(content)
    with pytest.raises(UserError, match=r"weights\.onnx") as error:
        YoloxDetector(weights)
    assert "\n" not in str(error.value)
