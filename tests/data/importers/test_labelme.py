import numpy as np

from avsf_det.data.importers import labelme
from avsf_det.data.importers.export import LABEL
from tests.data.importers.files import document


def annotation(image, **more):
    shape = {"label": "walk", "points": [[32, 24], [6.4, 4.8]], "group_id": None, "shape_type": "rectangle"}
    return {"version": "5.4.1", "imagePath": image, "imageHeight": 48, "imageWidth": 64, "shapes": [shape | more]}


def read(files):
    files = [document(content, name) for name, content in files.items()]
    assert all(labelme.recognises(file) for file in files)
    return labelme.read(files, [], None)


def test_read_files_are_frames_of_one_video():
    export = read({f"clip_{n}.json": annotation(f"..\\images\\clip_{n}.jpg") for n in (1, 11)})
    (video,) = export.videos
    assert video.names == ("clip",) and video.picture == (64, 48)
    assert [track.places[0] for track in video.tracks] == [1, 11]
    np.testing.assert_allclose(video.tracks[0].boxes, [(6.4, 4.8, 32, 24)])


def test_read_folder_names_the_video():
    assert read({"clip/000011.json": annotation("000011.jpg")}).videos[0].names == ("clip",)


def test_read_groups_are_people_and_flags_attributes():
    export = read({f"clip_{n}.json": annotation(f"clip_{n}.jpg", group_id=5, flags={"run": True}) for n in (1, 11)})
    (track,) = export.videos[0].tracks
    assert track.person == "5" and track.values[0] == {LABEL: ("walk",), "run": ("true",)}
    assert any("group_id" in note for note in export.notes)


def test_read_other_shapes_are_named():
    export = read({"clip_1.json": annotation("clip_1.jpg", shape_type="polygon")})
    assert export.bad == ["clip_1.json: shape 0: got a polygon of 2 points, expected a rectangle"]
