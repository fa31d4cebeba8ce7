import numpy as np

from avsf_det.data.scenes.place import Place


def place(seed):
    return Place(np.random.default_rng(seed), 128, 96)


def test_a_place_follows_from_its_seed_and_differs_from_others():
    np.testing.assert_array_equal(place(1).view(0.5), place(1).view(0.5))
    assert np.abs(place(1).view(0.5).astype(int) - place(2).view(0.5)).mean() > 10
    assert place(1).view(0.5).shape == (96, 128, 3)


def test_backgrounds_move():
    moved = [np.abs(place(seed).view(0.0).astype(int) - place(seed).view(2.0)).mean() for seed in range(8)]
    assert np.median(moved) > 1


def test_noise_differs_from_frame_to_frame_and_is_small():
    here = place(3)
    still = here.view(1.0)
    noisy = [here.add_noise(still, frame).astype(int) for frame in (0, 1)]
    assert (noisy[0] != noisy[1]).mean() > 0.3
    assert 0 < np.abs(noisy[0] - still).mean() < 10
