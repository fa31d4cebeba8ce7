"""One continuous timeline for files and streams whose clock restarts or jumps ahead."""

from __future__ import annotations

import logging
import os
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from math import inf
from pathlib import Path

import av

from avsf_det.media.known import FileState, KnownFiles
from avsf_det.media.selection import best_stream, frame_rate, playable

logger = logging.getLogger(__name__)

# Formats that are joined by appending one file to another: only reading all packets shows where the clock restarts.
_APPENDABLE = ("mpegts", "mpeg")
# A decoding time stamp that goes back by more than this many seconds restarts the clock.
_BACK = 0.2
# The same for packets without a decoding time stamp: presentation time stamps go back in every group of pictures.
_BACK_PRESENTED = 1.0
# A gap in all tracks longer than this many seconds is a jump of the clock, if a frame lasts less than a fifth of it.
_GAP = 10.0
# Without audio a long gap may also be a still image. Containers that store durations are then believed up to this.
_STILL = 1800.0
# Audio that overlaps the part before by up to this many seconds is replaced, so that frames keep their distance.
_OVERLAP = 0.25
# Shifts that a track may return to, as after a single wrong time stamp.
_HISTORY = 4
# The bytes within which a packet is certain to lie before the position up to which the file has been read.
_BEHIND = 4 << 20
# Bytes between the positions from which reading can start in a file whose clock restarts.
_CHECKPOINT = 8 << 20
# Seek points of audio lie at least this many seconds apart.
_STEP = 0.5

_TIMELINES: dict[FileState, Timeline | None] = {}
_KNOWN = KnownFiles()


class ContinuousClock:
    """Assigns each packet, in file order, the shift that puts its part behind the part before.

    All tracks of a part get the same shift, so audio and video stay in sync.

    Args:
        gap: seconds without a packet of any track after which the clock is taken to have jumped ahead.
        back: seconds by which decoding time stamps go back at least where the clock restarts.
    """

    def __init__(self, gap: float, back: float = _BACK) -> None:
        self._gap, self._back = gap, back
        self._shifts: dict[int, Fraction] = {}
        self._last: dict[int, float] = {}
        self._ends: dict[int, float] = {}
        self._used = [Fraction(0)]

    @property
    def ahead(self) -> float:
        """Seconds up to which any track has come."""
        return max(self._ends.values(), default=0.0)

    def shift(self, packet: av.Packet) -> Fraction:
        """Seconds to add to the time stamps of the next packet, which has at least one."""
        track, unit = packet.stream.index, packet.time_base
        stamp = packet.pts if packet.dts is None else packet.dts
        time, shown = stamp * unit, (stamp if packet.pts is None else packet.pts) * unit
        duration, picture = float((packet.duration or 0) * unit), packet.stream.type == "video"
        if not 0 < duration < self._gap:
            duration = float(1 / frame_rate(packet.stream)[0]) if picture else 0.0
        shift = self._shifts.get(track, self._used[-1])
        last = self._last.get(track)
        if last is not None:
            earliest = last - (_BACK_PRESENTED if packet.dts is None else self._back)
            latest = self.ahead + self._gap
            candidates = (shift, *reversed(self._used[-_HISTORY:]))
            fitting = (s for s in candidates if earliest <= float(time + s) <= latest)
            found = next(fitting, None)
            if found is None:
                behind = picture and self.ahead <= self._ends[track] + _OVERLAP
                found = Fraction(self._ends[track] if behind else self.ahead) - shown
                self._used.append(found)
            shift = found
        self._shifts[track] = shift
        self._last[track] = float(time + shift)
        self._ends[track] = max(self._ends.get(track, 0.0), float(max(time, shown) + shift) + duration)
        return shift


@dataclass
class TrackParts:
    """Where the parts of a track begin, and where decoding can start.

    Attributes:
        starts: seconds by the file's own clock of the first packet of each part but the first.
        shifts: seconds, as fractions, that are added to the time stamps of each part but the first.
        keys: seconds of keyframes (of audio: of packets half a second apart), shifted, ascending.
        end: when the last packet ends, in seconds, shifted.
    """

    starts: list[float] = field(default_factory=list)
    shifts: list[str] = field(default_factory=list)
    keys: list[float] = field(default_factory=list)
    end: float = 0.0


@dataclass
class Timeline:
    """How the clock of a file is made continuous. Times are seconds as stored, shifted, before the file's origin is
    subtracted.

    Attributes:
        tracks: by the index of the stream, as text.
        restarts: whether the clock goes back somewhere, so that a time does not tell the place in the file.
        checkpoints: (byte, part, second) from which reading can start; ascending.
        frames: number of frames of a stream without any time stamps; else 0.
        rate: of such a stream, in frames per second, as a fraction.
        idr: (number, byte) of its frames from which decoding can start with nothing missing.
    """

    tracks: dict[str, TrackParts] = field(default_factory=dict)
    restarts: bool = False
    checkpoints: list[list[float]] = field(default_factory=list)
    frames: int = 0
    rate: str = "25"
    idr: list[list[int]] = field(default_factory=list)

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
        places = [start + float(Fraction(shift)) for start, shift in zip(parts.starts, parts.shifts)]
        part = bisect_right(places, seconds)
        return seconds - float(Fraction(parts.shifts[part - 1])) if part else seconds


class PartReader:
    """Shifts the packets of a track to the continuous timeline while they are read in order."""

    def __init__(self, timeline: Timeline, stream: av.VideoStream | av.AudioStream) -> None:
        parts = timeline.track(stream.index)
        self._restarts, self._starts, self._last = timeline.restarts, parts.starts, None
        self._ticks = [0, *(round(Fraction(shift) / stream.time_base) for shift in parts.shifts)]
        self._part = 0

    def seek(self, part: int) -> None:
        """The next packet is of this part or of the one after."""
        self._part, self._last = min(part, len(self._starts)), None

    def shift(self, packet: av.Packet) -> None:
        """Change the time stamps of the next packet."""
        stamp = packet.pts if packet.dts is None else packet.dts
        if stamp is not None:
            time = float(stamp * packet.time_base)
            if not self._restarts:
                self._part = bisect_right(self._starts, time + _BACK)
            elif self._last is not None and self._part < len(self._starts) and self._begins(time):
                self._part += 1
            self._last = time
        ticks = self._ticks[self._part]
        if ticks:
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks

    def _begins(self, time: float) -> bool:
        """Whether the next part begins at a packet: its first time stamp after a step."""
        step = time - self._last
        return abs(time - self._starts[self._part]) < _BACK and (step < -_BACK or step > _GAP / 2)


def timeline_of(path: str, container: av.container.InputContainer) -> Timeline | None:
    """How the clock of an open file is made continuous; None if it is already.

    Files in formats that are joined by appending are read once from start to end; the result is kept for later runs.
    Others are looked up in the container's index.
    """
    state = FileState.of(path)
    if state not in _TIMELINES:
        untimed = container.format.name in ("h264", "hevc", "vvc")
        joined = container.format.name in _APPENDABLE or _is_appended(path, container)
        found = None
        if untimed or joined:
            kept = state._replace(path=f"{state.path}|timeline")
            known = _KNOWN.get(kept)
            if known is None:
                found = _count(path, container) if untimed else _scan(path, container)
                _KNOWN.tell(kept, {} if found is None else asdict(found))
            elif known:
                tracks = {index: TrackParts(**parts) for index, parts in known["tracks"].items()}
                found = Timeline(**known | {"tracks": tracks})
        else:
            found = _gaps(path, container)
        _TIMELINES[state] = found
        _report(path, found)
    return _TIMELINES[state]


def longest_gap(container: av.container.InputContainer) -> float:
    """Seconds without any packet after which the clock of a file or stream is taken to have jumped ahead."""
    tracks = {kind: best_stream(container, kind) for kind in ("video", "audio")}
    stored = container.format.name not in (*_APPENDABLE, "flv", "live_flv", "rtsp", "rtp", "sdp")
    shortest = _STILL if stored and tracks["audio"] is None else _GAP
    return max(shortest, 5 / float(frame_rate(tracks["video"])[0])) if tracks["video"] else shortest


def _report(path: str, timeline: Timeline | None) -> None:
    if timeline is None:
        return
    if timeline.tracks:
        parts = max(len(track.starts) for track in timeline.tracks.values()) + 1
        shifts = next(track.shifts for track in timeline.tracks.values() if len(track.shifts) == parts - 1)
        moved = ", ".join(f"{float(Fraction(shift)):+.2f}" for shift in shifts[:3])
        logger.warning(
            "%s: the clock %s; its %d parts are put end to end (time stamps shifted by %s s%s)",
            path,
            "restarts" if timeline.restarts else "jumps ahead",
            parts,
            moved,
            ", ..." if len(shifts) > 3 else "",
        )


def _is_appended(path: str, container: av.container.InputContainer) -> bool:
    """Whether a Matroska file goes on after its segment, or does not say where that ends."""
    if not container.format.name.startswith("matroska"):
        return False
    with open(path, "rb") as file:
        head = file.read(4096)

    def number(place: int) -> tuple[int, int, bool]:
        length = 9 - head[place].bit_length()
        value = int.from_bytes(head[place : place + length], "big") & ((1 << 7 * length) - 1)
        return value, place + length, value == (1 << 7 * length) - 1

    try:
        size, place, _ = number(4)
        segment = place + size
        if head[segment : segment + 4] != b"\x18\x53\x80\x67":
            return True
        size, place, unknown = number(segment + 4)
    except IndexError:
        return True
    return unknown or place + size + _BACK < os.path.getsize(path)


class _Scan:
    """What reading all packets of a file has shown so far."""

    def __init__(self, clock: ContinuousClock) -> None:
        self.clock = clock
        self.tracks: dict[int, TrackParts] = {}
        self.first: dict[Fraction, int] = {}  # shift -> position at which it was met first
        self.latest: dict[Fraction, int] = {}  # shift -> position at which a track took it up last
        self.restarts = False
        self._shifts: dict[int, Fraction] = {}
        self._last: dict[int, float] = {}

    def add(self, packet: av.Packet, position: int) -> None:
        stamp = packet.pts if packet.dts is None else packet.dts
        if stamp is None:
            return
        index, time = packet.stream.index, float(stamp * packet.time_base)
        shift = self.clock.shift(packet)
        parts = self.tracks.setdefault(index, TrackParts())
        before = self._shifts.get(index, Fraction(0))
        if shift != before:
            parts.starts.append(time)
            parts.shifts.append(str(shift))
            self.first.setdefault(shift, position)
            self.latest[shift] = position
            self.restarts = self.restarts or time < self._last.get(index, time) or shift > before
        self._shifts[index], self._last[index] = shift, time
        shown = float((stamp if packet.pts is None else packet.pts) * packet.time_base + shift)
        parts.end = max(parts.end, shown + float((packet.duration or 0) * packet.time_base))
        far = packet.stream.type == "video" or not parts.keys or shown >= parts.keys[-1] + _STEP
        if packet.is_keyframe and far and (not parts.keys or shown > parts.keys[-1]):
            parts.keys.append(shown)


def _scan(path: str, container: av.container.InputContainer) -> Timeline | None:
    """Read all packets of a file."""
    scan, positions = _Scan(ContinuousClock(longest_gap(container))), []
    with open(path, "rb") as file, av.open(file, format=container.format.name.split(",")[0]) as packets:
        for packet in _packets(packets):
            position = file.tell()
            scan.add(packet, position)
            if position >= (positions[-1][0] if positions else 0) + _CHECKPOINT:
                positions.append((position, scan.clock.ahead))
    if not any(track.starts for track in scan.tracks.values()):
        return None
    checkpoints = []
    if scan.restarts:
        zones = sorted((scan.first[shift] - _BEHIND, scan.latest[shift]) for shift in scan.first)
        for position, second in positions:
            if not any(begin <= position <= end for begin, end in zones):
                checkpoints.append([position, sum(end < position for _, end in zones), second])
    return Timeline({str(i): parts for i, parts in scan.tracks.items()}, scan.restarts, checkpoints)


def _packets(container: av.container.InputContainer) -> Iterator[av.Packet]:
    """The packets of the tracks that are read; a read error ends them."""
    tracks = [track for kind in ("video", "audio") if (track := best_stream(container, kind))]
    try:
        yield from (packet for packet in container.demux(tracks) if packet.size)
    except av.error.FFmpegError:
        return


def _count(path: str, container: av.container.InputContainer) -> Timeline | None:
    """Count the frames of a bare stream of pictures without time stamps."""
    frames, idr = 0, []
    stream = best_stream(container, "video")
    with av.open(f"file:{path}", format=container.format.name) as packets:
        for packet in _packets(packets):
            if packet.pts is not None or packet.dts is not None:
                return None
            if packet.is_keyframe and packet.pos is not None and _IDR[stream.codec_context.name](bytes(packet)):
                idr.append([frames, packet.pos])
            frames += 1
    rate, stated = frame_rate(stream)
    if not stated:
        logger.warning("%s: the stream has no time stamps and no frame rate; assumed %g fps", path, float(rate))
    return Timeline(frames=frames, rate=str(rate), idr=idr)


def _units(data: bytes) -> Iterator[int]:
    """The first byte of each NAL unit near the beginning of a packet."""
    return (match[1][0] for match in re.finditer(rb"\x00\x00\x01(.)", data[: 1 << 16], re.DOTALL))


# Whether a packet holds a picture before which nothing is needed and after which nothing earlier is shown.
_IDR: dict[str, Callable[[bytes], bool]] = {
    "h264": lambda data: any(unit & 31 == 5 for unit in _units(data)),
    "hevc": lambda data: any(unit >> 1 & 63 in (19, 20) for unit in _units(data)),
    "vvc": lambda data: False,
}


def _gaps(path: str, container: av.container.InputContainer) -> Timeline | None:
    """Jumps ahead of a file with an index: gaps between its video packets in which there is no audio either."""
    video = best_stream(container, "video")
    if video is None:
        return None
    gap = longest_gap(container)
    ends = [*_index_gaps(video, gap, container.duration or 0)]
    if not ends:
        return None
    starts, shifts, shift = [], [], Fraction(0)
    for begin, end in _empty(path, container, ends, gap):
        shift -= end - begin
        starts.append(float(end))
        shifts.append(str(shift))
    if not starts:
        return None
    tracks = [track for kind in ("video", "audio") if (track := best_stream(container, kind))]
    return Timeline({str(track.index): TrackParts(starts, shifts) for track in tracks})


def _index_gaps(video: av.VideoStream, gap: float, duration: int) -> Iterator[tuple[int, float]]:
    """(time stamp before, time stamp after) of what lies apart in the index by more than a gap.

    From the last entry to the end is such a stretch, too.
    """
    index, ticks, place = video.index_entries, round(Fraction(gap) / video.time_base), 0
    while 0 <= place < len(index) - 1:
        following = index.search_timestamp(index[place].timestamp + ticks, any_frame=True)
        if following <= place:
            yield index[place].timestamp, index[place + 1].timestamp
            following = place + 1
        place = following
    if not len(index):
        yield 0, inf
    elif duration / av.time_base - (index[place].timestamp * video.time_base) > gap:
        yield index[place].timestamp, inf


def _empty(
    path: str, container: av.container.InputContainer, ends: Sequence[tuple[int, float]], gap: float
) -> Iterator[tuple[Fraction, Fraction]]:
    """(end, start) in seconds of the packets around each gap in which no track has any."""
    video = best_stream(container, "video")
    with av.open(f"file:{path}", format=container.format.name.split(",")[0]) as file:
        for before, after in ends:
            try:
                file.seek(before, stream=file.streams[video.index])
            except (av.error.FFmpegError, OverflowError):
                continue
            spans = []
            for packet in _packets(file):
                stamp = packet.dts if packet.pts is None else packet.pts
                if stamp is None:
                    continue
                begin, length = stamp * packet.time_base, (packet.duration or 0) * packet.time_base
                step = 1 / frame_rate(video)[0]
                spans.append((begin, begin + (min(length, step) if packet.stream.type == "video" else length)))
                if packet.stream.index == video.index and (packet.dts or stamp) > after:
                    break
            spans.sort()
            reached = None
            for begin, end in spans:
                if reached is not None and begin - reached > gap:
                    yield reached, begin
                reached = end if reached is None else max(reached, end)
