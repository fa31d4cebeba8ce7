import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from avsf_det.data.annotations import AvaFolder
from avsf_det.data.clip import ClipSpec
from avsf_det.data.dataset import ActionDataset, ClipCache, Collate, Sample
from avsf_det.data.transforms import TrainTransform
from avsf_det.errors import UserError
from avsf_det.media.source import VideoSource

SPEC = ClipSpec(num_frames=4, sampling_rate=4, short_side=48, audio_frames=16, num_mels=8)
TRANSFORM = TrainTransform((40, 48), 32, colour_jitter=0.2, box_jitter=0.1)


@pytest.fixture
def make(scenes):
    """A function that makes the training samples of the tiny scenes."""

    def make(seed=0, cache=None, videos=None, gap=None):
        folder = AvaFolder(scenes)
        return ActionDataset(folder.keyframes("train"), videos or folder.videos, SPEC, TRANSFORM, seed, cache, gap)

    return make


def assert_same(one, other):
    for name, value in vars(one).items():
        torch.testing.assert_close(value, getattr(other, name), rtol=0, atol=0)


def test_what_is_random_follows_from_seed_epoch_and_index_alone(make):
    first, second = make(), make()
    wanted = first[2]
    second[0], second[1]
    torch.manual_seed(99)
    assert_same(second[2], wanted)
    second.epoch = 1
    assert not torch.equal(second[2].frames, wanted.frames)
    second.epoch = 0
    assert_same(second[2], wanted)
    assert not torch.equal(make(seed=1)[2].frames, wanted.frames)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_same_whoever_loads_them(make, workers):
    samples = make()
    batches = list(DataLoader(samples, batch_size=4, num_workers=workers, collate_fn=Collate(SPEC, 2, [0.5], [0.25])))
    assert len(batches) == -(-len(samples) // 4)
    expected = Collate(SPEC, 2, [0.5], [0.25])([samples[i] for i in range(4)])
    assert_same(batches[0], expected)


def test_cached_clips_are_those_decoded(make, tmp_path):
    cached = make(cache=tmp_path / "cache")
    cached.prepare()
    files = sorted((tmp_path / "cache").iterdir())
    assert len(files) == len(cached)
    stamps = [file.stat().st_mtime_ns for file in files]
    for index in range(len(cached)):
        assert_same(cached[index], make()[index])
    make(cache=tmp_path / "cache").prepare()
    assert [file.stat().st_mtime_ns for file in sorted((tmp_path / "cache").iterdir())] == stamps


def test_a_changed_video_or_spec_is_decoded_anew(scenes, tmp_path):
    videos = sorted((scenes / "videos").glob("train_*.mp4"))
    path = shutil.copy(videos[0], tmp_path / "video.mp4")
    cache = ClipCache(tmp_path / "cache", SPEC)
    before = cache.get(path, 1.0)
    shutil.copy(videos[1], path)
    assert not np.array_equal(cache.get(path, 1.0).frames, before.frames)
    other = ClipCache(tmp_path / "cache", ClipSpec(num_frames=2, short_side=16))
    assert other.get(path, 1.0).frames.shape[:2] == (2, 16)


def test_a_cached_clip_is_of_one_place_on_the_clock(scenes, tmp_path):
    path, cache = scenes / "videos" / "train_0000.mp4", ClipCache(tmp_path / "cache", SPEC)
    before = cache.get(path, 2.0)
    assert not np.array_equal(cache.get(VideoSource(path, 1.0), 2.0).frames, before.frames)
    np.testing.assert_array_equal(cache.get(VideoSource(path, 900.0), 902.0).frames, before.frames)


def test_a_cache_that_cannot_be_filled_keeps_no_half_written_clip(scenes, tmp_path, monkeypatch):
    def full(file, **arrays):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        ClipCache(tmp_path / "cache", SPEC).fill(scenes / "videos" / "val_0000.mp4", [1.0])
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("cached", [False, True])
def test_a_video_that_cannot_be_read_is_left_out_and_named(make, tmp_path, caplog, cached):
    videos = dict(make().videos)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    videos["train_0001"] = tmp_path / "broken.mp4"
    samples = make(videos=videos, cache=tmp_path / "cache" if cached else None)
    samples.prepare()
    assert {k.video_id for k in samples.keyframes} == {"train_0000", "train_0002"}
    assert "1 videos left out" in caplog.text and "broken.mp4: not a video" in caplog.text


def test_keyframes_beyond_their_video_are_left_out_and_named(make, caplog):
    videos = dict(make().videos)
    videos["train_0001"] = VideoSource(videos["train_0001"].path, start=-2.5)  # begins, and ends, earlier
    samples = make(videos=videos)
    samples.prepare()
    left = {k.time for k in samples.keyframes if k.video_id == "train_0001"}
    assert 0 < len(left) < sum(k.video_id == "train_0001" for k in make().keyframes) and max(left) < 2
    assert "keyframes left out" in caplog.text and "train_0001.mp4: lasts from second -2.5 to 1.5" in caplog.text


def test_no_video_that_can_be_read_is_an_error(make, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(UserError, match="no video of the training split"):
        make(videos=dict.fromkeys(make().videos, tmp_path / "broken.mp4")).prepare()


def sample(height, width, boxes=1, sound=True, level=128):
    return Sample(
        frames=torch.full((4, height, width, 3), level, dtype=torch.uint8),
        log_mel=torch.ones(16, 8) if sound else None,
        boxes=torch.tensor([[0.25, 0.5, 0.75, 1.0]]).repeat(boxes, 1),
        labels=torch.ones(boxes, 5),
    )


def test_a_batch_holds_pictures_of_several_sizes_and_knows_who_is_in_which():
    collate = Collate(SPEC, slow_frames=2, mean=[0.45] * 3, std=[0.225] * 3)
    batch = collate([sample(32, 40, boxes=2), sample(20, 64, boxes=0), sample(16, 16, sound=False)])
    assert batch.fast.shape == (3, 3, 4, 32, 64) and batch.slow.shape == (3, 3, 2, 32, 64)
    assert batch.audio.shape == (3, 1, 1, 16, 8)
    torch.testing.assert_close(batch.fast[0, :, :, :, :40], torch.full((3, 4, 32, 40), (128 / 255 - 0.45) / 0.225))
    assert batch.fast[0, :, :, :, 40:].abs().max() == 0
    assert batch.boxes.tolist() == [[0, 10, 16, 30, 32], [0, 10, 16, 30, 32], [2, 4, 8, 12, 16]]
    assert batch.audio_present.tolist() == [True, True, False] and batch.audio[2].abs().max() == 0
    assert batch.labels.shape == (3, 5)


def test_the_slow_pathway_sees_every_alpha_th_frame_as_in_pyslowfast():
    one = sample(8, 8)
    one.frames[:] = torch.arange(0, 200, 50, dtype=torch.uint8).reshape(4, 1, 1, 1)
    batch = Collate(SPEC, slow_frames=2, mean=[0.0] * 3, std=[1.0] * 3)([one])
    assert torch.equal(batch.slow, batch.fast[:, :, [0, 3]])


def test_negatives_are_other_moments_of_the_same_sound(make):
    plain, samples = make(), make(gap=0.5)
    one = samples[2]
    assert one.misaligned.shape == one.log_mel.shape and not torch.equal(one.misaligned, one.log_mel)
    assert torch.equal(samples[2].misaligned, one.misaligned)
    assert torch.equal(plain[2].frames, one.frames) and plain[2].misaligned is None
    samples.epoch = 1
    assert not torch.equal(samples[2].misaligned, one.misaligned)
    assert make(gap=60.0)[2].misaligned is None


def test_a_batch_holds_negatives_where_there_are_any():
    collate = Collate(SPEC, slow_frames=2, mean=[0.45] * 3, std=[0.225] * 3)
    heard, unheard = sample(16, 16), sample(16, 16)
    assert collate([heard, unheard]).misaligned is None
    batch = collate([replace(heard, misaligned=torch.full((16, 8), 2.0)), unheard])
    assert batch.misaligned.shape == batch.audio.shape
    assert batch.misaligned.mean(dim=(1, 2, 3, 4)).tolist() == [2.0, 0.0]
    assert batch.to(torch.device("cpu")).misaligned is not None


def test_an_error_in_a_worker_says_what_it_says_elsewhere(make, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    samples = make(videos=dict.fromkeys(make().videos, tmp_path / "broken.mp4"))
    with pytest.raises(UserError) as alone:
        samples[0]
    with pytest.raises(UserError) as worker:
        next(iter(DataLoader(samples, num_workers=1, collate_fn=list)))
    assert str(worker.value) == str(alone.value) and "\n" not in str(worker.value)
