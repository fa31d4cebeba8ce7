"""Video ids that are written otherwise in one file than in the other."""

from __future__ import annotations

from dataclasses import replace

from ava_eval.table import Table


def _without_folder(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", 1)[-1]


def _without_extension(name: str) -> str:
    return name.rsplit(".", 1)[0]


RENAMINGS = {
    "video ids with an extension": (_without_extension, "write the ids without .mp4, .mkv and so on"),
    "video ids with a folder": (_without_folder, "write the ids without folder"),
    "video ids with folder and extension": (
        lambda name: _without_extension(_without_folder(name)),
        "write the ids without folder and extension",
    ),
    "video ids with blanks around them": (str.strip, "write the ids without blanks"),
    "video ids in other letters": (lambda name: name.strip().lower(), "write the ids in the same upper and lower case"),
}


def same_names(truth: Table, found: Table) -> tuple[Table, Table, tuple[str, str, str] | None]:
    """Tables whose videos have the same names, and name, evidence and advice of what was wrong with them."""
    common = set(truth.video_names) & set(found.video_names)
    fewest = min(len(set(truth.video_names)), len(set(found.video_names)))
    if len(common) * 2 >= fewest:
        return truth, found, None
    for name, (rename, advice) in RENAMINGS.items():
        renamed = [replace(table, video_names=[rename(v) for v in table.video_names]) for table in (truth, found)]
        now = set(renamed[0].video_names) & set(renamed[1].video_names)
        if len(now) * 2 >= fewest and len(now) > len(common):
            original = dict(zip(renamed[0].video_names, truth.video_names))
            pairs = [
                (old, original[new]) for old, new in zip(found.video_names, renamed[1].video_names) if new in original
            ]
            there, here = next((old, true) for old, true in pairs if old != true)
            seen = f"the detections say {there!r}, the ground truth {here!r}; {len(common)} videos in common"
            return *renamed, (name, seen, advice)
    if common:
        return truth, found, None
    seen = f"the detections have {found.video_names[0]!r}, the ground truth has {truth.video_names[0]!r}"
    return truth, found, ("no videos in common", seen, "evaluate against their ground truth, or mend the ids")
