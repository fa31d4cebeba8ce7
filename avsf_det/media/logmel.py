"""The log-mel spectrogram that the audio pathway sees."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torchaudio.transforms import MelSpectrogram

# Added to the power before the logarithm: digital silence becomes ln(1e-8) = -18.42.
_FLOOR = 1e-8


class LogMel(nn.Module):
    """Waveform to normalised log-mel frames, as in the code of "Audiovisual SlowFast Networks" (arXiv 2001.08740).

    A periodic Hann window as long as the Fourier transform, power, HTK mel bands from 0 Hz to half the sample rate
    with Slaney's area normalisation, natural logarithm. Every frame lies wholly within the waveform (no padding).

    Args:
        num_mels: M mel bins (`DATA.AUDIO_MEL_NUM` of fanyix/SlowFast).
        sample_rate: samples per second (`DATA.AUDIO_SAMPLE_RATE`).
        win_ms, hop_ms: length and step of the window in milliseconds (`AUDIO_WIN_SZ`, `AUDIO_STEP_SZ`).
        mean, std: of ln mel power over Kinetics (`LOGMEL_MEAN`, `LOGMEL_STD`).
    """

    def __init__(
        self,
        num_mels: int = 80,
        sample_rate: int = 16000,
        win_ms: int = 32,
        hop_ms: int = 16,
        mean: float = -7.03,
        std: float = 4.66,
    ) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        self.window = sample_rate * win_ms // 1000
        self.hop = sample_rate * hop_ms // 1000
        self.mean = mean
        self.std = std
        self.mel = MelSpectrogram(
            sample_rate,
            n_fft=self.window,
            hop_length=self.hop,
            n_mels=num_mels,
            power=2.0,
            center=False,
            norm="slaney",
            mel_scale="htk",
        )

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """(..., S) samples in -1..1 to (..., A, M) float32, A = 1 + (S - window) // hop.

        Raises:
            ValueError: the waveform is shorter than one window.
        """
        if waveform.shape[-1] < self.window:
            raise ValueError(f"a waveform of {waveform.shape[-1]} samples is shorter than the window of {self.window}")
        power = self.mel(waveform.float()).transpose(-1, -2)
        return (torch.log(power + _FLOOR) - self.mean) / self.std

    def num_samples(self, num_frames: int) -> int:
        """The samples S from which exactly `num_frames` frames come."""
        return self.window + (num_frames - 1) * self.hop

    def span(self, center: float, num_frames: int) -> tuple[float, float]:
        """(start, end) in seconds of the sound around `center` from which exactly `num_frames` frames come."""
        half = self.num_samples(num_frames) / self.sample_rate / 2
        return center - half, center + half

    def times(self, start: float, num_frames: int) -> np.ndarray:
        """(A,) seconds: the centre of each frame of a waveform that starts at `start`."""
        return start + (self.window / 2 + self.hop * np.arange(num_frames)) / self.sample_rate
