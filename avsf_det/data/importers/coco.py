"""COCO's JSON of pictures that are frames, CocoVID's with `videos`, and YouTube-VIS's with a box list a track."""

from __future__ import annotations

from dataclasses import replace

from avsf_det.data.importers.clock import FRAMES, Clock
from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import LABEL, Export, ExportedVideo, Track, Values, picture_place, split_of, texts

NAME = "COCO JSON"
_FRAME = ("frame_id", "frame_index", "frame_number", "frame")  # of MMTracking, TAO, and others
_PERSON = ("track_id", "instance_id", "person_id", "object_id")
_OWN = {*_PERSON, "id", "image_id", "video_id", "category_id", "bbox", "bboxes", "area", "areas", "segmentation"}
_OWN |= {"segmentations", "iscrowd", "attributes", "keypoints", "num_keypoints", "ignore", "score", "caption"}


def recognises(document: Document) -> bool:
    """Whether this is such a file."""
    data = document.json
    if not isinstance(data, dict) or not isinstance(data.get("annotations"), list):
        return False
    return isinstance(data.get("images"), list) or isinstance(data.get("videos"), list)


def read(document: Document) -> Export:
    """Its boxes, pixels of the pictures. An annotation's actions are its category, or a text or attribute it has."""
    export, data = Export(NAME), document.json
    categories = {c.get("id"): str(c.get("name", c.get("id"))) for c in _dicts(data.get("categories"))}
    videos: dict[object, ExportedVideo] = {}
    for video in _dicts(data.get("videos")):
        names = [video.get(key) for key in ("name", "file_name", "video_name")]
        files = [name for name in video.get("file_names") or () if isinstance(name, str)]
        names += [found[0] for found in [picture_place(name, "") for name in files[:1]] if found]
        names = tuple(str(name) for name in names if name) or (str(video.get("id")),)
        where = f"{document.name}: video {video.get('id')}"
        split = split_of(document.stem) or split_of(*names[0].split("/")[:-1])
        videos[video.get("id")] = ExportedVideo(names, where, Clock(FRAMES, 0), _size(video), split)
    images = {}
    for image in _dicts(data.get("images")):
        place = _place(image, document, videos)
        if place:
            images[image.get("id")] = place
        else:
            export.bad.append(f"{document.name}: image {image.get('id')}: no frame number in {image.get('file_name')}")
    rows: dict[tuple, list] = {}
    for order, annotation in enumerate(data["annotations"]):
        where = f"{document.name}: annotation {annotation.get('id', order) if isinstance(annotation, dict) else order}"
        try:
            values, person = _values(annotation, categories), _person(annotation)
            for key, number, box in _boxes(annotation, images):
                rows.setdefault((key, person or where), []).append((number, box, values, where, person))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            export.bad.append(f"{where}: {type(error).__name__} {error}; expected image_id of an image, bbox x y w h")
    for (key, _), found in rows.items():
        places, boxes, values, where, person = zip(*found)
        videos[key].tracks.append(Track(places, boxes, list(values), where[0], person[0]))
    export.videos = [_with_first(video) for video in videos.values() if video.tracks]
    return export


def _dicts(items: object) -> list[dict]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _size(item: dict) -> tuple[float, float] | None:
    width, height = item.get("width"), item.get("height")
    is_size = isinstance(width, int | float) and isinstance(height, int | float) and width > 0 and height > 0
    return (float(width), float(height)) if is_size else None


def _place(image: dict, document: Document, videos: dict[object, ExportedVideo]) -> tuple[object, float] | None:
    """The key of an image's video, which is added if need be, and its frame number."""
    name = str(image.get("file_name") or "")
    number = next((float(image[key]) for key in _FRAME if isinstance(image.get(key), int | float)), None)
    named = picture_place(name, document.stem)
    key = image.get("video_id")
    if key in videos and (number is not None or named):
        video = videos[key]
        video.picture = video.picture or _size(image)
        if number is None:
            videos[key] = replace(video, clock=Clock(FRAMES, None))
        return key, named[1] if number is None else number
    if not named:
        return None
    key = named[0]
    if key not in videos:
        where = f"{document.name}: image {image.get('id')}"
        split = split_of(*name.split("/")[:-1]) or split_of(document.stem)
        videos[key] = ExportedVideo((key,), where, Clock(FRAMES, None), _size(image), split)
    return key, float(named[1])


def _with_first(video: ExportedVideo) -> ExportedVideo:
    """With frames counted from 1 where no box is at frame 0: CocoVID counts from 0, many converters from 1."""
    if video.clock.first is None:
        return video
    return replace(video, clock=Clock(FRAMES, min(1, int(min(track.places[0] for track in video.tracks)))))


def _boxes(annotation: dict, images: dict) -> list[tuple[object, float, tuple[float, ...]]]:
    if "bboxes" in annotation:
        boxes = enumerate(annotation["bboxes"])
        return [(annotation["video_id"], float(frame), _corners(box)) for frame, box in boxes if box]
    key, number = images[annotation["image_id"]]
    return [(key, number, _corners(annotation["bbox"]))]


def _corners(box: list) -> tuple[float, ...]:
    x, y, width, height = (float(value) for value in box)
    return x, y, x + width, y + height


def _values(annotation: dict, categories: dict) -> Values:
    values = {LABEL: texts(categories.get(annotation.get("category_id"), annotation.get("category_id")))}
    others = {key: value for key, value in annotation.items() if key not in _OWN}
    for key, value in {**others, **(annotation.get("attributes") or {})}.items():
        if not isinstance(value, dict):
            values[str(key)] = texts(value)
    return values


def _person(annotation: dict) -> str:
    places = {**annotation, **(annotation.get("attributes") or {})}
    return next((str(places[key]) for key in _PERSON if places.get(key) not in (None, "")), "")
