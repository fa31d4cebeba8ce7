import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.media.logmel import LogMel


def reference(waveform):
    """The same from the formulas alone, one frame at a time."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 82) / 2595) - 1)
    bins = np.linspace(0, 8000, 257)
    bank = np.zeros((257, 80))
    for m, (low, mid, high) in enumerate(zip(edges, edges[1:], edges[2:])):
        triangle = np.minimum((bins - low) / (mid - low), (high - bins) / (high - mid)).clip(0)
        bank[:, m] = triangle * 2 / (high - low)
    frames = [waveform[i : i + 512] * window for i in range(0, len(waveform) - 511, 256)]
    power = np.abs(np.fft.rfft(frames)) ** 2
    return (np.log(power @ bank + 1e-8) + 7.03) / 4.66


def test_agrees_with_the_formulas():
    waveform = np.random.default_rng(0).normal(0, 0.1, 16000)
    got = LogMel()(torch.from_numpy(waveform))
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), reference(waveform), atol=1e-3)


def test_silence():
    assert LogMel()(torch.zeros(512)).numpy() == pytest.approx((np.log(1e-8) + 7.03) / 4.66, abs=1e-5)
    assert LogMel(mean=0.0, std=1.0)(torch.zeros(512))[0, 0] == pytest.approx(-18.42, abs=0.01)


@given(samples=st.integers(512, 5000), clips=st.integers(1, 3))
def test_number_of_frames(samples, clips):
    assert LogMel()(torch.zeros(clips, 1, samples)).shape == (clips, 1, 1 + (samples - 512) // 256, 80)


def test_too_short_a_waveform():
    with pytest.raises(ValueError, match="511"):
        LogMel()(torch.zeros(511))


@given(center=st.floats(0, 5000), frames=st.integers(1, 300))
def test_span_holds_exactly_the_frames_around_its_centre(center, frames):
    logmel = LogMel()
    start, end = logmel.span(center, frames)
    assert round((end - start) * 16000) == logmel.num_samples(frames) == 512 + 256 * (frames - 1)
    times = logmel.times(start, frames)
    assert len(times) == frames
    assert times.mean() == pytest.approx(center)
    assert times[0] - start == pytest.approx(0.016)


def test_a_tone_is_loudest_in_its_mel_bin_and_its_frame():
    waveform = torch.zeros(16000)
    t = torch.arange(1600) / 16000
    waveform[8000:9600] = torch.sin(2 * torch.pi * 1000 * t)
    logmel = LogMel()
    frames = logmel(waveform)
    frame, mel = np.unravel_index(frames.argmax().item(), frames.shape)
    assert 0.5 <= logmel.times(0.0, len(frames))[frame] <= 0.6
    assert mel == 28  # (mel(1000 Hz) = 1000) of 80 bins up to mel(8000 Hz) = 2840
