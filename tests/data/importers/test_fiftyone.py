import numpy as np

from avsf_det.data.importers import fiftyone
from avsf_det.data.importers.clock import FRAMES, SECONDS
from avsf_det.data.importers.export import LABEL, SHARES
from tests.data.importers.files import document

DETECTIONS = {"_cls": "Detections"}
DETECTIONS["detections"] = [{"_cls": "Detection", "label": "walk", "bounding_box": [0.1, 0.2, 0.4, 0.3], "index": 2}]


def samples(**more):
    return {"samples": [{"_id": {"$oid": "1"}, "filepath": "data/clip.mp4", "tags": ["validation"]} | more]}


def read(**files):
    files = [document(content, f"{name}.json") for name, content in files.items()]
    assert all(fiftyone.recognises(file) for file in files)
    return fiftyone.read(files, [], None)


def test_read_frames_of_samples():
    frames = [{"_sample_id": {"$oid": "1"}, "frame_number": n, "d": DETECTIONS} for n in (1, 11)]
    frames.append({"_sample_id": {"$oid": "9"}, "frame_number": 1, "d": DETECTIONS})
    export = read(samples=samples(), frames={"frames": frames})
    (video,) = export.videos
    (track,) = video.tracks
    assert (video.names[-1], video.picture, video.split) == ("clip.mp4", SHARES, "val")
    assert (video.clock.unit, video.clock.first, track.person) == (FRAMES, 1, "2")
    np.testing.assert_array_equal(track.places, [1, 11])
    np.testing.assert_allclose(track.boxes, [(0.1, 0.2, 0.5, 0.5)] * 2)
    assert export.bad == ["frames.json: frame 2: its _sample_id is of no sample in samples.json"]


def test_read_temporal_detections_and_classifications():
    event = {"_cls": "TemporalDetection", "label": "run", "support": [11, 20]}
    scene = {"_cls": "Classification", "label": "outdoors"}
    export = read(samples=samples(e={"_cls": "TemporalDetections", "detections": [event]}, scene=scene))
    spans = [(s.start, s.end, s.values) for s in export.videos[0].spans]
    assert spans == [(None, None, {"scene": ("outdoors",)}), (11, 21, {LABEL: ("run",)})]


def test_read_labels_of_temporal_detections_in_frames_or_seconds():
    labels = {"a": [{"label": 1, "support": [11, 20]}], "b": [{"label": 0, "support": [1, 2], "timestamps": [0.5, 2]}]}
    first, second = read(labels={"classes": ["run", "sit"], "labels": labels}).videos
    assert (first.clock.unit, first.spans[0].start, first.spans[0].end) == (FRAMES, 11, 21)
    assert (second.clock.unit, second.spans[0].start, second.spans[0].end) == (SECONDS, 0.5, 2)
    assert (first.spans[0].values, second.spans[0].values) == ({LABEL: ("sit",)}, {LABEL: ("run",)})


def test_read_other_labels_are_named():
    lines = {"_cls": "Polylines", "polylines": [{"_cls": "Polyline", "label": "a"}]}
    export = read(samples=samples(), frames={"frames": [{"_sample_id": {"$oid": "1"}, "frame_number": 1, "p": lines}]})
    assert export.bad == ["frames.json: frame 0: got Polylines, expected Detections with bounding_box"]
