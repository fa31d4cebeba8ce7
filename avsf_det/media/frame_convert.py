"""Convert decoded frames to what a player displays: deinterlaced, upright, SDR BT.709, 8-bit RGB."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import ColorRange, VideoReformatter

from avsf_det.errors import UserError
from avsf_det.media import hdr

logger = logging.getLogger(__name__)

# Matrix coefficients by ITU-T H.273 that libswscale converts by itself; those that say nothing; and what the others
# are closest to.
_MATRICES = {1, 4, 5, 6, 7, 9}
_UNTAGGED = {0, 2, 3}
_BT709, _BT601, _BT2020 = 1, 6, 9
_NEAREST_MATRIX = {10: _BT2020, 13: _BT2020, 14: _BT2020, 15: _BT2020}
# Untagged video is BT.709 if its longer side has this many pixels or more, or its shorter side more than that.
_HD_LONG_SIDE, _SD_SHORT_SIDE = 1280, 576
# FFmpeg's filter needs this many columns and rows.
_SMALLEST_INTERLACED = 3
# Deviation from one of the eight upright orientations, as a fraction, from which on it is reported: about one degree.
_ORIENTATION_TOLERANCE = 1.5e-4
# Types of side data that a newer FFmpeg may have than PyAV knows.
_NEWER_TYPES = 16
# Code values of full range for those of limited range, for gray: libswscale takes all gray for full range.
_FULL_OF_LIMITED = np.rint((np.arange(256) - 16) * 255 / 219).clip(0, 255).astype(np.uint8)
_HDR_NAMES = {hdr.PQ: "PQ", hdr.HLG: "HLG"}


class Orientation(NamedTuple):
    """How a stored frame is displayed.

    Attributes:
        rotation: degrees by which it is turned counterclockwise: 0, 90, 180 or 270.
        mirrored: whether it is flipped left to right before it is turned.
    """

    rotation: int = 0
    mirrored: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Orientation:
        """The orientation of a frame by its display matrix; upright without one."""
        return _nearest_orientation(_display_matrix(frame))[0]

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) as displayed of a stored frame; also the other way round."""
        return (width, height) if self.rotation in (90, 270) else (height, width)

    def apply(self, image: np.ndarray) -> np.ndarray:
        """The (H, W, 3) stored image as displayed."""
        image = image[:, ::-1] if self.mirrored else image
        return np.ascontiguousarray(np.rot90(image, self.rotation // 90))


def _display_matrix(frame: av.VideoFrame) -> bytes:
    """The display matrix of a frame; empty without one."""
    try:
        return bytes(frame.side_data.get("DISPLAYMATRIX", b""))
    except ValueError:  # PyAV reads no side data of a frame that also has some of a type it does not know, as EXIF
        first = max(kind.value for kind in Type) + 1
        unknown = [("sidedata", f"mode=delete:type={number}") for number in range(first, first + _NEWER_TYPES)]
        return bytes(_filtered([frame], unknown).side_data.get("DISPLAYMATRIX", b""))


@lru_cache(maxsize=256)
def _nearest_orientation(matrix: bytes) -> tuple[Orientation, float]:
    """The orientation closest to a display matrix of 3 x 3 int32, and how far it is from it: 0 to 1."""
    if not matrix:
        return Orientation(), 0.0
    (a, b), (c, d) = np.frombuffer(matrix, dtype=np.int32).reshape(3, 3)[:2, :2].astype(float).tolist()
    # x' = a x + c y and y' = b x + d y, each scaled to length 1; FFmpeg ignores a matrix where one of them has none.
    lengths = np.hypot([a, c], [b, d])
    if not lengths.all():
        return Orientation(), 0.0
    displayed = np.array([[a, c], [b, d]]) / lengths
    fits = {}
    for mirrored in (False, True):
        for rotation in (0, 90, 180, 270):
            turn = np.linalg.matrix_power(np.array([[0, 1], [-1, 0]]), rotation // 90)
            flip = np.diag([-1 if mirrored else 1, 1])
            fits[Orientation(rotation, mirrored)] = float((turn @ flip * displayed).sum() / 2)
    best = max(fits, key=fits.get)
    return best, 1 - fits[best]


class FrameConverter:
    """Converts the decoded frames of one video to upright RGB. What is not plain SDR is logged once per video.

    The same frame gives the same image whatever was converted before.
    """

    def __init__(self, name: str) -> None:
        """Prepare; `name` is the video's in log lines."""
        self._name = name
        self._reformatters: defaultdict[tuple[int, int], VideoReformatter] = defaultdict(VideoReformatter)

    def __call__(self, frame: av.VideoFrame, height: int, width: int) -> np.ndarray:
        """A frame as a player displays it.

        Args:
            frame: as decoded.
            height, width: of the image as displayed.

        Returns:
            (height, width, 3) uint8 RGB.

        Raises:
            UserError: frames of this pixel format cannot be converted.
        """
        orientation = self._orientation(frame)
        stored = orientation.size(height, width)
        try:
            if frame.format.name.startswith("bayer") and frame.height < 2:
                raise ValueError("less than one row of its color pattern")  # libswscale aborts the process
            if frame.interlaced_frame:
                _log(logging.INFO, f"{self._name}: interlaced video; frames are deinterlaced")
                image = self._rgb(_deinterlaced(frame), frame, *stored)
            else:
                image = self._rgb(frame, frame, *stored)
        except (av.error.FFmpegError, ValueError) as error:
            raise UserError(
                f"{self._name}: a frame of {frame.width}x{frame.height} in pixel format {frame.format.name} cannot be "
                f"converted to RGB ({error}); re-encode the video, for example: ffmpeg -i IN -pix_fmt yuv420p OUT.mp4"
            ) from error
        return orientation.apply(image)

    def _orientation(self, frame: av.VideoFrame) -> Orientation:
        orientation, deviation = _nearest_orientation(_display_matrix(frame))
        if deviation > _ORIENTATION_TOLERANCE:
            mirrored = ", mirrored" if orientation.mirrored else ""
            _log(
                logging.WARNING,
                f"{self._name}: the display matrix is not a multiple of 90 degrees; "
                f"frames are turned by {orientation.rotation} degrees counterclockwise{mirrored}",
            )
        return orientation

    def _rgb(self, frame: av.VideoFrame, tags: av.VideoFrame, height: int, width: int) -> np.ndarray:
        """(height, width, 3) uint8 RGB of a frame, by the color tags of another."""
        transfer, primaries = tags.color_trc, tags.color_primaries
        wide = transfer in _HDR_NAMES or primaries == hdr.BT2020
        tagged, frame.colorspace = frame.colorspace, self._matrix(tags)
        try:
            reformat = self._reformatters[height, width].reformat
            rgb = reformat(frame, width, height, "rgb48le" if wide else "rgb24", threads=1).to_ndarray()
        finally:
            frame.colorspace = tagged
        if wide:
            what = f"HDR ({_HDR_NAMES[transfer]}) is tone-mapped" if transfer in _HDR_NAMES else "BT.2020 is converted"
            _log(logging.INFO, f"{self._name}: {what} to SDR BT.709")
            return hdr.to_sdr(rgb, transfer, primaries)
        limited = tags.format.name.startswith("gray") and tags.color_range == ColorRange.MPEG
        return _FULL_OF_LIMITED[rgb] if limited else rgb

    def _matrix(self, frame: av.VideoFrame) -> int:
        """The matrix by which the frame's YUV becomes RGB, of those that libswscale has."""
        tag = frame.colorspace
        if tag in _MATRICES or frame.format.is_rgb:
            return tag
        if tag in _UNTAGGED:
            if frame.color_trc in _HDR_NAMES:
                return _BT2020
            long, short = max(frame.width, frame.height), min(frame.width, frame.height)
            return _BT709 if long >= _HD_LONG_SIDE or short > _SD_SHORT_SIDE else _BT601
        nearest = _NEAREST_MATRIX.get(tag, _BT709)
        _log(
            logging.WARNING,
            f"{self._name}: color matrix {tag} (ITU-T H.273) is not supported; colors are approximate, as if it were "
            f"{'BT.2020' if nearest == _BT2020 else 'BT.709'}",
        )
        return nearest


def _deinterlaced(frame: av.VideoFrame) -> av.VideoFrame:
    """A frame with both fields as of the time of its first one.

    FFmpeg's yadif on a video that stands still at this frame: lines of the second field stay where they agree with
    those above and below, and are interpolated where the picture is combed. So the result does not depend on the
    frames around it, and progressive content that is flagged interlaced keeps its detail.
    """
    if min(frame.width, frame.height) < _SMALLEST_INTERLACED:
        return _filtered([frame], [("setfield", "prog")])
    still = [frame, frame]  # the one before, and this one
    return _filtered(still, [("yadif", "mode=send_frame:parity=auto:deint=all")])


def _filtered(frames: Sequence[av.VideoFrame], filters: Sequence[tuple[str, str]]) -> av.VideoFrame:
    """The first frame that comes out of a chain of FFmpeg filters, each a name and its options."""
    graph = av.filter.Graph()
    graph.threads = 1
    width, height, kind = frames[0].width, frames[0].height, frames[0].format.name
    last = source = graph.add_buffer(width=width, height=height, format=kind, time_base=Fraction(1, 25))
    for name, options in [*filters, ("buffersink", "")]:
        last.link_to(following := graph.add(name, options))
        last = following
    graph.configure()
    for frame in frames:
        source.push(frame)
    return last.pull()


@lru_cache(maxsize=4096)
def _log(level: int, message: str) -> None:
    """Log each message once."""
    logger.log(level, message)
