"""UCF101-24's `finalAnnots.mat`: tubes of x y w h in 320x240, frames from 1; splits by its trainlist and testlist."""

from __future__ import annotations

import io

import numpy as np

from avsf_det.data.importers.clock import FRAMES, Clock
from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import LABEL, Export, ExportedVideo, Track
from avsf_det.errors import UserError

NAME = "UCF101-24 tubes"
PICTURE = (320.0, 240.0)  # all of UCF101 is of this size


def recognises(document: Document) -> bool:
    """Whether this is such a file."""
    return document.content.startswith(b"MATLAB 5.0 MAT-file")


def read(document: Document) -> Export:
    """Its tubes; the action is the folder in a video's name.

    Raises:
        UserError: if scipy is not installed, or the file is another.
    """
    try:
        from scipy.io import loadmat
    except ImportError:
        raise UserError(f"{document.name}: a .mat file needs scipy, which is not there: pip install scipy") from None
    try:
        annotations = loadmat(io.BytesIO(document.content), variable_names=["annot"])["annot"]
    except Exception as error:  # of many types, if it is damaged
        raise UserError(f"{document.name}: not UCF101-24's finalAnnots.mat ({type(error).__name__}: {error})") from None
    return read_tubes(annotations, document.name)


def read_tubes(annotations: np.ndarray, name: str) -> Export:
    """The tubes of the struct array `annot` with num_imgs, name and tubes of ef, sf, class and boxes."""
    export = Export(NAME)
    for entry in annotations.ravel():
        video_name = str(np.asarray(entry["name"]).ravel()[0])
        where = f"{name}: {video_name}"
        video = ExportedVideo((video_name, video_name.rpartition("/")[2]), where, Clock(FRAMES, 1), PICTURE)
        for number, tube in enumerate(entry["tubes"].ravel()):
            first, last = (int(np.asarray(tube[key]).ravel()[0]) for key in ("sf", "ef"))
            boxes = np.asarray(tube["boxes"], dtype=np.float64).reshape(-1, 4)
            if len(boxes) != last - first + 1:
                export.bad.append(f"{where}, tube {number}: {len(boxes)} boxes for frames {first} to {last}")
                continue
            corners = np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), axis=1)
            values = {LABEL: (video_name.partition("/")[0],)}
            places = np.arange(first, last + 1)
            video.tracks.append(Track(places, corners, [values] * len(places), f"{where}, tube {number}", str(number)))
        export.videos.append(video)
    return export
