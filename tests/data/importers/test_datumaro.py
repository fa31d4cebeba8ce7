import numpy as np

from avsf_det.data.importers import datumaro
from avsf_det.data.importers.export import LABEL
from tests.data.importers.files import document


def box(**more):
    return {"id": 1, "type": "bbox", "label_id": 1, "bbox": [6.4, 4.8, 25.6, 19.2], "attributes": {}} | more


def read(*items):
    labels = [{"name": "walk", "parent": ""}, {"name": "run", "parent": ""}]
    file = document({"info": {}, "categories": {"label": {"labels": labels}}, "items": items}, "train.json")
    assert datumaro.recognises(file)
    return datumaro.read(file)


def item(id, *annotations, **more):
    return {"id": id, "annotations": annotations, "image": {"size": [48, 64]}} | more


def test_read_tracks_of_frames():
    boxes = box(attributes={"track_id": 3, "occluded": False})
    (video,) = read(item("clip/000011", boxes), item("clip/000001", boxes)).videos
    (track,) = video.tracks
    assert (video.names, video.picture, video.split) == (("clip",), (64, 48), "train")
    np.testing.assert_array_equal(track.places, [1, 11])
    np.testing.assert_allclose(track.boxes, [(6.4, 4.8, 32, 24)] * 2)
    assert track.person == "3" and track.values[0][LABEL] == ("run",)


def test_read_frames_of_cvat_count_from_zero_and_name_no_video():
    (video,) = read(item("frame_000010", box(), attr={"frame": 0})).videos
    assert video.unnamed and video.clock.first == 0 and video.tracks[0].places == [10]


def test_read_names_without_number_take_the_attribute():
    (video,) = read(item("poster", box(), attr={"frame": 7})).videos
    assert video.tracks[0].places == [7]


def test_read_labels_of_neighboring_frames_are_one_span():
    (video,) = read(*(item(f"clip/{n:03d}", {"type": "label", "label_id": 0}) for n in (4, 5, 6))).videos
    assert [(s.start, s.end, s.values) for s in video.spans] == [(4, 7, {LABEL: ("walk",)})]


def test_read_other_shapes_are_named_and_rotated_boxes_enclosed():
    export = read(item("clip/1", box(attributes={"rotation": 90}), box(type="polygon")))
    np.testing.assert_allclose(export.videos[0].tracks[0].boxes, [(9.6, 1.6, 28.8, 27.2)])
    assert export.bad == ["train.json: item clip/1, annotation 1: got polygon, expected a bbox x y w h or a label"]
    assert any("1 rotated boxes" in note for note in export.notes)
