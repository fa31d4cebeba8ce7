"""Boxes of a video's keyframes as labelled rows, with ids of people that hold across files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avsf_det.data.importers.actions import Classes, actions_in
from avsf_det.data.importers.clock import VideoClock
from avsf_det.data.importers.export import ExportedVideo
from avsf_det.data.importers.found import Found
from avsf_det.data.importers.moments import Sighting, sightings

BEYOND = 1.05  # boxes that reach beyond the picture by more than a twentieth are hardly drawn on it
BEYOND_SHARE = 0.25  # ... and where so many of a video do, they are of a picture of another size
LabelRow = tuple[float, tuple[float, float, float, float], int, int]
"""Second, box, class id and person id of a label; the person is -1 where unknown."""


class PersonIds:
    """The ids of a video's people; those of several files are kept apart, unless a box is the same."""

    def __init__(self) -> None:
        self._used: set[int] = set()
        self._boxes: dict[tuple, int] = {}

    def assign(self, video: ExportedVideo, found: Sequence[Sighting]) -> list[int]:
        """A number for each track of a file: its own if all are whole numbers, else by their order; -1 for none."""
        names = list(dict.fromkeys(track.person for track in video.tracks if track.person))
        whole = all(name.isdecimal() and len(name) < 10 for name in names)
        numbers = {name: int(name) if whole else number for number, name in enumerate(names)}
        same = {video.tracks[one.track].person: self._boxes.get((one.time, one.box)) for one in found}
        free = max(self._used | set(numbers.values()), default=-1) + 1
        for name, number in numbers.items():
            if same.get(name) is not None:
                numbers[name] = same[name]
            elif number in self._used:
                numbers[name], free = free, free + 1
        self._used |= set(numbers.values())
        for one in found:
            if person := video.tracks[one.track].person:
                self._boxes[one.time, one.box] = numbers[person]
        return [numbers.get(track.person, -1) for track in video.tracks]


def add_boxes(
    one: Found,
    rows: list[LabelRow],
    classes: Classes,
    attributes: list[str],
    rate: float,
    persons: PersonIds,
    bad: list[str],
) -> tuple[int, int, int]:
    """Add the labels of a video's boxes; how many boxes have none, or are on no keyframe, and repeated labels."""
    if not one.exported.tracks:
        return 0, 0, 0
    clock = VideoClock(one.source, one.info, one.exported.clock, one.places)
    size = one.exported.picture or (one.info.width, one.info.height)
    if not one.exported.picture and (fault := _size_fault(one.exported, size)):
        bad.append(fault)
        return 0, 0, 0
    found, broken = sightings(one.exported, clock, size, rate)
    bad += broken
    ids, without, repeated, known = persons.assign(one.exported, found), 0, 0, set(rows)
    for sighting in found:
        actions = actions_in(sighting.values, attributes)
        without += not actions
        for action in actions:
            row = _row(sighting, classes.find(action), ids[sighting.track])
            if row is None:
                bad.append(f"{sighting.where}: {action!r} is not in the label map; expected one of its classes")
            elif row in known:
                repeated += 1
            else:
                known.add(row)
                rows.append(row)
    rows.sort(key=lambda row: (row[0], row[3]))
    between = len(one.exported.tracks) - len({sighting.track for sighting in found}) - len(broken)
    between = max(between, 0) if all(len(track.places) == 1 for track in one.exported.tracks) else 0
    return without, between, repeated


def _size_fault(video: ExportedVideo, size: tuple[int, int]) -> str:
    """A line on a video's boxes if so many reach beyond its picture that they are of one of another size; else ""."""
    reach = np.concatenate([track.boxes[:, 2:] for track in video.tracks])
    beyond = (reach > BEYOND * np.array(size)).any(axis=1)
    if beyond.mean() < BEYOND_SHARE:
        return ""
    return (
        f"{video.where}: {beyond.sum()} of the {len(beyond)} boxes of {video.names[0]} reach beyond its picture of "
        f"{size[0]}x{size[1]} pixels, to {reach[:, 0].max():g},{reach[:, 1].max():g}; all are left out: if they are of "
        "pictures of another size, say it (in a csv, in columns width and height)"
    )


def _row(sighting: Sighting, class_id: int | None, person: int) -> tuple | None:
    return None if class_id is None else (sighting.time, sighting.box, class_id, person)
