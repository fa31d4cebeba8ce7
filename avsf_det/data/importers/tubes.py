"""Pickled tubes: the ACT detector's of JHMDB and UCF101 (`JHMDB-GT.pkl`), and UCF101-24's corrected `pyannot.pkl`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from avsf_det.data.importers.clock import FRAMES, Clock
from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import LABEL, Export, ExportedVideo, Track
from avsf_det.data.importers.ucf101_24 import PICTURE
from avsf_det.errors import UserError

NAME = "pickled tubes"
_NEEDED = "gttubes, labels and train_videos"


def recognises(document: Document) -> bool:
    """Whether this is a pickle."""
    return document.suffix in (".pkl", ".pickle")


def read(document: Document) -> Export:
    """The tubes. The pickle is opened without running anything in it.

    `JHMDB-GT.pkl` and the like have rows frame (from 1), x1, y1, x2, y2 in pixels of `resolution`; splits are those of
    the first list. `pyannot.pkl` is {video: {annotations: [{label, sf, ef, boxes}], numf, label}} with boxes x y w h in
    320x240 of the frames sf to ef - 1, from 0; the action is the folder in a video's name.

    Raises:
        UserError: if it is not such a pickle.
    """
    from avsf_det.unpickle import loads
    from avsf_det.unpickle_builders import Excessive, Refused

    try:
        data = loads(document.content)
    except Excessive as error:
        raise UserError(f"{document.name}: this pickle holds {error}; not opened") from None
    except Refused as error:
        raise UserError(f"{document.name}: this pickle asks for {error}, which could run code; not opened") from None
    except Exception as error:  # of many types, if it is damaged
        raise UserError(f"{document.name}: not a pickle of tubes ({type(error).__name__}: {error})") from None
    if isinstance(data, dict) and data and all(isinstance(v, dict) and "annotations" in v for v in data.values()):
        return _checked(_read_annotations, data, document.name)
    if not isinstance(data, dict) or not all(key in data for key in ("gttubes", "labels")):
        raise UserError(
            f"{document.name}: got a pickle of {type(data).__name__}, expected a dict with {_NEEDED}, or of "
            "videos with annotations"
        )
    return _checked(_read_tubes, data, document.name)


def _checked(read_data: Callable[[dict, str], Export], data: dict, name: str) -> Export:
    """The tubes in a pickle's content, whose values may be of any type."""
    try:
        return read_data(data, name)
    except (AttributeError, TypeError, ValueError, LookupError, OverflowError) as error:
        raise UserError(f"{name}: not tubes as expected ({type(error).__name__}: {str(error)[:100]})") from None


def _read_tubes(data: dict, file_name: str) -> Export:
    """The tubes of `JHMDB-GT.pkl` and the like."""
    export = Export(NAME)
    labels, splits = [str(label) for label in data["labels"]], {}
    for key, split in (("train_videos", "train"), ("test_videos", "test")):
        splits |= {str(name): split for name in (data.get(key) or [[]])[0]}
    for name, by_label in data["gttubes"].items():
        name, where = str(name), f"{file_name}: {name}"
        height, width = (float(v) for v in (data.get("resolution") or {}).get(name, (0, 0)))
        names = (name, name.rpartition("/")[2])
        video = ExportedVideo(
            names, where, Clock(FRAMES, 1), (width, height) if width and height else None, splits.get(name, "")
        )
        for label, tubes in by_label.items():
            for tube in tubes:
                _read_tube(tube, labels, int(label), where, video, export)
        export.videos.append(video)
    return export


def _read_annotations(data: dict, name: str) -> Export:
    """The tubes of `pyannot.pkl`."""
    export = Export(NAME)
    for video_name, annotated in data.items():
        video_name, where = str(video_name), f"{name}: {video_name}"
        names = (video_name, video_name.rpartition("/")[2])
        video = ExportedVideo(names, where, Clock(FRAMES, 0), PICTURE)
        action = video_name.rpartition("/")[0].rpartition("/")[2] or f"class {annotated.get('label')}"
        for number, tube in enumerate(annotated["annotations"]):
            first, end = int(tube["sf"]), int(tube["ef"])
            boxes = np.asarray(getattr(tube["boxes"], "tensor", tube["boxes"]), dtype=np.float64).reshape(-1, 4)
            if len(boxes) != end - first:
                export.bad.append(f"{where}, tube {number}: {len(boxes)} boxes for frames {first} to {end - 1}")
                continue
            corners = np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), axis=1)
            values = [{LABEL: (action,)}] * len(boxes)
            video.tracks.append(Track(np.arange(first, end), corners, values, f"{where}, tube {number}", str(number)))
        export.videos.append(video)
    return export


def _read_tube(tube: object, labels: list[str], label: int, where: str, video: ExportedVideo, export: Export) -> None:
    number = len(video.tracks)
    rows = np.asarray(getattr(tube, "tensor", tube), dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != 5 or not 0 <= label < len(labels):
        export.bad.append(f"{where}, tube {number}: {rows.shape} of label {label}, expected rows frame, x1, y1, x2, y2")
        return
    values = {LABEL: (labels[label],)}
    video.tracks.append(Track(rows[:, 0], rows[:, 1:], [values] * len(rows), f"{where}, tube {number}", str(number)))
