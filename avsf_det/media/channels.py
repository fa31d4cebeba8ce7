"""Channel layouts of audio: the mono mix of each, and which of them an AAC track takes."""

from __future__ import annotations

import re

import av
import numpy as np

# Layouts that any AAC decoder knows by a number, and layouts whose channels mean the same.
_AAC_LAYOUTS = {name: name for name in ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1")}
_AAC_LAYOUTS |= {"downmix": "stereo", "5.0(side)": "5.0", "5.1(side)": "5.1"}
# The usual layout for a number of channels, for audio that does not name one.
_USUAL_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
_CENTER_WEIGHT = 0.5**0.5
# Two channels cancel each other where both are louder than -60 dB and their mean is 30 dB below them.
_AUDIBLE, _CANCELLED = 1e-6, 1e-3


def plain_layout(codec: av.AudioCodecContext) -> None:
    """Give a decoder that is not open yet a channel layout that PyAV can copy; others are left as they are.

    MOV and CAF may store a channel order of their own, as a list in memory. PyAV copies the address of that list
    and frees it with each copy, which ends the process. Such a layout becomes "N channels": reading it here frees the
    list for the first time, and replacing it prevents the second.
    """
    if codec.is_open:
        return
    name, count = (layout := codec.layout).name, layout.nb_channels
    del layout
    if count:
        try:
            codec.layout = name.partition(" (")[0]
        except ValueError:  # not a name that can be read back
            codec.layout = f"{count} channels"


def is_ambisonic(layout: str) -> bool:
    """Whether the channels are components of a sound field, not speakers."""
    return layout.startswith("ambisonic")


def omnidirectional(samples: np.ndarray, layout: str) -> np.ndarray:
    """The mono signal of (S, C) samples of an ambisonic `layout`, repeated in all channels.

    Component 0 (W) is the sound from all directions. The others are signed by direction, so a mean over all would
    weaken or cancel whatever comes from behind. Channels after the components are not part of the field.
    """
    components = (int(re.search(r"\d+", layout)[0]) + 1) ** 2
    mono = (samples[:, 0] + samples[:, components:].sum(axis=1)) / np.float32(1 + samples[:, components:].shape[1])
    return np.repeat(mono[:, None], samples.shape[1], axis=1)


def cancels(samples: np.ndarray, mono: np.ndarray) -> bool:
    """Whether the two channels of (S, 2) samples cancel each other in their (S,) mean, as where one is inverted."""
    if samples.shape[1] != 2:
        return False
    power = float(np.mean(samples[:, 0] ** 2)), float(np.mean(samples[:, 1] ** 2))
    return min(power) > _AUDIBLE and float(np.mean(mono**2)) < _CANCELLED * min(power)


def aac_layout(layout: str, channels: int) -> tuple[str, np.ndarray | None]:
    """What audio becomes in an AAC track that any player plays.

    Args:
        layout: FFmpeg's name of the layout; "N channels" is an unknown one.
        channels: C, its number of channels.

    Returns:
        The layout of the track and (C, K) float32 weights with which its K channels are mixed, or None if all
        channels are kept. No channel is left out of a mix, and none of them clips.
    """
    kept = _AAC_LAYOUTS.get(layout) or (is_unknown(layout) and _USUAL_LAYOUTS.get(channels))
    if kept:
        return kept, None
    sides = np.array([_sides(channel.name) for channel in av.AudioLayout(layout).channels], dtype=np.float32)
    both = (sides > 0).any(axis=0).all() and (sides[:, 0] != sides[:, 1]).any() and (sides > 0).any(axis=1).all()
    if len(sides) == channels and both:
        return "stereo", sides / sides.sum(axis=0)
    return "mono", np.full((channels, 1), 1 / channels, dtype=np.float32)


def is_unknown(layout: str) -> bool:
    """Whether nothing but the number of channels is known."""
    return re.fullmatch(r"\d+ channels", layout) is not None


def _sides(channel: str) -> tuple[float, float]:
    """The weights of a channel by FFmpeg's name, such as "TFL" (top front left), in the left and right one."""
    if channel == "NONE" or channel.startswith(("AMBI", "UNSD", "USR")):
        return 0.0, 0.0
    if channel.endswith("L") or channel == "FLC":
        return 1.0, 0.0
    if channel.endswith("R") or channel == "FRC":
        return 0.0, 1.0
    return _CENTER_WEIGHT, _CENTER_WEIGHT
