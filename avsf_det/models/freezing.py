"""Stages that stay as they were loaded, while what comes after them learns."""

from __future__ import annotations

from torch import nn

from avsf_det.models.norms import set_norms
from avsf_det.models.pathways import PREFIX

STAGES = 5  # s1 to s5


def freeze_stages(backbone: nn.Module, count: int) -> None:
    """Keep the first stages of Slow and Fast, and Fast→Slow between them, as they are in training.

    Their parameters do not learn and their norms go by running statistics, so that nothing of them is kept for the
    backward pass. Audio and its laterals learn: weights from elsewhere often have none.

    Args:
        backbone: an `AVSlowFastBackbone`.
        count: stages, from s1 on (Detectron2's FREEZE_AT).

    Raises:
        ValueError: if there are not so many.
    """
    if not 0 <= count <= STAGES:
        raise ValueError(f"MODEL.FREEZE_AT: got {count}, expected 0 to {STAGES} stages")
    for k in range(1, count + 1):
        stage = getattr(backbone, f"s{k}").named_children()
        before = getattr(backbone, f"s{k - 1}_fuse", nn.Module()).named_children()
        frozen = [part for name, part in stage if not name.startswith(PREFIX.audio)]
        for part in [*frozen, *(part for name, part in before if name.endswith("_f2s"))]:
            part.requires_grad_(False)
            set_norms(part, frozen=True)
