"""What a model of whole clips is asked: the classes of each head, and pairs of a verb and a noun; the best answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate

import numpy as np

from avsf_det.data.classification.clips import Head


@dataclass(frozen=True)
class Question:
    """Which class of a head, or which pair of classes of two; the score of a pair is the product of their scores.

    Answers are numbered: those of a pair as the cells of a table with a row for each class of the first head.

    Attributes:
        name: the head's; "action" of verb and noun.
        heads: one, or two.
        firsts: of each, the number of its first class among the K of all heads.
    """

    name: str
    heads: tuple[Head, ...]
    firsts: tuple[int, ...]

    def answer(self, number: int) -> str:
        """The name of an answer."""
        return " ".join(head.classes[i] for head, i in zip(self.heads, np.unravel_index(number, self._shape)))

    def scores(self, windows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """The scores of some answers in each window.

        Args:
            windows: (W, K) scores within 0..1.
            numbers: (W, R) answers of each window, or (R,) of all of them.

        Returns:
            (W, R).
        """
        numbers = np.broadcast_to(numbers, (len(windows), numbers.shape[-1]))
        classes = np.unravel_index(numbers, self._shape)
        parts = [np.take_along_axis(own, i, axis=1) for own, i in zip(self._parts(windows), classes)]
        return reduce(np.multiply, parts)

    def best(self, windows: np.ndarray, count: int) -> np.ndarray:
        """(W, R) the numbers of the `count` best answers in each window, or of all if they are fewer, best first.

        Of equal ones the lower number is first. The best pairs are among those of the best classes.
        """
        tops = [np.argsort(-own, axis=1, kind="stable")[:, :count] for own in self._parts(windows)]
        numbers = tops[0]
        if len(tops) == 2:
            pairs = np.broadcast_arrays(tops[0][:, :, None], tops[1][:, None, :])
            numbers = np.ravel_multi_index(pairs, self._shape).reshape(
                len(windows), tops[0].shape[1] * tops[1].shape[1]
            )
        numbers = np.sort(numbers, axis=1)
        order = np.argsort(-self.scores(windows, numbers), axis=1, kind="stable")[:, :count]
        return np.take_along_axis(numbers, order, axis=1)

    def overall(self, windows: np.ndarray) -> np.ndarray:
        """(R,) the scores of all answers in the windows together, at least one: their mean, or their maximum where
        several classes hold at once."""
        parts = [own.astype(np.float64) for own in self._parts(windows)]
        if self.heads[0].multi_label:
            return parts[0].max(axis=0)
        if len(parts) == 1:
            return parts[0].mean(axis=0)
        return (parts[0].T @ parts[1]).ravel() / len(windows)

    @property
    def _shape(self) -> tuple[int, ...]:
        return tuple(len(head.classes) for head in self.heads)

    def _parts(self, windows: np.ndarray) -> list[np.ndarray]:
        """Of each head its (W, K) scores."""
        return [windows[:, first : first + len(head.classes)] for head, first in zip(self.heads, self.firsts)]


def questions(heads: Sequence[Head]) -> list[Question]:
    """A question for each head, and where there are a verb and a noun, one for the action that they are together."""
    firsts = accumulate((len(head.classes) for head in heads), initial=0)
    asked = {head.name: Question(head.name, (head,), (first,)) for head, first in zip(heads, firsts)}
    if {"verb", "noun"} <= set(asked):
        verb, noun = asked["verb"], asked["noun"]
        asked["action"] = Question("action", verb.heads + noun.heads, verb.firsts + noun.firsts)
    return list(asked.values())
