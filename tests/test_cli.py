"""The command as its users meet it: what they can mend is one clear line, never a traceback."""

import os
import pickle
import re
import resource
import shutil

import numpy as np
import pytest
import torch

from ava_eval.label_map import LabelMap
from avsf_det.cli import main
from avsf_det.media.video import probe


class Harmful:
    """Runs a command when it is unpickled by the book."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"touch {self.trace}",)


@pytest.fixture
def fails(capsys):
    """A function that runs the command, sees that it ends with status 2 and one line, and returns that line."""

    def run(*arguments):
        assert main([str(argument) for argument in arguments]) == 2
        complaint = capsys.readouterr().err
        assert "Traceback" not in complaint
        (line,) = (line for line in complaint.splitlines() if line.startswith("error: "))
        return line

    return run


@pytest.fixture
def full_disk():
    """No file can grow beyond 10 kB, as on a disk that is all but full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


SUFFIXES = ("csv", "html", "jsonl", "mp4", "png")  # of the results of `detect`


def files(folder):
    """All but what `detect` keeps to go on from."""
    return [path for path in folder.rglob("*") if path.is_file() and ".avsf-det" not in path.parts]


# What it should do


def test_a_model_is_trained_evaluated_and_used(tiny, scenes, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["train", *tiny, "OUTPUT_DIR", str(run), "SOLVER.MAX_EPOCH", "1"]) == 0
    weights = capsys.readouterr().out.removeprefix("weights: ").strip()
    assert main(["eval", "--weights", weights, "--no-audio", "DATA.ROOT", str(scenes)]) == 0
    assert re.search(r"mAP@0.5IOU \d\.\d+", capsys.readouterr().out) and (run / "detections_val_silent.csv").is_file()
    detector = str(scenes / "annotations" / "val.csv")
    video = str(scenes / "videos" / "val_0000.mp4")
    output = tmp_path / "out"
    assert main(["detect", video, "--weights", weights, "--detector", detector, "--output", str(output)]) == 0
    assert f"-> {output / 'val_0000.mp4'}" in capsys.readouterr().out


def test_scenes_are_made(tmp_path, capsys):
    words = "--train 1 --val 0 --test 0 --width 64 --height 48 --duration 3 --workers 1"
    assert main(["data", "scenes", "--output", str(tmp_path / "scenes"), *words.split(" ")]) == 0
    assert probe(tmp_path / "scenes" / "videos" / "train_0000.mp4").width == 64
    assert main(["data", "scenes", "--layout", "kinetics", "--output", str(tmp_path / "clips"), *words.split(" ")]) == 0
    assert (tmp_path / "clips" / "annotations" / "train.csv").is_file()
    words = words.replace("--val 0 --test 0 ", "")
    assert main(["data", "scenes", "--layout", "unlabelled", "--output", str(tmp_path / "un"), *words.split(" ")]) == 0
    assert {path.name for path in (tmp_path / "un").iterdir()} == {"scenes.json", "unlabelled_000000.mp4"}


def test_videos_without_labels_have_no_splits(fails, tmp_path):
    line = fails("data", "scenes", "--layout", "unlabelled", "--output", tmp_path / "un", "--val", 3)
    assert "--val: videos without labels have no splits; --train says" in line and files(tmp_path) == []


def test_a_dataset_is_checked(scenes, tmp_path, capsys):
    settings = ["data", "check", "DATA.ROOT"]
    assert main([*settings, str(scenes)]) == 0
    out = capsys.readouterr().out
    assert (
        "keyframes of 3 videos" in out and "begin at second 0" in out and out.splitlines()[-1].startswith("nothing to")
    )
    shutil.copytree(scenes, tmp_path / "copy")
    (tmp_path / "copy" / "videos" / "train_0001.mp4").unlink()
    assert main([*settings, str(tmp_path / "copy")]) == 1
    out = capsys.readouterr().out
    assert "train: 1 of 3 videos are not there" in out and "-> download them" in out
    assert out.splitlines()[-1].startswith("1 to mend")
    assert main([*settings, str(tmp_path)]) == 1
    assert "label_map.pbtxt is missing; set DATA.ROOT to its folder" in capsys.readouterr().out


def test_the_configuration_is_listed_and_shown(capsys):
    assert main(["config"]) == 0
    assert "SOLVER.BASE_LR = 0.1  # " in capsys.readouterr().out
    assert main(["config", "--config", "scenes/slowfast_small", "SOLVER.MAX_EPOCH", "3"]) == 0
    shown = capsys.readouterr().out
    assert "MAX_EPOCH: 3" in shown and "MODEL_NAME: SlowFast" in shown


# Configuration


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["SOLVER.BASE_LRR", "1"], "command line: unknown config key SOLVER.BASE_LRR; did you mean SOLVER.BASE_LR?"),
        (["SOLVER.BASE_LR", "high"], "command line: SOLVER.BASE_LR expects float like 0.01, got str 'high'"),
        (["SOLVER.BASE_LR"], "overrides come in pairs KEY VALUE: 'SOLVER.BASE_LR' has no value"),
        (["--config", "no_such"], "no config file 'no_such'; did you mean one of"),
        (["DATA.ROOT", "nowhere"], "no dataset at 'nowhere'"),
        (["DEVICE", "cuda:77"], "DEVICE 'cuda:77' is not there"),
        (["MODEL.MODEL_NAME", "SloFast"], "got 'SloFast', expected one of AVSlowFast, SlowFast"),
        (["DATA.NUM_FRAMES", "5"], "DATA.NUM_FRAMES: got 5, expected a multiple of SLOWFAST.ALPHA 2"),
    ],
    ids=str,
)
def test_a_wrong_configuration_is_named(fails, tiny, tmp_path, words, message):
    assert message in fails("train", *tiny, "OUTPUT_DIR", tmp_path / "run", *words)
    assert files(tmp_path) == []


def test_a_wrong_override_of_a_checkpoint_is_named(fails, weights, scenes):
    assert "did you mean DATA.EVAL_SPLIT?" in fails("eval", "--weights", weights, "DATA.EVAL_SPLITT", "test")
    assert "nothing.csv: no such file" in fails(
        "eval", "--weights", weights, "DATA.ROOT", scenes, "DATA.EVAL_SPLIT", "nothing"
    )


# Weights


@pytest.mark.parametrize("command", ["eval", "detect"])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "weights.pyth: the checkpoint cannot be read (No such file or directory); check the path"),
        (lambda path: path.mkdir(), "weights.pyth: the checkpoint cannot be read (Is a directory)"),
        (lambda path: path.touch(), "weights.pyth: is damaged or no torch file"),
        (lambda path: path.write_text("hello"), "weights.pyth: is damaged or no torch file"),
        (lambda path: torch.save([1, 2], path), "weights.pyth: has no model_state"),
        (lambda path: torch.save({"model_state": {}}, path), "weights.pyth: carries no configuration"),
    ],
    ids=["missing", "folder", "empty", "text", "list", "bare"],
)
def test_weights_that_are_none_are_named(fails, detect, video, tmp_path, command, make, message):
    path = tmp_path / "weights.pyth"
    make(path)
    arguments = ["eval", "--weights", path] if command == "eval" else detect(video, weights=path)
    assert message in fails(*arguments)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("save", [torch.save, lambda harm, path: path.write_bytes(pickle.dumps(harm))])
def test_a_pickle_that_would_run_code_does_not(fails, detect, video, tmp_path, save):
    harm = {"model_state": {"x": Harmful(tmp_path / "ran")}}
    save(harm, tmp_path / "weights.pyth")
    fails("eval", "--weights", tmp_path / "weights.pyth")
    shutil.copy(tmp_path / "weights.pyth", tmp_path / "detector.pth")
    pytest.importorskip("detectron2")
    assert "detector.pth: holds posix.system, and opening it could run code" in fails(
        *detect(video, detector=tmp_path / "detector.pth")
    )
    assert not (tmp_path / "ran").exists()


def test_eval_weights_of_another_model_are_named(fails, weights, tiny, tmp_path):
    other = ["RESNET.WIDTH_PER_GROUP", "16"]
    assert "weights of another model than the configured one" in fails("eval", "--weights", weights, *other)
    start = ["TRAIN.CHECKPOINT_FILE_PATH", weights, "OUTPUT_DIR", tmp_path / "run"]
    assert "RESNET.WIDTH_PER_GROUP" in fails("train", *tiny, *other, *start)


def test_weights_of_another_label_map_are_named(fails, weights, scenes, tmp_path):
    shutil.copytree(scenes, tmp_path / "copy")
    labels = LabelMap.from_dict({1: "stand", 2: "fly"})
    (tmp_path / "copy" / "annotations" / "label_map.pbtxt").write_text(labels.to_pbtxt())
    line = fails("eval", "--weights", weights, "DATA.ROOT", tmp_path / "copy", "OUTPUT_DIR", tmp_path / "run")
    assert "the model's label map is not that of" in line and "'fly'" in line


def test_weights_of_a_label_map_of_another_length_are_named(fails, weights, detect, video, tmp_path):
    checkpoint = torch.load(weights, weights_only=True)
    checkpoint["label_map"] = LabelMap.from_dict({1: "stand", 2: "fly"}).to_pbtxt()
    torch.save(checkpoint, tmp_path / "weights.pyth")
    assert "its label map has 2 classes and its model 14" in fails(*detect(video, weights=tmp_path / "weights.pyth"))


# Views


def test_scores_are_averaged_over_views_where_asked_for(detect, video, tmp_path, caplog):
    caplog.set_level("INFO")
    many = ["--scales", "40", "48", "--flip", "--clips", "2"]
    for name, views in (("one", []), ("same", ["--scales", "48", "--no-flip", "--clips", "1"]), ("many", many)):
        assert main(detect(video, output=tmp_path / name) + views) == 0
    one, same, more = ((tmp_path / name / "test_0000.csv").read_text() for name in ("one", "same", "many"))
    assert one == same != more and "8 views a keyframe: 2 scales x 2 flips x 2 clips" in caplog.text
    assert [row.rpartition(",")[0] for row in one.split()] == [row.rpartition(",")[0] for row in more.split()]


# Boxes


def test_no_person_is_no_error(detect, scenes, tmp_path, capsys):
    assert main(detect(scenes / "videos" / "val_0000.mp4")) == 0
    assert "val_0000.mp4: no person found in 4 keyframes -> " in capsys.readouterr().out
    assert {path.name for path in files(tmp_path)} == {f"val_0000.{suffix}" for suffix in SUFFIXES}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("test_0000,soon,0.1,0.1,0.5,0.9,,1.0", "boxes.csv:2: could not convert"),
        ("test_0000,1,0.1", "boxes.csv:2: 3 columns; expected"),
        ("test_0000,1,1.1,0.1,1.5,0.9,,1.0", "boxes.csv:2: box [1.1, 0.1, 1.5, 0.9] is outside the picture"),
    ],
)
def test_a_bad_row_of_the_boxes_is_named_and_left_out(detect, video, tmp_path, caplog, row, message):
    (tmp_path / "boxes.csv").write_text(f"test_0000,1,0.1,0.1,0.5,0.9,,1.0\n{row}\n")
    assert main(detect(video, detector=tmp_path / "boxes.csv")) == 0
    assert "left out 1 malformed rows" in caplog.text and message in caplog.text
    assert (tmp_path / "out" / "test_0000.csv").read_text()


def test_boxes_none_of_which_is_good_are_an_error(fails, detect, video, tmp_path):
    (tmp_path / "boxes.csv").write_text("no\nboxes\n")
    assert "boxes.csv:1: 1 columns" in fails(*detect(video, detector=tmp_path / "boxes.csv"))
    (tmp_path / "boxes.csv").write_text("test_0000,1,10,10,50,90,,1.0\n")
    assert "boxes.csv:1: box (10.0, 10.0, 50.0, 90.0) looks like pixels" in fails(
        *detect(video, detector=tmp_path / "boxes.csv")
    )


def test_a_bad_row_of_a_training_set_is_named_and_left_out(tiny, scenes, tmp_path, caplog):
    shutil.copytree(scenes, tmp_path / "copy")
    rows = ["train_0000,0001,1.2,0.1,1.9,0.9,1,0", "train_0000,0001,0.1,0.1,0.5"]
    truth = tmp_path / "copy" / "annotations" / "train.csv"
    truth.write_text("\n".join(rows) + "\n" + truth.read_text())
    words = ["DATA.ROOT", str(tmp_path / "copy"), "OUTPUT_DIR", str(tmp_path / "run"), "SOLVER.MAX_EPOCH", "1"]
    assert main(["train", *tiny, *words]) == 0
    assert "2 bad rows left out" in caplog.text
    assert f"{truth}:1: box 1.2,0.1,1.9,0.9 is empty or outside the picture" in caplog.text


# Output


def test_an_output_folder_that_cannot_be_written_is_named(fails, detect, video, tiny, weights, scenes, tmp_path):
    (tmp_path / "file").touch()
    below = tmp_path / "file" / "out"
    for arguments in (
        detect(video, output=below),
        ["train", *tiny, "OUTPUT_DIR", below],
        ["eval", "--weights", weights, "DATA.ROOT", scenes, "OUTPUT_DIR", below],
        ["data", "scenes", "--output", below],
        ["demo", "--output", below],
    ):
        line = fails(*arguments)
        assert (f"cannot write to {below}" in line and "Not a directory" in line) or "choose another folder" in line
    assert files(tmp_path) == [tmp_path / "file"]


def test_a_cache_folder_that_cannot_be_written_is_named(fails, tiny, tmp_path):
    (tmp_path / "file").touch()
    line = fails("train", *tiny, "OUTPUT_DIR", tmp_path / "run", "DATA.CACHE_DIR", tmp_path / "file" / "clips")
    assert f"{tmp_path / 'file' / 'clips'}: Not a directory" in line


def test_a_full_disk_while_training_is_named_and_leaves_no_half_checkpoint(fails, tiny, tmp_path, full_disk):
    line = fails("train", *tiny, "OUTPUT_DIR", tmp_path / "run")
    assert "checkpoint_epoch_00001.pyth: the checkpoint cannot be written" in line
    assert not [path for path in files(tmp_path) if "checkpoint" in str(path)]


def test_a_full_disk_while_clips_are_cached_is_named(fails, tiny, tmp_path, full_disk):
    line = fails("train", *tiny, "OUTPUT_DIR", tmp_path / "run", "DATA.CACHE_DIR", tmp_path / "clips")
    assert "File too large; check the path, its permissions and the free space" in line
    assert files(tmp_path) == []


def test_a_full_disk_while_evaluating_is_named(fails, weights, scenes, tmp_path, full_disk):
    settings = ["DATA.ROOT", scenes, "OUTPUT_DIR", tmp_path / "run", "DATA.EVAL_SPLIT", "train"]
    line = fails("eval", "--weights", weights, *settings)
    assert "detections_train.csv (File too large)" in line
    assert files(tmp_path) == []


def test_a_full_disk_while_detecting_is_told_of_each_video(detect, video, tmp_path, capsys, full_disk):
    assert main(detect(video)) == 1
    complaint = capsys.readouterr().err
    assert "1 of 1 left out:" in complaint and "test_0000.mp4: cannot be written (File too large" in complaint
    assert files(tmp_path) == []


def test_a_full_disk_while_scenes_are_made_is_named(fails, tmp_path, full_disk):
    assert "train_0000.mp4: cannot be written" in fails("data", "scenes", "--output", tmp_path / "out", "--workers", 1)
    assert {path.name for path in files(tmp_path)} == {"scenes.json"}


# Videos


def test_bad_videos_among_good_ones_get_a_line_each_and_the_others_are_done(detect, video, tmp_path, capsys):
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("a_good.mp4", "z_good.mp4"):
        shutil.copy(video, folder / name)
    (folder / "cut.mp4").write_bytes(video.read_bytes()[:500])
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("hello\n" * 100)
    write_sound(folder / "sound.mp4")
    (folder / "notes.md").write_text("not looked at")
    assert main(detect(folder, tmp_path / "missing.mp4", tmp_path / "videos" / "notes.md")) == 1
    out, complaint = capsys.readouterr()
    assert [line.split(":")[0] for line in out.splitlines()] == [str(folder / f"{n}_good.mp4") for n in "az"]
    told = complaint.split("6 of 8 left out:\n")[1].splitlines()
    reasons = {line.split(":")[0].rpartition("/")[2].strip(): line for line in told}
    assert set(reasons) == {"cut.mp4", "empty.mp4", "text.mp4", "sound.mp4", "missing.mp4", "notes.md"}
    assert "the file is empty (0 bytes)" in reasons["empty.mp4"]
    assert "no picture that can be decoded" in reasons["sound.mp4"]
    assert "No such file" in reasons["missing.mp4"]
    for name in ("cut.mp4", "text.mp4", "notes.md"):
        assert "not a video" in reasons[name]
    assert "Traceback" not in complaint
    assert {path.name for path in files(tmp_path / "out")} == {f"{n}_good.{s}" for n in "az" for s in SUFFIXES}


def write_sound(path):
    import av

    with av.open(str(path), "w") as file:
        track = file.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        file.mux([*track.encode(frame), *track.encode(None)])


def test_a_video_cut_off_midway_is_annotated_as_far_as_it_goes_and_named(detect, video, tmp_path, capsys):
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(video.read_bytes()[: video.stat().st_size * 2 // 5])
    assert main(detect(cut)) == 1
    out, complaint = capsys.readouterr()
    assert "cut.mp4: cut off" in complaint and "the rest is processed" in complaint and "Traceback" not in complaint
    assert probe(out.split("-> ")[1].strip()).duration < probe(video).duration - 1


def test_two_inputs_of_one_name_both_come_out(detect, video, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    shutil.copy(video, tmp_path / "other")
    assert main(detect(video, tmp_path / "other" / video.name)) == 0
    results = [line.split("-> ")[1] for line in capsys.readouterr().out.splitlines()]
    assert len(set(results)) == 2 and all(probe(path) for path in results)
