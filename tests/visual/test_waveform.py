import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avsf_det.visual.palette import DARK, WHITE
from avsf_det.visual.waveform import Envelope, WaveformLane, lane_height, stack

RATE = 16000


def envelope(samples, rate=RATE):
    made = Envelope(rate)
    made.add(samples)
    return made


def lit(lane, t=0.0):
    """Rows in which the right half of the lane shows something, the marks of the seconds left out."""
    image = lane.draw(t)
    half = image[: -max(2, len(image) // 12), image.shape[1] // 2 : -20]
    return (half != DARK).any(axis=2)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3000), max_size=12), st.sampled_from([8000, 16000, 44100]))
def test_chunks_give_what_the_whole_gives(lengths, rate):
    samples = np.random.default_rng(0).uniform(-1, 1, sum(lengths)).astype(np.float32)
    pieces = Envelope(rate)
    for chunk in np.split(samples, np.cumsum(lengths)):
        pieces.add(chunk)
    np.testing.assert_array_equal(pieces.columns(0.01, 30), envelope(samples, rate).columns(0.01, 30))


def test_columns_are_the_extremes_of_their_span():
    samples = np.zeros(RATE)
    samples[4000], samples[12000] = 0.5, -0.25
    np.testing.assert_array_equal(envelope(samples).columns(0.5, 3), [(0, 0.5), (-0.25, 0), (0, 0)])


def test_memory_does_not_grow_with_the_sample_rate():
    assert len(envelope(np.zeros(48000 * 60), 48000)._bins) == len(envelope(np.zeros(8000 * 60), 8000)._bins)


def test_no_sound_track_is_said():
    shown, silent = lit(WaveformLane(None, 10, 400, 40)), lit(WaveformLane(envelope(np.zeros(RATE)), 10, 400, 40))
    assert shown.any()
    assert shown.sum(axis=0).max() > silent.sum(axis=0).max()


@pytest.mark.parametrize("height", [36, 37, 60, 120, 240])
def test_digital_silence_is_a_thin_flat_line(height):
    shown = lit(WaveformLane(envelope(np.zeros(RATE * 10)), 10, 1600, height))
    assert shown.any(axis=0).all()
    assert 1 <= shown.any(axis=1).sum() <= max(2, height // 40)


def test_near_silence_is_not_made_to_look_loud():
    hiss = np.random.default_rng(0).uniform(-0.001, 0.001, RATE * 10)
    assert lit(WaveformLane(envelope(hiss), 10, 400, 100)).any(axis=1).sum() < 10


def test_a_quiet_voice_fills_the_lane():
    voice = 0.1 * np.sin(np.arange(RATE * 10))
    assert lit(WaveformLane(envelope(voice), 10, 400, 100)).any(axis=1).sum() > 80


def test_a_clap_stands_where_it_is_heard():
    samples = np.zeros(RATE * 10)
    samples[int(7.5 * RATE)] = 1.0
    image = WaveformLane(envelope(samples), 10, 400, 100).draw(0.0)
    assert np.flatnonzero((image[20] != DARK).any(axis=1) & (np.arange(400) > 200)).tolist() == [300]


@pytest.mark.parametrize(
    ("duration", "t", "x"), [(10, 0, 0), (10, 5, 200), (10, 10, 398), (60, 2, 80), (60, 30, 200), (60, 58, 320)]
)
def test_the_play_head(duration, t, x):
    image = WaveformLane(None, duration, 400, 40).draw(t)
    columns = np.flatnonzero((image == WHITE).all(axis=(0, 2)))
    assert abs(int(columns[0]) - x) <= 2


def test_a_long_sound_passes_by():
    lane = WaveformLane(envelope(np.random.default_rng(0).uniform(-1, 1, RATE * 60)), 60, 400, 40)
    before, after = (lane.draw(t)[20:-4, 300:] for t in (30.0, 31.0))
    np.testing.assert_array_equal(before[:, 40:], after[:, :-40])


@pytest.mark.parametrize(("width", "height"), [(426, 240), (427, 241), (204, 360), (1919, 1079)])
def test_frame_and_lane_have_even_sizes_together(width, height):
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    lane = WaveformLane(None, 5, width, lane_height(height)).draw(1.0)
    image = stack(frame, lane)
    assert image.shape == (height + len(lane) + (height + len(lane)) % 2, width + width % 2, 3)
    np.testing.assert_array_equal(image[:height, :width], frame)
    np.testing.assert_array_equal(image[height : height + len(lane), :width], lane)
