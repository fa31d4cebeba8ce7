"""What is wrong in the csv files of a dataset: small functions that yield findings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from avsf_det.data.ava_csv import IN_PIXELS, IS_EMPTY, WITHOUT_BOX, BoxTable, read_boxes
from avsf_det.data.finding import ERROR, FACT, WARNING, Finding
from avsf_det.data.keyframes import paired_iou
from avsf_det.data.survey import Survey
from avsf_det.errors import UserError

RARE = 20  # labels of a class in the training split
OUTSIDE = 0.01  # of the picture's side; annotation tools round by less
TINY = 0.01  # of the picture's side: 2 or 3 pixels of what the model sees
SAME_BOX = 0.95  # IoU of two persons that are taken for one, drawn twice

BAD_ROWS = {
    IN_PIXELS: ("boxes are in pixels", "divide x by the width and y by the height of the picture"),
    WITHOUT_BOX: ("labels have no box", "draw a box around who does it, or delete the rows"),
    IS_EMPTY: ("boxes are empty or outside the picture", "mend or delete the rows; x1 < x2 and y1 < y2"),
    "": ("rows cannot be read", "mend or delete the rows"),
}
"""What the text of a bad row says -> what is wrong, and its cure; the first that fits."""


def label_maps(survey: Survey) -> Iterator[Finding]:
    """How many classes there are, and whether the labels are theirs."""
    folder = survey.folder
    classes, scored = len(folder.label_map), len(folder.scored_label_map)
    yield Finding(FACT, f"{classes} classes, of which {scored} count in mAP", str(folder.label_map_path))
    for split in survey.splits:
        items, ids, labels = [], set(), sum(map(len, split.tables))
        for table in split.tables:
            unknown = np.flatnonzero(~np.isin(table.actions, folder.label_map.ids))
            items += [f"{_place(table, row)}: id {table.actions[row]}" for row in unknown]
            ids |= set(table.actions[unknown].tolist())
        if len(items) == labels:
            cure = "take the label map that belongs to this csv (AVA.LABEL_MAP_FILE)"
            yield Finding(ERROR, "no label is of a class of the label map", split.name, cure)
        elif items:
            what = f"{len(items)} labels of {len(ids)} classes that the label map lacks"
            cure = "add the classes to the label map; as it is, their labels do not count"
            yield Finding(WARNING, what, split.name, cure, tuple(items))


def tables(survey: Survey) -> Iterator[Finding]:
    """What the csv files of the splits hold."""
    for split in survey.splits:
        found = split.keyframes
        where = f"{split.name} ({', '.join(table.path.name for table in split.tables)})"
        labels, videos = found.class_counts.sum(), len(found.by_video())
        yield Finding(
            FACT, f"{len(found)} keyframes of {videos} videos, {len(found.boxes)} persons, {labels} labels", where
        )
    for name, error in survey.unread.items():
        yield Finding(ERROR, error, name, "put the csv there, or set AVA.GROUNDTRUTH_FILE or AVA.ANNOTATION_DIR")


def bad_rows(survey: Survey) -> Iterator[Finding]:
    """Rows that cannot be used, by what is wrong with them."""
    for split in survey.splits:
        yield from _bad(split.name, [row for table in split.tables for row in table.bad])


def box_sizes(survey: Survey) -> Iterator[Finding]:
    """Boxes that reach beyond the picture, and such as are too small to show anything."""
    for split in survey.splits:
        beyond, tiny = [], []
        for table in split.tables:
            sides = table.boxes[:, 2:] - table.boxes[:, :2]
            for row in np.flatnonzero(table.outside > OUTSIDE):
                beyond.append(f"{_place(table, row)}: by {table.outside[row]:.3g} of its side")
            for row in np.flatnonzero(sides.min(axis=1) < TINY):
                tiny.append(f"{_place(table, row)}: {sides[row, 0]:.3g} x {sides[row, 1]:.3g} of the picture")
        if beyond:
            cure = "see that the boxes are of these videos; they are clipped to the picture"
            yield Finding(WARNING, f"{len(beyond)} boxes reach beyond the picture", split.name, cure, tuple(beyond))
        if tiny:
            cure = "mend or delete them: there is nothing to see in a box of this size"
            yield Finding(WARNING, f"{len(tiny)} boxes are tiny", split.name, cure, tuple(tiny))


def repetitions(survey: Survey) -> Iterator[Finding]:
    """Rows that are there twice, and persons that have two boxes on top of each other."""
    for split in survey.splits:
        rows, persons = [], []
        for table in split.tables:
            rows += [f"{_place(table, b)} repeats line {table.lines[a]}" for a, b in _equal_rows(table)]
            persons += [f"{_place(table, b)} has the box of line {table.lines[a]}" for a, b in _equal_boxes(table)]
        if rows:
            cure = "delete the repetitions; they count once"
            yield Finding(WARNING, f"{len(rows)} rows are duplicates", split.name, cure, tuple(rows))
        if persons:
            what = f"{len(persons)} persons have a duplicate: two boxes with an IoU of {SAME_BOX:g} or more"
            cure = "give a person one box and one id, in all rows of a keyframe; as it is, finding one misses the other"
            yield Finding(WARNING, what, split.name, cure, tuple(persons))


def shared_ids(survey: Survey) -> Iterator[Finding]:
    """Person ids that two different boxes of a keyframe have."""
    for split in survey.splits:
        items = [
            f"{_place(table, b)}: {table.video_names[table.videos[b]]} at {table.times[b]:g}, person "
            f"{table.persons[b]} has another box in line {table.lines[a]}"
            for table in split.tables
            for a, b in _shared_ids(table)
        ]
        if items:
            what = f"{len(items)} person ids have several boxes on one keyframe"
            cure = "give each person of a keyframe an id of its own, or -1"
            yield Finding(WARNING, what, split.name, cure, tuple(items))


def exclusions(survey: Survey) -> Iterator[Finding]:
    """The excluded timestamps."""
    for split in survey.splits:
        path = survey.folder.exclusion_path(split.name)
        if path is None:
            yield Finding(FACT, "no csv of excluded timestamps (AVA.EXCLUSION_FILE)", split.name)
        else:
            yield Finding(FACT, f"{split.excluded.sum()} keyframes left out by {path.name}", split.name)


def classes(survey: Survey) -> Iterator[Finding]:
    """Classes that training sees seldom or never, and such as evaluation cannot tell anything about."""
    names = survey.folder.label_map.names
    if survey.splits:
        counts = zip(*(split.keyframes.class_counts.tolist() for split in survey.splits))
        each = "; ".join(f"{name} {' / '.join(map(str, own))}" for name, own in zip(names, counts))
        yield Finding(FACT, each, f"labels in {' / '.join(split.name for split in survey.splits)}")
    for split in survey.splits:
        counts = split.keyframes.class_counts
        never = tuple(name for name, count in zip(names, counts) if not count)
        if split.name != survey.split_names[0]:
            scored = tuple(name for name in never if name in survey.folder.scored_label_map.names)
            if scored:
                what = f"{len(scored)} classes have no example to validate on"
                cure = "move a video that shows them from the training split; as it is, mAP is the mean of the others"
                yield Finding(WARNING, what, split.name, cure, scored)
            continue
        rare = tuple(f"{name} {count}" for name, count in zip(names, counts) if 0 < count < RARE)
        if never:
            yield Finding(WARNING, f"{len(never)} classes have no label", split.name, items=never)
        if rare:
            yield Finding(WARNING, f"{len(rare)} classes have fewer than {RARE} labels", split.name, items=rare)


def splits_apart(survey: Survey) -> Iterator[Finding]:
    """Whether a video is both trained on and evaluated."""
    if len(survey.splits) == 2:
        one, other = survey.splits
        both = sorted(set(one.keyframes.by_video()) & set(other.keyframes.by_video()))
        if both:
            items = tuple(f"{other.first_row(video)}: {video}" for video in both)
            cure = "a model is to be evaluated on videos it was not trained on: take them out of one csv"
            yield Finding(ERROR, f"{len(both)} videos in both", f"{one.name} and {other.name}", cure, items)


def predicted_boxes(survey: Survey) -> Iterator[Finding]:
    """The csv files of predicted persons."""
    threshold = survey.folder.score_threshold
    for split in survey.splits:
        paths = [(path, True) for path in survey.folder.train_box_paths(split.name)]
        test = survey.folder.test_box_path(split.name) if split.name == survey.split_names[-1] else None
        for path, trains in [*paths, *([(test, False)] if test else [])]:
            key = "AVA.TRAIN_PREDICT_BOX_LISTS" if trains else "AVA.TEST_PREDICT_BOX_LISTS"
            try:
                table = read_boxes(path, predicted=True)
            except UserError as error:
                without = "train on the ground truth alone" if trains else "evaluate with the ground truth's boxes"
                yield Finding(ERROR, str(error), split.name, f"put the csv there, or {without}: {key} []")
                continue
            yield from _bad(path.name, table.bad)
            sure = table.scores >= threshold
            text = f"{sure.sum()} of {len(table)} predicted boxes have a score of {threshold:g} or more"
            if trains:
                good = split.keyframes.with_predicted(table, threshold)[1]
                text += f", of which {good} persons fit the ground truth"
            else:
                good = len(set(table.video_names) & set(split.keyframes.video_names))
                text += f"; {good} of {len(split.keyframes.video_names)} videos have boxes"
            cure = "" if good else f"take the file of this split and version ({key})"
            where = f"{split.name} ({path.name})"
            yield Finding(FACT if good else ERROR, text, where, cure)
            if good and not trains:
                yield from _without_boxes(split, table, sure, where)


def _without_boxes(split: object, table: BoxTable, sure: np.ndarray, where: str) -> Iterator[Finding]:
    """Labelled keyframes on which nobody is predicted."""
    items = []
    for video, times in split.keyframes.select(~split.excluded).by_video().items():
        of_video = table.videos == table.video_names.index(video) if video in table.video_names else False
        alone = np.setdiff1d(times, table.times[sure & of_video])
        items += [f"{split.first_row(video, time)}: {video} at {time:g}" for time in alone]
    if items:
        what = f"{len(items)} keyframes have labels but no predicted box"
        cure = "make the boxes anew (avsf-det detector boxes), or lower AVA.DETECTION_SCORE_THRESH"
        yield Finding(WARNING, what, where, cure, tuple(items))


def _bad(where: str, rows: list[str]) -> Iterator[Finding]:
    for sign, (what, cure) in BAD_ROWS.items():
        items = tuple(row for row in rows if sign in row)
        rows = [row for row in rows if sign not in row]
        if items:
            yield Finding(ERROR, f"{len(items)} bad rows: {what}", where, cure, items)


def _place(table: BoxTable, row: int) -> str:
    return f"{table.path}:{table.lines[row]}"


def _equal_rows(table: BoxTable) -> list[tuple[int, int]]:
    """Pairs of rows of which the second says what the first says."""
    order = np.lexsort((table.persons, table.actions, *table.boxes.T, table.times, table.videos))
    columns = (table.videos, table.times, *table.boxes.T, table.actions, table.persons)
    same = np.logical_and.reduce([column[order][1:] == column[order][:-1] for column in columns])
    return sorted(zip(order[:-1][same].tolist(), order[1:][same].tolist()), key=lambda pair: pair[1])


def _shared_ids(table: BoxTable) -> list[tuple[int, int]]:
    """Pairs of rows with the same person id on a keyframe and different boxes; each box of a person once."""
    order = np.lexsort((np.arange(len(table)), table.persons, table.times, table.videos))
    columns = (table.videos, table.times, table.persons)
    same = np.logical_and.reduce([column[order][1:] == column[order][:-1] for column in columns])
    other = (table.boxes[order][1:] != table.boxes[order][:-1]).any(axis=1) & (table.persons[order][1:] >= 0)
    pairs = {}
    for a, b in zip(order[:-1][same & other].tolist(), order[1:][same & other].tolist()):
        pairs.setdefault((int(table.videos[b]), float(table.times[b]), int(table.persons[b])), (a, b))
    return sorted(pairs.values(), key=lambda pair: pair[1])


def _equal_boxes(table: BoxTable) -> list[tuple[int, int]]:
    """Pairs of rows that stand for two persons of a keyframe whose boxes are nearly the same."""
    order = np.lexsort((*table.boxes.T, table.persons, table.times, table.videos))
    columns = [column[order] for column in (table.videos, table.times, table.persons, *table.boxes.T)]
    new = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    persons = order[np.flatnonzero(np.append(True, new))] if len(order) else order
    videos, times, boxes = table.videos[persons], table.times[persons], table.boxes[persons]
    pairs = []
    for shift in range(1, len(persons)):
        together = (videos[shift:] == videos[:-shift]) & (times[shift:] == times[:-shift])
        if not together.any():
            break
        at = np.flatnonzero(together)
        close = at[paired_iou(boxes[at], boxes[at + shift]) >= SAME_BOX]
        pairs += [sorted(pair) for pair in zip(persons[close].tolist(), persons[close + shift].tolist())]
    return sorted(map(tuple, pairs), key=lambda pair: pair[1])
