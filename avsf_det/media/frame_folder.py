"""A video as a folder of pictures, one a frame, as PySlowFast's frame folders are: `<video>_000001.jpg` and so on."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from avsf_det.errors import UserError
from avsf_det.media.video import ROUNDING, VideoInfo, scaled

_PICTURE = re.compile(r"(?P<prefix>.*?)(?P<number>\d+)(?P<suffix>\.(?:jpe?g|png|bmp|webp))", re.IGNORECASE)


@dataclass(frozen=True)
class FrameNames:
    """The numbered pictures of a folder: `prefix`, the number in at least `digits` digits, `suffix`.

    Attributes:
        numbers: (F,) int32, ascending; the first frame of the video is number 1, or 0 where there is a number 0.
    """

    prefix: str
    digits: int
    suffix: str
    numbers: np.ndarray

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
        return f"{self.prefix}{number:0{self.digits}d}{self.suffix}"


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
    first = min(found, key=lambda match: (int(match["number"]), match.string))
    prefix, suffix = first["prefix"], first["suffix"]
    numbers = [int(match["number"]) for match in found if (match["prefix"], match["suffix"]) == (prefix, suffix)]
    return FrameNames(prefix, len(first["number"]), suffix, np.unique(np.array(numbers, dtype=np.int32)))


class FrameFolderReader:
    """The frames of a folder by time, RGB and of one size, as `VideoReader` gives those of a file. A context manager.

    Attributes:
        info: what the folder holds; it has no sound.
        height, width: of the frames it returns, in pixels.
    """

    def __init__(self, folder: Path, fps: float = 30.0, short_side: int | None = None) -> None:
        """Open a folder.

        Args:
            folder: the pictures; one that is missing is as if the one before it stayed on display.
            fps: pictures a second.
            short_side: scale frames so that their shorter side has this many pixels, keeping their proportions.

        Raises:
            UserError: if there is no picture, or the first cannot be read.
        """
        self._folder, self._fps, self._names = folder, fps, frame_names(folder)
        names, numbers = self._names, self._names.numbers
        height, width = self._read(int(numbers[0])).shape[:2]
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
        self.height, self.width = scaled(height, width, short_side)
        self._reformatter = VideoReformatter()

    def __enter__(self) -> FrameFolderReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing stays open."""

    def frames_at(self, times: np.ndarray) -> np.ndarray:
        """The frames on display at the given times; as `VideoReader.frames_at`.

        Returns:
            (T, H, W, 3) uint8 RGB.

        Raises:
            UserError: if a picture cannot be read.
        """
        numbers = np.floor((np.asarray(times, dtype=np.float64) + ROUNDING) * self._fps) + self._names.origin
        rows = (np.searchsorted(self._names.numbers, numbers, side="right") - 1).clip(0)
        images = np.empty((len(rows), self.height, self.width, 3), dtype=np.uint8)
        for row in np.unique(rows):
            images[rows == row] = self._image(int(self._names.numbers[row]))
        return images

    def _image(self, number: int) -> np.ndarray:
        picture = self._read(number)
        if picture.shape[:2] == (self.height, self.width):
            return picture
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        return self._reformatter.reformat(frame, self.width, self.height, "rgb24").to_ndarray()

    def _read(self, number: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB as stored."""
        import cv2

        path = self._folder / self._names.name(number)
        try:
            picture = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_COLOR)
        except (OSError, cv2.error):
            picture = None
        if picture is None:
            raise UserError(f"{path}: cannot be read as a picture; extract the frames of this video again")
        return np.ascontiguousarray(picture[:, :, ::-1])
