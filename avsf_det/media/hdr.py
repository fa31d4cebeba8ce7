"""Tone-map HDR and wide-gamut frames to SDR BT.709.

The operator is a pure function of a pixel, so a frame looks the same however it was reached, and works on each of
red, green and blue by itself:

1. The code value becomes linear light: SMPTE ST 2084 (PQ) in cd/m2, ARIB STD-B67 (HLG) on a display of 1000 cd/m2
   with its system gamma of 1.2, and SDR by BT.1886 (gamma 2.4). 203 cd/m2, the white of graphics by ITU-R BT.2408,
   is 1.
2. HDR light is compressed by the Mobius curve: it keeps what is below 0.3 and rolls off from there to 1 at
   1000 cd/m2; what is brighter clips.
3. The matrix between primaries (BT.2020 or Display P3 to BT.709) is applied; colors outside of BT.709 clip.
4. BT.1886 makes code values of 8 bits of it.
"""

from __future__ import annotations

from functools import cache

import numpy as np

# Numbers of ITU-T H.273, as frames are tagged with them.
PQ, HLG = 16, 18
BT2020 = 9
_BT709, _DCI_P3, _DISPLAY_P3 = 1, 11, 12
# x, y of red, green and blue; the white of all is D65.
_PRIMARIES = {
    _BT709: (0.640, 0.330, 0.300, 0.600, 0.150, 0.060),
    BT2020: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    _DISPLAY_P3: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
_D65 = 0.3127, 0.3290
_SDR_WHITE, _PEAK = 203.0, 1000.0  # cd/m2
_KNEE = 0.3
_GAMMA = 2.4
# Pixels that are mapped at once: what they become on the way stays within a processor's cache.
_AT_ONCE = 1 << 15


def to_sdr(rgb: np.ndarray, transfer: int, primaries: int) -> np.ndarray:
    """Map a frame to SDR BT.709.

    Args:
        rgb: (H, W, 3) uint16 nonlinear RGB, full range.
        transfer: `PQ` or `HLG`; any other is SDR.
        primaries: as in ITU-T H.273; unspecified ones of HDR are those of BT.2020.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    linear, encode = _linear(transfer), _encode()
    matrix = _to_bt709(primaries)
    pixels = rgb.reshape(-1, 3)
    mapped = np.empty(pixels.shape, dtype=np.uint8)
    for start in range(0, len(pixels), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        light = np.take(linear, pixels[part], mode="clip") @ matrix
        np.clip(light, 0, 65535, out=light)
        np.take(encode, light.astype(np.uint16), mode="clip", out=mapped[part])
    return mapped.reshape(rgb.shape)


@cache
def _linear(transfer: int) -> np.ndarray:
    """(65536,) float32: linear light of each code value, tone-mapped; 65535 is white."""
    code = np.linspace(0, 1, 65536)
    if transfer == PQ:
        power = code ** (32 / 2523)
        light = 10000 * (np.maximum(power - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * power)) ** (8192 / 1305)
    elif transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
        light = _PEAK * scene**1.2
    else:
        return (65535 * code**_GAMMA).astype(np.float32)
    return (65535 * _mobius(light / _SDR_WHITE)).astype(np.float32)


def _mobius(light: np.ndarray) -> np.ndarray:
    """Linear below the knee, with a smooth roll-off to 1 at the peak."""
    peak = _PEAK / _SDR_WHITE
    a = -(_KNEE**2) * (peak - 1) / (_KNEE**2 - 2 * _KNEE + peak)
    b = (_KNEE**2 - 2 * _KNEE * peak + peak) / (peak - 1)
    rolled = (b * b + 2 * b * _KNEE + _KNEE**2) / (b - a) * (light + a) / (light + b)
    return np.where(light <= _KNEE, light, np.minimum(rolled, 1))


@cache
def _encode() -> np.ndarray:
    """(65536,) uint8: the code value of each linear light."""
    return np.rint(255 * np.linspace(0, 1, 65536) ** (1 / _GAMMA)).astype(np.uint8)


@cache
def _to_bt709(primaries: int) -> np.ndarray:
    """(3, 3) float32 that linear RGB rows are multiplied by."""
    primaries = {_DCI_P3: _DISPLAY_P3}.get(primaries, primaries)
    source, target = (_to_xyz(_PRIMARIES.get(p, _PRIMARIES[BT2020])) for p in (primaries, _BT709))
    return np.ascontiguousarray((np.linalg.inv(target) @ source).T, dtype=np.float32)


def _to_xyz(primaries: tuple[float, ...]) -> np.ndarray:
    """(3, 3): CIE XYZ of linear RGB columns."""
    x, y = np.array([*primaries, *_D65]).reshape(4, 2).T
    xyz = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    return xyz[:, :3] * np.linalg.solve(xyz[:, :3], xyz[:, 3])
