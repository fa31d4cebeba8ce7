"""The Audio pathway by itself: what can be told from sound alone (the paper's audio-only baseline)."""

from __future__ import annotations

import torch
from torch import nn

from avsf_det.models.architecture import AudioPathway
from avsf_det.models.audio_rows import AudioRows
from avsf_det.models.backbone import audio_chain
from avsf_det.models.pathways import Pathways, Stage, Stem


class AudioBackbone(nn.Module):
    """conv1 and res2 to res5 of Audio, named as in `AVSlowFastBackbone`; pictures are not looked at.

    Args:
        width: Slow channels after conv1, from which Audio's follow.
        audio: the pathway; it has no junctions.

    Attributes:
        channels: of the feature map.
        audio: the pathway.
    """

    def __init__(self, width: int, audio: AudioPathway) -> None:
        super().__init__()
        self.audio = audio
        channels = inner = max(1, width // audio.beta_inv)
        self.s1 = Stem(Pathways(None, None, inner))
        for k in range(4):
            chain = audio_chain(audio, k, channels, inner)
            self.add_module(f"s{k + 2}", Stage(Pathways(None, None, chain)))
            channels, inner = chain[-1].out_channels, 2 * inner
        self.channels = Pathways(None, None, channels)

    def forward(
        self,
        slow: torch.Tensor,
        fast: torch.Tensor,
        audio: torch.Tensor | None = None,
        audio_present: torch.Tensor | None = None,
    ) -> Pathways:
        """(B, C, 1, A', M') of Audio; exact zeros for a clip without sound. Arguments as of `AVSlowFastBackbone`."""
        if audio is None:
            audio = slow.new_zeros(len(slow), 1, 1, self.audio.alpha * slow.shape[2], 16)
            audio_present = torch.zeros(len(slow), dtype=torch.bool, device=slow.device)
        own = audio_present.nonzero().flatten() if self.training and audio_present is not None else None
        rows = AudioRows(slow.shape[0], own)
        x = Pathways(None, None, rows.take(audio))
        for stage in (self.s1, self.s2, self.s3, self.s4, self.s5):
            x = stage(x)
        heard = rows.spread_own(x.audio)
        if own is None and audio_present is not None:  # outside training a mask: fewer clips would be other shapes
            heard = heard.masked_fill(~audio_present.view(-1, 1, 1, 1, 1), 0.0)
        return x._replace(audio=heard)
