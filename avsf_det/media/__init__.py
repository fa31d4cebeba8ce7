"""Picture and sound of media files, in and out, on one clock: seconds from the start of the file."""

from avsf_det.media.audio import AudioReader
from avsf_det.media.video import VideoInfo, VideoReader, probe
from avsf_det.media.writer import VideoWriter

__all__ = ["AudioReader", "VideoInfo", "VideoReader", "VideoWriter", "probe"]
