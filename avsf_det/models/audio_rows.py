"""Whose sound the Audio pathway holds, row by row."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class AudioRows:
    """First clips' own sound, then, while synchronisation is trained, misaligned sound.

    In training Audio is given real sound alone, however little, even none: nothing stands in for what is not there, so
    that nothing but sound moves its norms; and it runs in every step, so that each process learns the same parameters.

    Attributes:
        clips: B.
        own: (n,) the clips of the first rows; None is all B in turn.
        misaligned: (m,) the clips of the others; None is all B in turn, or no rows.
    """

    clips: int
    own: torch.Tensor | None = None
    misaligned: torch.Tensor | None = None

    def take(self, own: torch.Tensor, misaligned: torch.Tensor | None = None) -> torch.Tensor:
        """(n, ...) or (n + m, ...), the rows of what all B clips have."""
        if self.own is not None:
            own = own[self.own]
        if misaligned is None:
            return own
        return torch.cat((own, misaligned if self.misaligned is None else misaligned[self.misaligned]))

    def only_own(self, rows: torch.Tensor) -> torch.Tensor:
        """(n, ...), the rows of the clips' own sound."""
        return rows[: self._own]

    def spread_own(self, rows: torch.Tensor) -> torch.Tensor:
        """(B, ...), those rows each at its clip; zeros for a clip without."""
        return self._spread(rows[: self._own], self.own)

    def spread_misaligned(self, rows: torch.Tensor) -> torch.Tensor:
        """(B, ...), the rows of misaligned sound each at its clip; zeros for a clip without."""
        return self._spread(rows[self._own :], self.misaligned)

    @property
    def _own(self) -> int:
        return self.clips if self.own is None else len(self.own)

    def _spread(self, rows: torch.Tensor, clips: torch.Tensor | None) -> torch.Tensor:
        return rows if clips is None else rows.new_zeros(self.clips, *rows.shape[1:]).index_copy(0, clips, rows)
