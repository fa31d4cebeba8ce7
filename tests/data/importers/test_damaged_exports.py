"""Exports with parts dropped or replaced: a dataset or a UserError, and everything skipped is named."""

import copy
import json
from xml.etree import ElementTree

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from avsf_det.data.importers.dataset import ImportOptions, import_export
from avsf_det.errors import UserError
from tests.data.importers.files import film

BOX = [6.4, 4.8, 25.6, 19.2]
KEYFRAME = {"frame": 5, "time": 0.2, "x": 1, "y": 2, "width": 30, "height": 40, "enabled": True, "rotation": 0}
RECT = {"name": "rect", "x": 6.4, "y": 4.8, "width": 25.6, "height": 19.2}
DETECTION = {"_cls": "Detection", "label": "a", "bounding_box": [0.1, 0.1, 0.4, 0.4], "index": 1}
EVENT = {"_cls": "TemporalDetection", "label": "b", "support": [1, 9]}
COCO = {
    "videos": [{"id": 1, "name": "clip", "width": 64, "height": 48}],
    "images": [
        {"id": n, "file_name": f"clip/{n:03d}.jpg", "video_id": 1, "frame_id": n - 1, "width": 64, "height": 48}
        for n in (1, 2)
    ],
    "annotations": [
        {"id": n, "image_id": n, "category_id": 1, "bbox": BOX, "iscrowd": 0, "attributes": {"track_id": 4}}
        for n in (1, 2)
    ],
    "categories": [{"id": 1, "name": "walk"}],
}
RESULTS = [
    {
        "id": "a",
        "type": "videorectangle",
        "value": {"labels": ["x"], "sequence": [KEYFRAME], "framesCount": 40, "duration": 4},
    },
    {"id": "b", "type": "timelinelabels", "value": {"ranges": [{"start": 1, "end": 9}], "timelinelabels": ["y"]}},
    {"id": "c", "type": "labels", "to_name": "audio", "value": {"start": 0.5, "end": 2, "labels": ["z"]}},
    {"id": "d", "type": "taxonomy", "from_name": "t", "value": {"taxonomy": [["q", "r"]]}},
]
SAMPLES = {
    "coco": COCO,
    "ytvis": {
        "videos": [{"id": 1, "file_names": ["clip/1.jpg", "clip/11.jpg"]}],
        "annotations": [{"id": 1, "video_id": 1, "category_id": 1, "bboxes": [None, BOX]}],
        "categories": [{"id": 1, "name": "walk"}],
    },
    "label_studio": [
        {
            "id": 1,
            "data": {"video": "clip.mp4", "split": "train"},
            "annotations": [{"id": 1, "result": RESULTS, "updated_at": "2024"}, {"id": 2, "result": RESULTS}],
            "predictions": [],
        }
    ],
    "via3": {
        "file": {"1": {"fname": "clip.mp4", "type": 4, "src": ""}},
        "view": {"1": {"fid_list": ["1"]}},
        "attribute": {"1": {"aname": "action", "type": 4, "options": {"0": "walk"}}},
        "metadata": {
            "a": {"vid": "1", "z": [1], "xy": [2, *BOX], "av": {"1": "0"}},
            "b": {"vid": "1", "z": [1, 2], "xy": [], "av": {"1": "0"}},
        },
    },
    "via2": {
        "a": {
            "filename": "clip_001.jpg",
            "regions": [{"shape_attributes": RECT, "region_attributes": {"action": {"walk": True}}}],
            "file_attributes": {},
        }
    },
    "labelme": {
        "imagePath": "clip_001.jpg",
        "imageWidth": 64,
        "imageHeight": 48,
        "shapes": [
            {"label": "a", "points": [[1, 2], [30, 40]], "shape_type": "rectangle", "group_id": 1, "flags": {"f": True}}
        ],
    },
    "datumaro": {
        "categories": {"label": {"labels": [{"name": "walk"}]}},
        "items": [
            {
                "id": "clip/001",
                "annotations": [
                    {"id": 1, "type": "bbox", "label_id": 0, "bbox": BOX, "attributes": {"rotation": 5.0}},
                    {"id": 2, "type": "label", "label_id": 0},
                ],
                "attr": {"frame": 1},
                "image": {"size": [48, 64]},
            }
        ],
    },
    "fiftyone": {
        "samples": [
            {
                "_id": {"$oid": "1"},
                "filepath": "clip.mp4",
                "tags": ["train"],
                "events": {"_cls": "TemporalDetections", "detections": [EVENT]},
                "scene": {"_cls": "Classification", "label": "c"},
                "frames": {"1": {"frame_number": 1, "d": {"_cls": "Detections", "detections": [DETECTION]}}},
            }
        ]
    },
    "labels": {"classes": ["run"], "labels": {"clip": [{"label": 0, "support": [1, 9], "timestamps": [0, 1]}]}},
}
XML = {
    "cvat": """<annotations><version>1.1</version><meta><task><id>1</id><mode>interpolation</mode><frame_filter>step=2
    </frame_filter><original_size><width>64</width><height>48</height></original_size><source>clip.mp4</source></task>
    </meta><track id="0" label="walk"><box frame="0" outside="0" xtl="6" ytl="4" xbr="32" ybr="24" rotation="9">
    <attribute name="action">run</attribute></box><box frame="30" outside="1" xtl="6" ytl="4" xbr="32" ybr="24"/>
    </track>
    <image id="2" name="frame_000002" width="64" height="48"><tag label="sit"/></image></annotations>""",
    "voc": """<annotation><filename>clip_001.jpg</filename><size><width>64</width><height>48</height></size>
    <object><name>walk</name><bndbox><xmin>6</xmin><ymin>4</ymin><xmax>32</xmax><ymax>24</ymax></bndbox></object>
    </annotation>""",
}
ODD = [None, True, -1, 0, 3.5, 10**400, 1e300, float("inf"), float("-inf"), float("nan"), "", "x", "1e999", "clip"]
ODD += [[], {}, [None], [[]], {"a": None}, [10**400], "\x00\ud800"[:1], "../../../etc/passwd"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return film_in(tmp_path_factory.mktemp("clip"))


def film_in(folder):
    film(folder / "clip.mp4", 40)
    return folder


def places(node, path=()):
    """The paths of all values in a JSON document."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def changed(sample, changes):
    """A copy, in which values are replaced or, for "drop", removed."""
    sample = copy.deepcopy(sample)
    for at, value in changes:
        found = list(places(sample))
        if not found:
            break
        *path, last = found[at % len(found)]
        parent = sample
        for key in path:
            parent = parent[key]
        if value == "drop":
            del parent[last]
        else:
            parent[last] = copy.deepcopy(value)
    return sample


CHANGES = st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(["drop", *ODD])), min_size=1, max_size=3)
MANY = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def import_or_refuse(path, clip):
    """Import; what comes is usable: boxes and spans within the video, everything else named."""
    try:
        imported = import_export(path, clip, ImportOptions(rate=2.0))
    except UserError as error:
        assert "\n" not in str(error)
        return
    assert all(isinstance(line, str) and line for line in imported.bad)
    for video in imported.videos:
        boxes = np.array([row[1] for row in video.rows]).reshape(-1, 4)
        assert ((boxes >= 0) & (boxes <= 1)).all() and (boxes[:, :2] < boxes[:, 2:]).all()
        assert all(0 <= row[0] <= 4 for row in video.rows)
        assert all(0 <= start < end <= 4 for start, end, _ in video.spans)
    imported.summary()


@pytest.mark.parametrize("name", SAMPLES)
def test_json_export_as_it_should_be_is_imported(name, tmp_path, clip):
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(SAMPLES[name]))
    assert import_export(path, clip, ImportOptions(actions="label" if name == "label_studio" else "")).videos


@pytest.mark.parametrize("name", SAMPLES)
@MANY
@given(changes=CHANGES)
def test_json_export_with_odd_values_is_imported_or_refused(name, changes, tmp_path, clip):
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(changed(SAMPLES[name], changes)))
    import_or_refuse(path, clip)


@pytest.mark.parametrize("name", XML)
@MANY
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(["drop", *map(str, ODD)])), max_size=3))
def test_xml_export_with_odd_values_is_imported_or_refused(name, changes, tmp_path, clip):
    root = ElementTree.fromstring(XML[name])
    for at, value in changes:
        elements = list(root.iter())
        element = elements[at % len(elements)]
        keys = [*element.keys(), None]
        key = keys[at // len(elements) % len(keys)]
        value = value.replace("\x00", "")
        if key is None:
            element.text = value
            element[:] = [] if value == "drop" else element[:]
        elif value == "drop":
            del element.attrib[key]
        else:
            element.set(key, value)
    path = tmp_path / f"{name}.xml"
    path.write_text(ElementTree.tostring(root, encoding="unicode"))
    import_or_refuse(path, clip)


@MANY
@given(
    lines=st.lists(
        st.lists(st.sampled_from(["0", "1", "0.3", "0.4", "-1", "nan", "1e999", "x", "7"]), max_size=9), max_size=4
    )
)
def test_yolo_export_with_odd_values_is_imported_or_refused(lines, tmp_path, clip):
    (tmp_path / "clip_1.txt").write_text("0 0.3 0.3 0.4 0.4\n")
    (tmp_path / "clip_2.txt").write_text("".join(" ".join(line) + "\n" for line in lines))
    import_or_refuse(tmp_path, clip)
