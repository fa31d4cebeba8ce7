"""A folder laid out as PySlowFast's DATASET.md has it, with real files in it."""

import wave

import av
import numpy as np
import pytest
from PIL import Image


def _film(path, seconds, rate=1):
    """A film whose picture brightens a little every second, without sound."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        for number in range(seconds * rate):
            image = np.full((24, 32, 3), number // rate % 200, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        file.mux(stream.encode())


def _frames(folder, count):
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        image = np.full((24, 32, 3), number % 200, np.uint8)
        Image.fromarray(image).save(folder / f"{folder.name}_{number:06d}.jpg")


@pytest.fixture
def ava(tmp_path):
    """AVA in small: `cut` is a file of minutes 15 to 30, `framed` a folder of three seconds of frames with a wav.

    Their keyframes are at 902 to 904 (`cut`, for training) and 901 and 902 (`framed`, for evaluating).
    """
    root = tmp_path / "ava"
    for name in ("annotations", "videos", "frames", "sounds"):
        (root / name).mkdir(parents=True)
    _film(root / "videos" / "cut.mkv", 901)
    _frames(root / "frames" / "framed", 90)
    with wave.open(str(root / "sounds" / "framed.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(2 * 3 * 8000))
    box, near, far = "0.1,0.1,0.5,0.9", "0.1,0.1,0.49,0.9", "0.6,0.1,0.9,0.9"
    files = {
        "ava_train_v2.2.csv": "".join(f"cut,{t:04d},{box},{a},3\n" for t in (902, 903, 904) for a in (12, 80)),
        "ava_val_v2.2.csv": "".join(f"framed,{t:04d},{box},{a},0\n" for t in (901, 902) for a in (12, 2)),
        "ava_val_excluded_timestamps_v2.2.csv": "framed,0901\n",
        "ava_train_predicted_boxes.csv": f"cut,0902,{near},12,0.95\ncut,0902,{far},-1,0.95\ncut,0903,{near},12,0.7\n",
        "ava_val_predicted_boxes.csv": f"framed,0902,{near},,0.9\nframed,0902,{far},,0.5\n",
    }
    for name, text in files.items():
        (root / "annotations" / name).write_text(text)
    return root
