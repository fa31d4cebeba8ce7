import shutil

import numpy as np
import pytest

from avsf_det.cli import main
from avsf_det.config import load_cfg
from avsf_det.data.annotations import AvaFolder
from avsf_det.engine import person_detector
from avsf_det.engine.person_detector import find_on_keyframes, measure_found, split_keyframes, write_person_boxes
from avsf_det.errors import UserError
from avsf_det.media.video import VideoReader
from avsf_det.structures import Keyframe, Persons
from detectors.given import GivenBoxes


class Scattered:
    """Two boxes a keyframe, by its time; remembers how often it looked."""

    identity = "scattered"

    def __init__(self):
        self.looked = 0

    def detect(self, frames):
        self.looked += len(frames)
        return [self.persons(frame.time) for frame in frames]

    @staticmethod
    def persons(time):
        rng = np.random.default_rng(round(time * 1000))
        low, high = rng.uniform(0, 0.5, (2, 2)), rng.uniform(0.5, 1, (2, 2))
        return Persons(np.hstack((low, high)), np.sort(rng.uniform(size=2))[::-1])


@pytest.fixture
def copy(scenes, tmp_path):
    """A copy of the scenes whose ground truth is all that is known of persons."""
    shutil.copytree(scenes, tmp_path / "copy")
    for path in (tmp_path / "copy" / "annotations").glob("*_person_boxes.csv"):
        path.unlink()
    return tmp_path / "copy"


@pytest.fixture
def truth(copy):
    return copy / "annotations" / "train.csv"


@pytest.fixture
def dataset(copy):
    return AvaFolder(copy)


def test_keyframes_are_those_of_the_ground_truth_but_the_excluded(copy, truth, dataset):
    moments = {tuple(row.split(",")[:2]) for row in truth.read_text().splitlines()}
    video, second = min(moments)
    (copy / "annotations" / "train_excluded_timestamps.csv").write_text(f"{video},{second}\n")
    keyframes = split_keyframes(dataset, "train")
    assert {(k.video_id, k.time) for k in keyframes} == {(v, float(s)) for v, s in moments - {(video, second)}}


def test_boxes_of_all_persons_go_before_the_ground_truth(copy, dataset):
    (copy / "annotations" / "train_person_boxes.csv").write_text("train_0000,1.5,0.1,0.1,0.5,0.9\n")
    (keyframe,) = split_keyframes(dataset, "train")
    assert (keyframe.video_id, keyframe.time, len(keyframe.persons)) == ("train_0000", 1.5, 1)


def test_the_ground_truth_is_perfect_against_itself_without_any_video(truth, dataset, tmp_path):
    shutil.rmtree(dataset.root / "videos")
    keyframes = split_keyframes(dataset, "train")
    assert measure_found(find_on_keyframes(GivenBoxes(truth), keyframes), keyframes).metrics["AP"] == pytest.approx(1)


def test_what_was_found_is_kept(dataset, tmp_path):
    keyframes = split_keyframes(dataset, "train")
    first, second = Scattered(), Scattered()
    found = find_on_keyframes(first, keyframes, tmp_path / "cache")
    again = find_on_keyframes(second, keyframes, tmp_path / "cache")
    assert (first.looked, second.looked) == (len(keyframes), 0)
    for row, persons, same in zip(found.rows, found.persons, again.persons, strict=True):
        np.testing.assert_array_equal(persons.boxes, Scattered.persons(keyframes[row].time).boxes.astype(np.float32))
        np.testing.assert_array_equal(persons.boxes, same.boxes)
    assert set(found.sizes) == {(96, 128)}


def test_a_video_that_cannot_be_read_is_named_and_left_out(dataset, tmp_path, caplog):
    dataset.videos["train_0001"].path.write_bytes(b"nothing")
    keyframes = split_keyframes(dataset, "train")
    found = find_on_keyframes(Scattered(), keyframes, tmp_path / "cache")
    assert list(found.failed) == ["train_0001"] and "1 of 3 videos left out" in caplog.text
    assert {keyframes[row].video_id for row in found.rows} == {"train_0000", "train_0002"}
    assert len(found.rows) == len(found.persons) == len(found.sizes)
    for video in dataset.videos.values():
        video.path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="none of the 3 videos"):
        find_on_keyframes(Scattered(), keyframes, tmp_path / "cache")


def test_processes_share_the_videos_and_get_all(dataset, tmp_path, monkeypatch):
    keyframes = split_keyframes(dataset, "train")
    alone = find_on_keyframes(Scattered(), keyframes, tmp_path / "cache")
    monkeypatch.setattr(person_detector.distributed, "world_size", lambda: 2)
    shares, looked = [], []
    for rank in (0, 1):
        detector = Scattered()
        monkeypatch.setattr(person_detector.distributed, "rank", lambda rank=rank: rank)
        monkeypatch.setattr(person_detector.distributed, "gather", lambda share: shares.append(share) or list(shares))
        together = find_on_keyframes(detector, keyframes, tmp_path / f"cache_{rank}")
        looked.append(detector.looked)
    assert sum(looked) == len(keyframes) and min(looked) > 0
    assert together.rows == alone.rows and together.sizes == alone.sizes
    for one, other in zip(together.persons, alone.persons, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)


def test_boxes_written_are_read_back_exactly(dataset, tmp_path):
    keyframes = split_keyframes(dataset, "train")
    found = find_on_keyframes(Scattered(), keyframes, tmp_path / "cache")
    path = tmp_path / "boxes.csv"
    assert write_person_boxes(path, [(keyframes, found)]) == 2 * len(keyframes)
    row = path.read_text().splitlines()[0].split(",")
    assert row[0] == "train_0000" and row[1] == f"{int(keyframes.times[0]):04d}" and row[6] == "" and len(row) == 8
    given = GivenBoxes(path)
    for keyframe, persons in zip(keyframes, found.persons, strict=True):
        (again,) = given.detect([Keyframe(keyframe.video_id, keyframe.time)])
        np.testing.assert_array_equal(again.boxes, persons.boxes)
        np.testing.assert_array_equal(again.scores, persons.scores)


def test_boxes_get_the_labels_of_the_person_they_lie_on(copy, truth, dataset, tmp_path):
    truth.write_text(
        "train_0000,0001,0.100,0.100,0.300,0.900,2,0\n"
        "train_0000,0001,0.100,0.100,0.300,0.900,5,0\n"
        "train_0000,0001,0.500,0.100,0.800,0.900,3,1\n"
    )
    (copy / "annotations" / "train_excluded_timestamps.csv").write_text("")
    boxes = "".join(
        f"train_0000,1,{box},,{score}\n"
        for box, score in (("0.1,0.1,0.3,0.89", 0.9), ("0.5,0.1,0.7,0.9", 0.8), ("0.1,0.1,0.3,0.5", 0.7))
    )
    (tmp_path / "boxes.csv").write_text(boxes)
    keyframes = split_keyframes(dataset, "train")
    found = find_on_keyframes(GivenBoxes(tmp_path / "boxes.csv"), keyframes)
    assert write_person_boxes(tmp_path / "out.csv", [(keyframes, found)], [(dataset, "train")]) == 3
    rows = [line.split(",") for line in (tmp_path / "out.csv").read_text().splitlines()]
    assert [(row[2], row[5], row[6], row[7]) for row in rows] == [
        ("0.1", "0.89", "2", "0.9"),
        ("0.1", "0.89", "5", "0.9"),
        ("0.5", "0.9", "", "0.8"),
        ("0.1", "0.5", "", "0.7"),
    ]


def test_boxes_of_splits_are_written_and_measured_by_the_command(copy, tmp_path, capsys):
    given, out = copy / "annotations" / "all.csv", tmp_path / "out.csv"
    given.write_text("".join((copy / "annotations" / f"{split}.csv").read_text() for split in ("train", "val")))
    words = ["detector", "boxes", "--detector", given, "--output", out, "--labels"]
    assert main([*map(str, words), "DATA.ROOT", str(copy)]) == 0
    assert f"{out}: " in capsys.readouterr().out
    assert {row.split("_")[0] for row in out.read_text().splitlines()} == {"train", "val"}
    assert all(row.split(",")[6] for row in out.read_text().splitlines())
    assert main(["detector", "eval", "--detector", str(out), "--dataset", str(copy)]) == 0
    shown = capsys.readouterr().out
    assert "AP50     1.0000" in shown and "0.8        1.0000     1.0000" in shown
    truth = str(copy / "annotations" / "val.csv")
    assert main(["detector", "eval", "--detector", str(out), "--groundtruth", truth]) == 0
    assert "AP50     1.0000" in capsys.readouterr().out
    assert main(["detector", "eval", "--detector", "yolox", "--groundtruth", truth]) == 2
    assert "has no videos to look at for yolox" in capsys.readouterr().err


def test_a_file_a_split_is_written_where_the_name_says_so(copy, tmp_path):
    given = str(copy / "annotations" / "val.csv")
    out = str(tmp_path / "boxes" / "{split}.csv")
    assert main(["detector", "boxes", "--detector", given, "--output", out, "--dataset", str(copy)]) == 0
    assert {path.name for path in (tmp_path / "boxes").iterdir()} == {"train.csv", "val.csv"}
    assert all(row.startswith("val_") for row in (tmp_path / "boxes" / "val.csv").read_text().splitlines())


def test_videos_may_be_cut_films(copy, tmp_path):
    """As AVA's are: second 900 of the film is where the file begins."""
    (copy / "annotations" / "cut.csv").write_text("train_0000,0902,0.1,0.1,0.5,0.9,1,0\n")
    keys = ["DATA.ROOT", str(copy), "AVA.VIDEO_START", "900"]
    keyframes = split_keyframes(AvaFolder.from_config(load_cfg(overrides=keys)), "cut")
    seen = []

    class Looking(Scattered):
        def detect(self, frames):
            seen.extend(frame.image for frame in frames)
            return super().detect(frames)

    find_on_keyframes(Looking(), keyframes, tmp_path / "cache")
    with VideoReader(copy / "videos" / "train_0000.mp4") as reader:
        np.testing.assert_array_equal(seen, reader.frames_at([2.0]))


def test_file_names_of_a_dataset_come_from_its_keys(copy, tmp_path, capsys):
    (copy / "annotations" / "val.csv").rename(copy / "annotations" / "ava_val_v2.2.csv")
    keys = ["AVA.GROUNDTRUTH_FILE", "ava_{split}_v2.2.csv"]
    boxes = str(copy / "annotations" / "ava_val_v2.2.csv")
    assert main(["detector", "eval", "--detector", boxes, "--dataset", str(copy), *keys]) == 0
    assert "AP50     1.0000" in capsys.readouterr().out
