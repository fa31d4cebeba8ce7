"""What a check of a dataset found."""

from __future__ import annotations

from dataclasses import dataclass

from avsf_det.data.ava_csv import some

FACT, WARNING, ERROR = "fact", "warning", "error"


@dataclass(frozen=True)
class Finding:
    """Something that a check saw.

    Attributes:
        level: "fact"; "warning", where training runs and something is lost; "error", what should be mended first.
        what: one line.
        where: file, split or videos.
        cure: what to do about it.
        items: the single rows, videos or classes that it is about, with file and line where there are any.
    """

    level: str
    what: str
    where: str = ""
    cure: str = ""
    items: tuple[str, ...] = ()

    def text(self) -> str:
        """The finding for a terminal, with the first few of its items."""
        what = f"{self.what}: {some(list(self.items))}" if self.items else self.what
        line = f"{self.level:8}{self.where}: {what}" if self.where else f"{self.level:8}{what}"
        return f"{line}\n{'':10}-> {self.cure}" if self.cure else line
