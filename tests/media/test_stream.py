import threading
import time

import av
import numpy as np
import pytest

from avsf_det.errors import UserError
from avsf_det.media.audio import AudioReader
from avsf_det.media.stream import Picture, Sound, Stream
from avsf_det.media.video import VideoReader, probe


@pytest.fixture
def video(live_file):
    return live_file


def read(stream):
    """The times of the pictures, their means, and (time, samples) of the sound."""
    pieces = list(stream.pieces())
    pictures = [piece for piece in pieces if isinstance(piece, Picture)]
    sounds = [piece for piece in pieces if isinstance(piece, Sound)]
    return [p.time for p in pictures], [stream.image(p.frame, 24).mean() for p in pictures], sounds


def test_a_stream_gives_the_pictures_and_the_sound_of_the_file_that_is_served(video, serve):
    with VideoReader(video, short_side=24) as reader:
        expected = [(time, image.mean()) for time, image in reader.frames()]
    with Stream(serve(video, seconds=0.5)) as stream:
        assert stream.has_audio and not stream.can_wait
        times, means, sounds = read(stream)
    assert stream.ended == "it ended"
    start = expected[0][0]  # the stream's clock begins at the first picture
    np.testing.assert_allclose(times, [time - start for time, _ in expected], atol=2e-3)
    np.testing.assert_allclose(means, [mean for _, mean in expected], atol=1e-3)
    heard = np.zeros(4 * 16000)
    for sound in sounds:
        first = round(sound.time * 16000)
        heard[first : first + len(sound.samples)] = sound.samples[: len(heard) - first]
    whole = AudioReader(video).read(start, start + 4)
    assert np.corrcoef(heard[:60000], whole[:60000])[0, 1] > 0.99


def test_a_server_that_tells_the_length_can_be_kept_waiting(video, serve):
    with Stream(serve(video, seconds=0.1, length=True)) as stream:
        assert stream.can_wait
        times, _, _ = read(stream)
    assert len(times) == 120 and stream.ended == "it ended"


def test_what_a_stream_has_recorded_is_a_file_on_the_same_clock(video, serve, tmp_path):
    with Stream(serve(video, seconds=0.5), recording=tmp_path / "copy.mkv") as stream:
        times, means, _ = read(stream)
    info = probe(tmp_path / "copy.mkv")
    assert info.has_audio and info.duration == pytest.approx(probe(video).duration, abs=0.1)
    with VideoReader(tmp_path / "copy.mkv", short_side=24) as reader:
        copied = [(time, image.mean()) for time, image in reader.frames()]
    np.testing.assert_allclose(copied, list(zip(times, means)), atol=2e-3)


def grey(path, codec, pix_fmt, count=20):
    """A video of 64x48 pixels at 10 fps that grows lighter."""
    with av.open(str(path), "w") as file:
        track = file.add_stream(codec, rate=10)
        track.width, track.height, track.pix_fmt = 64, 48, pix_fmt
        for n in range(count):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 * n, np.uint8), format="rgb24")
            file.mux(track.encode(frame))
        file.mux(track.encode(None))
    return path


def test_the_raw_pictures_of_a_camera_are_recorded_as_h264(tmp_path, serve):
    camera = serve(grey(tmp_path / "camera.mkv", "rawvideo", "yuyv422"), seconds=0.3)
    with Stream(camera, recording=tmp_path / "copy.mkv") as stream:
        times, means, _ = read(stream)
    assert probe(tmp_path / "copy.mkv").codec == "h264" and len(times) == 20
    with VideoReader(tmp_path / "copy.mkv", short_side=24) as reader:
        copied = [(time, image.mean()) for time, image in reader.frames()]
    np.testing.assert_allclose(copied, list(zip(times, means)), atol=2)


def test_what_cannot_be_recorded_says_how_to_do_without(tmp_path, serve):
    address = serve(grey(tmp_path / "film.gif", "gif", "rgb8"), seconds=0.1)
    with pytest.raises(UserError, match=r"copy\.mkv: the stream cannot be recorded \(.+--outputs csv,jsonl$"):
        Stream(address, recording=tmp_path / "copy.mkv")
    assert not (tmp_path / "copy.mkv").exists()
    with Stream(address) as stream:
        assert len(read(stream)[0]) == 20


def test_a_stream_joined_in_the_middle_begins_at_a_picture_that_can_be_decoded(tmp_path, serve):
    path = tmp_path / "film.ts"
    with av.open(str(path), "w", format="mpegts") as file:
        track = file.add_stream("libx264", rate=10, options={"g": "5", "preset": "ultrafast"})
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        for n in range(40):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 6 * n, np.uint8), format="rgb24")
            file.mux(track.encode(frame))
        file.mux(track.encode(None))
    path.write_bytes(path.read_bytes()[188 * 20 :])
    with Stream(serve(path, seconds=0.3)) as stream:
        times, means, _ = read(stream)
    assert times[0] == 0.0 and 10 < len(times) < 40
    np.testing.assert_allclose(np.diff(times), 0.1, atol=1e-3)
    np.testing.assert_allclose(np.diff(means), 6, atol=3)


def test_a_file_that_grows_is_read_to_its_end(video, tmp_path):
    growing, data = tmp_path / "growing.mkv", video.read_bytes()
    growing.write_bytes(data[: len(data) // 2])

    def grow():
        time.sleep(0.5)
        with open(growing, "ab") as file:
            file.write(data[len(data) // 2 :])

    thread = threading.Thread(target=grow)
    thread.start()
    with Stream(str(growing), silence=1.5) as stream:
        assert stream.can_wait
        times, _, _ = read(stream)
    thread.join()
    assert times[-1] > 3.9 and stream.ended == "nothing new came for 1.5 s"


def test_what_cannot_be_opened_is_named_without_its_password(tmp_path, serve):
    with pytest.raises(UserError, match=r"^http://127.0.0.1:9/a: cannot be opened \(Connection refused\)"):
        Stream("http://me:secret@127.0.0.1:9/a?b")
    with pytest.raises(UserError, match="no such file"):
        Stream(str(tmp_path / "none.mkv"))
    (tmp_path / "page.html").write_text("<html>no video</html>" * 100)
    with pytest.raises(UserError, match=r"page\.html: cannot be opened"):
        Stream(serve(tmp_path / "page.html", seconds=0.1))
    with av.open(str(tmp_path / "sound.mka"), "w") as file:
        track = file.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        file.mux([*track.encode(frame), *track.encode(None)])
    with pytest.raises(UserError, match="no picture that can be decoded"):
        Stream(serve(tmp_path / "sound.mka", seconds=0.1))


def test_a_list_on_a_server_cannot_name_files_of_this_machine(video, serve, tmp_path):
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile://{video}\n#EXT-X-ENDLIST\n")
    with pytest.raises(UserError, match="cannot be opened"), Stream(serve(playlist, seconds=0.1)) as stream:
        read(stream)


@pytest.mark.parametrize("b_frames", [0, 2])
def test_a_first_picture_without_a_time_stamp_is_there_and_its_recording_plays(tmp_path, serve, b_frames):
    path = tmp_path / "film.ts"
    options = {"g": "30", "bf": str(b_frames), "b_strategy": "0", "preset": "ultrafast"}
    with av.open(str(path), "w", format="mpegts") as file:
        track = file.add_stream("libx264", rate=10, options=options)
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        for n in range(40):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 6 * n, np.uint8), format="rgb24")
            file.mux(track.encode(frame))
        file.mux(track.encode(None))
    data = bytearray(path.read_bytes())
    header = data.index(b"\0\0\1\xe0")  # of the first picture: its flags say which time stamps follow, see ISO 13818-1
    data[header + 7] &= 0x3F
    data[header + 9 : header + 9 + data[header + 8]] = b"\xff" * data[header + 8]
    path.write_bytes(data)
    with Stream(serve(path, seconds=0.3), recording=tmp_path / "copy.mkv") as stream:
        times, means, _ = read(stream)
    np.testing.assert_allclose(times, np.arange(40) / 10, atol=1e-3)
    np.testing.assert_allclose(np.diff(means), 6, atol=3)
    with VideoReader(tmp_path / "copy.mkv", short_side=24) as reader:
        copied = [(time, image.mean()) for time, image in reader.frames()]
    np.testing.assert_allclose(copied, list(zip(times, means)), atol=2e-3)


@pytest.mark.parametrize("offsets", [(0, 0, 0), (0, 180_000, 0), (180_000, 0)])
def test_audio_and_video_stay_in_sync_where_the_clock_of_a_stream_restarts_or_jumps(tmp_path, flashing, offsets):
    path = tmp_path / "joined.ts"
    for offset in offsets:
        start = offset / 25
        part = flashing(
            tmp_path / "part.ts", range(offset, offset + 75), (start + 0.4, start + 1.4), ((start, start + 3),)
        )
        path.write_bytes((path.read_bytes() if path.exists() else b"") + part.read_bytes())
    with Stream(str(path), silence=0.3) as stream:
        times, means, sounds = read(stream)
    white = np.array(means) > 150
    seen = np.array(times)[white & ~np.roll(white, 1)]
    heard = np.zeros(16000 * 12)
    for sound in sounds:
        first = max(round(sound.time * 16000), 0)
        heard[first : first + len(sound.samples)] = sound.samples
    loud = np.flatnonzero(np.abs(heard) > 0.2)
    assert len(seen) == 2 * len(offsets)
    np.testing.assert_allclose(loud[np.diff(loud, prepend=-16000) > 3200] / 16000, seen, atol=0.005)


def test_a_track_that_only_pauses_keeps_its_time(tmp_path, flashing):
    path = flashing(tmp_path / "v.mkv", [*range(75), *range(1500, 1575)], (61.4,), ((0, 63),), sound="pcm_s16le")
    with Stream(str(path), silence=0.3) as stream:
        times, means, _ = read(stream)
    assert times[int(np.argmax(np.array(means) > 150))] == pytest.approx(61.4, abs=0.05)


@pytest.mark.parametrize("size", [(660, 20), (8000, 8000)])
def test_stream_of_frames_too_large_or_elongated_is_refused_with_their_size(tmp_path, serve, size):
    path = tmp_path / "camera.mkv"
    with av.open(str(path), "w") as file:
        track = file.add_stream("mpeg4", rate=10)
        track.width, track.height, track.pix_fmt = *size, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((size[1] * 3 // 2, size[0]), np.uint8), format="yuv420p")
        file.mux((*track.encode(frame), *track.encode(None)))
    with pytest.raises(UserError, match=f"its frames are {size[0]}x{size[1]} pixels; expected at most"):
        Stream(serve(path, seconds=0.1))
