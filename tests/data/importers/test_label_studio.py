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


def timeline(start, end, label, id="t"):
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": [label]}
    return {"value": value, "id": id, "from_name": "videoLabels", "to_name": "video", "type": "timelinelabels"}


def on_audio(kind, id="a", **value):
    return {"value": {"start": 1.5, "end": 3.25, "channel": 0, **value}, "id": id, "to_name": "audio", "type": kind}


def keyframes(rate, digits=None, offset=0):
    times = [(n, (n - offset) / rate) for n in (1, 37, 110)]
    return [keyframe(n, 1, time=time if digits is None else round(time, digits)) for n, time in times]


@pytest.mark.parametrize("rate", [24, 25, 30, 60, 30000 / 1001])
@pytest.mark.parametrize("offset", [0, 1])
def test_rate_without_frames_count_is_that_of_keyframe_times(rate, offset):
    sequence = keyframes(rate, digits=4, offset=offset)
    (video,) = read(task(region(sequence, framesCount=None, duration=None))).videos
    assert video.clock.rate == pytest.approx(rate, rel=1e-3)


@pytest.mark.parametrize(
    ("count", "duration", "rate"),
    [
        (97, 4.02, 24),
        (100, 4, 25),
        (0, 0, 24),
        (96, 0, 24),
        (96, -1, 24),
        (96, 1e300, 24),
        (10**400, 4, 24),
        ("?", 4, 24),
    ],
)
def test_rate_without_times_is_that_of_frames_count_or_the_default(count, duration, rate):
    sequence = [{k: v for k, v in keyframe(1, 1).items() if k != "time"}]
    export = read(task(region(sequence, framesCount=count, duration=duration)))
    clock = export.videos[0].clock
    assert (clock.rate or clock.default_rate) == rate
    assert (clock.rate is None) == any("24 frames per second is assumed" in note for note in export.notes)


def test_rate_of_timeline_labels_alone_is_the_default():
    export = read(task(timeline(1, 120, "run")))
    assert (export.videos[0].clock.rate, export.videos[0].clock.default_rate) == (None, 24)
    assert "--frame-rate" in export.notes[0]


@pytest.mark.parametrize(("stated", "rate"), [("30", 30), ("$fps", 50), ("$gone", None), ("1e9", None)])
def test_rate_of_labeling_config(stated, rate):
    config = document(f'<View><Video name="v" value="$video" frameRate="{stated}"/></View>', "config.xml")
    file = document([task(timeline(1, 2, "run"), fps=50)], "p.json")
    file.frame_rate = label_studio.config_rate(config)
    assert file.frame_rate == stated and label_studio.read(file).videos[0].clock.rate == rate


def test_times_that_disagree_with_frames_count_are_noted():
    export = read(task(region(keyframes(30), framesCount=96, duration=4)))
    assert export.videos[0].clock.rate == 30 and "the times are used" in export.notes[0]


def test_labels_on_audio_are_spans_in_seconds():
    export = read(task(on_audio("labels", labels=["kickflip"]), on_audio("labels", "b", labels=["x"], start=3, end=2)))
    _, video = export.videos
    assert video.clock.unit == "seconds" and "clip 1.mp4" in video.names
    assert [(s.start, s.end, s.values) for s in video.spans] == [(1.5, 3.25, {LABEL: ("kickflip",)})]
    assert "region b" in export.bad[0]


def test_choices_of_a_span_on_audio_are_its_attributes():
    export = read(
        task(on_audio("labels", labels=["speech"]), {**on_audio("choices", choices=["talk"]), "from_name": "act"})
    )
    (span,) = export.videos[1].spans
    assert span.values == {LABEL: ("speech",), "act": ("talk",)} and not export.videos[0].spans


def test_taxonomy_paths_are_joined():
    result = {"value": {"taxonomy": [["sport", "run"], ["sport"]]}, "id": "x", "from_name": "t", "type": "taxonomy"}
    assert read(task(result)).videos[0].spans[0].values == {"t": ("sport/run", "sport")}


def annotated(*annotations, **more):
    return {"id": 5, "data": {"video": "clip 1.mp4"}, "annotations": list(annotations)} | more


@pytest.mark.parametrize(
    ("first", "second", "used"),
    [
        ({"updated_at": "2024-02-01"}, {"updated_at": "2024-01-01"}, "first"),
        ({"updated_at": "2024-01-01"}, {"updated_at": "2024-02-01"}, "second"),
        ({}, {}, "second"),
        ({"ground_truth": True}, {"updated_at": "2024-02-01"}, "first"),
        ({}, {"was_cancelled": True}, "first"),
        ({}, {"result": []}, "first"),
    ],
)
def test_one_annotation_of_a_task_is_used_and_named(first, second, used):
    annotations = [{"id": n, "result": [timeline(1, 2, n)]} | m for n, m in (("first", first), ("second", second))]
    export = read(annotated(*annotations))
    assert [span.values[LABEL] for span in export.videos[0].spans] == [(used,)]
    is_choice = not {"was_cancelled", "result"} & second.keys()
    assert any("has 2 annotations" in n and f"id {used}" in n for n in export.notes) == is_choice


def test_predictions_and_cancelled_annotations_are_ignored_and_counted():
    cancelled = {"result": [timeline(1, 2, "a")], "was_cancelled": True}
    export = read(annotated(cancelled, predictions=[{"result": [timeline(1, 2, "b")]}]))
    assert not export.videos[0].spans
    assert [note.partition(": ")[2].split(" ")[0:2] for note in export.notes] == [
        ["1", "skipped"],
        ["1", "tasks"],
        ["1", "tasks"],
    ]


def test_boxes_of_images_are_frames_of_their_video():
    box = {"x": 10, "y": 20, "width": 40, "height": 20, "rotation": 0, "rectanglelabels": ["person"]}
    result = {"id": "r", "type": "rectanglelabels", "from_name": "box", "value": box}
    tasks = [
        {
            "id": n,
            "data": {"image": f"/data/upload/1/8f3a2b1c-clip_{n:06d}.jpg"},
            "annotations": [{"result": [one, CHOICE_R]}],
        }
        for n, one in ((1, result), (11, result))
    ]
    (video,) = read(*tasks).videos
    assert video.names == ("clip",) and video.picture == (100, 100)
    assert [track.places[0] for track in video.tracks] == [1, 11]
    np.testing.assert_allclose(video.tracks[0].boxes, [(10, 20, 50, 40)])
    assert video.tracks[0].values[0] == {LABEL: ("person",), "action": ("walk", "talk")}


CHOICE_R = {**CHOICE, "id": "r"}


def test_rotated_box_of_an_image_is_enclosed():
    box = {"x": 50, "y": 10, "width": 40, "height": 20, "rotation": 90, "rectanglelabels": ["walk"]}
    result = {"id": "r", "type": "rectanglelabels", "original_width": 200, "original_height": 100, "value": box}
    (video,) = read({"id": 1, "data": {"image": "clip_1.jpg"}, "annotations": [{"result": [result]}]}).videos
    # 80x20 pixels turned clockwise about (100, 10): x 80 to 100, y 10 to 90
    np.testing.assert_allclose(video.tracks[0].boxes, [(40, 10, 50, 90)], atol=1e-9)


def test_other_results_are_named_or_counted():
    shape = {"id": "p", "type": "polygonlabels", "value": {"points": [[1, 1]], "polygonlabels": ["a"]}}
    text = {"id": "q", "type": "textarea", "value": {"text": ["hello"]}}
    export = read(task(timeline(1, 2, "run"), shape, text, {"id": "v", "type": "labels", "value": None}))
    assert [line.partition("region ")[2][0] for line in export.bad] == ["p", "v"]
    assert any("1 results of type textarea" in note for note in export.notes)


def test_json_min_timeline_labels_of_the_latest_annotator():
    rows = [
        {
            "video": "clip2.mp4",
            "id": 1,
            "annotator": n,
            "updated_at": f"2024-01-0{n}",
            "v": [{"ranges": [{"start": 1, "end": n}], "timelinelabels": ["run"]}],
        }
        for n in (3, 2)
    ]
    export = read(*rows)
    assert [(s.start, s.end) for s in export.videos[0].spans] == [(1, 4)]
    assert any("1 rows of JSON-MIN" in note for note in export.notes)


def test_frame_zero_makes_frames_count_from_zero():
    export = read(task(region([keyframe(0, 1), keyframe(24, 1)])))
    assert export.videos[0].clock.first == 0 and any("count frames from 0" in note for note in export.notes)
