"""YOLOX by onnxruntime: finds people, or other classes of COCO, without Detectron2 and without a model zoo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avsf_det.errors import UserError
from avsf_det.structures import Keyframe, Persons
from detectors.classes import COCO, class_numbers
from detectors.files import file_sha256

MAX_SIDE = 4096  # of a network's input, in pixels
STRIDES = (8, 16, 32)  # of the three feature maps (YOLOX, arXiv 2107.08430, section 2.1)
PADDING = 114  # grey level beside the picture (Megvii-BaseDetection/YOLOX, yolox/data/data_augment.py, preproc)


class YoloxDetector:
    """A YOLOX network, exported to ONNX without its decoding (`demo/ONNXRuntime` of the YOLOX project).

    Args:
        weights: the .onnx file; without one, YOLOX-nano for COCO, fetched on first use.
        score_threshold: lowest score of a person. YOLOX-nano scores low: 0.3 finds 94 of 100 people that a large COCO
            detector is at least half sure of, 0.5 finds 89.
        nms_threshold: of two boxes with a larger IoU only the better one stays (YOLOX, yolox/exp/yolox_base.py: 0.65;
            its ONNX demo: 0.45).
        classes: who is looked for, by COCO's names; a network of one class has no other.

    Raises:
        UserError: if the weights cannot be fetched or are not such a network.
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        score_threshold: float = 0.3,
        nms_threshold: float = 0.45,
        classes: Sequence[str] = ("person",),
    ) -> None:
        from detectors.weights import YOLOX_NANO, fetch

        path = Path(weights) if weights else fetch(YOLOX_NANO)
        self._session = _open_network(path)
        self._input = self._session.get_inputs()[0].name
        self._height, self._width = self._session.get_inputs()[0].shape[2:]
        self._cells, self._strides = _grid(self._height, self._width)
        self._score_threshold = score_threshold
        self._nms_threshold = nms_threshold
        known = self._session.get_outputs()[0].shape[2] - 5
        self._classes = class_numbers(classes, COCO if known == len(COCO) else COCO[:1], known, str(path))
        named = "" if tuple(classes) == ("person",) else f"-{'+'.join(classes)}"
        self.identity = f"yolox-{file_sha256(path)[:16]}-{score_threshold:g}-{nms_threshold:g}{named}"

    def detect(self, frames: Sequence[Keyframe]) -> list[Persons]:
        """The persons of each keyframe, best score first."""
        return [self._detect(frame.image) for frame in frames]

    def _detect(self, image: np.ndarray) -> Persons:
        import cv2

        height, width = image.shape[:2]
        scale = min(self._height / height, self._width / width)
        boxes, scores = self._decode(self._session.run(None, {self._input: self._letterbox(image, scale)})[0][0])
        sides = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])  # x y w h
        best = cv2.dnn.NMSBoxes(sides.tolist(), scores.tolist(), self._score_threshold, self._nms_threshold)
        best = np.asarray(best, dtype=np.int64).reshape(-1)
        return Persons.from_pixels(boxes[best] / scale, scores[best], width, height)

    def _letterbox(self, image: np.ndarray, scale: float) -> np.ndarray:
        """(H, W, 3) uint8 RGB to (1, 3, H', W') float32 BGR within 0..255, the picture in the top left corner."""
        import cv2

        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        canvas = np.full((self._height, self._width, 3), PADDING, dtype=np.uint8)
        canvas[:height, :width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(canvas[None, ..., ::-1].transpose(0, 3, 1, 2), dtype=np.float32)

    def _decode(self, output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, 4) boxes in pixels of the network's input and (N,) scores of the likely persons.

        A row of the output holds a box's centre, relative to its cell, and the logarithm of its size, both in
        strides; then how sure the network is of an object, and of each class (YOLOX, demo_utils.py).
        """
        scores = output[:, 4] * output[:, [5 + number for number in self._classes]].max(axis=1)
        rows = scores >= self._score_threshold
        output, strides = output[rows], self._strides[rows]
        centres = (output[:, :2] + self._cells[rows]) * strides
        sizes = np.exp(output[:, 2:4]) * strides
        return np.hstack([centres - sizes / 2, centres + sizes / 2]), scores[rows]


def _open_network(path: Path):  # noqa: ANN202 - onnxruntime is imported on use
    import torch

    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise UserError("YOLOX needs onnxruntime: pip install onnxruntime") from None
    if not path.is_file():
        raise UserError(f"{path}: no such weight file; expected a YOLOX network as .onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.intra_op_num_threads = torch.get_num_threads()  # of its own accord it takes every processor
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads leave the CPU to others
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors share no base class
        raise UserError(f"{path}: not a network that onnxruntime can run: {str(error).splitlines()[0]}") from None
    inputs, outputs = session.get_inputs()[0].shape, session.get_outputs()[0].shape
    fixed = len(inputs) == 4 and all(isinstance(size, int) and 0 < size <= MAX_SIDE for size in inputs)
    fixed = fixed and all(isinstance(size, int) for size in outputs[1:])
    if not (fixed and len(outputs) == 3 and outputs[1] == len(_grid(*inputs[2:])[0]) and outputs[2] >= 6):
        raise UserError(
            f"{path}: not a YOLOX network: its input is {inputs} and its output {outputs}; "
            "expected (1, 3, H, W) and (1, cells of strides 8, 16 and 32, 5 + classes)"
        )
    return session


def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """(C, 2) x and y of every cell of the three feature maps, and (C, 1) its stride."""
    cells, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([x, y], axis=-1).reshape(-1, 2))
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(cells), np.concatenate(strides)
