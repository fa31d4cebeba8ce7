from fractions import Fraction

import numpy as np
import pytest

from ava_eval import InputError
from ava_eval.explain import Example
from ava_eval.thumbnails import Thumbnails

av = pytest.importorskip("av")


def example(video, seconds, box=(0.25, 0.25, 0.75, 0.75)):
    return Example("Cls", video, seconds, box, 0.5, (), "det.csv:1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A video of 3 s that turns from black to white, and one that is none."""
    path = tmp_path_factory.mktemp("videos")
    (path / "broken.mp4").write_bytes(b"no video")
    with av.open(str(path / "good.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(30):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 255 * (i >= 15), np.uint8), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_render_shows_the_frame_at_the_timestamp_with_the_box(folder):
    early, late = example("good", 0.5), example("good", 2.5)
    thumbnails = Thumbnails(folder)
    images = thumbnails.render([late, early])
    assert set(images) == {early, late} and thumbnails.skipped == {}
    for one, level in ((early, 0), (late, 255)):
        [frame] = av.CodecContext.create("mjpeg", "r").decode(av.Packet(images[one]))
        pixels = frame.to_ndarray(format="rgb24").astype(int)
        assert abs(pixels[5, 5].mean() - level) < 30 and abs(pixels[pixels.shape[0] // 2, 110].mean() - level) < 30
        edge = pixels[round(pixels.shape[0] * 0.25)][80:140].mean(axis=0)
        assert edge[0] > 120 and edge[0] - edge[2] > 40  # yellow


def test_render_missing_damaged_and_short_videos_are_named(folder):
    thumbnails = Thumbnails(folder)
    assert thumbnails.render([example("none", 1), example("broken", 1), example("good", 900)]) == {}
    assert set(thumbnails.skipped) == {"none", "broken", "good"}


def test_thumbnails_missing_folder_is_an_error(tmp_path):
    with pytest.raises(InputError, match="cannot list the videos"):
        Thumbnails(tmp_path / "none")


@pytest.mark.parametrize("box", [(-5, -5, 9, 9), (0, 0, 0, 0), (1e308, 0, 1e308, 1), (0.9, 0.9, 0.1, 0.1)])
def test_render_odd_boxes_still_give_an_image(folder, box):
    assert len(Thumbnails(folder).render([example("good", 1, box)])) == 1
