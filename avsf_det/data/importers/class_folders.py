"""Videos in folders of their classes: `<class>/x.mp4`, or `train/<class>/x.mp4` and `val/<class>/y.mp4`."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from avsf_det.data.importers.clock import SECONDS, Clock
from avsf_det.data.importers.export import LABEL, Export, ExportedVideo, Span, split_of
from avsf_det.structures import VIDEO_SUFFIXES

NAME = "class folders"
_VIDEOS = ("videos", "video", "clips", "data")  # folders around the classes' that name none


def read(root: Path) -> list[Export]:
    """A label of the whole for each video in a folder of its class; nothing if there are no two classes."""
    export, alone, found = Export(NAME), [], []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names = sorted(n for n in files if n.lower().endswith(VIDEO_SUFFIXES) and not n.startswith("."))
        found += [PurePosixPath(Path(folder, name).relative_to(root).as_posix()) for name in names]
    folders = {path: [part for part in path.parts[:-1] if part.lower() not in _VIDEOS] for path in found}
    tops = {own[0] for own in folders.values() if own}
    has_splits = all(top.isalpha() and split_of(top) for top in tops)
    for path, own in folders.items():
        split = split_of(own[0]) if has_splits and own else ""
        own = own[1:] if split else own
        if not own:
            alone.append(f"{root / path}: in no folder of a class")
            continue
        where = str(root / path)
        video = ExportedVideo((str(path), path.name), where, Clock(SECONDS), split=split)
        video.spans.append(Span(None, None, {LABEL: (own[0],)}, where))
        export.videos.append(video)
    classes = sorted({span.values[LABEL][0] for video in export.videos for span in video.spans})
    if len(classes) < 2:
        return []
    export.bad.extend(alone)
    export.notes.append(f"{root}: {len(export.videos)} videos in folders of {len(classes)} classes")
    return [export]
