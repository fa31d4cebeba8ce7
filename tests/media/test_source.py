import numpy as np
import pytest
from PIL import Image

from avsf_det.errors import UserError
from avsf_det.media.audio import AudioReader
from avsf_det.media.source import VideoSource, find_sources, open_audio, open_video, probe_source, start_of
from avsf_det.media.video import VideoReader


@pytest.fixture(scope="session")
def quarter(tmp_path_factory, encode):
    """901 seconds, a frame a second (its number within 0..255), as AVA's films are cut."""
    times = np.arange(901)
    return encode(tmp_path_factory.mktemp("cut") / "film.mp4", times, size=(32, 24), gop=50)


@pytest.fixture
def frames(tmp_path):
    """A folder of 60 frames, 30 a second, as bright as their number."""
    folder = tmp_path / "frames" / "film.v2"
    folder.mkdir(parents=True)
    for number in range(1, 61):
        Image.fromarray(np.full((24, 32, 3), number, np.uint8)).save(folder / f"film.v2_{number:06d}.jpg")
    return folder


def test_a_plain_path_is_read_as_it_is(clip):
    with open_video(clip, 24) as video, VideoReader(clip, short_side=24) as plain:
        np.testing.assert_array_equal(video.frames_at([0.5, 1.0]), plain.frames_at([0.5, 1.0]))
        assert video.info == plain.info
    np.testing.assert_array_equal(open_audio(clip).read(0.2, 0.7), AudioReader(clip).read(0.2, 0.7))


def test_a_file_that_begins_later_is_read_on_the_dataset_s_clock(clip, number):
    source = VideoSource(clip, start=900.0)
    with open_video(source) as video, VideoReader(clip) as plain:
        assert [number(image) for image in video.frames_at([900.2, 901.0])] == [5, 25]
        assert video.info.duration == pytest.approx(plain.info.duration + 900)
        assert video.info.picture_start == 900 and video.info.audio_end == pytest.approx(plain.info.audio_end + 900)
        assert [number(image) for image in video.frames_at([10.0, 2000.0])] == [0, 49]
    with open_audio(source, 16000) as sound:
        np.testing.assert_allclose(sound.read(900.5, 901.5), AudioReader(clip, 16000).read(0.5, 1.5))
        assert not sound.read(899.0, 900.0).any() and not sound.read(903.0, 904.0).any()
        assert sound.has_audio and sound.sample_rate == 16000


def test_a_quarter_of_an_hour_is_taken_for_ava_s_cut_if_that_is_left_open(quarter, number):
    assert start_of(VideoSource(quarter, None)) == 900.0
    assert start_of(VideoSource(quarter)) == start_of(quarter) == 0.0
    assert start_of(VideoSource(quarter, 1000.0)) == 1000.0
    with open_video(VideoSource(quarter, None)) as video:
        assert number(video.frames_at([902.0])[0]) == 2
        assert video.info.duration == pytest.approx(1800, abs=1)


def test_what_lasts_otherwise_begins_at_second_0(clip, frames):
    assert start_of(VideoSource(clip, None)) == 0.0 and start_of(VideoSource(frames, None)) == 0.0
    assert start_of(VideoSource(frames, None, fps=60 / 901)) == 900.0


def test_frames_with_the_sound_of_another_file_on_its_own_clock(frames, clip, tmp_path, encode, chirp):
    sound = encode(tmp_path / "film.wav", sound=(chirp(2, 16000), 16000), sound_codec="pcm_s16le")
    source = VideoSource(frames, 900.0, sound=VideoSource(sound, 900.0))
    with open_video(source, 12) as video, open_audio(source) as audio:
        assert video.frames_at([901.0])[0].mean() == pytest.approx(31, abs=1)
        np.testing.assert_allclose(audio.read(900.5, 901.5), chirp(2, 16000)[8000:24000], atol=1e-3)
    info = probe_source(source)
    assert (info.duration, info.has_audio, info.sample_rate, info.channels) == (902.0, True, 16000, 1)
    assert info.audio_start == 900 and info.audio_end == pytest.approx(902, abs=0.01)
    whole = VideoSource(frames, 900.0, sound=VideoSource(sound, 899.0))
    np.testing.assert_allclose(open_audio(whole).read(900.0, 900.5), chirp(2, 16000)[16000:24000], atol=1e-3)
    silent = VideoSource(frames, 0.0, sound=VideoSource(encode(tmp_path / "silent.mp4", [0, 0.1])))
    assert not probe_source(silent).has_audio


def test_frames_alone_are_silent(frames):
    with open_audio(VideoSource(frames), 8000) as sound:
        assert not sound.has_audio and sound.read(1.0, 1.5).tolist() == [0.0] * 4000
    assert not probe_source(VideoSource(frames)).has_audio


def test_videos_are_found_with_frames_first_and_sound_beside(tmp_path, frames, clip):
    for name in ("videos/film.v2.mkv", "videos/other.MP4", "videos/notes.txt", "sounds/other.flac"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_sources(tmp_path / "videos", frames.parent, tmp_path / "sounds", None, 25.0)
    assert sorted(found) == ["film.v2", "other"]
    assert found["film.v2"] == VideoSource(frames, None, 25.0, VideoSource(tmp_path / "videos" / "film.v2.mkv", None))
    assert found["other"].sound == VideoSource(tmp_path / "sounds" / "other.flac", None)
    assert {name: source.stem for name, source in found.items()} == {"film.v2": "film.v2", "other": "other"}
    assert list(find_sources(tmp_path / "none", frames.parent)) == ["film.v2"]


def test_what_is_read_has_an_identity_of_file_clock_and_sound(clip, frames, tmp_path):
    sources = [
        VideoSource(clip),
        VideoSource(clip, 900.0),
        VideoSource(frames),
        VideoSource(frames, sound=VideoSource(clip)),
        VideoSource(frames, fps=25.0),
    ]
    assert len({source.identity() for source in sources}) == len(sources)
    with pytest.raises(UserError, match=r"missing.mp4: cannot be opened"):
        VideoSource(tmp_path / "missing.mp4").identity()


def test_what_cannot_be_read_is_a_user_error(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    for start in (0.0, None):
        with pytest.raises(UserError, match=r"broken.mp4: not a video"):
            open_video(VideoSource(tmp_path / "broken.mp4", start))
        with pytest.raises(UserError, match=r"broken.mp4: not a video"):
            open_audio(VideoSource(tmp_path / "broken.mp4", start))
