"""One track (picture or sound) of a media file, decoded from any time on the file's clock."""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import chain, pairwise
from math import floor, inf
from operator import itemgetter

import av
from av.stream import Discard

from avsf_det.errors import UserError
from avsf_det.media.selection import LENIENT, best_stream, check_sample_rate, frame_rate, playable, report_choice
from avsf_det.media.timeline import PartReader, longest_gap
from avsf_det.media.timeline_scan import timeline_of

# What FFmpeg opens although it is no video: text drawn as ANSI art, lists of other files, and pictures.
_NO_VIDEO_FORMATS = ("tty", "concat", "hls", "image2", "ico")
# A seek that lands late is tried again this many seconds earlier, then twice as many, and so on.
_FIRST_BACKOFF = 1.0
# Time stamps that go back by this many seconds or more start anew, as in files joined end to end; time goes on.
_RESTART = 1.0
# The last packets are looked for in this many seconds before the end that the file's header promises.
_TAIL = 2.0
# Codecs whose decoder leaves out frames that no other refers to, without a trace in those others.
_SKIPPABLE = ("h264", "hevc")
# Time stamps kept to know which frame follows which: more than any codec reorders.
_REORDERED = 64
# Two times this many seconds apart are the same packet's: whole ticks were rounded.
_SAME = 1e-4

_threads = 0


def set_num_threads(number: int) -> None:
    """Decode with this many threads each file that is opened from now on; 0, at first, is one for each processor.

    Each thread decodes a frame ahead, in vain where reading ends, and takes a tenth more processor time in all.
    """
    global _threads
    _threads = number


def open_container(path: str | os.PathLike[str]) -> av.container.InputContainer:
    """Open a media file for reading: one on disk, never an address or a list of other files.

    Raises:
        UserError: the file is missing, unreadable, empty, cut off before its index or not media at all.
    """
    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise UserError(f"{path}: cannot be opened ({error.strerror}); check the path and its permissions") from error
    if empty:
        raise UserError(f"{path}: the file is empty (0 bytes); expected a video; copy or download it again")
    try:
        container = av.open(f"file:{path}", options={"protocol_whitelist": "file"}, **LENIENT)
    except av.error.FFmpegError as error:
        raise UserError(
            f"{path}: not a video, or cut off so early that nothing can be read; check that it plays in a video player"
        ) from error
    name = container.format.name
    if name in _NO_VIDEO_FORMATS or name.endswith("_pipe"):
        container.close()
        raise UserError(f"{path}: not a video (recognised as {container.format.long_name}); expected a video file")
    return container


class Track:
    """A video or audio track of an open file, decoded in display order with times on the clock.

    It is the track that the `ffmpeg` command takes (`best_stream`).

    The clock is seconds from the start of the file: time 0 is the earliest start among its video and audio
    tracks, as a player shows it. Times come from presentation time stamps. Where the file has none, they come from
    decoding time stamps (always so in AVI, which stores no other), else from the frame rate. Where the file's own
    clock restarts or jumps ahead in all tracks, the parts follow each other (`avsf_det.media.timeline`).

    Attributes:
        stream: the track's PyAV stream, or None if the file has no such track that FFmpeg can decode.
        origin: the exact stream time in seconds at which the clock reads 0.
        by_decoding_time: whether times come from decoding time stamps: each frame has the one of the packet that
            completed it, so the picture starts a few frames after the first packet if it has B-frames.
        broken: decoding time stamps of the packets that could not be decoded so far.
        skipped: times of frames that were left undecoded since the last seek, in ascending order.
    """

    def __init__(self, path: str | os.PathLike[str], kind: str) -> None:
        """Open `path` and choose its track of `kind` "video" or "audio".

        Raises:
            UserError: as `open_container`, or the audio has an impossible sample rate.
        """
        self.path = os.fspath(path)
        self._kind = kind
        self.broken: set[int | None] = set()
        self.skipped: list[float] = []
        self._wanted: Sequence[float] = ()
        self._open()
        self._timeline = None if self.stream is None else timeline_of(self.path, self.container)
        self._parts = None
        if self._timeline is not None and self._timeline.tracks:
            self._parts = PartReader(self._timeline, self.stream)
        self._untimed = self._timeline is not None and self._timeline.frames > 0
        if self.stream is not None:
            report_choice(self.path, self.stream)
            self._longest = longest_gap(self.container)
        self._key, self._first = 0.0, 0
        self.origin = min(
            (s.start_time * s.time_base for s in playable(self.container) if s.start_time is not None),
            default=Fraction(0),
        )

    def _open(self) -> None:
        self.container = open_container(self.path)
        self.stream = best_stream(self.container, self._kind)
        for other in self.container.streams:
            if other is not self.stream:
                other.discard = Discard.all
        if self.stream is not None:
            self.stream.thread_type, self.stream.thread_count = "AUTO", _threads
        if self.stream is not None and self._kind == "audio":
            self._check_audio()
        self.by_decoding_time = self.container.format.name == "avi"
        self._at_start = True

    def _check_audio(self) -> None:
        """Make sure of the sample rate, which audio that starts far into the file tells in its first frame only."""
        codec = self.stream.codec_context
        try:
            if not codec.sample_rate:
                found = (frame for packet in self.container.demux(self.stream) for frame in self._decode_packet(packet))
                with suppress(av.error.FFmpegError):
                    next(found, None)
                with suppress(av.error.FFmpegError):
                    self.container.seek(0, unsupported_byte_offset=True)
                codec.flush_buffers()
            check_sample_rate(self.path, codec.sample_rate)
        except UserError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self.container.close()

    def seconds(self, stamp: int) -> float:
        """The time on the clock of a time stamp of the track."""
        unit = self.stream.time_base
        (a, b), (c, d) = (unit.numerator, unit.denominator), (self.origin.numerator, self.origin.denominator)
        return (stamp * a * d - b * c) / (b * d)  # exact up to the division, and ten times faster than fractions are

    def stamp(self, seconds: float) -> int:
        """The last time stamp of the track, as stored, at or before a time on the clock."""
        if self._parts and not self._timeline.indexed:
            seconds = self._timeline.unshifted(self.stream.index, seconds + float(self.origin)) - float(self.origin)
        return floor((Fraction(seconds) + self.origin) / self.stream.time_base)

    def keyframe_between(self, start: float, end: float) -> bool | None:
        """Whether the index has a keyframe after `start` and not after `end`; None if it does not reach that far."""
        if self._untimed:
            rate = float(Fraction(self._timeline.rate))
            return self._idr(end)[0] > start * rate
        if self._parts and self._timeline.indexed:
            keys, origin = self._timeline.track(self.stream.index).keys, float(self.origin)
            return bisect_right(keys, start + origin) < bisect_right(keys, end + origin)
        index, stamp = self.stream.index_entries, self.stamp(end)
        if not len(index) or index[len(index) - 1].timestamp < stamp:
            return None
        keyframe = index.search_timestamp(stamp)
        return keyframe >= 0 and index[keyframe].timestamp > self.stamp(start)

    def decode(self, start: float = 0.0) -> Iterator[tuple[float, av.VideoFrame | av.AudioFrame]]:
        """Yield (time, frame) in display order, from a frame at or before `start` to the end of the track.

        The first frame comes from the last place to decode from, so several frames before `start` may come first.
        Broken packets are skipped and noted in `broken`. A new call ends the iterators of earlier calls.
        """
        target = start - _FIRST_BACKOFF if self.by_decoding_time else start
        backoff = _FIRST_BACKOFF
        while True:
            self._seek(target)
            frames = self._frames()
            first = next(frames, None)
            if target <= 0 or (first is not None and first[0] <= start):
                break
            target = start - backoff
            backoff *= 2
        if first is not None:
            yield first
            yield from frames

    def want(self, times: Sequence[float]) -> None:
        """Leave out of `decode`, where that saves work, frames that are on display at none of these ascending times.

        From the last of them on every frame comes. No times: every frame comes.
        """
        self._wanted = times

    def packets(self, start: float = 0.0) -> Iterator[av.Packet]:
        """Yield the track's packets in file order, from about `start` to the end; a read error ends them."""
        self._seek(start)
        yield from self._packets()

    @property
    def rate(self) -> Fraction:
        """Frames per second of a video track: the average without the jumps of the clock."""
        shifts = self._timeline.shifts if self._parts else ()
        seconds = (self.container.duration or 0) / av.time_base + (shifts[-1] if shifts else 0)
        if not shifts or self._timeline.indexed:
            return frame_rate(self.stream)[0]
        if self.stream.frames and seconds > 0:
            return Fraction(self.stream.frames / seconds).limit_denominator(1001)
        return self.stream.base_rate or frame_rate(self.stream)[0]

    @property
    def promised(self) -> float:
        """Seconds that the file lasts by its header; 0 if that says nothing that can be relied on."""
        if self._untimed or (self._parts and self._timeline.indexed):
            return 0.0
        shifts = self._timeline.shifts if self._parts else ()
        return (self.container.duration or 0) / av.time_base + (shifts[-1] if shifts else 0)

    def end(self) -> float:
        """When the last packet of the track ends, in seconds on the clock."""
        if self._untimed:
            return self._timeline.frames / float(Fraction(self._timeline.rate))
        if self._parts and self._timeline.indexed:
            return self._timeline.track(self.stream.index).end - float(self.origin)
        promised = self.promised
        for start in (max(promised - _TAIL, 0.0), 0.0):
            ends = [
                self.seconds(stamp) + self._duration(packet)
                for packet in self.packets(start)
                if (stamp := packet.dts if self.by_decoding_time or packet.pts is None else packet.pts) is not None
            ]
            if ends:
                return max(ends)
        return 0.0

    def _seek(self, seconds: float) -> None:
        """Let the next packet be the last one at or before `seconds` from which decoding can start."""
        place, byte = self._place(seconds)
        if place is None:
            if not self._at_start:
                self.close()
                self._open()
        else:
            try:
                if byte:
                    self.container.seek(place, unsupported_byte_offset=True)
                else:
                    self.container.seek(place, stream=self.stream)
            except (av.error.FFmpegError, OverflowError):  # no index, or past its end: read from the start
                self.close()
                self._open()
                self._key, self._first = 0.0, 0
                if self._parts:
                    self._parts.seek(0)
        self._at_start = False
        self.skipped.clear()

    def _place(self, seconds: float) -> tuple[int | None, bool]:
        """Where to seek for a time: a time stamp or a byte; None for the start of the file."""
        self._key, self._first = -inf, 0
        part, place, byte = 0, None, False
        if self._untimed:
            self._first, place = self._idr(seconds)
            place, byte = place or None, True
        elif self._parts and self._timeline.indexed:
            keys, seconds = self._timeline.track(self.stream.index).keys, seconds + float(self.origin)
            number = bisect_right(keys, seconds) - 1
            if number >= 0:
                self._key = keys[number] - float(self.origin)
                place, part = self._timeline.checkpoint(keys[number])
                place, byte = place or None, True
        elif seconds > 0:
            place = self.stamp(seconds)
        if self._parts:
            self._parts.seek(part)
        return place, byte

    def _idr(self, seconds: float) -> tuple[int, int]:
        """(number, byte) of the last frame at or before a time from which a stream without times can be decoded."""
        frame = floor((seconds + 1e-6) * Fraction(self._timeline.rate)) if seconds > 0 else 0
        place = bisect_right(self._timeline.idr, frame, key=itemgetter(0)) - 1
        number, byte = self._timeline.idr[place] if place > 0 else (0, 0)
        return number, byte

    def _packets(self) -> Iterator[av.Packet]:
        skipping = self._key > -inf
        try:
            for packet in self.container.demux(self.stream):
                if not packet.size:
                    continue
                if self._parts:
                    self._parts.shift(packet)
                if skipping:  # between a checkpoint and the keyframe that is sought
                    stamp = packet.dts if packet.pts is None else packet.pts
                    if stamp is None or not packet.is_keyframe or self.seconds(stamp) < self._key - _SAME:
                        continue
                    skipping = False
                yield packet
        except (av.error.FFmpegError, IndexError):  # cut off, unreadable, or of a track that has come up: its end
            return

    def _untimed_frames(self) -> Iterator[tuple[float, av.VideoFrame]]:
        """The frames of a stream without time stamps: their places in display order give their times.

        Packets are numbered, and decoders hand the number on to the frame. After frames that could not be decoded
        the count is right again from the next place on from which decoding can start.
        """
        rate, following = Fraction(self._timeline.rate), self._first
        starts = [number for number, _ in self._timeline.idr]
        self.stream.codec_context.skip_frame = "DEFAULT"
        for number, packet in enumerate(chain(self._packets(), (None,)), self._first):
            if packet is not None:
                packet.pts = packet.dts = number
            for frame in self._decode_packet(packet):
                start = bisect_right(starts, frame.pts or 0) - 1
                following = max(following, starts[start] if start >= 0 else 0)
                yield float(following / rate), frame
                following += 1

    def _frames(self) -> Iterator[tuple[float, av.VideoFrame | av.AudioFrame]]:
        if self._untimed:
            yield from self._untimed_frames()
            return
        previous = step = None
        codec, stamps = self.stream.codec_context, []
        skippable = codec.name in _SKIPPABLE and len(self._wanted) > 0
        codec.skip_frame = "DEFAULT"
        plain = not self.by_decoding_time
        for packet, ahead in pairwise(chain(self._packets(), (None, None))):
            if skippable:
                plain = plain and all(self._note(stamps, one) for one in (packet, ahead) if one is not None)
                codec.skip_frame = (
                    "NONREF" if plain and packet is not None and self._idle(packet, stamps) else "DEFAULT"
                )
            for frame in self._decode_packet(packet):
                plain = plain and not (skippable and frame.interlaced_frame)  # its fields may be packets of their own
                step = step or self._duration(frame)
                following = 0.0 if previous is None else previous + step
                stamp = frame.dts if self.by_decoding_time or frame.pts is None else frame.pts
                time = following if stamp is None else self.seconds(stamp)
                if previous is not None:
                    if previous - _RESTART < time <= previous:  # shown for no time: the next is due already
                        continue
                    if time <= previous:
                        time = following
                    step = time - previous
                previous = time
                yield time, frame

    def _note(self, stamps: list[int], packet: av.Packet) -> bool:
        """Add a packet's time to those last seen; whether frames have the times of their packets so far."""
        if packet.pts is None or (stamps and self.seconds(packet.pts) <= self.seconds(stamps[-1]) - _RESTART):
            return False
        if packet.pts not in stamps[-_REORDERED:]:
            insort(stamps, packet.pts)
            del stamps[:-_REORDERED]
        return True

    def _idle(self, packet: av.Packet, stamps: list[int]) -> bool:
        """Whether a packet's frame is on display at no wanted time: until the next of the frames known so far."""
        place = bisect_right(stamps, packet.pts)
        if not self._wanted or place == len(stamps):
            return False
        start, end = self.seconds(packet.pts), self.seconds(stamps[place])
        if end > self._wanted[-1] or bisect_left(self._wanted, start) != bisect_left(self._wanted, end):
            return False
        insort(self.skipped, start)
        return True

    def _decode_packet(self, packet: av.Packet | None) -> list[av.VideoFrame | av.AudioFrame]:
        """The frames that `packet` completes; None drains the decoder."""
        try:
            frames = self.stream.codec_context.decode(packet)
        except av.error.FFmpegError:
            self.broken.add(None if packet is None else packet.dts)
            return []
        whole = [frame for frame in frames if not frame.is_corrupt]
        self.broken.update(frame.dts for frame in frames if frame.is_corrupt)
        return whole

    def _duration(self, piece: av.Packet | av.VideoFrame | av.AudioFrame) -> float:
        """Seconds that a packet or frame lasts."""
        seconds = float((piece.duration or 0) * self.stream.time_base)
        if self.stream.type == "audio" or 0 < seconds <= self._longest:
            return seconds if seconds <= self._longest else 0.0
        return float(1 / self.rate)
