"""Stages that stay as they were loaded, while what comes after them learns."""

from __future__ import annotations

import logging
from collections.abc import Collection

from torch import nn

from avsf_det.models.norms import BatchNorm3d, set_norms
from avsf_det.models.pathways import PREFIX

logger = logging.getLogger(__name__)

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


def thaw(model: nn.Module, initialized: Collection[str]) -> list[str]:
    """Let what is frozen but has random weights learn, and log it.

    A normalization layer that was not loaded has statistics of no data: frozen, it would not normalize.

    Args:
        model: an `AVSlowFast` with `freeze_stages` and `set_norms` applied; one that is detached is left as it is.
        initialized: names in its state dict that no weights were loaded for, at least not in full.

    Returns:
        The names in its state dict of the parameters, and of the `running_mean` of the layers, that learn now.
    """
    if model.detached:
        return []
    names = set(initialized)
    parameters, norms = [], []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad and name.removeprefix("backbone.") in names:
            parameter.requires_grad_(True)
            parameters.append(name.removeprefix("backbone."))
    for name, module in model.named_modules():
        own = name.removeprefix("backbone.")
        if isinstance(module, BatchNorm3d) and module.frozen and f"{own}.running_mean" in names:
            module.frozen = False
            norms.append(own)
    if norms:
        logger.warning(
            "%d normalization layers were not loaded and are not frozen: they learn, such as %s", len(norms), norms[0]
        )
    if parameters:
        logger.warning(
            "%d parameters of frozen stages were not loaded and learn, such as %s", len(parameters), parameters[0]
        )
    return parameters + [f"{name}.running_mean" for name in norms]
