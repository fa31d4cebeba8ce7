"""A dataset in order has nothing to mend; each kind of fault that is planted in it is found where it is."""

import shutil

import numpy as np
import pytest
from PIL import Image

from ava_eval.label_map import LabelMap
from avsf_det.config import load_cfg
from avsf_det.data.check import check_dataset
from avsf_det.data.finding import ERROR, FACT, WARNING
from avsf_det.data.survey import Survey
from avsf_det.media.video import VideoReader
from avsf_det.media.writer import VideoWriter

SECONDS, RATE = 12, 5
VIDEOS = {"train": ("kitchen", "the yard"), "val": ("street",)}  # names of different lengths, which are their seeds
ONE, OTHER = "0.1,0.1,0.5,0.9", "0.55,0.2,0.9,0.9"


TONE = np.sin(np.arange(SECONDS * 8000) / 9)[:, None].astype(np.float32), 8000


def film(path, seed, sound=TONE):
    """A film of patches that move along."""
    patches = np.random.default_rng(seed).integers(0, 255, (6, 8 + SECONDS, 3), dtype=np.uint8)
    with VideoWriter(path, 64, 48, RATE, sound=sound) as writer:
        for i in range(SECONDS * RATE):
            view = patches[:, i // RATE : i // RATE + 8]
            writer.write(view.repeat(8, axis=0).repeat(8, axis=1), i / RATE)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    for folder in ("videos", "annotations"):
        (root / folder).mkdir()
    (root / "annotations" / "label_map.pbtxt").write_text(LabelMap.from_dict({1: "run", 2: "sing"}).to_pbtxt())
    for split, names in VIDEOS.items():
        rows = []
        for name in names:
            film(root / "videos" / f"{name}.mp4", seed=len(name))
            rows += [f"{name},{t},{ONE},1,0\n{name},{t},{OTHER},2,1\n" for t in range(1, SECONDS)]
        (root / "annotations" / f"{split}.csv").write_text("".join(rows))
        (root / "annotations" / f"{split}_excluded_timestamps.csv").write_text("")
    return root


@pytest.fixture
def clean(made, tmp_path):
    """A folder to plant a fault in."""
    return shutil.copytree(made, tmp_path / "clean")


def found(root, *overrides):
    return check_dataset(Survey.from_config(load_cfg(None, ["DATA.ROOT", str(root), *overrides])))


def edit(root, split, line, text):
    """Put a line in place of another of a split's csv; one beyond the end is added."""
    path = root / "annotations" / f"{split}.csv"
    lines = path.read_text().splitlines()
    lines[line - 1 : line] = [text]
    path.write_text("\n".join(lines) + "\n")


def broken(root):
    (root / "videos" / "the yard.mp4").write_bytes(b"no video")


def gone(root):
    (root / "videos" / "the yard.mp4").unlink()


def silent(root):
    film(root / "videos" / "the yard.mp4", seed=8, sound=None)


def same_file(root):
    shutil.copy(root / "videos" / "kitchen.mp4", root / "videos" / "street.mp4")


def near_copy(root):
    with (
        VideoReader(root / "videos" / "kitchen.mp4", size=(36, 48)) as video,
        VideoWriter(root / "videos" / "street.mp4", 48, 36, RATE, sound=TONE) as writer,
    ):
        for time, frame in video.frames():
            writer.write(np.clip(frame.astype(int) + 15, 0, 255).astype(np.uint8), time)


def same_video(root):
    edit(root, "val", 3, f"kitchen,2,{ONE},1,0")


def no_validation(root):
    path = root / "annotations" / "val.csv"
    path.write_text("".join(f"street,{t},{ONE},1,0\n" for t in range(1, 5)))


FAULTS = {
    "does not open": (broken, ERROR, "1 of 3 cannot be read", "the yard.mp4: not a video"),
    "is not there": (gone, ERROR, "1 of 2 videos are not there", "train.csv:23: the yard"),
    "has no sound": (silent, WARNING, "1 of 3 have no sound", "the yard"),
    "box out of frame": (
        lambda root: edit(root, "train", 5, "kitchen,3,-0.2,0.1,0.5,0.9,1,0"),
        WARNING,
        "1 boxes reach beyond the picture",
        "train.csv:5: by 0.2 of its side",
    ),
    "box wholly out of frame": (
        lambda root: edit(root, "train", 5, "kitchen,3,1.2,0.1,1.5,0.9,1,0"),
        ERROR,
        "1 bad rows: boxes are empty or outside the picture",
        "train.csv:5: ",
    ),
    "tiny box": (
        lambda root: edit(root, "val", 2, "street,1,0.5,0.5,0.502,0.6,2,1"),
        WARNING,
        "1 boxes are tiny",
        "val.csv:2: 0.002 x 0.1 of the picture",
    ),
    "row twice": (
        lambda root: edit(root, "train", 46, f"the yard,4,{ONE},1,0"),
        WARNING,
        "1 rows are duplicates",
        "train.csv:45 repeats line 29",
    ),
    "person twice": (
        lambda root: edit(root, "train", 46, "the yard,4,0.1,0.1,0.5,0.901,1,7"),
        WARNING,
        "1 persons have a duplicate",
        "train.csv:45 has the box of line 29",
    ),
    "person id of two boxes": (
        lambda root: edit(root, "train", 46, "the yard,4,0.3,0.5,0.45,0.95,1,0"),
        WARNING,
        "1 person ids have several boxes on one keyframe",
        "train.csv:45: the yard at 4, person 0 has another box in line",
    ),
    "score in place of a person id": (
        lambda root: edit(root, "train", 7, f"kitchen,4,{ONE},1,0.87"),
        ERROR,
        "1 bad rows: rows cannot be read",
        "train.csv:7: got 1,0.87 for action and person, expected whole numbers",
    ),
    "box in pixels": (
        lambda root: edit(root, "train", 7, "kitchen,4,6,5,32,43,1,0"),
        ERROR,
        "1 bad rows: boxes are in pixels",
        "train.csv:7: box 6,5,32,43 looks like pixels",
    ),
    "far beyond the video": (
        lambda root: edit(root, "val", 9, f"street,90,{ONE},1,0"),
        ERROR,
        "1 are shorter than their keyframes",
        "val.csv:9: street lasts from 0 to 12.0, without 1 of its 12 keyframes",
    ),
    "just beyond the video": (
        lambda root: edit(root, "val", 21, f"street,12.4,{ONE},1,0"),
        WARNING,
        "1 timestamps lie beyond their video",
        "val.csv:21: second 12.4, street lasts from 0 to 12.0",
    ),
    "id not in the label map": (
        lambda root: edit(root, "train", 3, f"kitchen,2,{ONE},9,0"),
        WARNING,
        "1 labels of 1 classes that the label map lacks",
        "train.csv:3: id 9",
    ),
    "class without validation example": (
        no_validation,
        WARNING,
        "1 classes have no example to validate on",
        "sing",
    ),
    "video in both splits": (same_video, ERROR, "1 videos in both", "val.csv:3: kitchen"),
    "file in both splits": (same_file, ERROR, "1 pairs of videos are the same file", "val.csv:1: street is kitchen"),
    "copy in both splits": (
        near_copy,
        WARNING,
        "1 pairs of videos look the same",
        "val.csv:1: street and kitchen, by ",
    ),
    "label without a box": (
        lambda root: edit(root, "train", 11, "kitchen,6,,,,,1,0"),
        ERROR,
        "1 bad rows: labels have no box",
        "train.csv:11: label 1 has no box",
    ),
    "row that is no row": (
        lambda root: edit(root, "train", 11, f"kitchen,six,{ONE},1,0"),
        ERROR,
        "1 bad rows: rows cannot be read",
        "train.csv:11: got six,",
    ),
}


def test_a_dataset_in_order_has_no_finding_but_facts(made):
    assert [finding.text() for finding in found(made) if finding.level != FACT] == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_where_it_is(name, clean):
    plant, level, what, item = FAULTS[name]
    plant(clean)
    told = [finding for finding in found(clean) if finding.level != FACT]
    assert any(f.level == level and what in f.what and any(item in one for one in f.items) for f in told), told
    assert len(told) == 1, "one fault, one finding"


def test_a_labelled_keyframe_without_a_predicted_box_is_found(clean):
    rows = [f"street,{t},{ONE},,{0.1 if t == 6 else 0.9}\n" for t in range(1, SECONDS) if t != 4]
    (clean / "annotations" / "boxes.csv").write_text("".join(rows))
    told = [finding for finding in found(clean, "AVA.TEST_PREDICT_BOX_LISTS", "['boxes.csv']") if finding.level != FACT]
    assert [(finding.level, finding.what) for finding in told] == [
        (WARNING, "2 keyframes have labels but no predicted box")
    ]
    assert ["val.csv:7: street at 4" in told[0].items[0], "val.csv:11: street at 6" in told[0].items[1]] == [True, True]


def test_pictures_that_are_missing_or_broken_are_told_with_the_row_that_needs_them(clean):
    frames = clean / "frames" / "kitchen"
    frames.mkdir(parents=True)
    with VideoReader(clean / "videos" / "kitchen.mp4") as video:
        for number, (_, image) in enumerate(video.frames(), 1):
            Image.fromarray(image).save(frames / f"img_{number:05d}.jpg")
    (frames / "img_00016.jpg").unlink()
    (frames / "img_00031.jpg").write_bytes(b"")
    (frames / "img_00041.jpg").write_bytes((frames / "img_00041.jpg").read_bytes()[:200])
    told = found(clean, "AVA.FRAME_RATE", str(RATE), "DATA.NUM_FRAMES", "4", "DATA.SAMPLING_RATE", "1")
    (own,) = (finding.items for finding in told if "have no picture" in finding.what)
    row = f"{clean}/annotations/train.csv:%d: kitchen at %d, img_000%d.jpg %s"
    wanted = [(5, 3, 16, "is missing"), (11, 6, 31, "is empty"), (15, 8, 41, "is cut off")]
    assert list(own) == [row % values for values in wanted]


def test_a_repetition_is_told_once_and_other_persons_are_left_alone(clean):
    for line in (46, 47):
        edit(clean, "train", line, f"kitchen,1,{ONE},1,0")
    (told,) = [finding for finding in found(clean) if finding.level != FACT]
    assert [item.split("train.csv:")[1] for item in told.items] == ["45 repeats line 1", "46 repeats line 45"]
