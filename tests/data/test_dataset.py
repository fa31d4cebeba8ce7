import numpy as np
import pytest
import torch

from avsf_det.data.annotations import AvaFolder
from avsf_det.data.clip import ClipSpec
from avsf_det.data.dataset import ActionDataset, Run
from avsf_det.data.transforms import TrainTransform
from avsf_det.errors import UserError
from avsf_det.media.source import VideoSource
from avsf_det.media.video import VideoReader

SPEC = ClipSpec(num_frames=4, sampling_rate=4, short_side=48, audio_frames=16, num_mels=8)
TRANSFORM = TrainTransform((40, 48), 32, colour_jitter=0.2, box_jitter=0.1)


@pytest.fixture
def make(scenes):
    """A function that makes the training samples of the tiny scenes."""

    def make(seed=0, cache=None, videos=None, gap=None):
        folder = AvaFolder(scenes)
        return ActionDataset(folder.keyframes("train"), videos or folder.videos, SPEC, TRANSFORM, seed, cache, gap)

    return make


def read(samples, *indices, epoch=0):
    return samples.read(Run(epoch, np.array(indices)))


def assert_same(one, other):
    for name, value in vars(one).items():
        torch.testing.assert_close(value, getattr(other, name), rtol=0, atol=0) if name != "video_id" else None


def test_what_is_random_follows_from_seed_epoch_and_index_alone(make):
    first, second = make(), make()
    (wanted,) = read(first, 2)
    read(second, 0, 1)
    torch.manual_seed(99)
    assert_same(read(second, 2)[0], wanted)
    assert not torch.equal(read(second, 2, epoch=1)[0].frames, wanted.frames)
    assert_same(read(second, 2)[0], wanted)
    assert not torch.equal(read(make(seed=1), 2)[0].frames, wanted.frames)


def test_neighbours_read_together_are_those_read_alone(make):
    samples = make(gap=0.5)
    for index, sample in enumerate(read(samples, 0, 1, 2)):
        assert_same(sample, read(samples, index)[0])


def test_a_sample_knows_its_place(make, scenes):
    keyframe = AvaFolder(scenes).keyframes("train")[4]
    (sample,) = read(make(), 4)
    assert (sample.video_id, sample.time) == (keyframe.video_id, keyframe.time)


def test_cached_clips_are_those_decoded(make, tmp_path):
    cached = make(cache=tmp_path / "cache")
    assert not len(cached.find_unusable().samples)
    files = sorted((tmp_path / "cache").iterdir())
    assert len(files) == len(cached)
    stamps = [file.stat().st_mtime_ns for file in files]
    for index in range(len(cached)):
        assert_same(read(cached, index)[0], read(make(), index)[0])
    make(cache=tmp_path / "cache").find_unusable()
    assert [file.stat().st_mtime_ns for file in sorted((tmp_path / "cache").iterdir())] == stamps


@pytest.mark.parametrize("cached", [False, True])
def test_a_video_that_cannot_be_read_is_left_out_and_named(make, scenes, tmp_path, cached):
    videos = dict(AvaFolder(scenes).videos)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    videos["train_0001"] = tmp_path / "broken.mp4"
    samples = make(videos=videos, cache=tmp_path / "cache" if cached else None)
    before = read(samples, len(samples) - 1)[0]
    unusable = samples.find_unusable()
    samples.leave_out(unusable.samples)
    assert {one.video_id for i in range(len(samples)) for one in read(samples, i)} == {"train_0000", "train_0002"}
    assert list(unusable.videos) == ["train_0001"] and "broken.mp4: not a video" in unusable.videos["train_0001"]
    assert_same(read(samples, len(samples) - 1)[0], before)


def test_keyframes_beyond_their_video_are_left_out_and_named(make, scenes):
    videos = {name: VideoSource(source.path, start=-2.0) for name, source in AvaFolder(scenes).videos.items()}
    samples = make(videos=videos)
    unusable = samples.find_unusable()
    assert samples.times[unusable.samples].min() > 2.0 and len(unusable.beyond) == 3
    assert "expected a whole film, or AVA.VIDEO_START" in unusable.beyond[0]
    samples.leave_out(unusable.samples)
    assert len(samples) and not len(samples.find_unusable().samples)


def test_a_clip_that_cannot_be_read_is_named_and_its_neighbours_are_read(make, monkeypatch):
    samples = make()
    frames_at = VideoReader.frames_at
    times = samples.times[:4]
    expected = read(samples, 0, 1, 2, 3)

    def broken_there(self, wanted):
        if np.any(np.abs(np.asarray(wanted) - times[1]) < 0.05):
            raise UserError(f"{self.info.path}: no frame can be decoded")
        return frames_at(self, wanted)

    monkeypatch.setattr(VideoReader, "frames_at", broken_there)
    bad = [bool(np.any(np.abs(samples.spec.frame_times(time) - times[1]) < 0.05)) for time in times]
    assert bad[1] and not all(bad)
    for one, is_bad, time, sample in zip(read(samples, 0, 1, 2, 3), bad, times, expected):
        if is_bad:
            assert isinstance(one, UserError) and str(one).startswith(f"train_0000 at {time:g} s: ")
        else:
            assert_same(one, sample)


def test_negatives_are_other_moments_of_the_same_sound(make):
    plain, samples = make(), make(gap=0.5)
    (one,) = read(samples, 2)
    assert one.misaligned.shape == one.log_mel.shape and not torch.equal(one.misaligned, one.log_mel)
    assert torch.equal(read(samples, 2)[0].misaligned, one.misaligned)
    (without,) = read(plain, 2)
    assert torch.equal(without.frames, one.frames) and without.misaligned is None
    assert not torch.equal(read(samples, 2, epoch=1)[0].misaligned, one.misaligned)
    assert read(make(gap=60.0), 2)[0].misaligned is None
