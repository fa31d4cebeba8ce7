import numpy as np
import pytest

from avsf_det.data.importers import voc
from avsf_det.data.importers.export import LABEL
from tests.data.importers.files import document


def annotation(filename, more="", name="walk", folder="x"):
    return f"""<annotation><folder>{folder}</folder><filename>{filename}</filename>
    <size><width>64</width><height>48</height><depth>3</depth></size><object><name>{name}</name>
    <bndbox><xmin>6.4</xmin><ymin>4.8</ymin><xmax>32</xmax><ymax>24</ymax></bndbox>{more}</object></annotation>"""


def read(files):
    files = [document(content, name) for name, content in files.items()]
    assert all(voc.recognises(file) for file in files)
    return voc.read(files, [], None)


def test_read_files_are_frames_of_one_video():
    export = read({f"Annotations/clip_{n:06d}.xml": annotation(f"clip_{n:06d}.jpg") for n in (1, 11)})
    (video,) = export.videos
    assert video.names == ("clip",) and video.picture == (64, 48)
    assert [track.places[0] for track in video.tracks] == [1, 11]
    np.testing.assert_allclose(video.tracks[0].boxes, [(6.4, 4.8, 32, 24)])


@pytest.mark.parametrize(("path", "folder"), [("clip/000011.xml", ""), ("000011.xml", "clip")])
def test_read_image_without_video_name_takes_folder(path, folder):
    (video,) = read({path: annotation("000011.jpg", folder=folder)}).videos
    assert video.names[0] == "clip" and video.tracks[0].places == [11]


def test_read_frames_of_cvat_name_no_video():
    (video,) = read({"Annotations/frame_000010.xml": annotation("frame_000010.PNG", folder="")}).videos
    assert video.unnamed and video.clock.first == 0 and video.tracks[0].places == [10]


def test_read_actions_and_attributes():
    more = """<actions><walking>1</walking><jumping>0</jumping></actions><attributes>
    <attribute><name>track_id</name><value>5</value></attribute></attributes>"""
    (video,) = read({"clip_1.xml": annotation("clip_1.jpg", more, "person")}).videos
    (track,) = video.tracks
    assert track.values[0] == {LABEL: ("person",), "track_id": ("5",), "action": ("walking",)} and track.person == "5"


def test_read_object_without_box_is_named():
    export = read({"clip_1.xml": annotation("clip_1.jpg").replace("6.4", "left")})
    assert export.bad == ["clip_1.xml: object 0: no bndbox with xmin, ymin, xmax and ymax"]


def test_read_rotation_takes_the_enclosing_box():
    more = "<attributes><attribute><name>rotation</name><value>90.0</value></attribute></attributes>"
    (video,) = read({"clip_1.xml": annotation("clip_1.jpg", more)}).videos
    np.testing.assert_allclose(video.tracks[0].boxes, [(9.6, 1.6, 28.8, 27.2)])
