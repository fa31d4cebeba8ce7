"""A dataset in the project's own plain format, written to its folder."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from avsf_det.data.importers.dataset import Imported, ImportedVideo
from avsf_det.data.importers.videos import without_suffix
from avsf_det.data.video_table import COLUMNS, VIDEO_TABLE
from avsf_det.errors import UserError
from avsf_det.files import written_whole

LEFT_OUT = "left_out.txt"


def write_dataset(imported: Imported, root: Path, copy: bool = False) -> None:
    """Write videos (or links to them), tables and label map; files of an earlier import are replaced.

    Files:
        videos/<id>.<suffix>, frames/<id>/, sounds/<id>.<suffix>
        annotations/label_map.pbtxt
        annotations/<split>.csv: video,second,x1,y1,x2,y2,class id,person id
        annotations/<split>_clips.csv: video,start,end,class id, where the export has labels without boxes
        annotations/<split>_excluded_timestamps.csv: video,second, where the export has such a list
        videos.csv: video,file,fps,duration,sound,source
        left_out.txt: what could not be used, a line each; absent if all could

    Args:
        imported: what to write.
        root: the folder; made if need be.
        copy: copy the videos instead of linking to them.

    Raises:
        UserError: if the folder holds annotations that no import wrote, or two videos have the same id.
    """
    annotations, table = root / "annotations", root / VIDEO_TABLE
    if any(annotations.glob("*.csv")) and not table.is_file():
        raise UserError(f"{root} holds annotations that are not of an import; choose another folder with -o")
    rows = [COLUMNS]
    for video in {video.id: video for video in imported.videos}.values():
        file = _place(video, root, copy)
        info, sound = video.info, video.info.has_audio
        rows.append(
            (video.id, file, f"{float(info.fps):.3f}", f"{info.duration:.3f}", int(sound), video.source.path.resolve())
        )
    for split in sorted({"train", "val", "test"} | {video.split for video in imported.videos}):
        own = [video for video in imported.videos if video.split == split]
        boxes = [
            (v.id, _decimal(time, 4), *(_decimal(x, 5) for x in box), action, person)
            for v in own
            for time, box, action, person in v.rows
        ]
        clips = [(v.id, _decimal(start, 4), _decimal(end, 4), action) for v in own for start, end, action in v.spans]
        _write_csv(annotations / f"{split}.csv", boxes)
        _write_csv(annotations / f"{split}_clips.csv", clips)
        excluded = [(video.id, _decimal(time, 4)) for video in own for time in video.excluded]
        _write_csv(annotations / f"{split}_excluded_timestamps.csv", excluded)
    _write(annotations / "label_map.pbtxt", imported.label_map.to_pbtxt())
    _write(root / LEFT_OUT, "".join(f"{line}\n" for line in imported.bad))
    _write_csv(table, rows)


def _place(video: ImportedVideo, root: Path, copy: bool) -> str:
    """Put a video and its sound, or links to them, where the dataset has them; the video's path there."""
    source, sound = video.source.path.resolve(), video.source.sound
    if sound:
        _put(sound.path.resolve(), root / "sounds" / (video.id + sound.path.suffix), copy)
    if source.is_dir():
        file = Path("frames", video.id)
    else:
        file = Path("videos", video.id + source.name[len(without_suffix(source.name)) :])
    _put(source, root / file, copy)
    return file.as_posix()


def _put(source: Path, target: Path, copy: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.resolve() == source and not (copy and target.is_symlink()):
        return
    if copy and source.is_dir():
        if target.is_symlink():
            target.unlink()
        shutil.copytree(source, target, dirs_exist_ok=True)
        return
    if target.is_dir() and not target.is_symlink():
        raise UserError(f"{target} is a folder already; remove it, or choose another with -o")
    with written_whole(target) as unfinished:
        if copy:
            shutil.copy2(source, unfinished)
        else:
            os.symlink(source, unfinished)


def _decimal(value: float, places: int) -> str:
    return f"{value:.{places}f}".rstrip("0").rstrip(".")


def _write_csv(path: Path, rows: Iterable[tuple]) -> None:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    _write(path, file.getvalue())


def _write(path: Path, text: str) -> None:
    """Write a file; with nothing to write, remove what an earlier import left there."""
    if not text:
        path.unlink(missing_ok=True)
        return
    with written_whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
