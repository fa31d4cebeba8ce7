"""One continuous timeline for files and streams whose clock restarts or jumps ahead."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from fractions import Fraction
from math import inf

import av

from avsf_det.media.selection import best_stream, frame_rate

# A decoding time stamp that goes back by more than this many seconds restarts the clock.
BACK = 0.2
# The same for packets without a decoding time stamp: presentation time stamps go back in every group of pictures.
BACK_PRESENTED = 1.0
# A track begins at most this many seconds behind the others of its part.
_APART = 2.5
# Frames by which codecs change the order, usually.
_REORDERED = 4
# A gap in all tracks longer than this many seconds is a jump of the clock if it is also longer than five frames.
_GAP = 10.0
# Without audio a long gap may also be an image that stays on display: it is a jump from this many seconds on.
_STILL = 1800.0
# Audio that overlaps the part before by up to this many seconds is replaced, so that frames keep their distance.
_OVERLAP = 0.25
# Shifts that a track may return to, as after a single wrong time stamp.
_HISTORY = 4


class ContinuousClock:
    """Assigns each packet, in file order, the shift that puts its part behind the part before.

    All tracks of a part get the same shift, so audio and video stay in sync.

    Args:
        gap: seconds without a packet of any track after which the clock is taken to have jumped ahead.
        back: seconds by which decoding time stamps go back at least where the clock restarts.
    """

    def __init__(self, gap: float, back: float = BACK) -> None:
        self._gap, self._back = gap, back
        self._shifts: dict[int, Fraction] = {}
        self._last: dict[int, float] = {}
        self._ends: dict[int, float] = {}
        self._used = [Fraction(0)]
        self._jump = 0.0

    @property
    def ahead(self) -> float:
        """Seconds up to which any track has come."""
        return max(self._ends.values(), default=0.0)

    def shift(self, packet: av.Packet) -> Fraction:
        """Seconds to add to the time stamps of the next packet, which has at least one."""
        track, unit = packet.stream.index, packet.time_base
        stamp = order_stamp(packet, self._gap)
        time, shown = stamp * unit, (stamp if packet.pts is None else packet.pts) * unit
        duration, picture = float((packet.duration or 0) * unit), packet.stream.type == "video"
        frame = float(1 / frame_rate(packet.stream)[0]) if picture else 0.0
        duration = duration if 0 < duration < self._gap else frame
        shift = self._shifts.get(track, self._used[-1])
        if self._ends:
            backwards = self._back if stamp == packet.dts else max(BACK_PRESENTED, _REORDERED * frame)
            earliest = self._last[track] - backwards if track in self._last else self.ahead - _APART
            candidates = (shift, *reversed(self._used[-_HISTORY:]))
            fitting = (s for s in candidates if earliest <= float(time + s) <= self.ahead + self._gap)
            found = next(fitting, None)
            if found is None:
                end = self._ends.get(track, self.ahead)
                behind = picture and self.ahead <= end + _OVERLAP
                found = Fraction(end if behind else self.ahead) - shown
                self._used.append(found)
                self._jump = self.ahead
            shift = found
            self._undo_jump(float(time + shift), shift)
        self._shifts[track] = shift
        self._last[track] = float(time + shift)
        self._ends[track] = max(self._ends.get(track, -inf), float(max(time, shown) + shift) + duration)
        return shift

    def _undo_jump(self, reached: float, shift: Fraction) -> None:
        """Take back a jump ahead of some tracks if another one goes on without it: they only paused."""
        newest = self._used[-1]
        if newest < shift and reached > self._jump + self._gap / 2:
            self._used.pop()
            self._shifts = {track: shift if used == newest else used for track, used in self._shifts.items()}


@dataclass
class TrackParts:
    """Where the parts of a track begin, and where decoding can start.

    Attributes:
        starts: seconds by the file's own clock of the first packet of each part but the first.
        shifts: seconds that are added to the time stamps of each of these parts.
        numbers: of these parts among those of the file, whose first part has number 0.
        late: whether the track has no packet in the first part.
        keys: seconds of keyframes (of audio: of packets half a second apart), shifted, ascending.
        end: when the last packet ends, in seconds, shifted.
    """

    starts: list[float] = field(default_factory=list)
    shifts: list[float] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    late: bool = False
    keys: list[float] = field(default_factory=list)
    end: float = 0.0


@dataclass
class Timeline:
    """How the clock of a file is made continuous, in seconds before the file's origin is subtracted.

    Attributes:
        tracks: by the index of the stream, as text.
        indexed: whether the place of a time in the file is looked up here: a file whose clock goes back somewhere.
        checkpoints: (byte, part, second) from which reading can start; ascending.
        gap: seconds of the longest gap that is no jump of the clock.
        frames: number of frames of a stream without any time stamps; else 0.
        rate: of such a stream, in frames per second, as a fraction.
        assumed: whether the stream does not tell that rate.
        idr: (number, byte) of its frames from which decoding can start with nothing missing.
    """

    tracks: dict[str, TrackParts] = field(default_factory=dict)
    indexed: bool = False
    checkpoints: list[list[float]] = field(default_factory=list)
    gap: float = _GAP
    frames: int = 0
    rate: str = "25"
    assumed: bool = False
    idr: list[list[int]] = field(default_factory=list)

    @property
    def shifts(self) -> list[float]:
        """The shifts of all parts but the first."""
        return max((track.shifts for track in self.tracks.values()), key=len, default=[])

    def track(self, index: int) -> TrackParts:
        """The parts of a track."""
        return self.tracks.get(str(index)) or TrackParts()

    def checkpoint(self, seconds: float) -> tuple[int, int]:
        """(byte, part) of the last checkpoint before a time."""
        place = bisect_left([second for _, _, second in self.checkpoints], seconds) - 1
        return (int(self.checkpoints[place][0]), int(self.checkpoints[place][1])) if place >= 0 else (0, 0)

    def unshifted(self, index: int, seconds: float) -> float:
        """The time by the file's own clock, if it never goes back."""
        parts = self.track(index)
        part = bisect_right([start + shift for start, shift in zip(parts.starts, parts.shifts)], seconds)
        return seconds - parts.shifts[part - 1] if part else seconds


class PartReader:
    """Shifts the packets of a track to the continuous timeline while they are read in order."""

    def __init__(self, timeline: Timeline, stream: av.VideoStream | av.AudioStream) -> None:
        self._parts, self._gap = timeline.track(stream.index), timeline.gap
        self._in_order, self._starts = timeline.indexed, self._parts.starts
        self._ticks = [0, *(round(shift / stream.time_base) for shift in self._parts.shifts)]
        self.seek(0)

    def seek(self, number: int) -> None:
        """The next packet is in the part of the file with this number, or in the one after."""
        self._part, self._last = bisect_right(self._parts.numbers, number), None

    def shift(self, packet: av.Packet) -> None:
        """Change the time stamps of the next packet."""
        stamp = order_stamp(packet, self._gap)
        if not self._in_order:
            stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is not None:
            time = float(stamp * packet.time_base)
            if not self._in_order:
                self._part = bisect_right(self._starts, time + self._gap / 2)
            elif self._part < len(self._starts) and self._begins(time):
                self._part += 1
            self._last = time
        ticks = self._ticks[self._part]
        if ticks:
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks

    def _begins(self, time: float) -> bool:
        """Whether the next part begins at a packet: its first time stamp after a step."""
        if self._last is None:
            return self._parts.late and self._part == 0
        step = time - self._last
        return abs(time - self._starts[self._part]) < BACK and (step < -BACK or step > self._gap / 2)


def order_stamp(packet: av.Packet, longest: float) -> int | None:
    """The decoding time stamp, or the presentation time stamp if there is none or FFmpeg made it up across a jump."""
    if packet.dts is None or packet.pts is None:
        return packet.pts if packet.dts is None else packet.dts
    return packet.dts if 0 <= (packet.pts - packet.dts) * packet.time_base <= longest else packet.pts


def longest_gap(container: av.container.InputContainer) -> float:
    """Seconds without any packet after which the clock of a file or stream is taken to have jumped ahead."""
    video, audio = (best_stream(container, kind) for kind in ("video", "audio"))
    shortest = _GAP if audio or not video else _STILL
    return max(shortest, 5 / float(frame_rate(video)[0])) if video else shortest
