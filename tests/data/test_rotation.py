import numpy as np
import pytest
import torch

from avsf_det.data.batch import Sample
from avsf_det.data.rotation import TURNS, RandomRotation, rotated
from avsf_det.data.transforms import TrainTransform


@pytest.fixture
def sample():
    frames = torch.arange(2 * 8 * 8 * 3, dtype=torch.uint8).reshape(2, 8, 8, 3)
    return Sample(frames, torch.ones(4, 2), torch.zeros(0, 4), torch.ones(1, 7), torch.zeros(4, 2), "film", 1.5)


@pytest.mark.parametrize("turns", range(4))
def test_all_frames_are_turned_alike_and_labelled_so_and_the_sound_stays(sample, turns):
    turned = rotated(sample, turns)
    for frame, before in zip(turned.frames, sample.frames):
        np.testing.assert_array_equal(frame, np.rot90(before, turns))
    assert turned.labels.tolist() == [[float(i == turns) for i in range(len(TURNS))]]
    assert turned.log_mel is sample.log_mel and turned.misaligned is sample.misaligned
    assert (turned.video_id, turned.time) == ("film", 1.5)


def test_the_turn_follows_from_the_generator_and_all_are_as_likely(sample):
    rotate = RandomRotation(TrainTransform((8, 8), 8, flip=False))

    def turns(seed):
        generator = torch.Generator().manual_seed(seed)
        return [rotate(sample, generator).labels.argmax().item() for _ in range(200)]

    assert turns(0) == turns(0) != turns(1)
    assert all(30 <= turns(0).count(turn) <= 70 for turn in range(4))


def test_it_comes_after_the_transform(sample):
    turned = RandomRotation(TrainTransform((8, 8), 8, flip=False))(sample, torch.Generator().manual_seed(0))
    turn = turned.labels.argmax().item()
    assert torch.equal(turned.frames, torch.rot90(sample.frames, turn, dims=(1, 2)))
