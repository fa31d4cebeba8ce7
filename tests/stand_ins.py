"""Tiny files under the names that the pages give to the reader's own."""

import json
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np

from tests.data.classification.layouts import hmdb51, kinetics, path_labels, ucf101
from tests.pages import ROOT

NETWORK = (
    *("RESNET.DEPTH", "RESNET.AUDIO_DEPTH", "RESNET.WIDTH_PER_GROUP"),
    *("SLOWFAST.ALPHA", "SLOWFAST.BETA_INV", "SLOWFAST.AU_ALPHA", "SLOWFAST.AU_FUSION_CONV_CHANNEL_DIM"),
    *("DATA.NUM_FRAMES", "DATA.SAMPLING_RATE", "DATA.TRAIN_JITTER_SCALES", "DATA.TRAIN_CROP_SIZE"),
    *("DATA.TEST_CROP_SIZE", "DATA.AUDIO_FRAME_NUM", "DATA.AUDIO_MEL_NUM"),
)  # what makes the network and its clips tiny; all else is as the recipe has it
TRACK = """<annotations><version>1.1</version><meta><task><name>7</name><source>film.mp4</source></task></meta>
<track id="0" label="person">
<box frame="0" outside="0" xtl="20" ytl="9" xbr="75" ybr="95"><attribute name="action">sit</attribute></box>
<box frame="60" outside="0" xtl="24" ytl="9" xbr="79" ybr="95"><attribute name="action">talk</attribute></box>
</track></annotations>
"""


def tiny_network(tiny):
    """Of the KEY VALUE pairs of the fixture `tiny`, those of the network and its clips."""
    pairs = dict(zip(tiny[::2], tiny[1::2]))
    return [word for key in NETWORK for word in (key, pairs[key])]


def write_files(folder: Path, scenes: Path, weights: str) -> None:
    """A video, csv files of boxes and actions, exports, checkpoints and a dataset, as if they were the reader's."""
    annotations = scenes / "annotations"
    truth = (annotations / "test.csv").read_text().replace("test_0000", "film")
    (folder / "videos").mkdir()
    for name in ("film.mp4", "videos/film.mp4"):
        (folder / name).symlink_to(scenes / "videos" / "test_0000.mp4")
    (folder / "my_data").symlink_to(scenes)
    (folder / "model.pyth").symlink_to(weights)
    (folder / "videos.txt").write_text("film.mp4\n")
    for name in ("gt.csv", "val.csv", "ava_val_v2.2.csv"):
        (folder / name).write_text(truth)
    for name in ("det.csv", "detections.csv", "a.csv", "b.csv", "old.csv", "new.csv"):
        (folder / name).write_text(_scored(truth))
    for name in ("excluded.csv", "ava_val_excluded_timestamps_v2.2.csv"):
        (folder / name).write_text("film,0001\n")
    boxes = "".join(
        (annotations / "test_person_boxes.csv").read_text().replace("test_0000", name)
        for name in ("film", "127.0.0.1_test_0000")  # the second is a stream of it
    )
    for name in ("boxes.csv", "ava_detection_val_boxes_and_labels.csv"):
        (folder / name).write_text(boxes)
    (folder / "tubes.csv").write_text(truth)
    (folder / "detected_tubes.csv").write_text("".join(f"{row},0.5\n" for row in truth.splitlines()))
    shutil.copy(annotations / "label_map.pbtxt", folder / "labelmap.pbtxt")
    with zipfile.ZipFile(folder / "task_7.zip", "w") as export:
        export.writestr("annotations.xml", TRACK)
    (folder / "runs" / "first" / "checkpoints").mkdir(parents=True)
    shutil.copy(weights, folder / "runs" / "first" / "checkpoints" / "best.pyth")
    best = {"best_F1": {"stand": {"F1": 0.5, "score": 0.8}, "talk": {"F1": 0.5, "score": 0.2}}}
    (folder / "runs" / "first" / "evaluation_val.json").write_text(json.dumps(best))


def _scored(truth: str) -> str:
    rows = [row.rpartition(",")[0] for row in truth.splitlines()]
    return "".join(f"{row},{0.3 + 0.6 * i / len(rows):.4f}\n" for i, row in enumerate(rows))


def write_ava(root: Path, scenes: Path) -> None:
    """The scenes under the names that AVA's files have."""
    (root / "annotations").mkdir(parents=True)
    (root / "videos").symlink_to(scenes / "videos")
    for split in ("train", "val"):
        ours, ava = scenes / "annotations" / split, root / "annotations" / f"ava_{split}"
        shutil.copy(f"{ours}.csv", f"{ava}_v2.2.csv")
        shutil.copy(f"{ours}_person_boxes.csv", f"{ava}_predicted_boxes.csv")
    (root / "annotations" / "ava_val_excluded_timestamps_v2.2.csv").touch()


def write_clips(root: Path, scenes: Path) -> None:
    """Datasets of labelled clips, and the same videos without labels."""
    videos = sorted((scenes / "videos").glob("*.mp4"))
    for name, layout in (("kinetics400", kinetics), ("hmdb51", hmdb51), ("my_clips", path_labels), ("ucf101", ucf101)):
        layout(root / name, videos)
    (root / "films").symlink_to(scenes / "videos")


def write_clip_weights(path: Path, network: list[str], *heads, seed: int = 0) -> None:
    """A checkpoint of a tiny model of whole clips that is sure of what it says, though it never learned anything."""
    import torch

    from avsf_det.config import load_cfg
    from avsf_det.models.build import build_model
    from avsf_det.models.checkpoint import save_checkpoint
    from avsf_det.models.importers import OURS

    several = [head.name for head in heads] if len(heads) > 1 else []
    sizes = [len(head.classes) for head in heads]
    cfg = load_cfg(overrides=[*network, "DETECTION.ENABLE", "False", "MODEL.NUM_CLASSES", str(sum(sizes))])
    cfg.MODEL.LABEL_SPACES, cfg.MODEL.NUM_CLASSES_LIST = several, sizes if several else []
    cfg.MODEL.HEAD_ACT = "sigmoid" if any(head.multi_label for head in heads) else "softmax"
    torch.manual_seed(seed)
    model = build_model(cfg)
    with torch.no_grad():
        for weight in model.head.parameters():
            weight.mul_(100)
    asked = [{"name": head.name, "classes": list(head.classes), "multi_label": head.multi_label} for head in heads]
    save_checkpoint(path, {"format": OURS, "model_state": model.state_dict(), "cfg": cfg.dump(), "heads": asked})


def write_weights(folder: Path, network: list[str]) -> None:
    """SlowFasts as PySlowFast saves them, AVA's 80 classes, a model of whole clips of ours, and a detector's weights as
    of Detectron2's model zoo."""
    import torch

    import avsf_det
    from avsf_det.data.classification.clips import Head

    state = avsf_det.load_model("ava/slowfast_8x8_r50", overrides=network).state_dict()
    for name in ("SLOWFAST_8x8_R50.pkl", "SLOWFAST_32x2_R50.pkl"):
        torch.save({"model_state": state, "epoch": 3}, folder / name)
    shutil.copy(ROOT / "ava_eval" / "label_maps" / "ava_80.pbtxt", folder / "labels.pbtxt")
    write_clip_weights(folder / "kinetics.pyth", network, Head("action", ("clapping", "drumming", "waving")))
    stem = {"backbone.bottom_up.stem.conv1.weight": np.zeros((64, 3, 7, 7), np.float32)}
    (folder / "model_final_5ad38f.pkl").write_bytes(pickle.dumps({"model": stem, "__author__": "Detectron2"}))
