"""The table of a dataset's videos, `videos.csv`, which an import writes."""

from __future__ import annotations

import csv
from pathlib import Path

from avsf_det.errors import UserError

VIDEO_TABLE = "videos.csv"
COLUMNS = ("video", "file", "fps", "duration", "sound", "source")


def recorded_frame_rate(table: Path) -> float | None:
    """Pictures a second of the folders of frames in a table; None where there is no table, or no folder in it.

    Raises:
        UserError: if it cannot be read, or folders differ.
    """
    try:
        with open(table, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        rates = {float(row["fps"]) for row in rows if (row.get("file") or "").startswith("frames/")}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise UserError(f"{table}: cannot be read ({error}); expected {','.join(COLUMNS)}; import it again") from None
    if len(rates) > 1 or any(not 0 < rate < float("inf") for rate in rates):
        numbers = ", ".join(f"{rate:g}" for rate in sorted(rates))
        raise UserError(f"{table}: folders of {numbers} frames a second, expected one rate; set AVA.FRAME_RATE")
    return rates.pop() if rates else None
