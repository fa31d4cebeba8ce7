import numpy as np
import pytest

from avsf_det.data.importers import coco
from avsf_det.data.importers.export import LABEL
from tests.data.importers.files import document

CATEGORIES = [{"id": 1, "name": "walk", "supercategory": "action"}, {"id": 2, "name": "sit", "supercategory": "action"}]


def read(data, name="instances.json"):
    file = document(data, name)
    assert coco.recognises(file)
    return coco.read(file)


def image(id, file_name, **more):
    return {"id": id, "file_name": file_name, "width": 64, "height": 48, "license": 0, **more}


def annotation(id, image_id, category_id=1, **more):
    box = {"bbox": [6.4, 4.8, 32, 24], "area": 768.0, "iscrowd": 0, "segmentation": []}
    return {"id": id, "image_id": image_id, "category_id": category_id, **box, **more}


def test_pictures_are_frames_of_the_videos_in_their_names():
    images = [image(1, "val/clip 1/000011.jpg"), image(2, "clip2_frame_0021.png"), image(3, "poster.jpg")]
    boxes = [
        annotation(1, 1, attributes={"occluded": False, "track_id": 4}),
        annotation(2, 2, 2),
        annotation(3, 3),
        annotation(4, 99),
        {"id": 5, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3]},
    ]
    export = read({"images": images, "annotations": boxes, "categories": CATEGORIES}, "train.json")
    first, second = export.videos
    assert (first.names, first.split, first.picture) == (("val/clip 1",), "val", (64, 48))
    assert (second.names, second.split) == (("clip2",), "train")
    assert first.tracks[0].person == "4" and first.tracks[0].places == [11]
    np.testing.assert_allclose(first.tracks[0].boxes, [(6.4, 4.8, 38.4, 28.8)])
    assert first.tracks[0].values[0] == {LABEL: ("walk",), "occluded": ("false",), "track_id": ("4",)}
    where = [line.split(": ")[1] for line in export.bad]
    assert where == ["image 3", "annotation 3", "annotation 4", "annotation 5"]


def test_video_ids_and_frame_numbers_make_tracks():
    images = [image(n, f"x/{n}.jpg", video_id=7, frame_id=n - 1) for n in (1, 2, 3)]
    boxes = [annotation(n, n, instance_id=5, video_id=7, action="run" if n < 3 else "stop") for n in (3, 1, 2)]
    data = {"videos": [{"id": 7, "name": "clip 1"}], "images": images, "annotations": boxes, "categories": CATEGORIES}
    (video,) = read(data).videos
    (track,) = video.tracks
    np.testing.assert_array_equal(track.places, [0, 1, 2])
    assert [value["action"] for value in track.values] == [("run",), ("run",), ("stop",)]
    assert video.names == ("clip 1",) and video.clock.first == 0


def test_frame_numbers_from_one_are_seen():
    images = [image(n, "", video_id=7, frame_id=n) for n in (1, 2)]
    data = {"videos": [{"id": 7, "file_name": "clip 1.mp4"}], "images": images, "annotations": [annotation(1, 2)]}
    assert read(data).videos[0].clock.first == 1


def test_a_track_may_be_one_annotation_with_a_box_a_frame():
    videos = [{"id": 1, "width": 64, "height": 48, "length": 3, "file_names": [f"clip2/0000{n}.jpg" for n in range(3)]}]
    boxes = [{"id": 1, "video_id": 1, "category_id": 2, "bboxes": [None, [1, 2, 3, 4], [2, 2, 3, 4]], "areas": []}]
    (video,) = read({"videos": videos, "annotations": boxes, "categories": CATEGORIES}).videos
    assert video.names == ("clip2",)
    np.testing.assert_allclose(video.tracks[0].boxes, [(1, 2, 4, 6), (2, 2, 5, 6)])


def of_video(pairs, boxes=None, **more):
    """A file with images (file_name, frame_id) of one video, and a box on each."""
    images = [image(n, name, video_id=7, frame_id=frame) for n, (name, frame) in enumerate(pairs)]
    boxes = [annotation(n, n, instance_id=1) for n in (range(len(pairs)) if boxes is None else boxes)]
    return {
        "videos": [{"id": 7, "name": "clip"}],
        "images": images,
        "annotations": boxes,
        "categories": CATEGORIES,
    } | more


@pytest.mark.parametrize(
    ("pairs", "places", "first", "used"),
    [
        ([("c/000000.jpg", 0), ("c/000025.jpg", 1), ("c/000050.jpg", 2)], [0, 25, 50], 0, "file_name"),
        ([("c/000001.jpg", 0), ("c/000026.jpg", 1)], [1, 26], None, "file_name"),
        ([("c/000001.jpg", 0), ("c/000002.jpg", 1)], [0, 1], 0, ""),
        ([("c/000006.jpg", 5), ("c/000011.jpg", 10)], [5, 10], 0, ""),
        ([("c/000006.jpg", 6), ("c/000011.jpg", 11)], [6, 11], None, ""),
        ([("c/000005.jpg", 6), ("c/000010.jpg", 11)], [5, 10], None, ""),
        ([("c/ab77.jpg", 0), ("c/de12.jpg", 10), ("c/0f3.jpg", 20)], [0, 10, 20], 0, "frame_id"),  # hashes
        ([("", 3), ("", 4)], [3, 4], 1, ""),
    ],
)
def test_frame_ids_and_names_that_disagree_are_noted(pairs, places, first, used):
    export = read(of_video(pairs))
    (video,) = export.videos
    np.testing.assert_array_equal(video.tracks[0].places, places)
    assert video.clock.first == first
    notes = [note for note in export.notes if "disagree" in note]
    assert [note.rpartition("; ")[2] for note in notes] == ([f"{used} is used"] if used else [])


def test_first_frame_is_found_by_all_images_not_those_with_boxes():
    assert read(of_video([("", 0), ("", 5)], [1])).videos[0].clock.first == 0


def test_lists_of_boxes_take_the_numbers_of_file_names():
    names = [f"clip2/{n:05d}.jpg" for n in (1, 6, 11)]
    boxes = [{"id": 1, "category_id": 2, "bboxes": [None, [1, 2, 3, 4], [2, 2, 3, 4], [0, 0, 1, 1]]}]
    export = read({"videos": [{"id": 1, "file_names": names}], "annotations": boxes, "categories": CATEGORIES})
    np.testing.assert_array_equal(export.videos[0].tracks[0].places, [6, 11])
    assert len(export.bad) == 1 and "beyond file_names" in export.bad[0]


def test_crowds_are_ignored_and_counted():
    boxes = [annotation(1, 1), annotation(2, 1, iscrowd=1), annotation(3, 1, ignore=True)]
    export = read({"images": [image(1, "c/1.jpg")], "annotations": boxes, "categories": CATEGORIES})
    assert len(export.videos[0].tracks) == 1 and "2 annotations skipped" in export.bad[0]


def test_labels_of_the_same_box_of_a_track_are_united():
    boxes = [annotation(n, 1, n, track_id=4) for n in (1, 2)]
    export = read({"images": [image(1, "c/1.jpg")], "annotations": boxes, "categories": CATEGORIES})
    assert export.videos[0].tracks[0].values[0][LABEL] == ("walk", "sit")


def test_box_without_bbox_is_that_of_its_polygons():
    shape = [[5, 6, 30, 6, 30, 20], [1, 9, 2, 9, 2, 40]]
    boxes = [annotation(1, 1, bbox=[], segmentation=shape), annotation(2, 1, bbox=None, segmentation={"counts": "x"})]
    export = read({"images": [image(1, "c/1.jpg")], "annotations": boxes, "categories": CATEGORIES})
    np.testing.assert_allclose(export.videos[0].tracks[0].boxes, [(1, 6, 30, 40)])
    assert "a mask without bbox" in export.bad[0]


@pytest.mark.parametrize("value", [10**400, float("inf"), float("nan"), None, "x", [1], True])
def test_numbers_that_are_none_are_named(value):
    boxes = [annotation(1, 1, bbox=[value, 1, 2, 3]), annotation(2, 1)]
    export = read({"images": [image(1, "c/1.jpg")], "annotations": boxes, "categories": CATEGORIES})
    assert len(export.videos[0].tracks) == 1 and export.bad[0].startswith("instances.json: annotation 1: ")


def test_category_that_is_not_listed_is_named():
    export = read({"images": [image(1, "c/1.jpg")], "annotations": [annotation(1, 1, 9)], "categories": CATEGORIES})
    assert "category_id 9 is not in categories" in export.bad[0]
