import numpy as np
import pytest
import torch

from avsf_det.data.annotations import AvaFolder
from avsf_det.data.batch import Collate
from avsf_det.data.clip import ClipSpec
from avsf_det.data.dataset import ActionDataset, Run
from avsf_det.data.loader import JointLoader, TrainLoader
from avsf_det.data.transforms import TrainTransform

SPEC = ClipSpec(num_frames=4, sampling_rate=4, short_side=48, audio_frames=16, num_mels=8)
COLLATE = Collate(SPEC, 2, [0.5] * 3, [0.25] * 3)


@pytest.fixture
def make(scenes):
    """A function that makes the loader of the tiny scenes."""

    def make(batch_size=3, workers=0, videos=None, scales=(40, 48), **options):
        folder = AvaFolder(scenes)
        transform = TrainTransform(scales, 32, colour_jitter=0.2, box_jitter=0.1)
        samples = ActionDataset(
            folder.keyframes("train"), {**folder.videos, **(videos or {})}, SPEC, transform, seed=0, misaligned_gap=0.5
        )
        return TrainLoader(samples, COLLATE, batch_size, 0, workers, clips_per_read=3, **options)

    return make


def assert_same(some, others):
    assert len(some) == len(others)
    for one, other in zip(some, others):
        assert one.clips == other.clips and one.failed == other.failed
        for name in ("frames", "sizes", "audio", "audio_present", "boxes", "labels", "misaligned"):
            a, b = getattr(one, name), getattr(other, name)
            assert (a is None and b is None) or torch.equal(a, b), name


def test_batches_are_the_same_whoever_reads_them_and_wherever_an_epoch_is_taken_up(make):
    alone, helped = make(), make(workers=2)
    whole = list(alone.epoch(1))
    assert len(whole) == len(alone)
    assert_same(list(helped.epoch(1)), whole)
    next(helped.epoch(0))  # an epoch given up
    for start in range(len(whole) + 1):
        assert_same(list(helped.epoch(1, start)), whole[start:])
        assert_same(list(make().epoch(1, start)), whole[start:])


def test_an_epoch_holds_each_clip_at_most_once_and_almost_all_of_them(make):
    clips = [clip for batch in make().epoch(0) for clip in batch.clips]
    assert len(clips) == len(set(clips)) == len(make().samples) // 3 * 3


def test_ranks_share_an_epoch(make):
    ranks = [make(batch_size=2, rank=rank, world_size=2) for rank in range(2)]
    first, second = (list(loader.epoch(0)) for loader in ranks)
    assert len(first) == len(second) == len(ranks[0])
    assert not {clip for b in first for clip in b.clips} & {clip for b in second for clip in b.clips}


def test_a_dataset_smaller_than_a_batch_is_one_smaller_batch(make):
    (batch,) = make(batch_size=1000).epoch(0)
    assert len(batch) == len(make().samples)


@pytest.mark.parametrize("workers", [0, 1])
def test_clips_that_cannot_be_read_are_left_out_and_named_once(make, tmp_path, workers):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    whole = list(make().epoch(0))
    batches = list(make(workers=workers, videos={"train_0001": tmp_path / "broken.mp4"}).epoch(0))
    assert len(batches) == len(whole)
    for batch, full in zip(batches, whole):
        assert batch.clips == [clip for clip in full.clips if clip[0] != "train_0001"]
        bad = sorted(f"{video} at {time:g} s" for video, time in full.clips if video == "train_0001")
        assert sorted(message.split(": ")[0] for message in batch.failed) == bad
        assert all("not a video" in message for message in batch.failed)
    assert any(batch.failed for batch in batches)


def test_each_frame_of_a_run_is_decoded_once(make, scenes, monkeypatch):
    from avsf_det.media.track import Track

    decoded = []
    decode = Track._decode_packet
    loader = make(batch_size=4)
    samples = loader.samples

    def counted(self, packet):
        frames = decode(self, packet)
        if self.stream.type == "video":
            decoded.extend(frames)
        return frames

    monkeypatch.setattr(Track, "_decode_packet", counted)
    samples.read(Run(0, np.arange(3)))
    together = len(decoded)
    decoded.clear()
    for index in range(3):
        samples.read(Run(0, np.array([index])))
    assert together < 0.8 * len(decoded)


@pytest.mark.parametrize("per_step", [1, 2])
def test_each_step_has_some_of_one_loader_and_then_one_of_the_other(make, per_step):
    """The second has other batches, and another number of them."""
    joint = JointLoader(make(batch_size=2), make(batch_size=4), per_step)
    first, second = list(make(batch_size=2).epoch(1)), make(batch_size=4)
    steps = len(first) // per_step
    assert len(joint) == steps * (per_step + 1)
    others = [batch for epoch in range(9) for batch in second.epoch(epoch)][steps : 2 * steps]
    expected = []
    for step in range(steps):
        expected += [*first[step * per_step : (step + 1) * per_step], others[step]]
    whole = list(joint.epoch(1))
    assert_same(whole, expected)
    for step in range(steps + 1):
        start = step * (per_step + 1)
        again = JointLoader(make(batch_size=2, workers=1), make(batch_size=4, workers=1), per_step)
        assert_same(list(again.epoch(1, start)), whole[start:])


def test_a_loader_of_less_than_a_step_gives_what_it_has(make):
    joint = JointLoader(make(batch_size=1000), make(batch_size=4), 2)
    assert [len(batch) for batch in joint.epoch(0)] == [len(make().samples), 4]
