import shutil

import numpy as np
import pytest

from avsf_det.data.cache import ClipCache
from avsf_det.data.clip import ClipSpec
from avsf_det.media.source import VideoSource

SPEC = ClipSpec(num_frames=4, sampling_rate=4, short_side=48, audio_frames=16, num_mels=8)


def test_a_changed_video_or_spec_is_decoded_anew(scenes, tmp_path):
    videos = sorted((scenes / "videos").glob("train_*.mp4"))
    path = shutil.copy(videos[0], tmp_path / "video.mp4")
    cache = ClipCache(tmp_path / "cache", SPEC)
    before = cache.get(path, 1.0)
    shutil.copy(videos[1], path)
    assert not np.array_equal(cache.get(path, 1.0).frames, before.frames)
    other = ClipCache(tmp_path / "cache", ClipSpec(num_frames=2, short_side=16))
    assert other.get(path, 1.0).frames.shape[:2] == (2, 16)


def test_a_cached_clip_is_of_one_place_on_the_clock(scenes, tmp_path):
    path, cache = scenes / "videos" / "train_0000.mp4", ClipCache(tmp_path / "cache", SPEC)
    before = cache.get(path, 2.0)
    assert not np.array_equal(cache.get(VideoSource(path, 1.0), 2.0).frames, before.frames)
    np.testing.assert_array_equal(cache.get(VideoSource(path, 900.0), 902.0).frames, before.frames)


def test_a_cache_that_cannot_be_filled_keeps_no_half_written_clip(scenes, tmp_path, monkeypatch):
    def full(file, **arrays):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        ClipCache(tmp_path / "cache", SPEC).fill(scenes / "videos" / "val_0000.mp4", [1.0])
    assert list((tmp_path / "cache").iterdir()) == []
