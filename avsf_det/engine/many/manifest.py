"""`manifest.jsonl`: what became of each video, a line each; the last line of a video counts."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from dataclasses import asdict, fields

from avsf_det.engine.many.job import DONE, FAILED, Outcome
from avsf_det.engine.many.storage import Storage

FILE = "manifest.jsonl"
SPACING = 30.0  # seconds from one writing to an address, which takes no single lines, to the next
_TOLD = tuple(field.name for field in fields(Outcome) if field.name != "reused")


class Manifest:
    """The outcomes of all runs into one folder.

    On a disk each is added as it comes; what a killed run left of a line is passed over, and its video done again.

    Args:
        storage: the folder.

    Raises:
        UserError: if it cannot be reached.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage, self._written = storage, time.monotonic()
        lines = (storage.read(FILE) or b"").splitlines()
        self._outcomes = {outcome.video: outcome for outcome in map(_outcome, lines) if outcome}
        if lines:
            self.write()

    def __len__(self) -> int:
        return len(self._outcomes)

    def get(self, video: str) -> Outcome | None:
        """What became of a video the last time; None if it is not known."""
        return self._outcomes.get(video)

    def names_of_others(self, videos: Collection[str]) -> set[str]:
        """The names that results of all but these videos have."""
        return {outcome.name for video, outcome in self._outcomes.items() if video not in videos}

    def add(self, outcome: Outcome) -> None:
        """Note what became of a video.

        Raises:
            OSError: if the disk is full.
            UserError: if an address cannot be written to.
        """
        self._outcomes[outcome.video] = outcome
        if self._storage.local:
            with open(self._storage.local / FILE, "ab") as file:
                file.write(_line(outcome))
        elif time.monotonic() - self._written > SPACING:
            self.write()

    def write(self) -> None:
        """Write a line for each video; raises UserError if it cannot be written."""
        self._storage.write(FILE, b"".join(map(_line, self._outcomes.values())))
        self._written = time.monotonic()


def _line(outcome: Outcome) -> bytes:
    told = asdict(outcome)
    return (json.dumps({name: told[name] for name in _TOLD}) + "\n").encode()


def _outcome(line: bytes) -> Outcome | None:
    """A line of the manifest; None if it is none, or the name in it would lead out of the folder."""
    try:
        told = json.loads(line)
        outcome = Outcome(**{name: told[name] for name in _TOLD})
        sizes = outcome.sizes.items()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    names = [outcome.name, *(name for name, _ in sizes)]
    plain = all(isinstance(name, str) and name not in ("", ".", "..") and "/" not in name for name in names)
    good = isinstance(outcome.video, str) and outcome.state in (DONE, FAILED) and plain
    return outcome if good and all(isinstance(size, int) for _, size in sizes) else None
