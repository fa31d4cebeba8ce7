import numpy as np

from avsf_det.engine.annotate import annotate_video, read_envelope
from avsf_det.media.video import VideoReader, probe
from avsf_det.media.writer import VideoWriter
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


def test_annotate_video_frames_less_than_a_millisecond_apart_are_left_out_and_counted(tmp_path, caplog):
    path = tmp_path / "rate.y4m"
    frame = b"FRAME\n" + bytes([128]) * (64 * 48 * 3 // 2)
    path.write_bytes(b"YUV4MPEG2 W64 H48 F1000000000:1 Ip A1:1 C420jpeg\n" + 5 * frame)
    info = probe(path)
    annotate_video(path, tmp_path / "drawn.mp4", info, [0.0], [Persons.none()], (), Grey(["walk"]), None)
    with VideoReader(tmp_path / "drawn.mp4") as video:
        assert [t for t, _ in video.frames()] == [0.0]
    assert "rate.y4m: 4 frames come less than a millisecond after the one before" in caplog.text


def test_annotate_video_frames_a_millisecond_apart_are_all_kept(tmp_path):
    path = tmp_path / "fast.y4m"
    frame = b"FRAME\n" + bytes([128]) * (64 * 48 * 3 // 2)
    path.write_bytes(b"YUV4MPEG2 W64 H48 F1000:1 Ip A1:1 C420jpeg\n" + 40 * frame)
    annotate_video(path, tmp_path / "drawn.mp4", probe(path), [0.0], [Persons.none()], (), Grey(["walk"]), None)
    with VideoReader(tmp_path / "drawn.mp4") as video:
        assert len(list(video.frames())) == 40


def test_annotate_video_while_a_frame_stays_on_display_boxes_follow_the_keyframes(tmp_path):
    with VideoWriter(tmp_path / "slides.mp4", 64, 48, 1, duration=8.0) as writer:
        for time in (0.0, 0.5, 5.0):
            writer.write(np.full((48, 64, 3), 90, np.uint8), time)
    info, times = probe(tmp_path / "slides.mp4"), [float(second) for second in range(8)]
    seen = [Persons([[0.1, 0.1, 0.6, 0.9]], [1.0], [0], [[0.9]]) if time < 3 else Persons.none() for time in times]

    class Counting(Grey):
        def draw(self, image, persons):
            counts.append(len(persons))
            return super().draw(image, persons)

    counts = []
    annotate_video(tmp_path / "slides.mp4", tmp_path / "drawn.mp4", info, times, seen, (), Counting(["walk"]), None)
    with VideoReader(tmp_path / "drawn.mp4") as video:
        written = [time for time, _ in video.frames()]
    assert written == [0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert counts[:4] == [1, 1, 1, 1] and counts[5:] == [0, 0, 0, 0]
