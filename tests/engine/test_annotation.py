import numpy as np

from avsf_det.engine.annotation import write_annotated
from avsf_det.media.video import VideoReader, probe


def test_every_frame_is_drawn_once_at_its_time_and_the_legend_adds_a_strip(scenes, tmp_path):
    path, times = scenes / "videos" / "test_0000.mp4", []

    def draw(image, t):
        times.append(t)
        return np.full_like(image, 200)

    info = probe(path)
    write_annotated(path, tmp_path / "plain.mp4", info, draw, None)
    assert times == sorted(times) and len(times) == round(info.duration * info.fps)
    write_annotated(path, tmp_path / "legend.mp4", info, draw, None, [((200, 0, 0), "wrong")])
    plain, legend = probe(tmp_path / "plain.mp4"), probe(tmp_path / "legend.mp4")
    assert legend.height > plain.height > info.height and legend.has_audio
    with VideoReader(tmp_path / "plain.mp4") as video:
        assert abs(int(video.frames_at(np.array([1.0]))[0][: info.height].mean()) - 200) < 5
