"""PySlowFast's frame lists: which pictures each video of a split has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from avsf_det.errors import UserError

HEADER = "original_vido_id video_id frame_id path labels"  # PySlowFast's own spelling


@dataclass
class ListedFrames:
    """The frames of a video: their folder under FRAME_DIR, and how many there are."""

    folder: str
    count: int = 0


def read_frame_list(path: Path) -> dict[str, ListedFrames]:
    """The videos of a frame list; rows are `original_vido_id video_id frame_id path labels`, after a header.

    Raises:
        UserError: if the file cannot be read; the first bad row is named.
    """
    found: dict[str, ListedFrames] = {}
    try:
        with open(path, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                fields = line.split(maxsplit=4)
                if number == 1 or not fields:
                    continue
                if len(fields) != 5:
                    raise UserError(f"{path}:{number}: got {len(fields)} columns, expected {HEADER}")
                video, picture = fields[0], fields[3]
                if video not in found:
                    found[video] = ListedFrames(picture.rpartition("/")[0])
                found[video].count += 1
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a frame list: {error}") from None
    return found
