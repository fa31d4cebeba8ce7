import numpy as np
import pytest

from avsf_det.data.importers import via2
from avsf_det.data.importers.export import LABEL
from tests.data.importers.files import document

RECT = {"name": "rect", "x": 6.4, "y": 4.8, "width": 25.6, "height": 19.2}


def image(name, attributes, shape=RECT):
    region = {"shape_attributes": shape, "region_attributes": attributes}
    return {"filename": name, "size": 9, "regions": [region], "file_attributes": {}}


def read(content):
    file = document(content, "via.json")
    assert via2.recognises(file)
    return via2.read(file)


@pytest.mark.parametrize("is_project", [True, False])
def test_read_rectangles_of_project_or_annotations(is_project):
    images = {"a": image("clip_11.jpg", {"action": "walk"}), "b": image("poster.jpg", {"action": "walk"})}
    export = read({"_via_settings": {}, "_via_img_metadata": images} if is_project else images)
    (video,) = export.videos
    (track,) = video.tracks
    assert video.names == ("clip",) and track.places == [11]
    assert track.values == [{LABEL: (), "action": ("walk",)}]
    np.testing.assert_allclose(track.boxes, [(6.4, 4.8, 32, 24)])
    assert export.bad[0].startswith("via.json: b: no frame number")


def test_read_checkboxes_and_regions_of_version_1():
    old = image("clip_11.jpg", {"action": {"walk": True, "run": False}})
    old["regions"] = {"0": old["regions"][0]}
    assert read({"a": old}).videos[0].tracks[0].values[0]["action"] == ("walk",)


def test_read_other_shapes_are_named():
    export = read({"a": image("clip_11.jpg", {}, {"name": "polygon", "all_points_x": [1]})})
    assert export.bad == ["via.json: a, region 0: got a polygon, expected a rect with x, y, width, height"]
