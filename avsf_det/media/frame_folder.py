"""A video as a folder of pictures, one a frame, as PySlowFast's frame folders are: `<video>_000001.jpg` and so on."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache, partial
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from avsf_det.errors import UserError
from avsf_det.media.selection import check_frame_size
from avsf_det.media.video import ROUNDING, DecodedFrame, VideoInfo, scaled

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_PICTURE = re.compile(r"(?!\.)(?P<prefix>.*?)(?P<number>\d{1,9})(?P<suffix>\.(?:jpe?g|png|bmp|webp))", re.IGNORECASE)
# How files of a kind begin and, where that is fixed, end; JPEG may have padding after its end.
_SIGNS = ((b"\xff\xd8", b"\xff\xd9"), (b"\x89PNG", b"IEND\xaeB`\x82"), (b"BM", b""), (b"RIFF", b""))
_TAIL = 1024  # bytes in which the end is looked for


@dataclass(frozen=True)
class FrameNames:
    """The numbered pictures of a folder: `prefix`, the number in at least `digits` digits, `suffix`.

    Attributes:
        numbers: (F,) int32, ascending; the first frame of the video is number 1, or 0 where there is a number 0.
        odd: number -> name of those that are written otherwise, such as `frame_7.JPG` among `frame_000006.jpg`.
        others: numbered pictures that are no frames, for their prefix is another than most have.
    """

    prefix: str
    digits: int
    suffix: str
    numbers: np.ndarray
    odd: Mapping[int, str] = field(default_factory=dict)
    others: int = 0

    @property
    def origin(self) -> int:
        """The number of the picture at time 0."""
        return min(int(self.numbers[0]), 1)

    @property
    def absent(self) -> int:
        """How many numbers are missing between the first frame of the video and the last picture."""
        return int(self.numbers[-1]) - self.origin + 1 - len(self.numbers)

    def name(self, number: int) -> str:
        """The file name of a number."""
        return self.odd.get(number) or f"{self.prefix}{number:0{self.digits}d}{self.suffix}"

    def at(self, times: np.ndarray, fps: float) -> np.ndarray:
        """(T,) numbers of the frames whose turn it is at (T,) seconds, whether they are there or not."""
        return (np.floor((np.asarray(times, dtype=np.float64) + ROUNDING) * fps) + self.origin).astype(np.int64)

    def shown(self, numbers: np.ndarray) -> np.ndarray:
        """(T,) numbers of the pictures on display at (T,) numbers: their own or, if missing, the one before."""
        return self.numbers[(np.searchsorted(self.numbers, numbers, side="right") - 1).clip(0)]

    def is_missing(self, numbers: np.ndarray) -> np.ndarray:
        """(T,) bool, which pictures are missing between the first frame and the last picture.

        Where only every so many frames were kept, that many share a picture.
        """
        stride = np.median(np.diff(self.numbers)) if len(self.numbers) > 1 else 1
        apart = np.abs(numbers - self.shown(numbers)) >= stride
        return apart & (numbers >= self.origin) & (numbers <= self.numbers[-1])


def frame_names(folder: Path) -> FrameNames:
    """The pictures of a folder; listed once as long as the folder does not change.

    Raises:
        UserError: if it cannot be listed, or holds no numbered picture.
    """
    try:
        return _frame_names(folder, folder.stat().st_mtime_ns)
    except OSError as error:
        raise UserError(f"{folder}: the folder of frames cannot be read ({error.strerror}); check the path") from None


@lru_cache(maxsize=1024)
def _frame_names(folder: Path, changed: int) -> FrameNames:
    with os.scandir(folder) as entries:
        found = [match for entry in entries if (match := _PICTURE.fullmatch(entry.name))]
    if not found:
        raise UserError(f"{folder}: no picture in this folder; expected frames such as {folder.name}_000001.jpg")
    groups = defaultdict(list)
    for match in sorted(found, key=lambda match: match.string):
        groups[match["prefix"].casefold()].append(match)
    own = max(groups.values(), key=len)
    prefix, suffix = (Counter(match[part] for match in own).most_common(1)[0][0] for part in ("prefix", "suffix"))
    padded = Counter(len(match["number"]) for match in own if match["number"].startswith("0"))
    numbers = np.unique(np.array([int(match["number"]) for match in own], dtype=np.int32))
    names = FrameNames(prefix, padded.most_common(1)[0][0] if padded else 1, suffix, numbers)
    there = {match.string for match in own}
    odd = {number: match.string for match in reversed(own) if names.name(number := int(match["number"])) not in there}
    return replace(names, odd=odd, others=len(found) - len(own))


def picture_fault(path: Path) -> str:
    """What is wrong with the file of a picture, as its beginning and end show: "is missing" and the like, or ""."""
    try:
        with open(path, "rb") as file:
            head = file.read(4)
            file.seek(max(os.fstat(file.fileno()).st_size - _TAIL, 0))
            tail = file.read()
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not head:
        return "is empty"
    end = next((end for begin, end in _SIGNS if head.startswith(begin)), None)
    if end is None:
        return "is no picture"
    return "" if end in tail else "is cut off"


class FrameFolderReader:
    """The frames of a folder by time, RGB and of one size, as `VideoReader` gives those of a file. A context manager.

    Attributes:
        info: what the folder holds; it has no sound.
        height, width: of the frames it returns, in pixels.
    """

    def __init__(
        self, folder: Path, fps: float = 30.0, short_side: int | None = None, size: tuple[int, int] | None = None
    ) -> None:
        """Open a folder.

        Args:
            folder: the pictures; one that is missing is as if the one before it stayed on display.
            fps: pictures a second.
            short_side: scale frames so that their shorter side has this many pixels, keeping their proportions.
            size: scale frames to exactly this (height, width) instead.

        Raises:
            UserError: if there is no picture, none that can be read, or they are too large or too elongated.
        """
        self._folder, self._fps, self._names = folder, fps, frame_names(folder)
        names, numbers = self._names, self._names.numbers
        height, width = self._first().shape[:2]
        self.info = VideoInfo(
            path=str(folder),
            duration=(int(numbers[-1]) - names.origin + 1) / fps,
            picture_start=(int(numbers[0]) - names.origin) / fps,
            fps=Fraction(fps).limit_denominator(1001),
            width=width,
            height=height,
            rotation=0,
            codec=names.suffix.lstrip(".").lower(),
            has_audio=False,
            audio_start=0.0,
            audio_end=0.0,
            sample_rate=0,
            channels=0,
        )
        self.height, self.width = size or scaled(height, width, short_side)
        self._reformatter = VideoReformatter()

    def __enter__(self) -> FrameFolderReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing stays open."""

    def frames(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yield (time, (H, W, 3) uint8 RGB) of every picture; as `VideoReader.frames`."""
        for time, image in self.decoded():
            yield time, image(self.height, self.width)

    def decoded(self, start: float = 0.0) -> Iterator[DecodedFrame]:
        """Yield every picture from the one on display at `start` seconds on; as `VideoReader.decoded`."""
        first = self._names.shown(self._names.at(np.array([start]), self._fps))[0]
        for number in self._names.numbers[np.searchsorted(self._names.numbers, first) :].tolist():
            yield DecodedFrame((number - self._names.origin) / self._fps, partial(self._image, number))

    def frames_at(self, times: np.ndarray) -> np.ndarray:
        """The frames on display at the given times; as `VideoReader.frames_at`.

        Returns:
            (T, H, W, 3) uint8 RGB.

        Raises:
            UserError: if a picture cannot be read.
        """
        numbers = self._names.shown(self._names.at(times, self._fps))
        images = np.empty((len(numbers), self.height, self.width, 3), dtype=np.uint8)
        for number in np.unique(numbers):
            images[numbers == number] = self._image(int(number), self.height, self.width)
        return images

    def _first(self) -> np.ndarray:
        """The first picture that can be read, which has the size of all."""
        error = None
        for number in self._names.numbers.tolist():
            try:
                return self._read(number)
            except UserError as reason:
                error = error or reason
        raise error

    def _image(self, number: int, height: int, width: int) -> np.ndarray:
        picture = self._read(number)
        if picture.shape[:2] == (height, width):
            return picture
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        return self._reformatter.reformat(frame, width, height, "rgb24").to_ndarray()

    def _read(self, number: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB as stored."""
        import cv2
        from PIL import Image

        path = self._folder / self._names.name(number)
        try:
            with Image.open(path) as header:  # its size, before it takes memory
                width, height = header.size
            check_frame_size(path, height, width)
            picture = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_COLOR)
        except Image.DecompressionBombError as error:
            raise UserError(f"{path}: {error}; scale it first") from None
        except (OSError, ValueError, SyntaxError, cv2.error):
            picture = None
        if picture is None:
            raise UserError(f"{path}: cannot be read as a picture; extract the frames of this video again")
        return np.ascontiguousarray(picture[:, :, ::-1])
