import numpy as np

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
