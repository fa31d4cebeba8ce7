"""Video and audio stay in sync on one timeline, whatever the clock of a file does."""

import logging
from fractions import Fraction

import av
import numpy as np
import pytest

from avsf_det.errors import UserError
from avsf_det.media import AudioReader, VideoReader, probe, timeline_scan
from avsf_det.media.writer import VideoWriter

FRAME = 1 / 25
HOURS = 180_000  # frames in two hours


def joined(path, *parts):
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def flashes(path):
    """Seconds at which frames turn white."""
    with VideoReader(path) as reader:
        times, white = zip(*((time, image.mean() > 150) for time, image in reader.frames()))
    return np.array([time for time, now, before in zip(times, white, (False, *white)) if now and not before])


def clicks(path):
    """Seconds at which clicks begin."""
    with AudioReader(path) as reader:
        loud = np.flatnonzero(np.abs(reader.read(0, probe(path).duration + 1)) > 0.2)
    return loud[np.diff(loud, prepend=-16000) > 3200] / 16000


def assert_in_sync(path, count):
    seen, heard = flashes(path), clicks(path)
    assert len(seen) == len(heard) == count
    np.testing.assert_allclose(heard, seen, atol=0.005)


def assert_seeks_find_every_frame(path):
    with VideoReader(path) as reader:
        frames = [(time, image.mean()) for time, image in reader.frames()]
        for i in np.random.default_rng(0).permutation(len(frames))[:40]:
            time, mean = frames[i]
            assert reader.frames_at([time])[0].mean() == pytest.approx(mean, abs=3)
    return [time for time, _ in frames]


CODECS = {
    "ts": {},
    "mpg": {"codec": "mpeg2video", "sound": "mp2"},
    "vob": {"codec": "mpeg2video", "sound": "ac3"},
}


@pytest.mark.parametrize("suffix", CODECS)
def test_timeline_of_three_joined_files_is_continuous(tmp_path, flashing, suffix):
    first = flashing(tmp_path / f"a.{suffix}", **CODECS[suffix])
    second = flashing(tmp_path / f"b.{suffix}", range(50), (0.8,), ((0, 2),), **CODECS[suffix])
    path = joined(tmp_path / f"c.{suffix}", first, second, first)
    info = probe(path)
    assert info.duration - info.picture_start == pytest.approx(8, abs=2 * FRAME)
    assert info.audio_end == pytest.approx(8, abs=0.15)
    assert_in_sync(path, 5)
    times = assert_seeks_find_every_frame(path)
    assert len(times) == 200 and np.diff(times).max() < 3 * FRAME


def test_timeline_of_two_joined_matroska_files_is_continuous(tmp_path, flashing):
    part = flashing(tmp_path / "a.mkv", sound="pcm_s16le")
    path = joined(tmp_path / "joined.mkv", part, part)
    assert probe(path).duration == pytest.approx(6, abs=0.1)
    assert_in_sync(path, 4)
    assert len(assert_seeks_find_every_frame(path)) == 150


@pytest.mark.parametrize("suffix, count", [("flv", 2), ("mkv", 3)])
def test_appended_file_that_is_not_read_is_reported(tmp_path, flashing, caplog, suffix, count):
    part = flashing(tmp_path / f"a.{suffix}")
    with caplog.at_level(logging.WARNING):
        probe(part)
        assert not caplog.messages
        path = joined(tmp_path / f"joined.{suffix}", *[part] * count)
        probe(path)
    (message,) = [message for message in caplog.messages if "are not read" in message]
    assert message.startswith(f"{path}: ") and f"of its {path.stat().st_size} bytes" in message


def test_appended_file_with_other_tracks_is_reported(tmp_path, flashing, caplog):
    part = flashing(tmp_path / "a.ts")
    with (
        av.open(str(part)) as source,
        av.open(str(tmp_path / "b.ts"), "w", options={"mpegts_start_pid": "512"}) as file,
    ):
        tracks = {track.index: file.add_stream_from_template(track) for track in source.streams}
        for packet in source.demux():
            if packet.size:
                packet.stream = tracks[packet.stream.index]
                file.mux(packet)
    with caplog.at_level(logging.WARNING):
        probe(joined(tmp_path / "joined.ts", part, tmp_path / "b.ts"))
    assert sum("are not read" in message for message in caplog.messages) == 1


@pytest.mark.parametrize("offsets", [(0, HOURS), (HOURS, 0), (0, HOURS, 0), (0, 68), (0, 25), (2_386_060, 0)])
def test_timeline_of_parts_with_any_clocks_keeps_all_in_sync(tmp_path, flashing, offsets):
    parts = [
        flashing(
            tmp_path / f"{number}.ts",
            range(offset, offset + 75),
            (offset / 25 + 0.4, offset / 25 + 1.4),
            ((offset / 25, offset / 25 + 3),),
        )
        for number, offset in enumerate(offsets)
    ]
    path = joined(tmp_path / "joined.ts", *parts)
    assert probe(path).duration == pytest.approx(3 * len(parts), abs=0.3)
    assert_in_sync(path, 2 * len(parts))
    assert len(assert_seeks_find_every_frame(path)) == 75 * len(parts)


def test_timeline_with_a_wraparound_of_the_clock_is_continuous(tmp_path, flashing):
    start = 2**33 / 90_000 - 2.5  # the time stamps of a transport stream have 33 bits
    number = round(start * 25)
    path = flashing(
        tmp_path / "wrap.ts",
        range(number, number + 75),
        (number / 25 + 0.4, number / 25 + 1.4),
        ((number / 25, number / 25 + 3),),
    )
    assert probe(path).duration == pytest.approx(3, abs=0.1)
    assert_in_sync(path, 2)


def test_timeline_reads_from_checkpoints_what_it_reads_from_the_start(tmp_path, flashing, monkeypatch):
    monkeypatch.setattr(timeline_scan, "_BEHIND", 8 << 10)
    monkeypatch.setattr(timeline_scan, "_CHECKPOINT", 16 << 10)
    part = flashing(tmp_path / "a.ts", sound="mp2")
    path = joined(tmp_path / "joined.ts", *[part] * 6)
    with VideoReader(path) as reader:
        assert len(reader._picture._timeline.checkpoints) > 2
    assert_in_sync(path, 12)
    assert len(assert_seeks_find_every_frame(path)) == 450


@pytest.mark.parametrize("first, second", [(True, False), (False, True)])
def test_timeline_of_parts_of_which_one_has_no_audio_keeps_the_other_in_place(tmp_path, flashing, first, second):
    parts = [flashing(tmp_path / f"{i}.ts", audio=((0, 3),) if has else ()) for i, has in enumerate((first, second))]
    path = joined(tmp_path / "joined.ts", *parts)
    seen = flashes(path)
    assert len(seen) == 4
    np.testing.assert_allclose(clicks(path), seen[:2] if first else seen[2:], atol=0.005)


def test_timeline_of_joined_audio_has_all_of_it(tmp_path, flashing):
    whole = flashing(tmp_path / "whole.ts")
    audio = tmp_path / "audio.ts"
    with av.open(str(whole)) as source, av.open(str(audio), "w") as file:
        track = file.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = track
                file.mux(packet)
    path = joined(tmp_path / "joined.ts", audio, audio, audio)
    with AudioReader(path) as reader:
        loud = np.flatnonzero(np.abs(reader.read(0, 12)) > 0.2)
    heard = loud[np.diff(loud, prepend=-16000) > 3200] / 16000
    assert len(heard) == 6
    assert np.diff(heard[::2]) == pytest.approx(3, abs=0.05) and np.diff(heard)[::2] == pytest.approx(1, abs=0.002)


def test_annotated_copy_of_joined_files_has_the_audio_of_both(tmp_path, flashing):
    part = flashing(tmp_path / "a.ts")
    path = joined(tmp_path / "joined.ts", part, part)
    info = probe(path)
    with (
        VideoReader(path) as reader,
        VideoWriter(tmp_path / "copy.mp4", 64, 48, 25, sound_from=path, duration=info.duration) as writer,
    ):
        for time, image in reader.frames():
            writer.write(image, time)
    assert_in_sync(tmp_path / "copy.mp4", 4)


def test_timeline_restart_is_logged_in_one_line(tmp_path, flashing, caplog):
    part = flashing(tmp_path / "a.ts")
    with caplog.at_level(logging.WARNING):
        probe(part)
        assert not caplog.messages
        path = joined(tmp_path / "joined.ts", part, part)
        for _ in range(2):
            probe(path)
    assert [message.split(" (")[0] for message in caplog.messages] == [
        f"{path}: the clock restarts; its 2 parts are put end to end"
    ]


@pytest.mark.parametrize("suffix, sound", [("ts", "aac"), ("mp4", "aac"), ("mkv", "pcm_s16le")])
def test_gap_in_all_tracks_is_closed(tmp_path, flashing, suffix, sound):
    path = flashing(
        tmp_path / f"v.{suffix}",
        [*range(75), *range(HOURS, HOURS + 75)],
        (0.4, 1.4, 7200.4, 7201.4),
        ((0, 3), (7200, 7203)),
        sound=sound,
    )
    info = probe(path)
    assert info.duration == pytest.approx(6, abs=0.2) and float(info.fps) == pytest.approx(25, rel=0.1)
    assert_in_sync(path, 4)
    assert len(assert_seeks_find_every_frame(path)) == 150


@pytest.mark.parametrize("suffix", ["ts", "mp4", "mkv"])
def test_gap_of_hours_without_audio_is_closed(tmp_path, flashing, suffix):
    path = flashing(tmp_path / f"v.{suffix}", [*range(75), *range(HOURS, HOURS + 75)], (0.4, 7201.4), ())
    assert probe(path).duration == pytest.approx(6, abs=0.1)
    assert flashes(path) == pytest.approx([0.4, 4.4], abs=0.1)


@pytest.mark.parametrize("suffix, sound", [("ts", "aac"), ("mp4", "aac"), ("mkv", "pcm_s16le")])
def test_frozen_picture_with_audio_stays_on_display(tmp_path, flashing, suffix, sound):
    frames = [*range(75), *range(1500, 1575)]
    path = flashing(tmp_path / f"v.{suffix}", frames, (0.4, 1.4, 60.4, 61.4), ((0, 63),), sound=sound)
    assert probe(path).duration == pytest.approx(63, abs=0.1)
    assert_in_sync(path, 4)
    with VideoReader(path) as reader:
        shown = reader.frames_at([30.0, 60.5, 59.9]).mean(axis=(1, 2, 3))
    assert (shown < 20).all()


@pytest.mark.parametrize("audio", [(), ((0, 125),)])
@pytest.mark.parametrize("suffix", ["ts", "mp4", "mkv"])
def test_slides_far_apart_keep_their_times(tmp_path, flashing, suffix, audio):
    path = flashing(tmp_path / f"v.{suffix}", range(0, 3001, 750), (30.0, 90.0), audio)
    start = probe(path).picture_start
    assert flashes(path) - start == pytest.approx([30, 90], abs=0.001)
    with VideoReader(path) as reader:
        shown = reader.frames_at(start + np.array([29.0, 31.0, 59.0, 61.0])).mean(axis=(1, 2, 3)) > 150
    assert shown.tolist() == [False, True, True, False]


def test_duration_is_that_of_audio_that_goes_on_after_the_last_frame(tmp_path, flashing):
    assert probe(flashing(tmp_path / "frozen.mp4", audio=((0, 20),))).duration == pytest.approx(20, abs=0.05)
    assert probe(flashing(tmp_path / "usual.mp4", audio=((0, 4),))).duration == pytest.approx(3, abs=0.001)


RAW = {
    "h264 with B-frames": ("v.h264", "libx264", {"bf": "3", "b_strategy": "0"}),
    "h264, open groups": ("v.264", "libx264", {"bf": "2", "x264-params": "open-gop=1:b-adapt=0"}),
    "hevc": ("v.265", "libx265", {"x265-params": "log-level=error:bframes=3:keyint=12"}),
}


@pytest.mark.parametrize("name, codec, options", RAW.values(), ids=RAW)
def test_stream_without_time_stamps_has_times_by_its_frame_rate(tmp_path, number, name, codec, options):
    from tests.media.conftest import _numbered

    path = tmp_path / name
    with av.open(str(path), "w", format="hevc" if codec == "libx265" else "h264") as file:
        track = file.add_stream(codec, rate=30, options={"g": "12", **options})
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        for n in range(90):
            frame = av.VideoFrame.from_ndarray(_numbered(n), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = n, Fraction(1, 30)
            file.mux(track.encode(frame))
        file.mux(track.encode(None))
    info = probe(path)
    assert (info.fps, info.has_audio, info.picture_start) == (30, False, 0)
    assert info.duration == pytest.approx(3)
    with VideoReader(path) as reader:
        times, images = zip(*reader.frames())
        assert times == pytest.approx(np.arange(90) / 30)
        assert [number(image) for image in images] == list(range(90))
        order = np.random.default_rng(0).permutation(90)
        assert [number(reader.frames_at([i / 30 + 0.01])[0]) for i in order] == order.tolist()
        assert [number(image) for image in reader.frames_at(order / 30)] == order.tolist()


def test_stream_without_a_frame_rate_is_reported(tmp_path, encode, caplog):
    path = encode(tmp_path / "v.h264", np.arange(50) / 25)  # counts 90,000 ticks a second, and no frames
    with caplog.at_level(logging.WARNING):
        assert (probe(path).fps, probe(path).duration) == (25, pytest.approx(2))
    assert caplog.messages == [f"{path}: no time stamps and no frame rate; assumed 25 fps"]


@pytest.mark.parametrize("rate", [0.0, 1.0, 1e9])
def test_impossible_sample_rate_is_one_error(tmp_path, flashing, rate):
    content = flashing(tmp_path / "a.mkv", sound="pcm_s16le").read_bytes()
    path = tmp_path / "crafted.mkv"
    path.write_bytes(content.replace(np.array(48000.0, ">f8").tobytes(), np.array(rate, ">f8").tobytes()))
    for read in (probe, AudioReader):
        with pytest.raises(UserError, match=rf"sample rate of {rate:.0f} Hz; expected 1000 to 768000"):
            read(path)


def test_impossible_duration_is_one_error(tmp_path, encode):
    path = encode(tmp_path / "v.mkv", np.arange(40) * 30_000.0)
    with pytest.raises(UserError, match=r"span 1\d{6} s; expected at most 604800 s"):
        probe(path)
