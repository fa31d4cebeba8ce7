"""Audiovisual SlowFast for spatiotemporal action detection: who does what, where and when, by looking and listening."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avsf_det.models.avslowfast import AVSlowFast

__version__ = "0.1.0"


def load_model(config: str | PathLike, weights: str | PathLike | None = None, overrides: Sequence = ()) -> AVSlowFast:
    """A model in evaluation mode, for use from Python.

        model = avsf_det.load_model("ava/avslowfast_8x8_r50", "model.pyth")
        logits = model(slow, fast, audio, boxes)  # (N, K)
        scores = model.scores(logits)  # within 0..1

    `slow` is (B, 3, T, H, W) and `fast` (B, 3, alpha * T, H, W), RGB normalised by DATA.MEAN and DATA.STD; `audio` is
    (B, 1, 1, A, M) normalised log-mel, None without sound; `boxes` is (N, 5), index of the clip and x1 y1 x2 y2 in
    pixels of the clip, None for a model that classifies whole clips and returns (B, K).

    A checkpoint of `avsf-det` is enough, for it holds its configuration:

        model = avsf_det.load_model("runs/ava/checkpoints/best.pyth")

    Args:
        config: a yaml file, the name of one in `configs/`, or a checkpoint of `avsf-det`, without `weights`.
        weights: a file of any known format (docs/checkpoints.md). What was done with each tensor is logged, as a
            warning if a part of the model, such as the head, keeps random weights. None leaves the model randomly
            initialized, from RNG_SEED.
        overrides: KEY VALUE KEY VALUE ... that change the configuration.

    Raises:
        avsf_det.errors.UserError: for anything wrong with the configuration or the weights.
    """
    import logging
    from pathlib import Path

    import torch

    from avsf_det.config import load_cfg, override
    from avsf_det.engine import checkpoint_config
    from avsf_det.models.build import build_model
    from avsf_det.models.checkpoint import load_checkpoint, load_weights
    from avsf_det.models.importers import read_weights

    words = [str(word) for word in overrides]
    alone = weights is None and Path(config).is_file() and Path(config).suffix not in (".yaml", ".yml")
    checkpoint = load_checkpoint(config) if alone else None
    if checkpoint is None:
        cfg = load_cfg(config, words)
    else:
        cfg = checkpoint_config.model_cfg(checkpoint, config)
        override(cfg, words)
    with torch.random.fork_rng():
        torch.manual_seed(cfg.RNG_SEED)
        if checkpoint is not None:
            return checkpoint_config.load_model(cfg, checkpoint["model_state"], config).eval()
        model = build_model(cfg)
    if weights is not None:
        found = read_weights(weights)
        report = load_weights(model, found.state)
        level = logging.WARNING if report.partly or report.initialised or report.mismatched else logging.INFO
        logging.getLogger(__name__).log(level, "%s, %s: %s", weights, found, report)
    return model.eval()
