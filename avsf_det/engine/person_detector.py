"""A person detector on a dataset's splits: trained, measured, and its boxes written for the action model."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from avsf_det import distributed
from avsf_det.data.annotations import AvaFolder, read_groundtruth
from avsf_det.engine.evaluate import default_cache
from avsf_det.engine.persons import find_persons, iou
from avsf_det.errors import UserError
from avsf_det.media.source import probe_source
from avsf_det.structures import Keyframe, Persons
from detectors import GivenBoxes, PersonDetector
from detectors.coco_eval import DetectorQuality, measure
from detectors.files import write_whole
from detectors.keyframes import PersonKeyframes, person_keyframes

logger = logging.getLogger(__name__)

SAME_PERSON = 0.9  # IoU from which SlowFast's files of training boxes give a person's labels to a box found


@dataclass(frozen=True)
class FoundPersons:
    """What a detector found on keyframes.

    Attributes:
        rows: the keyframes whose videos could be read, in order.
        persons: of each of them.
        sizes: height and width in pixels of each of them; None where no video was needed.
        failed: videos that could not be read, and why.
    """

    rows: list[int]
    persons: list[Persons]
    sizes: list[tuple[int, int]] | None
    failed: dict[str, str]


def split_keyframes(dataset: AvaFolder, split: str) -> PersonKeyframes:
    """The keyframes of a split with all persons on them.

    They are those of `<split>_person_boxes.csv` if it lies beside the ground truth, as where not everybody's actions
    are known; else those of the ground truth, without the excluded ones.

    Raises:
        UserError: if the csv cannot be used, or nothing is left.
    """
    truth = dataset.groundtruth_path(split)
    boxes = truth.with_name(f"{split}_person_boxes.csv")
    if boxes.is_file():
        return person_keyframes(boxes, dataset.videos)
    return person_keyframes(truth, dataset.videos, dataset.exclusion_path(split))


def find_on_keyframes(detector: PersonDetector, keyframes: PersonKeyframes, cache: Path | None = None) -> FoundPersons:
    """Look for persons on keyframes; several processes share the videos, and each gets all that was found.

    Args:
        detector: who looks; boxes that are given need no videos.
        keyframes: where.
        cache: folder that remembers what was found, so that after an interruption it goes on from there; None for the
            user's.

    Raises:
        UserError: if no video can be read.
    """
    given, videos = isinstance(detector, GivenBoxes), list(keyframes.by_video())
    mine = videos[distributed.rank() :: distributed.world_size()]
    found: dict[str, tuple[list[Persons], tuple[int, int] | None]] = {}
    failed: dict[str, str] = {}
    total, silent = sum(len(rows) for _, rows in mine), distributed.rank() > 0
    with tqdm(total=total, desc="find persons", unit="keyframe", disable=silent or None) as bar:
        for video_id, rows in mine:
            times = keyframes.times[rows.start : rows.stop].tolist()
            if given:
                found[video_id] = detector.detect([Keyframe(video_id, time) for time in times]), None
                continue
            video = keyframes.videos[video_id]
            try:
                persons = find_persons(video, times, detector, cache or default_cache(), bar.update)
                info = probe_source(video)
            except UserError as error:
                failed[video_id] = str(error)
                continue
            found[video_id] = persons, (info.height, info.width)
    for theirs, their_failed in distributed.gather((found, failed)):
        found |= theirs
        failed |= their_failed
    if failed:
        told = "; ".join(failed.values())
        logger.warning("%d of %d videos left out: %s", len(failed), len(videos), told)
    if not found:
        raise UserError(f"none of the {len(videos)} videos can be read")
    done = [(rows, *found[video_id]) for video_id, rows in videos if video_id in found]
    return FoundPersons(
        rows=[row for rows, _, _ in done for row in rows],
        persons=[persons for _, of_video, _ in done for persons in of_video],
        sizes=None if given else [size for rows, _, size in done for _ in rows],
        failed=failed,
    )


def measure_found(found: FoundPersons, keyframes: PersonKeyframes) -> DetectorQuality:
    """How good what was found is."""
    return measure([keyframes[row].persons for row in found.rows], found.persons, found.sizes)


def write_person_boxes(
    path: Path, found: Sequence[tuple[PersonKeyframes, FoundPersons]], labelled: Sequence[tuple[AvaFolder, str]] = ()
) -> int:
    """Write found boxes as PySlowFast's predicted boxes: video,second,x1,y1,x2,y2,label,score, and return how many.

    Numbers are at full precision. A box that overlaps a labelled person by SAME_PERSON has a row for each of that
    person's actions; all others have one row without a label. The file appears whole or not at all.

    Args:
        path: the csv.
        found: on which keyframes, and what.
        labelled: datasets and splits whose ground truth gives labels.

    Raises:
        UserError: if it cannot be written.
    """
    actions = {
        (keyframe.video_id, round(keyframe.time, 6)): (keyframe.persons, dataset.label_map.ids)
        for dataset, split in labelled
        for keyframe in read_groundtruth(dataset.groundtruth_paths(split), dataset.label_map)
    }
    text, boxes = io.StringIO(), 0
    rows = csv.writer(text, lineterminator="\n")
    for keyframes, on_these in found:
        for row, persons in zip(on_these.rows, on_these.persons):
            moment = keyframes[row]
            truth = actions.get((moment.video_id, round(moment.time, 6)))
            stamp = f"{moment.time:.6f}".rstrip("0") if moment.time % 1 else f"{int(moment.time):04d}"
            for box, score, labels in zip(persons.boxes, persons.scores, _labels(persons, truth)):
                rows.writerows([moment.video_id, stamp, *map(str, box), label, str(score)] for label in labels)
            boxes += len(persons)
    write_whole(path, text.getvalue().encode())
    return boxes


def _labels(persons: Persons, truth: tuple[Persons, Sequence[int]] | None) -> Iterator[list[int | str]]:
    """The action ids of each person found, or one empty label."""
    labelled, ids = truth or (Persons.none(), ())
    overlaps = iou(persons.boxes, labelled.boxes)
    for overlap in overlaps:
        nearest = overlap.argmax() if len(overlap) else -1
        if nearest >= 0 and overlap[nearest] >= SAME_PERSON:
            yield [ids[column] for column in np.flatnonzero(labelled.actions[nearest])] or [""]
        else:
            yield [""]
