"""An annotated copy of a video: what is drawn on its frames, the waveform below, its own sound."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from avsf_det.media.video import VideoInfo, VideoReader
from avsf_det.media.writer import VideoWriter
from avsf_det.visual.legend import draw_legend
from avsf_det.visual.palette import Colour
from avsf_det.visual.text import text_size
from avsf_det.visual.waveform import Envelope, WaveformLane, lane_height, stack


def write_annotated(
    path: Path,
    target: Path,
    info: VideoInfo,
    draw: Callable[[np.ndarray, float], np.ndarray],
    envelope: Envelope | None,
    legend: list[tuple[Colour, str]] | None = None,
) -> None:
    """Write a copy of a video.

    Args:
        path: the video.
        target: the mp4 to write.
        info: what the video holds.
        draw: an (H, W, 3) uint8 RGB frame and its second -> the frame to show.
        envelope: the outline of its sound; None without a sound track.
        legend: colours and what they mean, in a strip of their own.

    Raises:
        UserError: if the video cannot be read or the copy not be written.
    """
    with VideoReader(path) as video:
        height, width = video.height, video.width
        lane = WaveformLane(envelope, info.duration, width, lane_height(height))
        words = draw_legend(legend or [], width, text_size(width, height))

        def page(picture: np.ndarray, t: float) -> np.ndarray:
            return stack(picture, np.concatenate((words, lane.draw(t))))

        height, width = page(np.zeros((height, width, 3), np.uint8), 0.0).shape[:2]
        with VideoWriter(target, width, height, info.fps, sound_from=path) as writer:
            for t, image in video.frames():
                writer.write(page(draw(image, t), t), t)
