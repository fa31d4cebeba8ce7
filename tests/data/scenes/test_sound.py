import numpy as np
import pytest

from avsf_det.data.scenes.sound import SOUNDS, mix

RATE = 16000
SILENCE_DB = -120


def distracted(seed):
    """Whether a mix of that seed has sounds that nobody makes: without events and noise, all that is heard."""
    return (np.abs(mix(np.random.default_rng(seed), RATE, 2.0, [], SILENCE_DB)) > 1e-3).any()


def alone(kind, pan=0.0):
    """A mix of one sound at second 1 and nothing else."""
    seed = next(seed for seed in range(50) if not distracted(seed))
    return mix(np.random.default_rng(seed), RATE, 2.0, [(1.0, kind, 0.5, pan, 0.5)], SILENCE_DB)


@pytest.mark.parametrize("kind", SOUNDS)
def test_a_sound_is_finite_short_and_within_full_scale(kind):
    for voice in (0.0, 0.5, 1.0):
        sound = SOUNDS[kind](np.random.default_rng(1), RATE, voice)
        assert np.isfinite(sound).all() and 0.05 < np.abs(sound).max() <= 1.0001
        assert 0.03 * RATE < len(sound) < 0.4 * RATE


@pytest.mark.parametrize("kind", SOUNDS)
def test_a_sound_is_heard_from_its_beat_on(kind):
    track = np.abs(alone(kind)).max(axis=1)
    assert track[: int(0.99 * RATE)].max() < 1e-3
    assert track[RATE : int(1.2 * RATE)].max() > 0.01
    assert track[int(1.5 * RATE) :].max() < 1e-3


def test_pan_places_a_sound_left_or_right():
    left, right = np.abs(alone("clap", pan=-0.8)).max(axis=0)
    assert left > 2 * right
    left, right = np.abs(alone("clap", pan=0.8)).max(axis=0)
    assert right > 2 * left


def test_people_sound_different():
    one, other = (SOUNDS["bell"](np.random.default_rng(0), RATE, voice) for voice in (0.1, 0.9))
    peaks = [np.abs(np.fft.rfft(sound)).argmax() for sound in (one, other)]
    assert abs(peaks[0] - peaks[1]) * RATE / len(one) > 300


def test_noise_has_the_level_asked_for_and_distractors_come_by():
    track = mix(np.random.default_rng(0), RATE, 4.0, [], -30)
    assert track.shape == (4 * RATE, 2) and track.dtype == np.float32
    assert 20 * np.log10(np.median(np.abs(track)) / 0.6745) == pytest.approx(-30, abs=1.5)
    assert 5 < sum(distracted(seed) for seed in range(40)) < 35


def test_a_crowd_does_not_clip():
    track = mix(np.random.default_rng(0), RATE, 1.0, [(0.2, "clap", 0.9, 0.0, 0.5)] * 20, -30)
    assert np.abs(track).max() <= 0.9501


def test_sounds_at_the_very_end_are_cut():
    assert mix(np.random.default_rng(0), RATE, 1.0, [(0.99, "bell", 0.5, 0.0, 0.5)], -30).shape == (RATE, 2)
