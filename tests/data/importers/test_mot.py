import pytest

from avsf_det.data.importers import mot
from avsf_det.data.importers.clock import FRAMES
from avsf_det.data.importers.export import LABEL
from tests.data.importers.files import document

ROWS = "1,3,10,20,30,40,1,1,0.9\n2,3,12,20,30,40,1,1,0.9\n2,4,10,20,30,40,0,1,0.9\n3,5,1,2,3,0,1,7,1\n"


def test_read_takes_tracks_from_frame_1_on_and_ignores_confidence_0():
    export = mot.read(document(ROWS, "train/MOT17-02/gt/gt.txt"))
    (video,) = export.videos
    assert (video.names, video.split, video.clock.unit, video.clock.first) == (("MOT17-02",), "train", FRAMES, 1)
    (track,) = video.tracks
    assert track.person == "3" and track.places.tolist() == [1, 2] and track.boxes[0].tolist() == [10, 20, 40, 60]
    assert track.values[0][LABEL] == ("pedestrian",)
    assert "1 with confidence 0 ignored, 1 skipped" in export.notes[0] and "gt.txt:4" in export.bad[0]


def test_read_of_detections_says_that_they_are_predictions():
    export = mot.read(document("1,-1,10,20,30,40,0.9,-1,-1,-1\n", "MOT15/det/det.txt"))
    assert export.has_scores and export.videos[0].tracks[0].person == ""


@pytest.mark.parametrize("text", ["", "a,1,0.1,0.1,0.5,0.9,1,0\n", "1,2,3\n", "1.5,2,3,4,5,6,7,8,9\n"])
def test_other_texts_are_not_recognised(text):
    assert not mot.recognises(document(text, "gt.txt"))
