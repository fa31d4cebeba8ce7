import numpy as np
from PIL import Image

from avsf_det.data.annotations import AvaFolder
from avsf_det.engine.examples import draw_example_clips
from avsf_det.engine.predictor import Predictor
from avsf_det.media.source import VideoSource


def test_clips_of_the_whole_split_are_shown_with_what_the_model_says(weights, scenes, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(
        "avsf_det.visual.examples.draw_examples",
        lambda examples, names: shown.extend(examples) or np.full((20, 30, 3), 200, dtype=np.uint8),
    )
    predictor, folder = Predictor.load(weights), AvaFolder(scenes)
    picture = draw_example_clips(predictor, folder, "train", tmp_path / "deep" / "train.jpg")
    keyframes = folder.keyframes("train")
    first, last = (f"{k.video_id} at {k.time:g} s" for k in (keyframes[0], keyframes[-1]))
    assert len(shown) == 4 and (shown[0].title, shown[-1].title) == (first, last)
    assert np.array_equal(shown[0].labels, keyframes[0].persons.actions)
    assert shown[0].scores.shape == shown[0].labels.shape and 0 < shown[0].scores.min() < shown[0].scores.max() < 1
    with Image.open(tmp_path / "deep" / "train.jpg") as image:
        assert image.size == (30, 20)
    assert picture.shape == (20, 30, 3)


def test_clips_that_cannot_be_read_are_passed_over(weights, scenes, tmp_path):
    folder = AvaFolder(scenes)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    folder.videos = dict.fromkeys(folder.videos, VideoSource(tmp_path / "broken.mp4"))
    assert draw_example_clips(Predictor.load(weights), folder, "val", tmp_path / "val.jpg") is None
    assert not (tmp_path / "val.jpg").exists()
