import dataclasses
import io
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from avsf_det.errors import UserError
from avsf_det.media import VideoReader, probe, track
from avsf_det.media.track import Track

TWO_SECONDS = np.arange(50) / 25


def test_probe_tells_what_the_file_holds(clip):
    info = probe(clip)
    assert (info.width, info.height, info.rotation, info.codec) == (64, 48, 0, "h264")
    assert info.fps == Fraction(25)
    assert info.picture_start == 0
    assert info.duration == pytest.approx(2.0, abs=1e-6)
    assert info.has_audio
    assert (info.sample_rate, info.channels) == (44100, 2)
    assert info.audio_end == pytest.approx(2.0, abs=0.03)
    with pytest.raises(dataclasses.FrozenInstanceError):
        info.width = 1


def test_probe_tells_how_much_of_a_file_cut_off_is_missing(tmp_path, encode):
    whole = encode(tmp_path / "v.mkv", np.arange(200) / 25)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert probe(whole).missing == 0
    assert probe(cut).missing == pytest.approx(8 - probe(cut).duration, abs=0.1)
    assert probe(cut).missing > 1


def test_probe_without_sound(tmp_path, encode):
    info = probe(encode(tmp_path / "v.mp4", TWO_SECONDS))
    assert (info.has_audio, info.audio_start, info.audio_end, info.sample_rate, info.channels) == (False, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "empty"),
        (b"just some words\n" * 100, "not a video"),
        (b"ffconcat version 1.0\nfile other.mp4\n", "not a video"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a video"),
    ],
)
def test_what_is_no_video_is_told_in_one_line(tmp_path, content, said):
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(UserError, match=said) as error:
        probe(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "ico"])
def test_a_picture_is_no_video(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    Image.new("RGB", (64, 48)).save(path)
    with pytest.raises(UserError, match="not a video"):
        probe(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        VideoReader(tmp_path / "none.mp4")
    with pytest.raises(UserError, match="directory"):
        VideoReader(tmp_path)


def test_sound_alone_is_no_video(tmp_path, encode, chirp):
    path = encode(tmp_path / "a.mp4", sound=(chirp(1, 16000), 16000))
    with pytest.raises(UserError, match="no picture"):
        probe(path)


def test_file_cut_off_before_its_index(tmp_path, clip):
    path = tmp_path / "cut.mp4"
    path.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with pytest.raises(UserError, match="cut off"):
        probe(path)


def test_file_cut_off_in_the_middle_ends_there(tmp_path, encode):
    whole = encode(tmp_path / "v.mkv", TWO_SECONDS)
    path = tmp_path / "cut.mkv"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    with VideoReader(path) as reader:
        times = [time for time, _ in reader.frames()]
        assert 10 < len(times) < 50
        assert reader.info.duration == pytest.approx(times[-1] + 0.04, abs=0.002)
        assert len(reader.frames_at([1.9])) == 1


FILES = {
    "h264 with B-frames": ("v.mp4", {}),
    "one keyframe": ("v.mp4", {"gop": 500}),
    "matroska": ("v.mkv", {}),
    "transport stream": ("v.ts", {}),
    "program stream": ("v.mpg", {"codec": "mpeg2video", "bf": "2"}),
    "avi with B-frames": ("v.avi", {"codec": "mpeg4", "bf": "2", "b": "2M"}),
    "avi with h264": ("v.avi", {}),
    "vp9": ("v.webm", {"codec": "libvpx-vp9"}),
}


@pytest.fixture(scope="module", params=FILES)
def any_file(request, tmp_path_factory, encode):
    name, options = FILES[request.param]
    return encode(tmp_path_factory.mktemp("any") / name, TWO_SECONDS, **options)


def test_every_frame_comes_once_in_order(any_file, number):
    with VideoReader(any_file) as reader:
        times, images = zip(*reader.frames())
    assert [number(image) for image in images] == list(range(50))
    assert np.diff(times) == pytest.approx(0.04, abs=0.0011)  # matroska rounds to milliseconds


def test_frames_at_any_times_are_those_on_display(any_file, number):
    with VideoReader(any_file) as reader:
        times = np.array([time for time, _ in reader.frames()])
        asked = np.random.default_rng(0).uniform(-0.5, 2.5, 40)
        asked[:3] = times[[0, 17, 49]]
        expected = np.clip(np.searchsorted(times, asked + 0.0006, side="right") - 1, 0, None)
        assert [number(image) for image in reader.frames_at(asked)] == expected.tolist()
        assert [number(reader.frames_at([time])[0]) for time in asked] == expected.tolist()


@settings(max_examples=25, deadline=None)
@given(times=st.lists(st.integers(1, 500), min_size=2, max_size=20, unique=True), data=st.data())
def test_variable_frame_rate(tmp_path_factory, encode, number, times, data):
    times = np.sort(np.array([0, *times])) / 100
    asked = np.array(data.draw(st.lists(st.floats(0, 6), min_size=1, max_size=10)))
    path = encode(tmp_path_factory.mktemp("vfr") / "v.mp4", times)
    with VideoReader(path) as reader:
        assert [time for time, _ in reader.frames()] == pytest.approx(times, abs=2e-5)
        expected = np.searchsorted(times, asked, side="right") - 1
        unclear = np.abs(asked[:, None] - times).min(axis=1) < 0.001
        got = np.array([number(image) for image in reader.frames_at(asked)])
        assert (got == expected)[~unclear].all()


def test_spans_join_without_repeating_or_missing_a_frame(clip, number):
    with VideoReader(clip) as reader:
        seen = [number(image) for a, b in ((0, 0.5), (0.5, 1.24), (1.24, None)) for _, image in reader.frames(a, b)]
    assert seen == list(range(50))


def test_passes_do_not_disturb_each_other(clip, number):
    with VideoReader(clip) as reader:
        seen = []
        for time, image in reader.frames():
            assert number(reader.frames_at([2 - time])[0]) == min(round((2 - time) * 25), 49)
            seen.append(number(image))
    assert seen == list(range(50))


def test_ascending_times_decode_every_frame_once(clip, monkeypatch):
    decoded = []
    decode_packet = Track._decode_packet

    def counted(self, packet):
        frames = decode_packet(self, packet)
        decoded.extend(frames)
        return frames

    with VideoReader(clip) as reader:
        monkeypatch.setattr(Track, "_decode_packet", counted)
        for start in np.arange(0, 2, 0.2):
            reader.frames_at(start + np.arange(4) * 0.05)
    assert len(decoded) <= 50


def test_a_far_jump_skips_what_lies_between(tmp_path, encode, number, monkeypatch):
    decoded = []
    decode_packet = Track._decode_packet
    path = encode(tmp_path / "v.mp4", np.arange(250) / 25)
    with VideoReader(path) as reader:
        reader.frames_at([0.0])
        monkeypatch.setattr(Track, "_decode_packet", lambda *a: decoded.extend(f := decode_packet(*a)) or f)
        assert number(reader.frames_at([9.0])[0]) == 225
    assert len(decoded) < 60


def test_picture_that_starts_after_the_sound(tmp_path, encode, number, chirp):
    path = encode(tmp_path / "v.mp4", 0.8 + TWO_SECONDS, sound=(chirp(3, 16000), 16000))
    info = probe(path)
    assert info.picture_start == pytest.approx(0.8, abs=0.001)
    assert info.duration == pytest.approx(2.8, abs=0.001)
    with VideoReader(path) as reader:
        assert [number(image) for image in reader.frames_at([0.0, 0.9, 3.0])] == [0, 2, 49]


def test_time_stamps_that_start_above_zero_start_the_clock(tmp_path, encode):
    path = encode(tmp_path / "v.ts", 30 + TWO_SECONDS)
    info = probe(path)
    assert info.picture_start == pytest.approx(0, abs=1e-6)
    assert info.duration == pytest.approx(2.0, abs=1e-6)


def test_files_joined_end_to_end_go_on(tmp_path, encode, number):
    path = encode(tmp_path / "v.ts", TWO_SECONDS)
    path.write_bytes(path.read_bytes() * 2)
    with VideoReader(path) as reader:
        times, images = zip(*reader.frames())
    assert [number(image) for image in images] == [*range(50), *range(50)]
    assert np.diff(times) == pytest.approx(0.04)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotated_picture_comes_upright(tmp_path, encode, number, degrees):
    path = encode(tmp_path / "v.mp4", TWO_SECONDS, rotation=degrees)
    with VideoReader(path) as reader:
        image = reader.frames_at([1.0])[0]
        shape = (64, 48, 3) if degrees in (90, 270) else (48, 64, 3)
        assert image.shape == shape
        assert (reader.info.height, reader.info.width) == shape[:2]
        assert number(np.rot90(image, -degrees // 90)) == 25


def test_oblong_samples_are_made_square(tmp_path, encode, number):
    path = encode(tmp_path / "v.mp4", TWO_SECONDS, aspect=Fraction(4, 3))
    with VideoReader(path) as reader:
        assert (reader.info.width, reader.info.height) == (85, 48)
        assert number(reader.frames_at([1.0])[0]) == 25


@pytest.mark.parametrize(
    "options, shape", [({"short_side": 32}, (32, 43)), ({"size": (20, 33)}, (20, 33)), ({"short_side": 96}, (96, 128))]
)
def test_frames_are_scaled(clip, number, options, shape):
    with VideoReader(clip, **options) as reader:
        assert (reader.height, reader.width) == shape
        assert reader.frames_at([1.0]).shape == (1, *shape, 3)
        assert number(reader.frames_at([1.0])[0]) == 25
        assert next(reader.frames())[1].shape == (*shape, 3)


def test_broken_packets_are_skipped_and_counted(tmp_path, encode, number):
    whole = encode(tmp_path / "v.mp4", TWO_SECONDS, gop=1)
    content = bytearray(whole.read_bytes())
    with av.open(str(whole)) as file:
        packet = list(file.demux(video=0))[27]
    content[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with VideoReader(path) as reader:
        frames = list(reader.frames())
        assert [number(image) for _, image in frames] == [*range(27), *range(28, 50)]
        assert reader.damaged == 1
        assert number(reader.frames_at([27.5 / 25])[0]) == 26
        assert reader.damaged == 1


def test_matroska_sampled_at_its_frame_rate_gives_each_frame_once(tmp_path, encode, number):
    times = np.arange(60) / 30
    with VideoReader(encode(tmp_path / "v.mkv", times)) as reader:
        assert [number(image) for image in reader.frames_at(times)] == list(range(60))


B_FRAMES = {
    "one B-frame in two": ("v.mp4", {"gop": 30, "bf": "1"}),
    "pyramid of B-frames": ("v.mp4", {"gop": 250, "bf": "8", "x264-params": "b-pyramid=normal:b-adapt=0"}),
    "open groups": ("v.mkv", {"gop": 12, "bf": "3", "x264-params": "open-gop=1:b-adapt=0"}),
    "transport stream": ("v.ts", {"gop": 20, "bf": "3", "x264-params": "b-adapt=0"}),
    "interlaced": ("v.mp4", {"gop": 30, "bf": "3", "flags": "+ildct", "x264-params": "b-adapt=0"}),
    "h265": ("v.mp4", {"gop": 50, "codec": "libx265", "x265-params": "log-level=error:bframes=4:b-adapt=0"}),
    "avi": ("v.avi", {"gop": 30, "bf": "3", "x264-params": "b-adapt=0"}),
    "mpeg-2": ("v.mpg", {"codec": "mpeg2video", "bf": "2"}),
}
SKIPPED = ("one B-frame in two", "pyramid of B-frames", "open groups", "transport stream", "h265")


@pytest.fixture(scope="module", params=B_FRAMES)
def b_frames(request, tmp_path_factory, encode):
    name, options = B_FRAMES[request.param]
    even = "codec" in options or name.endswith("avi")  # else frames are 0.02 to 0.06 s apart
    times = np.arange(125) / 25 if even else np.cumsum(np.random.default_rng(0).integers(1, 4, 125)) / 50
    path = encode(tmp_path_factory.mktemp("b") / name, times, size=(128, 96), **options)
    return path, request.param in SKIPPED


@pytest.fixture
def decoded(monkeypatch):
    """All frames that are decoded."""
    frames, decode_packet = [], Track._decode_packet
    monkeypatch.setattr(Track, "_decode_packet", lambda *a: frames.extend(f := decode_packet(*a)) or f)
    return frames


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(st.lists(st.floats(-0.5, 5.5), min_size=1, max_size=12), min_size=1, max_size=3))
def test_leaving_out_frames_that_are_not_wanted_changes_no_other(b_frames, monkeypatch, asked):
    path, _ = b_frames
    with VideoReader(path) as reader:
        got = [reader.frames_at(times) for times in asked]
    with monkeypatch.context() as patch, VideoReader(path) as reader:
        patch.setattr(Track, "want", lambda self, times: None)
        for images, times in zip(got, asked):
            np.testing.assert_array_equal(images, reader.frames_at(times))


def test_frames_that_are_not_wanted_are_not_decoded(b_frames, decoded, monkeypatch):
    path, skipped = b_frames
    counts = []
    for _ in range(2):
        with VideoReader(path) as reader:
            decoded.clear()
            reader.frames_at(np.arange(1, 4, 0.4))
            counts.append(len(decoded))
        monkeypatch.setattr(Track, "want", lambda self, times: None)
    assert (counts[0] < 0.8 * counts[1]) == skipped


def test_a_wanted_frame_that_is_broken_gives_way_to_the_one_before(tmp_path, encode):
    whole = encode(tmp_path / "v.mp4", TWO_SECONDS, gop=50, bf="3", **{"x264-params": "b-adapt=0"})
    with av.open(str(whole)) as file:
        packets = [packet for packet in file.demux(video=0) if packet.size]
    for packet in packets[5:30]:
        content = bytearray(whole.read_bytes())
        content[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
        path = tmp_path / "broken.mp4"
        path.write_bytes(content)
        time = float(packet.pts * packet.time_base)
        with VideoReader(path) as reader:
            (image,) = reader.frames_at([time])
            np.testing.assert_array_equal(image, [i for t, i in reader.frames() if t <= time + 0.0006][-1])


def test_a_file_that_changes_is_looked_at_anew(tmp_path, encode):
    path = encode(tmp_path / "v.mp4", TWO_SECONDS)
    assert probe(path).duration == pytest.approx(2.0) and probe(path) is probe(path)
    encode(path, TWO_SECONDS[:25])
    assert probe(path).duration == pytest.approx(1.0)


@pytest.mark.parametrize("threads", [1, 5])
def test_frames_are_the_same_however_many_threads_decode(b_frames, monkeypatch, threads):
    path, _ = b_frames
    asked = np.arange(0.1, 4, 0.3)
    with VideoReader(path) as reader:
        expected = reader.frames_at(asked)
    monkeypatch.setattr(track, "_threads", threads)
    with VideoReader(path) as reader:
        np.testing.assert_array_equal(reader.frames_at(asked), expected)


def write_jpegs(path, *sizes):
    """A video of gray JPEG frames of these (width, height), the first of which the header states."""
    with av.open(str(path), "w") as file:
        track = file.add_stream("mjpeg", rate=25)
        track.width, track.height, track.pix_fmt = *sizes[0], "yuvj420p"
        for number, size in enumerate(sizes):
            coded = io.BytesIO()
            Image.new("RGB", size, "gray").save(coded, "jpeg")
            packet = av.Packet(coded.getvalue())
            packet.stream, packet.time_base, packet.is_keyframe = track, Fraction(1, 25), True
            packet.pts = packet.dts = number
            file.mux(packet)
    return path


@pytest.mark.parametrize(
    ("size", "aspect", "shown"),
    [
        ((16000, 2), "1:1", "16000x2"),
        ((2, 4000), "1:1", "2x4000"),
        ((66, 2), "1:1", "66x2"),
        ((64, 4), "3:1", "192x4"),
        ((1, 64), "1:4", "1x64"),
    ],
)
@pytest.mark.parametrize("read", [probe, VideoReader])
def test_video_with_elongated_frames_is_refused_with_their_size(tmp_path, size, aspect, shown, read):
    width, height = size
    frame = b"FRAME\n" + bytes(width * height)
    (tmp_path / "v.y4m").write_bytes(f"YUV4MPEG2 W{width} H{height} F25:1 Ip A{aspect} Cmono\n".encode() + 2 * frame)
    for _ in range(2):
        with pytest.raises(UserError, match=f"v.y4m: its frames are {shown} pixels; .* at most 32 times as wide"):
            read(tmp_path / "v.y4m")


@pytest.mark.parametrize("read", [probe, VideoReader])
def test_video_with_huge_frames_is_refused_before_one_is_decoded(tmp_path, monkeypatch, read):
    path = write_jpegs(tmp_path / "v.mkv", (8000, 8000))
    monkeypatch.setattr(Track, "decode", lambda *arguments: pytest.fail("decoded"))
    with pytest.raises(UserError, match=r"v\.mkv: its frames are 8000x8000 pixels; expected at most 33,554,432"):
        read(path)


@pytest.mark.parametrize("size", [(7680, 4320), (4320, 7680), (64, 2), (2, 64)])
def test_probe_size_within_the_limits_is_accepted(tmp_path, size):
    info = probe(write_jpegs(tmp_path / "v.mkv", size))
    assert (info.width, info.height) == size


def test_video_that_changes_to_huge_frames_leaves_them_out_as_broken(tmp_path):
    path = write_jpegs(tmp_path / "v.mkv", (64, 48), (8000, 8000), (64, 48))
    with VideoReader(path) as video:
        assert [image.shape for _, image in video.frames()] == 2 * [(48, 64, 3)]
        assert video.damaged == 1
