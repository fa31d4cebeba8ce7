"""Videos without annotations: what is seen and heard in each is all there is to learn from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from avsf_det.data.classification.clips import ClipRow, Head
from avsf_det.data.classification.layout import SPLIT_NAMES, Layout
from avsf_det.errors import UserError


class Unlabelled(Layout):
    """A folder of videos, at any depth. A clip is a whole video, of which nothing is asked: K is 0.

    A split is the folder of its name, such as `train/` and `val/`. Without a folder of its own, the training split is
    all videos but those of other splits; others are then not there.
    """

    def is_there(self) -> bool:
        """Whether the folder has videos."""
        return next(self.videos.paths(), None) is not None

    def path(self, split: str) -> Path:
        """The folder of a split.

        Raises:
            UserError: if there is none.
        """
        return self.videos.root / self._folder(split)

    def _folder(self, split: str) -> str:
        """The same, under the folder of videos."""
        there = {path.name.lower(): path.name for path in self.videos.root.iterdir() if path.is_dir()}
        own = next((there[name] for name in SPLIT_NAMES.get(split, (split.lower(),)) if name in there), None)
        if own is None and split != "train":
            raise UserError(
                f"{self.videos.root}: no videos of the split {split!r}; expected them in a folder {split}, or "
                "DATA.TRAIN_SPLIT train for all videos"
            )
        return own or ""

    def _read_heads(self) -> tuple[Head, ...]:
        return ()

    def _rows(self, split: str) -> Iterator[tuple[str, int, str]]:
        folder = self._folder(split)
        others = () if folder else tuple(f"{name}/" for names in SPLIT_NAMES.values() for name in names)
        paths = (path for path in self.videos.paths(folder) if not path.lower().startswith(others))
        return ((str(self.videos.root), 0, path) for path in paths)

    def _clip(self, line: int, content: str) -> ClipRow:
        return ClipRow(line, content, ())

    def _video(self, name: str) -> str:
        return name
