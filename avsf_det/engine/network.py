"""A model at work: on its device, in the inference mode that a configuration asks for, with as much as memory takes."""

from __future__ import annotations

import logging

import torch
from torch import nn
from yacs.config import CfgNode

from avsf_det.data.batch import Batch
from avsf_det.engine.device import choose_device, is_fast_in_bfloat16
from avsf_det.errors import UserError
from avsf_det.models.avslowfast import Scores
from avsf_det.models.inference import PRECISIONS, InferenceModel

logger = logging.getLogger(__name__)


class Network:
    """Gives the scores of batches.

    Where a batch is too much for a GPU's memory, it goes through in parts, and so do those that follow.

    Args:
        model: left as it is, for an `InferenceModel` is made of it.
        cfg: with DEVICE and TEST.PRECISION.

    Attributes:
        device: where it runs.

    Raises:
        UserError: if there is no such device or precision.
    """

    def __init__(self, model: nn.Module, cfg: CfgNode) -> None:
        self.device = choose_device(cfg.DEVICE)
        precision = cfg.TEST.PRECISION
        if precision not in (*PRECISIONS, "auto"):
            raise UserError(f"TEST.PRECISION: got {precision!r}, expected one of {', '.join(PRECISIONS)}, auto")
        if precision == "auto":
            precision = "bfloat16" if is_fast_in_bfloat16(self.device) else "float32"
        self.model = InferenceModel(model.to(self.device).eval(), precision)
        self._most: int | None = None  # clips at once

    @torch.no_grad()
    def __call__(self, batch: Batch) -> list[Scores]:
        """What the model gives for each part of a batch: logits (N, K) of its boxes, or of B whole clips.

        Raises:
            UserError: if memory does not take a single clip.
        """
        size = self._most or max(len(batch), 1)
        while True:
            try:
                return [self._scores(batch.part(i, i + size)) for i in range(0, max(len(batch), 1), size)]
            except torch.OutOfMemoryError:
                if size == 1:
                    raise UserError(
                        f"{self.device}: its memory does not take a single clip; take --precision bfloat16, a smaller "
                        "DATA.TEST_CROP_SIZE, or --device cpu"
                    ) from None
            size = self._most = size // 2  # outside of `except`, which keeps what is in memory there
            torch.cuda.empty_cache()
            logger.warning("%s: out of memory; from now on %d clips at once", self.device, size)

    def _scores(self, batch: Batch) -> Scores:
        if self.device.type == "cuda":
            batch = batch.pin_memory()
        batch = batch.to(self.device)
        boxes = None if batch.whole else batch.boxes
        return self.model(batch.slow, batch.fast, batch.audio, boxes, batch.audio_present)
