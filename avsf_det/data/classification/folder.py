"""The folder of a dataset of labelled clips, whichever of the known layouts it has."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from ava_eval.label_map import SHIPPED
from avsf_det.data.annotations import warn_of_bad
from avsf_det.data.ava_csv import some
from avsf_det.data.classification.charades import Charades, CharadesFrames
from avsf_det.data.classification.clips import Head, LabelledClips
from avsf_det.data.classification.epic_kitchens import EpicKitchens
from avsf_det.data.classification.imported import Imported
from avsf_det.data.classification.kinetics import SOUNDS, Kinetics
from avsf_det.data.classification.layout import Layout, header_of
from avsf_det.data.classification.path_labels import PathLabels
from avsf_det.data.classification.ucf101 import HMDB51, UCF101
from avsf_det.data.classification.unlabelled import Unlabelled
from avsf_det.errors import UserError

logger = logging.getLogger(__name__)

DATASETS: dict[str, tuple[tuple[type[Layout], ...], Sequence[str] | None]] = {
    "kinetics": ((Kinetics, PathLabels), None),
    "kinetics_sounds": ((Kinetics, PathLabels), SOUNDS),
    "charades": ((Charades, CharadesFrames), None),
    "epickitchens": ((EpicKitchens,), None),
    "ucf101": ((UCF101,), None),
    "hmdb51": ((HMDB51,), None),
    "imported": ((Imported,), None),
    "path_label": ((PathLabels,), None),
    "unlabelled": ((Unlabelled,), None),
}
"""What TRAIN.DATASET may say: the layouts that the folder may have, and which classes are kept, or None for all."""
LAYOUTS = (Imported, EpicKitchens, Charades, CharadesFrames, Kinetics, UCF101, HMDB51, PathLabels)
"""In the order in which they are looked for where it says nothing; whether videos are to have labels it has to say."""


class ClipFolder:
    """A dataset of labelled clips on disk.

    Args:
        root: its folder.
        dataset: one of `DATASETS`, "" for whichever layout its files have.
        video_dir: the folder of its videos, under `root` unless it is absolute.
        fold: which of UCF101's or HMDB51's three divisions, from 1 on.

    Raises:
        UserError: if the folder is of no such layout.

    Attributes:
        layout: how it lies on disk.
        root: the folder that videos' paths are under.
    """

    def __init__(self, root: str | Path, dataset: str = "", video_dir: str = "", fold: int = 1) -> None:
        root = Path(root)
        if not root.is_dir():
            raise UserError(f"no dataset at {str(root)!r}: no such folder; set DATA.ROOT to it")
        if dataset and dataset not in DATASETS:
            raise UserError(f"TRAIN.DATASET: got {dataset!r}, expected one of {', '.join(DATASETS)}, or ''")
        kinds, chosen = DATASETS.get(dataset, (LAYOUTS, None))
        layouts = (kind(root, video_dir, chosen, fold) for kind in kinds)
        found = next((layout for layout in layouts if layout.is_there()), None)
        if found is None:
            if kinds == (Unlabelled,):
                raise UserError(f"no dataset at {str(root)!r}: no videos in {root / video_dir}; set DATA.PATH_PREFIX")
            names = [name for name, (known, _) in DATASETS.items() if known != (Unlabelled,)]
            wanted = f"of {dataset}" if dataset else f"of any of {', '.join(names)}"
            raise UserError(
                f"no dataset at {str(root)!r}: no annotation files {wanted}; docs/data.md has their names "
                "(of boxes in AVA's format it is DETECTION.ENABLE True)"
            )
        self.layout: Layout = found
        self.root = found.videos.root

    @classmethod
    def from_config(cls, cfg: object) -> ClipFolder:
        """The dataset that a configuration's DATA and TRAIN keys describe, or where they are set its CLIPS keys.

        Raises:
            UserError: as above.
        """
        if cfg.CLIPS.ROOT:
            if not Path(cfg.CLIPS.ROOT).is_dir():
                raise UserError(f"CLIPS.ROOT: no dataset at {cfg.CLIPS.ROOT!r}: no such folder")
            return cls(cfg.CLIPS.ROOT, cfg.CLIPS.DATASET, cfg.CLIPS.PATH_PREFIX, cfg.DATA.FOLD)
        return cls(cfg.DATA.ROOT, cfg.TRAIN.DATASET, cfg.DATA.PATH_PREFIX, cfg.DATA.FOLD)

    @classmethod
    def found(cls, cfg: object, says_boxes: bool = False) -> ClipFolder | None:
        """The dataset of labelled clips that a configuration is about; None where it is one of boxes, or none.

        It is about clips if TRAIN.DATASET names theirs, or if DATA.ROOT has annotation files of theirs and no boxes.

        Args:
            cfg: the configuration.
            says_boxes: whether the user says that there are boxes, so that a file of theirs that is missing does not
                make anything else of the folder.

        Raises:
            UserError: if TRAIN.DATASET names a dataset that is not there.
        """
        annotations, ava = Path(cfg.DATA.ROOT, cfg.AVA.ANNOTATION_DIR), cfg.AVA
        has_classes = ava.LABEL_MAP_FILE in SHIPPED or (annotations / ava.LABEL_MAP_FILE).is_file()
        truth = annotations / ava.GROUNDTRUTH_FILE.format(split=cfg.DATA.TRAIN_SPLIT)
        has_boxes = (has_classes and truth.is_file()) or any(map(_is_of_boxes, sorted(annotations.glob("*.csv"))))
        if not cfg.TRAIN.DATASET and (says_boxes or has_boxes or not cfg.DATA.ROOT):
            return None
        try:
            return cls.from_config(cfg)
        except UserError:
            if cfg.TRAIN.DATASET:
                raise
            return None

    @property
    def heads(self) -> tuple[Head, ...]:
        """What is asked of each clip.

        Raises:
            UserError: if the classes cannot be read.
        """
        return self.layout.heads

    def clips(self, split: str) -> LabelledClips:
        """The clips of a split; bad rows and missing videos are named in a warning, counted and left out.

        Raises:
            UserError: if the annotations cannot be read or nothing is left.
        """
        found = self.layout.clips(split)
        warn_of_bad(list(found.bad))
        if len(found.missing):
            logger.warning("%s: %d clips have no video: %s", found.path, len(found.missing), some(list(found.missing)))
        if not len(found):
            bad = f"; first bad row: {found.bad[0]}" if len(found.bad) else ""
            raise UserError(f"{found.path}: no clip of any video in {self.root} is left to use{bad}")
        return found


def _is_of_boxes(path: Path) -> bool:
    """Whether the first row of a csv is one of AVA's: video, second, x1, y1, x2, y2, action and maybe a person."""
    row = header_of(path)
    try:
        _, x1, y1, x2, y2 = map(float, row[1:6])
    except ValueError:
        return False
    return len(row) in (7, 8) and 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1
