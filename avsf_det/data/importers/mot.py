"""MOTChallenge's `gt/gt.txt`: frame, track, x, y, width, height, confidence, class and visibility."""

from __future__ import annotations

from pathlib import PurePath

import numpy as np

from avsf_det.data.importers import cells
from avsf_det.data.importers.clock import FRAMES, Clock
from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import LABEL, Export, ExportedVideo, Track, split_of
from avsf_det.data.importers.tables import split_rows

NAME = "MOTChallenge gt.txt"
CLASSES = (
    *("pedestrian", "person on vehicle", "car", "bicycle", "motorbike", "non-motorized vehicle", "static person"),
    *("distractor", "occluder", "occluder on the ground", "full occluder", "reflection"),
)
"""The classes 1 to 12 of MOT16, MOT17 and MOT20."""
_WIDTHS = (9, 10)  # of MOT16 and later, and of MOT15


def recognises(document: Document) -> bool:
    """Whether this is such a file: all of its first rows have 9 or 10 numbers, the first two whole."""
    if document.suffix not in (".txt", ".csv"):
        return False
    rows = []
    for line in document.text.splitlines()[:50]:
        if line.strip():
            rows.append([cells.number(cell.strip()) for cell in line.split(",")])
    whole = all(len(row) in _WIDTHS and None not in row and row[0] % 1 == row[1] % 1 == 0 for row in rows)
    return bool(rows) and whole


def read(document: Document) -> Export:
    """Its tracks, in pixels of frames from 1 on; of detections, which have no track, nothing.

    The video is called as the folder that `gt/` is in. Rows with a confidence of 0 are to be ignored, as MOT's own
    evaluation does, and are counted.
    """
    export, tracks, ignored, total = Export(NAME), {}, 0, 0
    for line, own in split_rows(document.name, document.text, ","):
        total += 1
        values = [cells.number(cell) for cell in own]
        if len(values) not in _WIDTHS or None in values[:6] or not (values[4] > 0 and values[5] > 0):
            export.bad.append(f"{document.name}:{line}: got {','.join(own)}, expected frame,id,x,y,w,h,confidence,...")
            continue
        frame, track, x, y, w, h, confidence, kind, *_ = values
        if confidence == 0:
            ignored += 1
            continue
        number = int(kind) if len(values) == 9 and kind and kind > 0 else 0
        name = CLASSES[number - 1] if 0 < number <= len(CLASSES) else str(number) if number else "person"
        tracks.setdefault((int(track), name), []).append((frame, (x, y, x + w, y + h), line))
    if tracks and all(track < 0 for track, _ in tracks):
        export.has_scores = True
    folders = [part for part in PurePath(document.name).parts[:-1] if part not in ("gt", "det")]
    name = folders[-1] if folders and document.stem in ("gt", "det") else document.stem
    where = f"{document.name}:1"
    video = ExportedVideo((name,), where, Clock(FRAMES, 1), split=split_of(*document.path.split("/")[:-1]))
    for (track, label), rows in tracks.items():
        frames, boxes, lines = zip(*rows)
        values = [{LABEL: (label,)}] * len(rows)
        person = str(track) if track >= 0 else ""
        video.tracks.append(Track(np.array(frames), boxes, values, f"{document.name}:{lines[0]}", person))
    if tracks:
        export.videos.append(video)
    export.notes.append(
        f"{document.name}: {total} rows: {sum(map(len, tracks.values()))} boxes of video {name}, {ignored} with "
        f"confidence 0 ignored, {len(export.bad)} skipped"
    )
    return export
