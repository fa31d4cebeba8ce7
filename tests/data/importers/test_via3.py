import numpy as np

from avsf_det.data.importers import via3
from avsf_det.data.importers.clock import SECONDS
from tests.data.importers.files import document


def project(**metadata):
    return {
        "project": {
            "pid": "__VIA_PROJECT_ID__",
            "rev": "__VIA_PROJECT_REV_ID__",
            "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
            "pname": "AVA",
            "creator": "VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)",
            "created": 1600000000000,
            "vid_list": ["1", "2"],
        },
        "config": {
            "file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}},
            "ui": {"file_content_align": "center"},
        },
        "attribute": {
            "1": {
                "aname": "Activity",
                "anchor_id": "FILE1_Z2_XY0",
                "type": 4,
                "desc": "",
                "options": {"1": "Break egg", "2": "Mix"},
                "default_option_id": "",
            },
            "2": {
                "aname": "action",
                "anchor_id": "FILE1_Z1_XY1",
                "type": 2,
                "desc": "",
                "options": {"0": "sit", "1": "talk", "2": "read"},
                "default_option_id": "",
            },
            "3": {"aname": "note", "anchor_id": "FILE1_Z1_XY1", "type": 1, "desc": "", "options": {}},
        },
        "file": {
            "1": {"fid": 1, "fname": "clip 1.mp4", "type": 4, "loc": 1, "src": ""},
            "2": {"fid": 2, "fname": "clip2/00012.jpg", "type": 2, "loc": 1, "src": ""},
        },
        "view": {"1": {"fid_list": [1]}, "2": {"fid_list": [2]}},
        "metadata": metadata,
    }


def entry(vid="1", z=(), xy=(), **av):
    return {"vid": vid, "flg": 0, "z": list(z), "xy": list(xy), "av": av}


def read(**metadata):
    file = document(project(**metadata), "via.json")
    assert via3.recognises(file)
    return via3.read(file)


def test_boxes_segments_and_their_options():
    export = read(
        a_x1=entry(z=[1.5], xy=[2, 6.4, 4.8, 32, 24], **{"2": "0,2", "3": "1, not an option"}),
        b=entry(z=[0.5, 2.25], **{"1": "2"}),
        c=entry(vid="2", xy=[2, 1, 1, 10, 10], **{"2": "1"}),
    )
    video, pictures = export.videos
    assert video.names[0] == "clip 1.mp4" and video.clock.unit == SECONDS and video.picture is None
    (track,) = video.tracks
    assert track.places == [1.5] and not export.bad
    np.testing.assert_allclose(track.boxes, [(6.4, 4.8, 38.4, 28.8)])
    assert track.values == [{"action": ("sit", "read"), "note": ("1, not an option",)}]
    assert [(span.start, span.end, span.values) for span in video.spans] == [(0.5, 2.25, {"Activity": ("Mix",)})]
    assert pictures.names == ("clip2",) and pictures.tracks[0].places == [12]


def test_what_cannot_be_used_is_named():
    export = read(
        circle=entry(z=[1], xy=[3, 1, 1, 5]), lost=entry(vid="8", z=[1]), late=entry(z=[1]), odd=entry(z=["x"])
    )
    assert [line.split(":")[1] for line in export.bad] == [
        f" metadata {key}" for key in ("circle", "lost", "late", "odd")
    ]
