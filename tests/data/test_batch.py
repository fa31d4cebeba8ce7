from dataclasses import replace

import torch

from avsf_det.data.batch import Collate, Sample
from avsf_det.data.clip import ClipSpec

SPEC = ClipSpec(num_frames=4, audio_frames=16, num_mels=8)


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


def test_a_batch_holds_negatives_where_there_are_any():
    collate = Collate(SPEC, slow_frames=2, mean=[0.45] * 3, std=[0.225] * 3)
    heard, unheard = sample(16, 16), sample(16, 16)
    assert collate([heard, unheard]).misaligned is None
    batch = collate([replace(heard, misaligned=torch.full((16, 8), 2.0)), unheard])
    assert batch.misaligned.shape == batch.audio.shape
    assert batch.misaligned.mean(dim=(1, 2, 3, 4)).tolist() == [2.0, 0.0]
    assert batch.to(torch.device("cpu")).misaligned is not None


def test_clips_leave_as_bytes_and_are_normalised_where_the_batch_is():
    one = sample(8, 6)
    one.frames[:] = torch.randint(256, one.frames.shape, dtype=torch.uint8)
    batch = Collate(SPEC, slow_frames=2, mean=[0.4, 0.5, 0.6], std=[0.1, 0.2, 0.3])([one, sample(6, 8)])
    assert batch.frames.dtype == torch.uint8 and "fast" not in vars(batch)
    moved = batch.to(torch.device("cpu"))
    expected = (one.frames / 255 - torch.tensor([0.4, 0.5, 0.6])) / torch.tensor([0.1, 0.2, 0.3])
    torch.testing.assert_close(moved.fast[0, ..., :6], expected.permute(3, 0, 1, 2))
    assert moved.fast.is_contiguous(memory_format=torch.channels_last_3d)
    assert moved.slow.is_contiguous(memory_format=torch.channels_last_3d)


def test_a_batch_of_no_clip_says_why():
    batch = Collate(SPEC, slow_frames=2, mean=[0.45] * 3, std=[0.225] * 3)([], ["a at 3 s: broken"])
    assert len(batch) == 0 and batch.failed == ["a at 3 s: broken"] and batch.clips == []
    assert len(batch.fast) == len(batch.boxes) == len(batch.labels) == len(batch.audio) == 0


def test_a_part_of_a_batch_is_the_batch_of_those_clips():
    collate = Collate(SPEC, slow_frames=2, mean=[0.45] * 3, std=[0.225] * 3)
    samples = [sample(20, 24, boxes=2), sample(20, 24, boxes=0), sample(20, 24, sound=False, level=9)]
    batch = collate(samples)
    for start, end in ((0, 3), (0, 2), (1, 2), (2, 3), (1, 5)):
        part, expected = batch.part(start, end), collate(samples[start:end])
        for name in ("frames", "sizes", "audio", "audio_present", "boxes", "labels", "fast"):
            assert torch.equal(getattr(part, name), getattr(expected, name)), name
