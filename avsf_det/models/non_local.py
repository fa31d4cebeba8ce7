"""The non-local block (arXiv 1711.07971): every place and moment of a feature map looks at all others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from avsf_det.models.norms import BatchNorm3d, Keep

INSTANTIATIONS = ("dot_product", "softmax")


class NonLocal(nn.Module):
    """x + BN(out(affinity · g(x))), affinity from theta(x) and phi(x), all convolutions 1x1x1 with biases.

    Names and numbers as PySlowFast `nonlocal_helper.py`: half as many channels inside, phi and g on the max-pooled x.

    Args:
        channels: C.
        pool: size of the pooling over T, H and W: (1, 2, 2) in PySlowFast's Kinetics models, (2, 2, 2) in its AVA ones.
        instantiation: "dot_product" divides the affinities by their number; "softmax" scales them by
            1 / sqrt(inner channels) and takes the softmax.
        by_sound: whether the norm keeps clips with sound apart from those without.

    Raises:
        ValueError: if the instantiation is neither.
    """

    def __init__(
        self,
        channels: int,
        pool: Sequence[int] = (1, 2, 2),
        instantiation: str = "dot_product",
        by_sound: bool = False,
    ) -> None:
        super().__init__()
        if instantiation not in INSTANTIATIONS:
            raise ValueError(f"NONLOCAL.INSTANTIATION: got {instantiation!r}, expected {' or '.join(INSTANTIATIONS)}")
        inner = channels // 2
        self.instantiation = instantiation
        self.conv_theta = nn.Conv3d(channels, inner, 1)
        self.conv_phi = nn.Conv3d(channels, inner, 1)
        self.conv_g = nn.Conv3d(channels, inner, 1)
        self.conv_out = nn.Conv3d(inner, channels, 1)
        self.bn = BatchNorm3d(channels, by_sound)
        self.pool = nn.MaxPool3d(tuple(pool)) if max(pool) > 1 else nn.Identity()

    def forward(self, x: torch.Tensor, keep: Keep | None = None) -> torch.Tensor:
        """(B, C, T, H, W) to the same."""
        pooled = self.pool(x)
        theta = self.conv_theta(x).flatten(2)
        phi, g = self.conv_phi(pooled).flatten(2), self.conv_g(pooled).flatten(2)
        affinity = theta.transpose(1, 2) @ phi
        if self.instantiation == "softmax":
            affinity = (affinity * theta.shape[1] ** -0.5).softmax(dim=2)
        else:
            affinity = affinity / affinity.shape[2]
        seen = (g @ affinity.transpose(1, 2)).view(x.shape[0], g.shape[1], *x.shape[2:])
        return x + self.bn(self.conv_out(seen), keep)

    @property
    def last_bn(self) -> nn.BatchNorm3d:
        """The norm whose scale starts at zero."""
        return self.bn
