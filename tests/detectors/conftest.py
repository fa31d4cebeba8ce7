from pathlib import Path

import av
import numpy as np
import pytest

from detectors.keyframes import person_keyframes

SIDE = 96
REPOSITORY = Path(__file__).resolve().parents[2]


def write_video(path, boxes, rate=8):
    """A video of SIDE x SIDE pixels with a bright figure on noise, its box (in pixels) changing once a second."""
    rng = np.random.default_rng(len(str(path)))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        for frame in range(len(boxes) * rate):
            x1, y1, x2, y2 = boxes[frame // rate]
            image = rng.integers(0, 60, (SIDE, SIDE, 3), dtype=np.uint8)
            image[y1:y2, x1:x2] = (230, 180, 150)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """An AVA-format dataset of two videos with one person each; what is cached goes to tmp_path."""
    monkeypatch.setenv("AVSF_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "data"
    for folder in ("videos", "annotations"):
        (root / folder).mkdir(parents=True)
    rows = []
    for video, boxes in (("a", [(8, 10, 30, 70), (20, 20, 50, 90)]), ("b", [(50, 8, 80, 80), (40, 30, 70, 90)])):
        write_video(root / "videos" / f"{video}.mp4", boxes)
        for second, box in enumerate(boxes):
            rows.append(f"{video},{second + 0.5}," + ",".join(f"{side / SIDE:.4f}" for side in box) + ",,1.0\n")
    for split in ("train", "val"):
        (root / "annotations" / f"{split}_person_boxes.csv").write_text("".join(rows))
    return root


@pytest.fixture
def keyframes(dataset):
    """The four keyframes of that dataset."""
    videos = {name: dataset / "videos" / f"{name}.mp4" for name in "ab"}
    return person_keyframes(dataset / "annotations" / "train_person_boxes.csv", videos)


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory):
    """A Detectron2 configuration that trains a few batches in seconds."""
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(f"""\
_BASE_: {REPOSITORY / "configs/detectors/person_r18_fpn_small.yaml"}
MODEL:
  FPN: {{OUT_CHANNELS: 16}}
  ROI_BOX_HEAD: {{FC_DIM: 16}}
INPUT: {{MIN_SIZE_TRAIN: [48, 64], MIN_SIZE_TEST: 64}}
SOLVER: {{IMS_PER_BATCH: 2, BASE_LR: 0.01, MAX_ITER: 4, STEPS: [3], WARMUP_ITERS: 2, CHECKPOINT_PERIOD: 2}}
""")
    return path
