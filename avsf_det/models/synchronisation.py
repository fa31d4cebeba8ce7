"""Audiovisual synchronisation (AVS): does this sound belong to this picture, at this moment?

Trained along with the actions, or alone without labels. Each junction has a head (`SyncHead`) that projects what the
pathways hold into one space; a loss (`SYNC_LOSSES`) pulls a clip's picture towards its own sound and pushes it away
from a misaligned one: of another clip (an easy negative) or of another moment of the same video (a hard one).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from avsf_det.models.norms import Keep

MARGIN = 0.99  # of distances within 0..1 (fanyix/SlowFast, where it has no key)
TEMPERATURE = 0.07  # of the brief's contrastive loss, and PySlowFast's `CONTRASTIVE.T`


@dataclass(frozen=True)
class Embeddings:
    """What one junction says of B clips, (B, D) each.

    Attributes:
        visual: of the picture.
        aligned: of the clip's own sound.
        misaligned: of the negative.
        unheard: (B,) bool, the clips whose picture features hold no sound yet; others would be judged by themselves.
            None is all of them.
    """

    visual: torch.Tensor
    aligned: torch.Tensor
    misaligned: torch.Tensor
    unheard: torch.Tensor | None = None


class SyncHead(nn.Module):
    """Two linear layers with bias, one for the picture and one for sound (fanyix/SlowFast `AVS`, D = 64 there).

    Args:
        visual_channels: of the picture's features.
        audio_channels: of the sound's.
        dim: D.
    """

    def __init__(self, visual_channels: int, audio_channels: int, dim: int = 64) -> None:
        super().__init__()
        self.ref_fc = nn.Linear(visual_channels, dim)
        self.query_fc = nn.Linear(audio_channels, dim)

    def forward(self, visual: torch.Tensor, aligned: torch.Tensor, misaligned: torch.Tensor) -> Embeddings:
        """Embeddings of feature maps (B, C, ...), each of which is averaged first."""
        visual, aligned, misaligned = (x.flatten(2).mean(dim=2) for x in (visual, aligned, misaligned))
        return Embeddings(self.ref_fc(visual), self.query_fc(aligned), self.query_fc(misaligned))


def margin_loss(embeddings: Embeddings, valid: torch.Tensor) -> torch.Tensor:
    """The contrastive loss of AVTS (arXiv 1807.00230) as fanyix/SlowFast writes it; the paper's.

    Embeddings are scaled to a length of 1/2, so that distances lie within 0..1. The mean over valid clips of
    (|v - aligned|² + max(0, 0.99 - |v - misaligned|)²) / 2; 0 if none is valid.

    Args:
        embeddings: of one junction.
        valid: (B,) bool, the clips that count.
    """
    v, p, n = (F.normalize(x.float(), dim=1) / 2 for x in _vectors(embeddings))
    near = (v - p).square().sum(dim=1)
    far = (MARGIN - _distance(v, n)).clamp(min=0).square()
    weight = valid.float()
    return (weight * (near + far)).sum() / (2 * weight.sum() + 1e-8)


def info_nce(embeddings: Embeddings, valid: torch.Tensor) -> torch.Tensor:
    """The brief's contrastive loss: cross-entropy over cosine similarities / 0.07.

    Each picture is to find its own sound among the sounds of the valid clips and its own negative; the mean over valid
    clips, 0 if none is valid.

    Args:
        embeddings: of one junction.
        valid: (B,) bool, the clips that count.
    """
    v, p, n = (F.normalize(x.float(), dim=1) for x in _vectors(embeddings))
    with torch.autocast(v.device.type, enabled=False):  # divided by 0.07, bfloat16's error would be 0.05
        similarities = v @ p.T
    batch = torch.where(valid[None, :], similarities / TEMPERATURE, float("-inf"))
    own = (v * p).sum(dim=1) / TEMPERATURE
    negative = (v * n).sum(dim=1, keepdim=True) / TEMPERATURE
    everything = torch.cat((torch.where(torch.eye(len(v), dtype=torch.bool, device=v.device), own, batch), negative), 1)
    weight = valid.float()
    return (weight * (everything.logsumexp(dim=1) - own)).sum() / (weight.sum() + 1e-8)


SYNC_LOSSES: dict[str, Callable[[Embeddings, torch.Tensor], torch.Tensor]] = {
    "margin": margin_loss,
    "infonce": info_nce,
}


def valid_pairs(
    aligned: torch.Tensor,
    misaligned: torch.Tensor,
    present: torch.Tensor,
    variance_threshold: float = 0.01,
    duplicate_threshold: float = 0.99999,
) -> torch.Tensor:
    """(B,) bool: the clips whose sound can be told from the negative.

    Args:
        aligned: (B, 1, 1, A, M) normalised log-mel of the clips.
        misaligned: the same of the negatives.
        present: (B,) bool, which clips have sound.
        variance_threshold: sound of less variance is near silent (`AVS_VAR_THRESH`).
        duplicate_threshold: sounds of a higher cosine similarity are near duplicates (`AVS_DUPLICATE_THRESH`).
    """
    if not len(present):
        return present
    a, m = aligned.flatten(1).float(), misaligned.flatten(1).float()
    audible = (a.var(dim=1) > variance_threshold) & (m.var(dim=1) > variance_threshold)
    return present & audible & (F.cosine_similarity(a, m, dim=1) < duplicate_threshold)


def sync_losses(
    embeddings: Mapping[str, Embeddings], valid: torch.Tensor, loss: str = "margin"
) -> dict[str, torch.Tensor]:
    """Junction -> loss. A clip counts where its picture features hold no sound yet."""
    return {
        junction: SYNC_LOSSES[loss](one, valid if one.unheard is None else valid & one.unheard)
        for junction, one in embeddings.items()
    }


def assign_negatives(
    videos: Sequence[Sequence[Hashable]],
    has_hard: Sequence[Sequence[bool]],
    has_audio: Sequence[Sequence[bool]],
    easy_ratio: float,
) -> list[list[tuple[int, int] | None]]:
    """Which clip gives each clip of a step its negative.

    A clip's own index stands for its hard negative, audio of another moment of its video. Another clip's index stands
    for an easy negative, audio of another video: of the next clip that has any, first among the easy ones of the same
    micro-batch, then among the rest of it, then in the micro-batches after it. A clip gets the other kind where the
    kind that it should get does not exist.

    Args:
        videos: of each micro-batch the videos of its clips.
        has_hard: whether each clip has a hard negative.
        has_audio: whether each clip has audio of its own.
        easy_ratio: the fraction of easy negatives. They are the first clips of each micro-batch, as many as keep the
            fraction over all micro-batches so far (fanyix/SlowFast, which has one micro-batch).

    Returns:
        For each clip (micro-batch, index in it), or None if there is no negative for it.
    """
    usable = [[hard or own for hard, own in zip(*flags)] for flags in zip(has_hard, has_audio)]
    assigned, before = [], 0
    for batch, clips in enumerate(videos):
        easy = int(easy_ratio * (before + len(clips))) - int(easy_ratio * before)
        before += len(clips)
        following = [(b, i) for b in range(batch + 1, len(videos)) for i in range(len(videos[b]))]
        following += [(b, i) for b in range(batch) for i in range(len(videos[b]))]
        chosen = []
        for index, video in enumerate(clips):
            first = range(easy) if index < easy else range(easy, len(clips))
            second = range(easy, len(clips)) if index < easy else range(easy)
            ring = [*range(index + 1, first.stop), *range(first.start, index), *second]
            others = ((b, i) for b, i in [*((batch, i) for i in ring), *following] if usable[b][i])
            other = next(((b, i) for b, i in others if videos[b][i] != video), None)
            own = (batch, index) if has_hard[batch][index] else None
            chosen.append((other or own) if index < easy else (own or other))
        assigned.append(chosen)
    return assigned


def easy_fraction(epoch: float, mix_epoch: float, easy_ratio: float) -> float:
    """The fraction of easy negatives: all before `mix_epoch`, then `easy_ratio` (fanyix/SlowFast: 96, 0.75)."""
    return 1.0 if epoch < mix_epoch else easy_ratio


def unheard(keep: Keep, heard_before: bool) -> torch.Tensor | None:
    """(B,) bool: whose features hold no sound, given whether an earlier junction added it to those who keep theirs."""
    return ~keep.mask if heard_before else None


def _vectors(embeddings: Embeddings) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return embeddings.visual, embeddings.aligned, embeddings.misaligned


def _distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Euclidean, with a gradient of zero instead of none where the two are equal."""
    return ((a - b).square().sum(dim=1) + 1e-12).sqrt()
