"""COCO's JSON of images that are frames, CocoVID's and TAO's with `videos`, YouTube-VIS's with a list of boxes a track.

Formats: https://cocodataset.org/#format-data,
https://github.com/open-mmlab/mmtracking/blob/master/docs/en/tutorials/customize_dataset.md,
https://github.com/TAO-Dataset/tao/blob/master/tao/toolkit/tao/tao.py, https://youtube-vos.org/dataset/vis.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np

from avsf_det.data.importers.clock import FRAMES, Clock
from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import (
    LABEL,
    Export,
    ExportedVideo,
    Track,
    Values,
    number,
    numbers,
    picture_place,
    split_of,
    texts,
)
from avsf_det.data.importers.frames import Frame, FrameVideos, join_boxes

NAME = "COCO JSON"
_FRAME = ("frame_id", "frame_index", "frame_number", "frame")  # of MMTracking, TAO, and others
_PERSON = ("track_id", "instance_id", "person_id", "object_id")
_OWN = {*_PERSON, "id", "image_id", "video_id", "category_id", "bbox", "bboxes", "area", "areas", "segmentation"}
_OWN |= {"segmentations", "iscrowd", "attributes", "keypoints", "num_keypoints", "ignore", "score", "caption"}
_OWN |= {"height", "width", "length"}


def recognises(document: Document) -> bool:
    """Whether this is such a file."""
    data = document.json
    if not isinstance(data, dict) or not isinstance(data.get("annotations"), list):
        return False
    return isinstance(data.get("images"), list) or isinstance(data.get("videos"), list)


def read(document: Document) -> Export:
    """Its boxes, pixels of the images. An annotation's actions are its category, or a text or attribute it has."""
    return _Reader(document).read()


class _Reader:
    """One file."""

    def __init__(self, document: Document) -> None:
        self._name, self._stem, self._data = document.name, document.stem, document.json
        self._export = Export(NAME)
        self._frames = FrameVideos(self._export, document.name, document.stem)
        listed = _dicts(self._data.get("categories"))
        self._categories = {_key(c.get("id")): texts(c.get("name", c.get("id"))) for c in listed}
        self._videos: dict[str, ExportedVideo] = {}
        self._numbers: dict[str, list[float]] = {}  # of the images of a track's list of boxes
        self._images: dict[str, Frame] = {}
        self._skipped: Counter[str] = Counter()

    def read(self) -> Export:
        export = self._export
        for video in _dicts(self._data.get("videos")):
            self._add_video(video)
        self._add_images()
        for order, annotation in enumerate(self._data["annotations"]):
            at = annotation.get("id", order) if isinstance(annotation, dict) else order
            where = f"{self._name}: annotation {at}"
            try:
                self._add_annotation(annotation, where)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                what = str(error) if isinstance(error, LookupError) else f"{type(error).__name__} {error}"
                export.bad.append(f"{where}: {what}; expected image_id of an image, bbox x y w h"[:300])
        self._frames.finish()
        for video in self._videos.values():
            video.tracks = join_boxes(video.tracks)
        export.videos = [video for video in [*self._videos.values(), *export.videos] if video.tracks]
        export.bad += [f"{self._name}: {n} annotations skipped: {why}" for why, n in self._skipped.items()]
        return export

    def _add_video(self, video: dict) -> None:
        names = [video.get(key) for key in ("name", "file_name", "video_name")]
        listed = video.get("file_names")
        files = [n for n in listed if isinstance(n, str)] if isinstance(listed, list) else []
        places = [picture_place(name, "") for name in files]
        names += [place[0] for place in places[:1] if place]
        names = tuple(str(name) for name in names if name) or (str(video.get("id")),)
        key, where = _key(video.get("id")), f"{self._name}: video {video.get('id')}"
        split = split_of(self._stem) or split_of(*names[0].split("/")[:-1])
        count = [place[1] for place in places if place]
        clock = Clock(FRAMES, 0)
        if files and len(count) == len(files) and all(np.diff(count) > 0):
            self._numbers[key] = count
            clock = Clock(FRAMES, None if min(count) else 0)
            if len(count) > 1 and max(np.diff(count)) > 1:
                self._export.notes.append(f"{where}: its file_names are not of all frames; their numbers are used")
        self._videos[key] = ExportedVideo(names, where, clock, _size(video), split)

    def _add_images(self) -> None:
        of_video: dict[str, list[tuple[str, dict]]] = defaultdict(list)
        for image in _dicts(self._data.get("images")):
            key = _key(image.get("video_id"))
            where = f"{self._name}: image {image.get('id')}"
            of_video[key if key in self._videos else ""].append((where, image))
        for where, image in of_video.pop("", ()):
            count = _frame_number(image)
            split = split_of(self._stem)
            frame = self._frames.frame(_file_name(image), where, _size(image), split, count)
            if frame:
                self._images[_key(image.get("id"))] = frame
        for key, images in of_video.items():
            self._settle_numbers(self._videos[key], images)

    def _settle_numbers(self, video: ExportedVideo, images: list[tuple[str, dict]]) -> None:
        """Give a video's images their frame numbers, by their ids or, where these disagree, by their names."""
        found = []
        for where, image in images:
            place, count = picture_place(_file_name(image), ""), _frame_number(image)
            if place is None and count is None:
                self._export.bad.append(f"{where}: no frame number in {_file_name(image)[:100]!r} and no frame_id")
            else:
                found.append((image, place and float(place[1]), count))
        named = [(name, count) for _, name, count in found if name is not None and count is not None]
        apart = {name - count for name, count in named}
        ordered = sorted(named, key=lambda pair: pair[1])
        in_order = all(a[0] < b[0] or a[1] == b[1] for a, b in pairwise(ordered))
        by_name = all(name is not None for _, name, _ in found) and in_order and apart != {1.0}
        if len(apart) > 1 or not apart <= {-1.0, 0.0, 1.0}:
            used = "file_name" if by_name else "frame_id"
            example = next((p for p in named if p[0] != p[1]), named[0])
            self._export.notes.append(
                f"{video.where}: frame_id and the number in file_name disagree (such as {example[1]:g} and "
                f"{example[0]:g}); {used} is used"
            )
        places = [(image, name if by_name or count is None else count) for image, name, count in found]
        if not places:
            return
        least = min(place for _, place in places)
        first = 0 if least < 1 or apart == {1.0} else None if by_name else 1
        video.clock = Clock(FRAMES, first)
        for image, place in places:
            size = _size(image)
            video.picture = video.picture or size
            scale = np.tile(np.array(video.picture) / size, 2) if size else np.ones(4)
            self._images[_key(image.get("id"))] = Frame(video, place, scale)

    def _add_annotation(self, annotation: dict, where: str) -> None:
        if annotation.get("iscrowd") == 1 or annotation.get("ignore") in (1, True):
            self._skipped["iscrowd or ignore is set, so they are not one person"] += 1
            return
        values, person = self._values(annotation), _person(annotation)
        if "bboxes" in annotation:
            self._add_list(annotation, values, person or where, where)
            return
        image = _key(annotation["image_id"])
        if image not in self._images:
            raise KeyError(f"image_id {image} is not in images")
        self._images[image].add(_corners(annotation), values, where, person)

    def _add_list(self, annotation: dict, values: Values, person: str, where: str) -> None:
        key = _key(annotation.get("video_id"))
        if key not in self._videos and "video_id" not in annotation and len(self._videos) == 1:
            key = next(iter(self._videos))
        if key not in self._videos:
            raise KeyError(f"video_id {key} is not in videos")
        video, count = self._videos[key], self._numbers.get(key)
        boxes = annotation["bboxes"] if isinstance(annotation["bboxes"], list) else []
        given = [(i, numbers(box, 4)) for i, box in enumerate(boxes) if box]
        usable = [(i, box) for i, box in given if box and (count is None or i < len(count))]
        if len(usable) < len(given):
            unusable = f"{len(given) - len(usable)} of its {len(given)} boxes"
            self._export.bad.append(f"{where}: {unusable} are not x y w h, or are beyond file_names")
        if not usable:
            raise ValueError("no box in bboxes")
        places = [float(i) if count is None else count[i] for i, _ in usable]
        corners = [(x, y, x + w, y + h) for _, (x, y, w, h) in usable]
        video.tracks.append(Track(places, corners, [values] * len(usable), where, person))

    def _values(self, annotation: dict) -> Values:
        key = _key(annotation.get("category_id"))
        if self._categories and key not in self._categories and "category_id" in annotation:
            raise KeyError(f"category_id {key} is not in categories")
        values = {LABEL: self._categories.get(key, texts(annotation.get("category_id")))}
        others = {name: value for name, value in annotation.items() if name not in _OWN}
        given = annotation.get("attributes")
        for name, value in {**others, **(given if isinstance(given, dict) else {})}.items():
            if not isinstance(value, dict):
                values[str(name)] = texts(value)
        return values


def _dicts(items: object) -> list[dict]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _key(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value == value // 1 else str(value)


def _file_name(image: dict) -> str:
    return str(image.get("file_name") or "")


def _frame_number(image: dict) -> float | None:
    return next((n for n in (number(image.get(key)) for key in _FRAME) if n is not None and n >= 0), None)


def _size(item: dict) -> tuple[float, float] | None:
    size = numbers([item.get("width"), item.get("height")], 2)
    return (size[0], size[1]) if size and min(size) > 0 else None


def _corners(annotation: dict) -> tuple[float, ...]:
    """x1 y1 x2 y2 of an annotation's box or, without one, of its polygons."""
    box = numbers(annotation.get("bbox"), 4)
    if box:
        return box[0], box[1], box[0] + box[2], box[1] + box[3]
    shape = annotation.get("segmentation")
    if annotation.get("bbox") or not shape:
        raise ValueError(f"got {str(annotation.get('bbox'))[:80]} for bbox")
    if isinstance(shape, dict):
        raise ValueError("a mask without bbox")
    points = np.concatenate([np.asarray(polygon, dtype=np.float64) for polygon in shape]).reshape(-1, 2)
    if not len(points) or not (np.abs(points) < 1e9).all():
        raise ValueError("a segmentation without points")
    return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())


def _person(annotation: dict) -> str:
    given = annotation.get("attributes")
    places = {**annotation, **(given if isinstance(given, dict) else {})}
    return next((_key(places[key]) for key in _PERSON if places.get(key) not in (None, "")), "")
