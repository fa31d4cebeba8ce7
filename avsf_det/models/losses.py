"""Losses of the actions. Each is a sum over boxes or clips, which training divides by how many all processes have.

AVA's classes are a long tail: of its 80, some have a hundred thousand labels and some a dozen. Two switches, off by
default, make more of the rare ones; they can be combined. Both look at single terms, a box and a class:

- focal loss (arXiv 1708.02002, equation 5) makes less of terms that are easy: (1 - p)^gamma times the loss, p being the
  score given to the truth; present classes are weighed by alpha and absent ones by 1 - alpha;
- class balance (arXiv 1901.05555) weighs a class that has n labels by 1 / E, E = (1 - beta^n) / (1 - beta) being their
  effective number. That paper has one class a sample and weighs the sample; a box has several, so here a weight is on
  the terms in which the class is present, of which there are few, and not on the many in which it is absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional as F


class MultiLabelLoss(nn.Module):
    """Any number of classes hold: the sum over boxes, or clips, of the mean over classes of a loss of each term.

    Args:
        terms: (logits, labels), (N, K) each and float32, to (N, K).
        class_weights: (K,) weights of the terms in which a class is present; None is 1.
    """

    def __init__(
        self, terms: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], class_weights: torch.Tensor | None = None
    ) -> None:
        super().__init__()
        self.terms = terms
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """A scalar, float32 whatever the precision of the logits; 0 (with a gradient) of no boxes.

        Args:
            logits: (N, K).
            labels: (N, K), 1 where a class is present and 0 where it is absent.
        """
        labels = labels.float()
        terms = self.terms(logits.float(), labels)
        if self.class_weights is not None:
            terms = terms * (1 + labels * (self.class_weights.to(terms.device) - 1))
        return terms.mean(dim=1).sum()


class SingleLabelLoss(nn.Module):
    """One class holds: the sum over clips of the cross-entropy.

    Args:
        class_weights: (K,) weights of the clips of each class; None is 1.
    """

    def __init__(self, class_weights: torch.Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """A scalar, float32 whatever the precision of the logits.

        Args:
            logits: (B, K).
            labels: (B, K), 1 for the class that holds and 0 for the others.
        """
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        return F.cross_entropy(logits.float(), labels.argmax(dim=1), weights, reduction="sum")


class LabelSpacesLoss(nn.Module):
    """Several things are asked of a clip: the sum of the losses of each.

    Args:
        losses: name of a label space -> its loss.
        sizes: how many of the K columns of labels each has, one after the other.
    """

    def __init__(self, losses: Mapping[str, nn.Module], sizes: Sequence[int]) -> None:
        super().__init__()
        self.losses, self.sizes = nn.ModuleDict(losses), list(sizes)

    def forward(self, logits: torch.Tensor | Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        """A scalar of the logits of each label space, by name, or of the only one, and labels (B, K) of all."""
        if torch.is_tensor(logits):
            logits = dict.fromkeys(self.losses, logits)
        parts = zip(self.losses.items(), labels.split(self.sizes, dim=1))
        return sum(loss(logits[name], part) for (name, loss), part in parts)


class JointLoss(nn.Module):
    """The loss of boxes, whose logits are a tensor, or of whole clips, whose logits are by label space.

    Args:
        boxes: a loss of boxes.
        clips: a loss of whole clips.
        weight: of the latter.
    """

    def __init__(self, boxes: nn.Module, clips: LabelSpacesLoss, weight: float) -> None:
        super().__init__()
        self.boxes, self.clips, self.weight = boxes, clips, weight

    def forward(self, logits: torch.Tensor | Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        """A scalar."""
        return self.boxes(logits, labels) if torch.is_tensor(logits) else self.weight * self.clips(logits, labels)


def no_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """0, with a gradient of 0: nothing is asked of the clips."""
    return 0.0 * logits.float().sum()


def binary_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(N, K) -log of the score given to the truth."""
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="none")


def focal_loss(logits: torch.Tensor, labels: torch.Tensor, gamma: float = 2.0, alpha: float = 0.25) -> torch.Tensor:
    """(N, K) -alpha_t (1 - p_t)^gamma log p_t; gamma 2 and alpha 0.25 are the paper's best (table 1b)."""
    truth = torch.where(labels > 0, logits, -logits)
    weight = torch.where(labels > 0, alpha, 1 - alpha)
    return -weight * (-truth).sigmoid() ** gamma * F.logsigmoid(truth)


def effective_number_weights(
    counts: Sequence[int] | torch.Tensor, beta: float = 0.999, max_ratio: float = 0.0
) -> torch.Tensor:
    """(K,) float32 weights of classes, inverse to the effective number of their labels.

    They are scaled so that the mean weight of a label (not of a class) is 1, which leaves the loss at the size it has
    without. A class that nothing shows weighs as one that has a single label.

    Args:
        counts: (K,) labels of each class.
        beta: within 0..1: 0 weighs all classes alike, 1 by inverse frequency; 0.999 counts up to about a thousand.
        max_ratio: how many times the smallest weight the largest one is at most; 0 for no limit.

    Raises:
        ValueError: if beta is not within 0..1, or `max_ratio` is neither 0 nor 1 or more.
    """
    if not 0.0 <= beta <= 1.0:
        raise ValueError(f"beta: got {beta}, expected a number within 0..1")
    if max_ratio and not max_ratio >= 1.0:
        raise ValueError(f"max_ratio: got {max_ratio}, expected 0 or a number from 1 on")
    counts = torch.as_tensor(counts, dtype=torch.float64).clamp(min=1)
    effective = counts if beta == 1.0 else -torch.expm1(counts * torch.tensor(beta).double().log()) / (1 - beta)
    weights = 1 / effective
    if max_ratio:
        weights = weights.clamp(max=max_ratio * weights.min())
    return (weights * counts.sum() / (weights * counts).sum()).float()
