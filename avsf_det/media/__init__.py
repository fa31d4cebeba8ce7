"""Picture and sound of media files, in and out, on one clock: seconds from the start of the file."""

from avsf_det.media.audio import AudioReader
from avsf_det.media.source import VideoSource, open_audio, open_video
from avsf_det.media.video import VideoInfo, VideoReader, probe
from avsf_det.media.writer import VideoWriter

__all__ = ["AudioReader", "VideoInfo", "VideoReader", "VideoSource", "VideoWriter", "open_audio", "open_video", "probe"]
