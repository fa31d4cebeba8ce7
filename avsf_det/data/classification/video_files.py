"""The video files under a folder, by path or by name."""

from __future__ import annotations

import os
from collections import defaultdict
from functools import cached_property
from pathlib import Path, PurePosixPath

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
        found, seen = defaultdict(list), set()
        for folder, folders, names in os.walk(self.root, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:  # links may lead in circles
                folders.clear()
                continue
            seen.add(real)
            folders.sort()
            below = Path(folder).relative_to(self.root).as_posix()
            for name in sorted(names):
                stem, suffix = os.path.splitext(name)
                if suffix.lower() in VIDEO_SUFFIXES:
                    found[stem].append(name if below == "." else f"{below}/{name}")
        return found
