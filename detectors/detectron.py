"""Any Detectron2 detector."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avsf_det.errors import UserError
from avsf_det.structures import Keyframe, Persons
from detectors.files import file_sha256


class DetectronDetector:
    """A Detectron2 network; the boxes of its class "person", or of other classes.

    Args:
        config: a name of the model zoo (COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml), a yaml file, or a .pth file of
            `train_detector`, which carries its configuration.
        weights: a file or URL; without it, the zoo's weights for a zoo name, else what the configuration says.
        score_threshold: lowest score of a person.
        short_side: pixels that the frames' short side is scaled to; without it, the configuration's
            INPUT.MIN_SIZE_TEST.
        batch_size: frames that go through the network at once.
        device: a torch device; without it, the GPU if there is one.
        classes: who is looked for, by the names in the metadata of DATASETS.TRAIN; a network of one class has no other.

    Raises:
        UserError: if Detectron2 is not installed, or there is something wrong with the configuration or weights.
    """

    def __init__(
        self,
        config: str | Path,
        weights: str | Path | None = None,
        score_threshold: float = 0.5,
        short_side: int | None = None,
        batch_size: int = 8,
        device: str | None = None,
        classes: Sequence[str] = ("person",),
    ) -> None:
        require_detectron2()
        from detectors.detectron_model import (
            boxes_only,
            build_network,
            find_weights,
            load_config,
            load_weights,
        )

        cfg = load_config(config)
        path = find_weights(weights or cfg.MODEL.WEIGHTS)
        if short_side is not None:
            cfg.INPUT.MIN_SIZE_TEST = short_side
        cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = cfg.MODEL.RETINANET.SCORE_THRESH_TEST = score_threshold
        boxes_only(cfg)
        cfg.MODEL.WEIGHTS = ""  # they are known by their content
        settings = "".join(cfg[group].dump() for group in ("MODEL", "INPUT", "TEST", "DATASETS"))
        self.identity = f"detectron2-{hashlib.sha256((settings + file_sha256(path)).encode()).hexdigest()[:32]}"
        self.identity += "" if tuple(classes) == ("person",) else f"-{'+'.join(classes)}"
        network = build_network(cfg, device).eval()
        load_weights(network, path)
        self._use(cfg, network, score_threshold, batch_size, classes)

    @classmethod
    def of_network(
        cls, cfg: object, network: object, score_threshold: float = 0.05, batch_size: int = 8
    ) -> DetectronDetector:
        """The detector of a network in memory, built from a Detectron2 configuration; it is put in evaluation mode.

        Its identity tells nothing of the weights: do not cache what it finds.
        """
        detector = cls.__new__(cls)
        detector.identity = "detectron2-in-memory"
        detector._use(cfg, network.eval(), score_threshold, batch_size, ("person",))
        return detector

    def _use(
        self, cfg: object, network: object, score_threshold: float, batch_size: int, classes: Sequence[str]
    ) -> None:
        from detectron2.data.transforms import ResizeShortestEdge

        from detectors.detectron_model import find_classes

        self._network = network
        self._resize = ResizeShortestEdge(cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST)
        self._bgr = cfg.INPUT.FORMAT == "BGR"
        self._classes = find_classes(cfg, classes)
        self._score_threshold = score_threshold
        self._batch_size = batch_size

    def detect(self, frames: Sequence[Keyframe]) -> list[Persons]:
        """The persons of each keyframe, best score first."""
        import torch

        persons = []
        for start in range(0, len(frames), self._batch_size):
            images = [frame.image for frame in frames[start : start + self._batch_size]]
            with torch.inference_mode():
                outputs = self._network([self._input(image) for image in images])
            persons += [self._persons(output["instances"], image) for output, image in zip(outputs, images)]
        return persons

    def _input(self, image: np.ndarray) -> dict:
        import torch

        height, width = image.shape[:2]
        image = image[:, :, ::-1] if self._bgr else image
        image = self._resize.get_transform(image).apply_image(image)
        image = torch.as_tensor(np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32))
        return {"image": image, "height": height, "width": width}

    def _persons(self, instances: object, image: np.ndarray) -> Persons:
        """Of Detectron2's `Instances`, which are in pixels of the image, best score first."""
        import torch

        instances = instances.to("cpu")
        chosen = torch.isin(instances.pred_classes, torch.tensor(self._classes))
        chosen &= instances.scores >= self._score_threshold
        instances = instances[chosen]
        height, width = image.shape[:2]
        return Persons.from_pixels(instances.pred_boxes.tensor.numpy(), instances.scores.numpy(), width, height)


def require_detectron2() -> None:
    """Make sure that Detectron2 is there, and keep it quiet: what goes wrong is reported as an error.

    Raises:
        UserError: if it is not installed, with what to do.
    """
    for message in ("pkg_resources is deprecated", "`torch.jit.script` is deprecated", "torch.meshgrid"):
        warnings.filterwarnings("ignore", message)
    for library in ("detectron2", "fvcore", "iopath", "torch.fx"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    try:
        import detectron2  # noqa: F401
    except ModuleNotFoundError:
        raise UserError(
            "Detectron2 is not installed; run 'make setup' in the project's folder, or pip install "
            "--no-build-isolation 'git+https://github.com/facebookresearch/detectron2.git', or use the detector 'yolox'"
        ) from None
