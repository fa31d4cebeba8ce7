import numpy as np
import pytest

from avsf_det.data.importers import label_studio
from avsf_det.data.importers.export import LABEL
from tests.data.importers.files import document


def keyframe(frame, x, enabled=True, **more):
    place = {"x": x, "y": 10, "width": 50, "height": 40, "rotation": 0, "time": frame / 24}
    return {"frame": frame, "enabled": enabled, **place, **more}


def region(sequence, id="aB3", labels=("person",), **value):
    value = {"framesCount": 96, "duration": 4.0, "sequence": sequence, "labels": list(labels), **value}
    value = {k: v for k, v in value.items() if v is not None}
    return {
        "value": value,
        "id": id,
        "from_name": "box",
        "to_name": "video",
        "type": "videorectangle",
        "origin": "manual",
    }


def task(*results, **data):
    annotation = {"id": 1, "completed_by": 1, "result": list(results), "was_cancelled": False, "ground_truth": False}
    return {
        "id": 5,
        "annotations": [{"id": 0, "was_cancelled": True, "result": [region([keyframe(1, 0)])]}, annotation],
        "file_upload": "8f3a2b1c-clip_1.mp4",
        "data": {"video": "/data/upload/3/8f3a2b1c-clip%201.mp4", **data},
        "predictions": [],
        "project": 3,
    }


CHOICE = {
    "value": {"choices": ["walk", "talk"]},
    "id": "aB3",
    "from_name": "action",
    "to_name": "video",
    "type": "choices",
}


def read(*tasks):
    file = document(list(tasks), "project-3.json")
    assert label_studio.recognises(file)
    return label_studio.read(file)


def test_a_region_has_its_labels_its_choices_and_the_tool_s_own_frame_rate():
    export = read(task(region([keyframe(1, 10), keyframe(49, 30)]), CHOICE))
    (video,) = export.videos
    assert "clip 1.mp4" in video.names and video.picture == (100, 100)
    assert (video.clock.first, video.clock.rate) == (1, 24)
    (track,) = video.tracks
    np.testing.assert_array_equal(track.places, [1, 49, np.inf])  # the last stays to the end
    np.testing.assert_allclose(track.boxes, [(10, 10, 60, 50), (30, 10, 80, 50), (30, 10, 80, 50)])
    assert track.values[0] == {LABEL: ("person",), "action": ("walk", "talk")}


def test_a_region_that_is_switched_off_ends_after_that_frame():
    (video,) = read(task(region([keyframe(1, 10), keyframe(25, 10, enabled=False), keyframe(73, 10)]))).videos
    np.testing.assert_array_equal(video.tracks[0].places, [1, 25, 26, 73, np.inf])
    np.testing.assert_array_equal(video.tracks[0].shown, [True, True, False, True, True])


def test_labels_of_the_whole_video_and_of_its_timeline_have_no_boxes():
    whole = {"value": {"choices": ["outdoors"]}, "id": "x", "from_name": "scene", "to_name": "video", "type": "choices"}
    part = {
        "value": {"ranges": [{"start": 25, "end": 48}], "timelinelabels": ["run"]},
        "id": "y",
        "from_name": "videoLabels",
        "to_name": "video",
        "type": "timelinelabels",
    }
    (video,) = read(task(whole, part)).videos
    spans = [(span.start, span.end, span.values) for span in video.spans]
    assert spans == [(25, 49, {LABEL: ("run",)}), (None, None, {"scene": ("outdoors",)})]


def test_json_min_holds_the_regions_in_the_task():
    sequence = {"framesCount": 96, "duration": 4.0, "sequence": [keyframe(1, 10)], "labels": ["walk"]}
    export = read({"video": "/data/upload/1/8f3a2b1c-clip2.mp4", "id": 1, "box": [sequence], "annotator": 1})
    assert export.videos[0].names[-1] == "clip2.mp4" and export.videos[0].tracks[0].values[0] == {LABEL: ("walk",)}


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/local-files/?d=videos/clip%201.mp4", "videos/clip 1.mp4"),
        ("https://host/bucket/clip%201.mp4?token=a.b", "clip 1.mp4"),
        ("s3://bucket/sub/clip2.mp4", "clip2.mp4"),
        ("clip 1", "clip 1"),
    ],
)
def test_addresses_become_names(address, name):
    assert name in read(task(region([keyframe(1, 10)]), video=address)).videos[0].names


def test_what_cannot_be_used_is_named():
    bad = task(region([{"frame": 3}, keyframe(5, 1, rotation=30), keyframe(9, 1)]))
    export = read(bad, {"id": 9, "annotations": [], "data": {"text": "hello"}})
    assert [line.partition(":")[2].split(":")[0] for line in export.bad] == [
        " task 5, region aB3",
        " task 5, region aB3, frame 5",
        " task 9",
    ]
    np.testing.assert_array_equal(export.videos[0].tracks[0].places, [9, np.inf])
