import numpy as np

from avsf_det.engine.annotate import annotate_video, read_envelope
from avsf_det.media.video import VideoReader, probe
from avsf_det.structures import Persons
from avsf_det.visual.draw import Annotator


class Grey(Annotator):
    """Makes every frame grey."""

    def draw(self, image, persons):
        return np.full_like(image, 200)


def test_every_frame_is_drawn_and_a_legend_adds_a_strip(scenes, tmp_path):
    path = scenes / "videos" / "test_0000.mp4"
    info = probe(path)
    rest = [1.0], [Persons.none()], (), Grey(["walk"]), read_envelope(path, info)
    assert annotate_video(path, tmp_path / "plain.mp4", info, *rest) == {}
    annotate_video(path, tmp_path / "legend.mp4", info, *rest, legend=[((200, 0, 0), "wrong")])
    plain, legend = probe(tmp_path / "plain.mp4"), probe(tmp_path / "legend.mp4")
    assert legend.height > plain.height > info.height and legend.has_audio
    with VideoReader(tmp_path / "plain.mp4") as video, VideoReader(path) as original:
        frames = list(video.frames())
        assert [t for t, _ in frames] == [t for t, _ in original.frames()]
        assert all(abs(int(image[: info.height].mean()) - 200) < 5 for _, image in frames)
