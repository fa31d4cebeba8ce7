"""The video files under a folder, by path or by name."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath

from avsf_det.files import walk_folder
from avsf_det.structures import VIDEO_SUFFIXES


class VideoFiles:
    """Looks for videos under a folder; every folder is listed once, and no file is opened.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listings: dict[str, frozenset[str]] = {}

    def has(self, path: str) -> bool:
        """Whether there is a file at `path` under the folder."""
        folder, _, name = path.rpartition("/")
        if folder not in self._listings:
            try:
                self._listings[folder] = frozenset(os.listdir(self.root / folder if folder else self.root))
            except OSError:
                self._listings[folder] = frozenset()
        return name in self._listings[folder]

    def find(self, name: str) -> str | None:
        """The path, under the folder, of a file at any depth; None if there is none.

        Args:
            name: of the file, with or without its suffix; with a folder before it, that of the file is preferred.
        """
        folder, _, name = name.rpartition("/")
        stem = PurePosixPath(name).stem if name.lower().endswith(VIDEO_SUFFIXES) else name
        found = self._by_stem.get(stem, ())
        inside = [path for path in found if f"/{path}".rpartition("/")[0].endswith(f"/{folder}" if folder else "")]
        return next(iter((*inside, *found)), None)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        found = defaultdict(list)
        for path in self.paths():
            found[os.path.splitext(os.path.basename(path))[0]].append(path)
        return found

    def paths(self, under: str = "") -> Iterator[str]:
        """The paths, under the folder, of all videos at any depth.

        Args:
            under: a folder in it, to which they are limited.
        """
        for folder, names in walk_folder(self.root / under):
            below = folder.relative_to(self.root).as_posix()
            for name in names:
                if name.lower().endswith(VIDEO_SUFFIXES):
                    yield name if below == "." else f"{below}/{name}"
