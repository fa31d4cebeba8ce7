import pytest

from avsf_det.data.importers import activitynet
from avsf_det.data.importers.export import LABEL
from tests.data.importers.files import document

SEGMENTS = [
    {"segment": [1, 4.5], "label": "wave"},
    {"segment": [9, 2], "label": "sit"},
    {"segment": None, "label": "x"},
]


@pytest.mark.parametrize("wrap", [lambda videos: {"version": "1.3", "database": videos}, lambda videos: videos])
def test_read_takes_segments_and_names_those_that_are_none(wrap):
    file = document(wrap({"abc": {"subset": "validation", "annotations": SEGMENTS}}), "x.json")
    assert activitynet.recognises(file)
    export = activitynet.read(file)
    (video,) = export.videos
    assert (video.names, video.split) == (("abc", "v_abc"), "val")
    assert [(span.start, span.end, span.values[LABEL]) for span in video.spans] == [(1, 4.5, ("wave",))]
    assert len(export.bad) == 2 and "x.json: abc, segment 1: got [9, 2]" in export.bad[0]


@pytest.mark.parametrize("content", [{}, [], {"images": [], "annotations": []}, {"a": {"annotations": [{"bbox": []}]}}])
def test_recognises_no_other_json(content):
    assert not activitynet.recognises(document(content, "x.json"))
