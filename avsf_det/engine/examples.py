"""A batch as a picture, to see while training what a model gets and what it makes of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from yacs.config import CfgNode

from avsf_det.data.batch import Batch
from avsf_det.data.clip import ClipSpec
from avsf_det.visual.examples import Example, draw_examples


def draw_batch(
    batch: Batch, logits: torch.Tensor, cfg: CfgNode, class_names: Sequence[str], count: int = 4
) -> np.ndarray:
    """The first clips of a batch that have persons, as `draw_examples` shows them.

    Args:
        batch: of B clips; what its augmentation did is seen.
        logits: (N, K), the model's.
        cfg: the configuration that the batch was made with.
        class_names: K names.
        count: clips shown at most.

    Returns:
        (H, W, 3) uint8 RGB; of a batch without persons the legend alone.
    """
    spec = ClipSpec.from_config(cfg, short_side=0)
    owners = batch.boxes[:, 0].long()
    scores = torch.sigmoid(logits.detach().float())
    examples = []
    for clip in owners.unique(sorted=True).tolist()[:count]:
        rows = owners == clip
        height, width = batch.sizes[clip].tolist()
        video_id, time = batch.clips[clip]
        examples.append(
            Example(
                frames=batch.frames[clip, :, :height, :width].cpu().numpy(),
                frame_times=spec.frame_times(0.0),
                boxes=batch.boxes[rows, 1:].cpu().numpy() / np.array((width, height, width, height)),
                labels=batch.labels[rows].cpu().numpy(),
                scores=scores[rows].cpu().numpy(),
                log_mel=batch.audio[clip, 0, 0].cpu().numpy() if batch.audio_present[clip] else None,
                sound_span=spec.sound_span(0.0),
                title=f"{video_id} at {time:g} s",
            )
        )
    return draw_examples(examples, class_names)
