import numpy as np
import pytest

from avsf_det.engine.retrieval import retrieval, synchrony

NAMES = {f"{way}_top{k}" for way in ("picture_to_sound", "sound_to_picture") for k in (1, 5)}


@pytest.fixture
def noise():
    return np.random.default_rng(0)


def test_each_finds_its_own_whatever_the_lengths(noise):
    pictures = noise.normal(size=(20, 8))
    sounds = pictures * noise.uniform(0.1, 10, size=(20, 1))
    assert retrieval(pictures, sounds) == dict.fromkeys(NAMES, 100.0)


def test_both_ways_are_told_apart():
    """Of three pictures two are nearest to the first sound; each sound is nearest to its own picture."""
    pictures = np.array([[1, 0, 0], [0.8, 0.6, 0], [0, 0, 1]])
    sounds = np.array([[1, 0, 0], [0.5, 0.6, 0.6], [0, 0, 1]])
    found = retrieval(pictures, sounds)
    assert found["picture_to_sound_top1"] == pytest.approx(200 / 3)
    assert found["sound_to_picture_top1"] == 100.0 and found["picture_to_sound_top5"] == 100.0


def test_what_was_never_learned_is_at_chance(noise):
    found = retrieval(noise.normal(size=(1000, 16)), noise.normal(size=(1000, 16)))
    assert all(value < 1.5 for value in found.values())


@pytest.mark.parametrize("embedding", [1.0, 0.0])
def test_embeddings_that_are_all_the_same_are_at_chance(embedding):
    same = np.full((50, 4), embedding)
    assert retrieval(same, same) == {name: 2.0 if name.endswith("1") else 10.0 for name in NAMES}
    assert synchrony(same, same, same) == 50.0


def test_synchrony_is_the_share_whose_own_sound_is_nearer(noise):
    pictures, others = noise.normal(size=(2, 8, 16))
    assert synchrony(pictures, pictures, others) == 100.0
    assert synchrony(pictures, others, pictures) == 0.0
    swapped = np.arange(8)[:, None] < 2
    assert synchrony(pictures, np.where(swapped, others, pictures), np.where(swapped, pictures, others)) == 75.0


def test_nothing_to_seek_is_no_number():
    none = np.zeros((0, 4))
    assert all(np.isnan(value) for value in retrieval(none, none).values()) and np.isnan(synchrony(none, none, none))
