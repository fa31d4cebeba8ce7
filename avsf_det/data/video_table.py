"""The table of a dataset's videos, `videos.csv`, which an import writes."""

from __future__ import annotations

import csv
from pathlib import Path

from avsf_det.errors import UserError

VIDEO_TABLE = "videos.csv"
COLUMNS = ("video", "file", "fps", "duration", "sound", "source")


def recorded_frame_rates(table: Path) -> dict[str, float]:
    """Video -> pictures a second, of the folders of frames in a table; nothing where there is no table.

    Raises:
        UserError: if it cannot be read, or has a rate that is none.
    """
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        rates = {row["video"]: float(row["fps"]) for row in rows if (row.get("file") or "").startswith("frames/")}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise UserError(f"{table}: cannot be read ({error}); expected {','.join(COLUMNS)}; import it again") from None
    for video, rate in rates.items():
        if not 0 < rate < float("inf"):
            raise UserError(f"{table}: {video} has {rate:g} frames a second, expected more than 0; correct it")
    return rates
