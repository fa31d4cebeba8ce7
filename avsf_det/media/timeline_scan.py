"""Find where the clock of a file restarts or jumps ahead, and count the frames of streams without time stamps."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from fractions import Fraction
from math import inf
from typing import BinaryIO

import av

from avsf_det.media import known
from avsf_det.media.known import FileState
from avsf_det.media.selection import LENIENT, best_stream, frame_rate
from avsf_det.media.timeline import (
    BACK,
    BACK_PRESENTED,
    ContinuousClock,
    Timeline,
    TrackParts,
    longest_gap,
    order_stamp,
)

logger = logging.getLogger(__name__)

# Formats that are joined by appending one file to another: only reading all packets shows where the clock restarts.
_APPENDABLE = ("mpegts", "mpeg")
# Of these, not every frame has a time stamp: times after a seek by time may be wrong by frames.
_UNTOLD = ("mpeg",)
# Bare streams of pictures, for whose packets FFmpeg makes up no time stamps.
_UNTIMED = ("h264", "hevc", "vvc")
# Formats in which reading ends where an appended file begins: always, or if it has other tracks.
_STOPPING = ("flv", "mpegts")
# Seconds before the promised end from which on the last packet is looked for.
_TAIL = 5
# What may follow the last packet, in bytes and as a fraction of the file: an index.
_TRAILER, _TRAILER_FRACTION = 4096, 0.1
# The bytes within which a packet is certain to lie before the position up to which the file has been read.
_BEHIND = 4 << 20
# Bytes between the positions from which reading can start in a file whose clock restarts.
_CHECKPOINT = 8 << 20
# Seek points of audio lie at least this many seconds apart.
_STEP = 0.5
# No packet of audio lasts longer than this many seconds, whatever its header claims.
_LONGEST_AUDIO = 0.13
# A video with a gap for every so many frames shows still images.
_STILLS = 4
# Stretches of time that a packet may belong to: those met last.
_LATEST = 4

_TIMELINES: dict[FileState, Timeline | None] = {}


def timeline_of(path: str, container: av.container.InputContainer) -> Timeline | None:
    """How the clock of an open file is made continuous; None if it is already.

    Files in formats that are joined by appending are read once from start to end; the result is kept for later runs.
    Others are looked up in the container's index.
    """
    state = FileState.of(path)
    if state not in _TIMELINES:
        untimed = container.format.name in _UNTIMED
        joined = container.format.name in _APPENDABLE or _is_appended(path, container)
        stretches = [] if untimed or joined else _stretches(container)
        found = None
        if untimed or joined or stretches:
            cached = known.CACHE.get(state, "timeline")
            if cached is None:
                if stretches:
                    found = _gaps(path, container, stretches)
                else:
                    found = _count(path, container) if untimed else _scan(path, container)
                known.CACHE.tell(state, {} if found is None else asdict(found), "timeline")
            elif cached:
                tracks = {index: TrackParts(**parts) for index, parts in cached["tracks"].items()}
                found = Timeline(**cached | {"tracks": tracks})
        if container.format.name in _STOPPING or (joined and container.format.name not in _APPENDABLE):
            _report_unread(path, container)
        _TIMELINES[state] = found
        if found is not None:
            _report(path, found)
    return _TIMELINES[state]


def _report(path: str, timeline: Timeline) -> None:
    shifts = timeline.shifts
    if shifts:
        logger.warning(
            "%s: the clock %s; its %d parts are put end to end (time stamps shifted by %s s%s)",
            path,
            "restarts" if shifts[0] > 0 else "jumps ahead",
            len(shifts) + 1,
            ", ".join(f"{shift:+.2f}" for shift in shifts[:3]),
            ", ..." if len(shifts) > 3 else "",
        )
    elif timeline.assumed:
        logger.warning("%s: no time stamps and no frame rate; assumed %s fps", path, timeline.rate)


def _report_unread(path: str, container: av.container.InputContainer) -> None:
    """Log how much of a file is behind the last packet that can be read, as in one that another was appended to."""
    end, size = 0, os.path.getsize(path)
    with _reopened(f"file:{path}", container) as file:
        with suppress(av.error.FFmpegError, OverflowError):
            file.seek(max((container.duration or 0) - _TAIL * av.time_base, 0))
        for packet in _packets(file):
            end = max(end, (packet.pos or 0) + packet.size)
    if size - end > max(_TRAILER, size * _TRAILER_FRACTION):
        logger.warning(
            "%s: %d of its %d bytes are not read, for they come after the end of the recording; if other files were "
            "appended to it, join them by remuxing (ffmpeg -f concat)",
            path,
            size - end,
            size,
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
    return unknown or place + size < os.path.getsize(path)


class _Coverage:
    """The stretches of time that have packets of any track."""

    def __init__(self, gap: float) -> None:
        self._gap = gap
        self._spans: list[list[float]] = []
        self._frames = 0

    def add(self, packet: av.Packet) -> None:
        """Take note of a packet."""
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is None:
            return
        begin, longest = float(stamp * packet.time_base), _LONGEST_AUDIO
        if packet.stream.type == "video":
            self._frames += 1
            longest = float(1 / frame_rate(packet.stream)[0])
        end = begin + min(float((packet.duration or 0) * packet.time_base) or longest, longest)
        for span in self._spans[: -_LATEST - 1 : -1]:
            if span[0] - self._gap <= begin <= span[1] + self._gap:
                span[0], span[1] = min(span[0], begin), max(span[1], end)
                return
        self._spans.append([begin, end])

    def gaps(self) -> list[tuple[float, float]]:
        """(end, start) in seconds of what lies around each jump ahead; none if images are this far apart anyway."""
        found, reached = [], None
        for begin, end in sorted(self._spans):
            if reached is not None and begin - reached > self._gap:
                found.append((reached, begin))
            reached = end if reached is None else max(reached, end)
        return found if len(found) * _STILLS < self._frames else []


def _closed(gaps: Iterable[tuple[float, float]], container: av.container.InputContainer, gap: float) -> Timeline | None:
    """The timeline of a file without these gaps."""
    starts, shifts = [], []
    for begin, end in gaps:
        starts.append(end)
        shifts.append((shifts[-1] if shifts else 0.0) - (end - begin))
    numbers = list(range(1, len(starts) + 1))
    tracks = {str(track.index): TrackParts(starts, shifts, numbers) for track in _tracks(container)}
    return Timeline(tracks, gap=gap) if starts else None


class _Scan:
    """What reading all packets of a file has shown so far.

    Attributes:
        tracks: by index.
        coverage: what times there are.
        goes_back: whether the clock does anywhere.
        positions: (byte, second) of places on the way.
    """

    def __init__(self, gap: float, back: float) -> None:
        self._gap, self._back, self._clock = gap, back, ContinuousClock(gap, back)
        self.tracks: dict[int, TrackParts] = {}
        self.coverage, self.goes_back = _Coverage(gap), False
        self.positions: list[tuple[int, float]] = []
        self._first: dict[Fraction, int] = {}  # shift -> byte at which it was met first
        self._latest: dict[Fraction, int] = {}  # shift -> byte at which a track took it up last
        self._shifts: dict[int, Fraction] = {}
        self._last: dict[int, float] = {}
        self._decoded: dict[int, float] = {}
        self._small: list[float] = []

    @property
    def uncertain(self) -> bool:
        """Whether some track takes no part in a step back by less than a second."""
        return any(shift not in parts.shifts for shift in self._small for parts in self.tracks.values())

    def add(self, packet: av.Packet, position: int) -> None:
        """Take note of the next packet, for which the file has been read up to a byte."""
        stamp = order_stamp(packet, self._gap)
        if stamp is None:
            return
        self.coverage.add(packet)
        index, time = packet.stream.index, float(stamp * packet.time_base)
        shift = self._clock.shift(packet)
        parts = self.tracks.setdefault(index, TrackParts(late=shift != 0))
        if shift != self._shifts.get(index, 0):
            self._first.setdefault(shift, position)
            self._latest[shift] = position
            parts.starts.append(time)
            parts.shifts.append(float(shift))
            parts.numbers.append([*self._first].index(shift) + 1)
            step = time - self._last.get(index, time)
            made_up = packet.dts is None or (packet.pts is not None and packet.pts < packet.dts)
            self.goes_back = self.goes_back or parts.late or (made_up and step < 0)
            if -BACK_PRESENTED < step < 0:
                self._small.append(float(shift))
        if packet.dts is not None:
            decoded = float(packet.dts * packet.time_base)
            self.goes_back = self.goes_back or decoded < self._decoded.get(index, decoded) - self._back
            self._decoded[index] = decoded
        self._shifts[index], self._last[index] = shift, time
        shown = float((stamp if packet.pts is None else packet.pts) * packet.time_base + shift)
        parts.end = max(parts.end, shown + float((packet.duration or 0) * packet.time_base))
        ahead = not parts.keys or shown > parts.keys[-1] + (0 if packet.stream.type == "video" else _STEP)
        if packet.is_keyframe and ahead:
            parts.keys.append(shown)
        if position >= (self.positions[-1][0] if self.positions else 0) + _CHECKPOINT:
            self.positions.append((position, self._clock.ahead))

    def checkpoints(self) -> list[list[float]]:
        """The places at which it is certain which part they are in, as `Timeline` has them."""
        if any(sorted(set(parts.numbers)) != parts.numbers for parts in self.tracks.values()):
            return []  # a part is taken up again
        zones = sorted((self._first[shift] - _BEHIND, self._latest[shift]) for shift in self._first)
        return [
            [position, sum(end < position for _, end in zones), second]
            for position, second in self.positions
            if not any(begin <= position <= end for begin, end in zones)
        ]


def _scan(path: str, container: av.container.InputContainer) -> Timeline | None:
    """Read all packets of a file."""
    gap = longest_gap(container)
    scan = _read(path, container, gap, BACK)
    if scan.uncertain:  # a step back of one track alone is a fault in it, unless it is a long one
        scan = _read(path, container, gap, BACK_PRESENTED)
    if not scan.goes_back and container.format.name not in _UNTOLD:
        return _closed(scan.coverage.gaps(), container, gap)
    return Timeline({str(i): parts for i, parts in scan.tracks.items()}, True, scan.checkpoints(), gap)


def _read(path: str, container: av.container.InputContainer, gap: float, back: float) -> _Scan:
    """What all packets show; through Python's file, which tells how far it was read."""
    scan = _Scan(gap, back)
    with open(path, "rb") as file, _reopened(file, container) as packets:
        for packet in _packets(packets):
            scan.add(packet, file.tell())
    return scan


def _tracks(container: av.container.InputContainer) -> list[av.VideoStream | av.AudioStream]:
    """The tracks that are read."""
    return [track for kind in ("video", "audio") if (track := best_stream(container, kind))]


def _reopened(file: str | BinaryIO, container: av.container.InputContainer) -> av.container.InputContainer:
    """The same file, opened once more."""
    return av.open(file, format=container.format.name.split(",")[0], options={"protocol_whitelist": "file"}, **LENIENT)


def _packets(container: av.container.InputContainer) -> Iterator[av.Packet]:
    """The packets of the tracks that are read; a read error ends them."""
    try:
        yield from (packet for packet in container.demux(_tracks(container)) if packet.size)
    except (av.error.FFmpegError, IndexError):  # the latter for a packet of a track that has come up
        return


def _count(path: str, container: av.container.InputContainer) -> Timeline | None:
    """Count the frames of a bare stream of pictures without time stamps."""
    frames, idr = 0, []
    stream = best_stream(container, "video")
    with _reopened(f"file:{path}", container) as packets:
        for packet in _packets(packets):
            if packet.pts is not None or packet.dts is not None:
                return None
            if packet.is_keyframe and packet.pos is not None and _IDR[stream.codec_context.name](bytes(packet)):
                idr.append([frames, packet.pos])
            frames += 1
    rate, stated = frame_rate(stream)
    return Timeline(frames=frames, rate=str(rate), assumed=not stated, idr=idr)


def _units(data: bytes) -> Iterator[int]:
    """The first byte of each NAL unit near the beginning of a packet."""
    return (match[1][0] for match in re.finditer(rb"\x00\x00\x01(.)", data[: 1 << 16], re.DOTALL))


# Whether a packet holds a picture before which nothing is needed and after which nothing earlier is shown.
_IDR: dict[str, Callable[[bytes], bool]] = {
    "h264": lambda data: any(unit & 31 == 5 for unit in _units(data)),
    "hevc": lambda data: any(unit >> 1 & 63 in (19, 20) for unit in _units(data)),
    "vvc": lambda data: False,
}


def _gaps(path: str, container: av.container.InputContainer, stretches: Iterable[tuple[int, float]]) -> Timeline | None:
    """Jumps ahead within stretches of a file that has an index: there is no packet of audio either."""
    video, gap = best_stream(container, "video"), longest_gap(container)
    gaps: set[tuple[float, float]] = set()
    with _reopened(f"file:{path}", container) as file:
        for before, after in stretches:
            with suppress(av.error.FFmpegError, OverflowError):
                file.seek(before, stream=file.streams[video.index])
                coverage = _Coverage(gap)
                for packet in _packets(file):
                    coverage.add(packet)
                    stamp = packet.pts if packet.dts is None else packet.dts
                    if packet.stream.index == video.index and stamp is not None and stamp > after:
                        break
                gaps.update(coverage.gaps())
    return _closed(sorted(gaps), container, gap)


def _stretches(container: av.container.InputContainer) -> list[tuple[int, float]]:
    """(time stamp before, time stamp after) of what is longer than a gap and has no video in the index."""
    video = best_stream(container, "video")
    if video is None:
        return []
    gap, index, found, place = longest_gap(container), video.index_entries, [], 0
    if not len(index):
        return [(0, inf)]
    ticks = round(Fraction(gap) / video.time_base)
    while 0 <= place < len(index) - 1:
        following = index.search_timestamp(index[place].timestamp + ticks, any_frame=True)
        if following <= place:
            found.append((index[place].timestamp, index[place + 1].timestamp))
            following = place + 1
        place = following
    if (container.duration or 0) / av.time_base - index[place].timestamp * video.time_base > gap:
        found.append((index[place].timestamp, inf))
    return found
