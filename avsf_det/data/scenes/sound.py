"""Sound synthesis for scenes: one short sound per beat, placed left to right, over background noise and distractors."""

from __future__ import annotations

import numpy as np


def _noise_burst(rng: np.random.Generator, rate: int, seconds: float, low: float, high: float) -> np.ndarray:
    """White noise limited to `low`..`high` Hz, of unit peak."""
    n = int(seconds * rate)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    frequency = np.fft.rfftfreq(n, 1 / rate)
    spectrum *= (frequency >= low) & (frequency <= high)
    burst = np.fft.irfft(spectrum, n)
    return burst / (np.abs(burst).max() + 1e-9)


def _decay(n: int, rate: int, seconds: float) -> np.ndarray:
    return np.exp(-np.arange(n) / (seconds * rate))


def clap(rng: np.random.Generator, rate: int, voice: float) -> np.ndarray:
    """A hand clap in a room: a burst between about 1.2 and 5.5 kHz, and an echo that dies away within 0.3 s."""
    burst = _noise_burst(rng, rate, 0.35, 900 + 600 * voice, 4800 + 1400 * voice)
    clapped = np.tanh(4 * burst)  # as loud as the others, though its power is spread over many frequencies
    return clapped * (0.4 * _decay(len(burst), rate, 0.02) + 0.6 * _decay(len(burst), rate, 0.1))


def drum(rng: np.random.Generator, rate: int, voice: float) -> np.ndarray:
    """A drum stroke: a tone that falls by 110 Hz to between 90 and 150, the skin's next mode, and a click."""
    t = np.arange(int(0.35 * rate)) / rate
    low = 90 + 60 * voice
    phase = 2 * np.pi * (low * t + 110 * 0.04 * (1 - np.exp(-t / 0.04)))
    stroke = np.sin(phase) * np.exp(-t / 0.11) + 0.5 * np.sin(1.59 * phase) * np.exp(-t / 0.07)
    click = _noise_burst(rng, rate, 0.01, 200, 2000)
    stroke[: len(click)] += 0.4 * click
    return stroke / np.abs(stroke).max()


def bell(rng: np.random.Generator, rate: int, voice: float) -> np.ndarray:
    """A hand bell: inharmonic partials above 1.6 to 2.4 kHz."""
    t = np.arange(int(0.39 * rate)) / rate
    base = 1600 + 800 * voice
    partials = ((1.0, 1.0, 0.13), (1.51, 0.5, 0.09), (2.74, 0.35, 0.06))
    ring = sum(a * np.sin(2 * np.pi * base * f * t + rng.uniform(0, 6)) * np.exp(-t / d) for f, a, d in partials)
    return ring / np.abs(ring).max()


def voice(rng: np.random.Generator, rate: int, voice: float) -> np.ndarray:
    """A spoken syllable: harmonics of 95 to 235 Hz under two formants."""
    seconds = rng.uniform(0.14, 0.22)
    t = np.arange(int(seconds * rate)) / rate
    pitch = (95 + 140 * voice) * (1 + 0.12 * rng.uniform(-1, 1) * t / seconds)
    first, second = rng.uniform(300, 800), rng.uniform(900, 2300)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    syllable = np.zeros_like(t)
    for k in range(1, int(3500 / (95 + 140 * voice)) + 1):
        f = k * (95 + 140 * voice)
        gain = np.exp(-(((f - first) / 160) ** 2)) + 0.6 * np.exp(-(((f - second) / 220) ** 2)) + 0.03
        syllable += gain * np.sin(k * phase)
    return syllable / np.abs(syllable).max() * np.sin(np.pi * t / seconds) ** 0.7


def crunch(rng: np.random.Generator, rate: int, voice: float) -> np.ndarray:
    """A chewing noise, faint against the other sounds."""
    burst = _noise_burst(rng, rate, 0.08, 300, 1200 + 600 * voice)
    return 0.08 * burst * np.hanning(len(burst))


SOUNDS = {"clap": clap, "drum": drum, "bell": bell, "voice": voice, "crunch": crunch}
"""`Activity.sound` -> synthesiser (rng, rate, voice in 0..1, which differs from person to person)."""


def _background(rng: np.random.Generator, n: int) -> np.ndarray:
    """Noise whose power falls with frequency, of unit standard deviation."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum /= np.maximum(np.arange(len(spectrum)), n / 2000) ** rng.uniform(0.3, 0.6)
    noise = np.fft.irfft(spectrum, n)
    return noise / noise.std()


def _distractor(rng: np.random.Generator, rate: int) -> np.ndarray:
    """A sound that nobody in the picture makes: a beep, a chirp or a passing engine."""
    kind = rng.integers(3)
    t = np.arange(int(rate * (0.25, 0.15, 1.5)[kind])) / rate
    if kind == 0:
        return np.sin(2 * np.pi * rng.uniform(450, 950) * t) * np.hanning(len(t)) ** 0.2
    if kind == 1:
        return np.sin(2 * np.pi * (rng.uniform(3500, 4500) * t + rng.uniform(-4e3, 4e3) * t**2)) * np.hanning(len(t))
    return np.sign(np.sin(2 * np.pi * rng.uniform(30, 55) * t)) * np.hanning(len(t)) * 0.5


def _add(track: np.ndarray, sound: np.ndarray, start: int, gain: float, pan: float) -> None:
    """Mix mono `sound` into (S, 2) `track` from sample `start`, clipped to the track."""
    head = max(0, -start)
    tail = min(len(sound), len(track) - start)
    if head < tail:
        sides = gain * np.sqrt(np.array((1 - pan, 1 + pan)) / 2)
        track[start + head : start + tail] += sound[head:tail, None] * sides


def mix(
    rng: np.random.Generator,
    rate: int,
    duration: float,
    events: list[tuple[float, str, float, float, float]],
    noise_db: float,
) -> np.ndarray:
    """A scene's sound track.

    Args:
        rng: random source.
        rate: samples a second.
        duration: seconds.
        events: (time, sound, gain, pan in -1..1, voice in 0..1) of every sound that is made.
        noise_db: level of the background noise against full scale.

    Returns:
        (S, 2) float32 within -1..1.
    """
    n = round(duration * rate)
    track = np.repeat(_background(rng, n)[:, None], 2, axis=1) * 10 ** (noise_db / 20)
    for _ in range(rng.poisson(duration / 4)):
        start = int(rng.uniform(0, n))
        _add(track, _distractor(rng, rate), start, rng.uniform(0.05, 0.25), rng.uniform(-1, 1))
    for time, sound, gain, pan, voice_of in events:
        _add(track, SOUNDS[sound](rng, rate, voice_of), round(time * rate), gain, pan)
    peak = np.abs(track).max()
    return (track / max(1.0, peak / 0.95)).astype(np.float32)
