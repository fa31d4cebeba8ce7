"""How well sounds and pictures find each other: a quick measure of features learned without labels."""

from __future__ import annotations

import numpy as np

from avsf_det.engine.clip_metrics import class_ranks


def retrieval(pictures: np.ndarray, sounds: np.ndarray) -> dict[str, float]:
    """The share of clips, in percent, that are among the nearest one or five of their counterpart.

    Args:
        pictures: (N, D) embeddings of pictures.
        sounds: (N, D) embeddings of their sounds. Nearness is the cosine.

    Returns:
        picture_to_sound_top1, ..._top5, and sound_to_picture of both; by chance 100 / N and 500 / N. NaN of no clips.
    """
    likeness = _unit(pictures) @ _unit(sounds).T
    found, own = {}, np.arange(len(likeness))
    for name, rows in (("picture_to_sound", likeness), ("sound_to_picture", likeness.T)):
        ranks = class_ranks(rows, own)
        found |= {f"{name}_top{k}": 100 * float((ranks < k).mean()) if len(ranks) else float("nan") for k in (1, 5)}
    return found


def synchrony(pictures: np.ndarray, sounds: np.ndarray, others: np.ndarray) -> float:
    """The share of clips, in percent, whose own sound is nearer than that of another moment; 50 by chance.

    Args:
        pictures, sounds: (N, D) embeddings.
        others: (N, D) embeddings of sounds of another moment of the same videos.
    """
    pictures, sounds, others = (_unit(x) for x in (pictures, sounds, others))
    nearer = (pictures * sounds).sum(axis=1) - (pictures * others).sum(axis=1)
    return 100 * float(((nearer > 0) + 0.5 * (nearer == 0)).mean()) if len(nearer) else float("nan")


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
