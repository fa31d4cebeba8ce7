import numpy as np
import pytest

from avsf_det.data.importers.export import LABEL, Export, Span, Track
from avsf_det.data.importers.frames import FrameVideos, join_boxes, join_spans

WALK, RUN = {LABEL: ("walk",)}, {LABEL: ("run",)}


def single(place, box, values, person):
    return Track([place], [box], [values], f"at {place}", person)


@pytest.mark.parametrize(
    ("name", "names", "number", "first", "unnamed"),
    [
        ("labels/train/clip_11.jpg", ("clip",), 11, None, ""),
        ("clip/images/000011.jpg", ("clip/images", "clip"), 11, None, ""),
        ("frame_000011.PNG", ("export",), 11, 0, "file"),  # CVAT's, which count from 0
        ("frame_000011.png", ("export",), 11, None, "file"),
        ("labels/000011.jpg", ("labels", "export"), 11, None, "file"),
        ("clip_mp4-11_jpg.rf.0a1b2c3d4e5f6071.jpg", ("clip.mp4",), 11, 0, ""),
        ("8f3a2b1c-clip_000011.jpg", ("8f3a2b1c-clip", "clip"), 11, None, ""),
    ],
)
def test_frame_of_image_name_finds_video_number_and_first_frame(name, names, number, first, unnamed):
    frame = FrameVideos(Export("x"), "file", "export").frame(name, "file: image 1")
    assert (frame.video.names, frame.number) == (names, number)
    assert (frame.video.clock.first, frame.video.unnamed) == (first, unnamed)


def test_frame_without_number_is_reported():
    export = Export("x")
    assert FrameVideos(export, "file", "export").frame("poster.jpg", "file: image 1") is None
    assert export.bad[0].startswith("file: image 1: no frame number")


def test_boxes_of_images_of_other_sizes_are_scaled_to_the_video():
    export = Export("x")
    frames = FrameVideos(export, "file", "export")
    frames.frame("clip/1.jpg", "a", (64, 48)).add((8, 12, 32, 24), WALK, "a", "3")
    frames.frame("clip/2.jpg", "b", (640, 480)).add((80, 120, 320, 240), RUN, "b", "3")
    frames.finish()
    (video,) = export.videos
    (track,) = video.tracks
    assert video.picture == (64, 48)
    np.testing.assert_allclose(track.boxes, [(8, 12, 32, 24)] * 2)


def test_join_boxes_same_box_of_person_unites_labels():
    (track,) = join_boxes([single(1, (0, 0, 9, 9), WALK, "4"), single(1, (0, 0, 9, 9), RUN, "4")])
    assert track.values == [{LABEL: ("walk", "run")}]


def test_join_boxes_other_box_of_person_at_same_place_is_kept():
    joined = join_boxes([single(1, (0, 0, 9, 9), WALK, "4"), single(1, (20, 0, 29, 9), WALK, "4")])
    assert [(track.person, track.boxes[0, 0]) for track in joined] == [("4", 0), ("4", 20)]


def test_join_boxes_without_person_stay_apart():
    assert len(join_boxes([single(1, (0, 0, 9, 9), WALK, ""), single(2, (0, 0, 9, 9), WALK, "")])) == 2


def test_join_spans_joins_neighbors_with_same_labels():
    spans = [Span(5, 10, WALK, ""), Span(0, 5, WALK, ""), Span(0, 5, RUN, ""), Span(20, 25, WALK, "")]
    assert [(s.start, s.end, s.values) for s in join_spans(spans)] == [(0, 10, WALK), (0, 5, RUN), (20, 25, WALK)]
